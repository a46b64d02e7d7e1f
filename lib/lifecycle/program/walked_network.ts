import {
  addressOf,
  type Argument,
  AT_FDCWD,
  AT_REMOVEDIR,
  type Cell,
  encodeText,
  type Label,
  LOCK_EX,
  LOCK_NB,
  MFD_CLOEXEC,
  NEXT,
  O_CLOEXEC,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
  placeIn,
  timespec,
  valueOf,
} from "../../../ffi/mod.ts";
import type { ReadyNetwork } from "../../network/mod.ts";
import { checkNetwork } from "./check_network.ts";
import type { Scope } from "./scope.ts";
import { identifyProcess, type Identity, NEW, type WordsFile } from "./walked_container.ts";
import { plugIn } from "./walked_plug.ts";
import { type Piece, Words } from "./words.ts";

// A container's place on a network, as a program takes it: as `claimNetworks` and what `attach` does, with one place of
// a few whose addresses are kept for that. The lock on networks is held from the claim until others know of it.

/** How often, a quarter of a millisecond apart, others' turns are waited for. */
const TURNS = 200;
const PAUSE = 250_000;
/** A container's files below /etc. */
const FILE_MODE = 0o644;
/** More than the lines of all who may be on the network. */
const MAX_LINES = 32768;

/** A place on a network that a program has taken. */
export interface TakenPlace {
  /** The descriptor that keeps it, which the monitor has. */
  readonly held: Argument;
  /** Gives the container its interface, and tells others of it. Then the lock is no longer held. */
  attach(init: Identity, failed: Label): void;
  /** Steps that give all back begin here, and go on at what comes before. */
  readonly remove: Label;
}

/** What of others on the network a program has at hand. */
interface Others {
  /** Lines by which they are found, in a file. */
  readonly lines: Cell;
  /** Their hosts files, where they live, and how much of those is their own. */
  readonly files: readonly { readonly fd: Cell; readonly base: Argument }[];
}

/**
 * Takes a place.
 *
 * @param file where the words of this time are: those of the place come after them.
 * @param own strings with these words.
 * @param before where what fails goes on.
 */
export function takePlace(
  s: Scope,
  network: ReadyNetwork,
  { file, own }: { readonly file: WordsFile & { readonly size: number }; readonly own: Words },
  before: Label,
): TakenPlace {
  const { p } = s;
  const { directory, files, pool, words } = network;
  const [lock, place] = [s.descriptor("lock on networks"), s.descriptor("place on the network")];
  const isAttached = p.variable("attached", 4);
  const [unlock, free, remove] = ["unlock", "free the place", "without its files"].map((name) =>
    s.label(name)
  ) as [Label, Label, Label];
  const lines = s.descriptor("others' lines");
  // What is not open yet is not closed: that would be the caller's standard input.
  for (const fd of [place, lines]) p.set(fd, -1);
  lockNetworks(s, network.lock, lock, before);
  checkNetwork(s, network, unlock);
  p.call("memfd_create", [p.string("lines"), MFD_CLOEXEC], { result: lines, negative: unlock });
  const addresses = p.variable("addresses of the place", pool[0]!.length);
  const head = p.variable("a place's beginning", network.slot.attachment);
  const others: Others = {
    lines,
    files: [
      ...findOthers(s, network, { lines, head }, unlock),
      ...findPlace(s, network, { lock, lines, place, head }, { file, addresses }, unlock),
    ],
  };
  const texts = new Words(s, [
    ...file.words,
    ...words.map(({ text, from }) => ({ text, place: placeIn(addresses, from), at: from })),
  ]);
  const note = (holder: Identity, failed: Label) =>
    writePlace(s, network, { place: valueOf(place), texts, holder }, failed);

  const self = p.variable("own pid", 4);
  p.call("getpid", [], { result: self, negative: unlock });
  // First that it is there, by which all else is found when this process is killed.
  note(identifyProcess(s, valueOf(self), free), free);
  p.call("mkdirat", [AT_FDCWD, own.string(directory), 0o755], { negative: free });
  const fd = s.descriptor("container's file");
  for (const { path, text } of files) {
    p.call("openat", [AT_FDCWD, own.string(path), NEW, FILE_MODE], {
      result: fd,
      negative: remove,
    });
    texts.write(valueOf(fd), [encodeText(text)], remove);
    p.call("close", [valueOf(fd)], { negative: NEXT });
  }
  s.aside(() => {
    p.place(remove);
    for (const { path } of files) {
      p.call("unlinkat", [AT_FDCWD, own.string(path), 0], { negative: NEXT });
    }
    p.call("unlinkat", [AT_FDCWD, own.string(directory), AT_REMOVEDIR], { negative: NEXT });
    p.place(free);
    // Who has been told of it hears from crate that it is gone.
    const told = s.label("others know of it");
    p.compute(valueOf(isAttached), 0, -1, { positive: told });
    p.call("ftruncate", [valueOf(place), 0], { negative: NEXT });
    p.place(told);
    p.place(unlock);
    for (const fd of [place, lines, lock]) p.call("close", [valueOf(fd)], { negative: NEXT });
    p.jump(before);
  });
  return {
    held: valueOf(place),
    remove,
    attach(init, failed) {
      plugIn(s, network, { own, words: file.fd, from: file.size }, init, failed);
      note(init, failed);
      p.set(isAttached, 1);
      tellOthers(s, network, { others, own, texts }, failed);
      for (const fd of [lines, lock]) {
        p.call("close", [valueOf(fd)], { negative: NEXT });
        p.set(fd, -1);
      }
    },
  };
}

/** Waits for its turn; whoever waits long is better off with crate, which says why. */
function lockNetworks(s: Scope, file: string, lock: Cell, before: Label): void {
  const { p } = s;
  const left = p.variable("turns", 4);
  const pause = p.bytes(timespec.pack({ tv_nsec: PAUSE }), "0.25 ms");
  const [again, wait, locked, late] = ["lock", "wait", "locked", "late"].map((name) =>
    s.label(name)
  ) as [Label, Label, Label, Label];
  p.call("openat", [AT_FDCWD, p.string(file), O_RDWR | O_CLOEXEC, 0], {
    result: lock,
    negative: before,
  });
  p.set(left, TURNS);
  p.place(again);
  p.call("flock", [valueOf(lock), LOCK_EX | LOCK_NB], {
    zero: locked,
    negative: wait,
    positive: locked,
  });
  p.place(wait);
  p.call("nanosleep", [pause, 0], { negative: NEXT });
  p.compute(valueOf(left), 1, -1, { result: left, positive: again, zero: late, negative: late });
  p.place(late);
  p.call("close", [valueOf(lock)], { negative: NEXT });
  p.jump(before);
  p.place(locked);
}

/** Those whom crate has put on the network, as it has last written them down. */
function findOthers(
  s: Scope,
  { others, slot }: ReadyNetwork,
  { lines, head }: { readonly lines: Cell; readonly head: Cell },
  failed: Label,
): Others["files"] {
  const { p } = s;
  const [file, read] = [s.descriptor("others"), s.descriptor("its size")];
  p.call("openat", [AT_FDCWD, p.string(others.file), O_RDONLY | O_CLOEXEC, 0], {
    result: file,
    negative: failed,
  });
  const found = Array.from({ length: others.count }, (_, i) => {
    const done = s.label("seen");
    const [hosts, base] = [s.descriptor("its hosts file"), p.variable("its base", 4)];
    p.set(hosts, -1);
    p.call("pread64", [valueOf(file), head, slot.attachment, i * slot.attachment], {
      result: read,
      negative: failed,
    });
    p.compute(valueOf(read), slot.attachment, -1, { negative: done });
    noteOther(s, slot, { head, lines, hosts, base }, done, failed);
    p.place(done);
    return { fd: hosts, base: valueOf(base) };
  });
  p.call("close", [valueOf(file)], { negative: NEXT });
  return found;
}

/** Opens the hosts file of one whose beginning of a place is in a cell, and adds its lines to all; it may have ended. */
function noteOther(
  s: Scope,
  slot: ReadyNetwork["slot"],
  { head, lines, hosts, base }: Readonly<Record<"head" | "lines" | "hosts" | "base", Cell>>,
  ended: Label,
  failed: Label,
): void {
  const { p } = s;
  p.call("openat", [AT_FDCWD, addressOf(head, slot.path), O_WRONLY | O_CLOEXEC, 0], {
    result: hosts,
    negative: ended,
  });
  p.set(base, valueOf(head, slot.base));
  p.call("write", [valueOf(lines), addressOf(head, slot.lines), valueOf(head, slot.length)], {
    negative: failed,
  });
}

/**
 * Looks at all places: who has one is on the network; of the others one is taken, another one each time. Its addresses are
 * where they are wanted then.
 */
function findPlace(
  s: Scope,
  { slots, slot, pool }: ReadyNetwork,
  { lock, lines, place, head }: Readonly<Record<"lock" | "lines" | "place" | "head", Cell>>,
  { file, addresses }: {
    readonly file: WordsFile & { readonly size: number };
    readonly addresses: Cell;
  },
  failed: Label,
): Others["files"] {
  const { p } = s;
  const [turn, next] = [p.variable("turn", 4), p.variable("next turn", 4)];
  const base = p.variable("place's addresses", 4);
  const known = p.bytes(new Uint8Array(pool.flatMap((each) => [...each])), "addresses");
  const size = addresses.size;
  p.call("pread64", [valueOf(lock), turn, 1, 0], { negative: failed });
  // Other networks count there, too.
  p.compute(valueOf(turn), 0, pool.length - 1, { result: turn, negative: NEXT });
  p.compute(valueOf(turn), -1, pool.length - 1, { result: next, negative: NEXT });
  p.call("pwrite64", [valueOf(lock), next, 1, 0], { negative: failed });
  // Whose turn it is, and from which of the pool's rounds it has its addresses.
  const spot = p.variable("its place", 4);
  const [rounds, round, first] = [s.label("rounds"), s.label("round"), p.variable("round", 4)];
  p.compute(valueOf(turn), 0, slots.length - 1, { result: spot, negative: NEXT });
  p.set(first, addressOf(known));
  p.place(rounds);
  p.compute(valueOf(turn), slots.length, -1, { result: turn, negative: round });
  p.subtract(first, valueOf(first), -size * slots.length);
  p.jump(rounds);
  p.place(round);
  const path = addressOf(head, slot.path);
  const found = slots.map((name, i) => {
    const [fd, read, hosts] = [
      s.descriptor("place"),
      s.descriptor("its size"),
      s.descriptor("its hosts file"),
    ];
    const own = p.variable("its base", 4);
    const [taken, empty, take, done] = ["taken", "empty", "take", "seen"].map((word) =>
      s.label(word)
    ) as [Label, Label, Label, Label];
    p.set(hosts, -1);
    p.call("openat", [AT_FDCWD, p.string(name), O_RDWR | O_CLOEXEC, 0], {
      result: fd,
      negative: failed,
    });
    p.call("flock", [valueOf(fd), LOCK_EX | LOCK_NB], { negative: taken });
    p.call("pread64", [valueOf(fd), head, slot.attachment, 0], {
      result: read,
      zero: empty,
      negative: failed,
    });
    // Of whom a file is left, crate knows what else is.
    p.call("openat", [AT_FDCWD, path, O_PATH | O_CLOEXEC, 0], {
      result: hosts,
      negative: empty,
      zero: failed,
      positive: failed,
    });
    p.place(empty);
    p.set(hosts, -1);
    p.jumpIfEqual(valueOf(spot), i, take);
    p.compute(valueOf(place), 0, -1, { negative: take });
    p.call("close", [valueOf(fd)], { negative: NEXT });
    p.jump(done);
    p.place(take);
    p.call("close", [valueOf(place)], { negative: NEXT });
    p.set(place, valueOf(fd));
    p.subtract(base, valueOf(first), -i * size);
    p.jump(done);
    p.place(taken);
    p.call("pread64", [valueOf(fd), head, slot.attachment, 0], { result: read, negative: failed });
    p.call("close", [valueOf(fd)], { negative: NEXT });
    // Nothing is in it when it is told elsewhere.
    p.compute(valueOf(read), slot.attachment, -1, { negative: done });
    noteOther(s, slot, { head, lines, hosts, base: own }, done, failed);
    p.place(done);
    return { fd: hosts, base: valueOf(own) };
  });
  p.compute(valueOf(place), 0, -1, { negative: failed });
  p.call("pwrite64", [valueOf(file.fd), valueOf(base), size, file.size], { negative: failed });
  p.call("pread64", [valueOf(file.fd), addresses, size, file.size], { negative: failed });
  return found;
}

/** Writes into the place's file who has it. */
function writePlace(
  s: Scope,
  { files, lines, slot, attachment: [begin, end] }: ReadyNetwork,
  { place, texts, holder }: {
    readonly place: Argument;
    readonly texts: Words;
    readonly holder: Identity;
  },
  failed: Label,
): void {
  const { p } = s;
  const [{ path, text }] = files as [ReadyNetwork["files"][0]];
  const numbers = new Uint32Array([encodeText(text).length, encodeText(lines).length]);
  const filled = (text: string, from: number, to: number): Piece[] => {
    const bytes = encodeText(text);
    return [bytes, { raw: new Uint8Array(to - from - bytes.length) }];
  };
  p.call("ftruncate", [place, 0], { negative: failed });
  p.call("lseek", [place, 0, 0], { negative: failed });
  texts.write(place, [
    { raw: new Uint8Array(numbers.buffer) },
    ...filled(path, slot.path, slot.lines),
    ...filled(lines, slot.lines, slot.attachment),
    encodeText(`${begin}{"pid":`),
    holder.pid,
    encodeText(',"startTime":'),
    holder.startTime,
    encodeText(`}${end}`),
  ], failed);
}

/** Writes the names of all who are on the network behind what is each one's own in its hosts file. */
function tellOthers(
  s: Scope,
  { files, lines }: ReadyNetwork,
  { others, own, texts }: { readonly others: Others; readonly own: Words; readonly texts: Words },
  failed: Label,
): void {
  const { p } = s;
  const [{ path, text }] = files as [ReadyNetwork["files"][0]];
  const [mine, size, end] = [
    s.descriptor("own hosts file"),
    s.descriptor("lines' size"),
    s.descriptor("file's end"),
  ];
  const all = p.variable("lines", MAX_LINES);
  const read = () =>
    p.call("pread64", [valueOf(others.lines), all, MAX_LINES, 0], {
      result: size,
      negative: failed,
    });
  p.call("openat", [AT_FDCWD, own.string(path), O_WRONLY | O_CLOEXEC, 0], {
    result: mine,
    negative: failed,
  });
  read();
  p.call("pwrite64", [valueOf(mine), all, valueOf(size), encodeText(text).length], {
    negative: failed,
  });
  p.call("close", [valueOf(mine)], { negative: NEXT });
  texts.write(valueOf(others.lines), [encodeText(lines)], failed);
  read();
  for (const { fd, base } of others.files) {
    const next = s.label("next neighbour");
    p.compute(valueOf(fd), 0, -1, { negative: next });
    p.call("pwrite64", [valueOf(fd), all, valueOf(size), base], { negative: next });
    p.subtract(end, 0, valueOf(size));
    p.subtract(end, base, valueOf(end));
    p.call("ftruncate", [valueOf(fd), valueOf(end)], { negative: NEXT });
    p.call("close", [valueOf(fd)], { negative: NEXT });
    p.place(next);
  }
}
