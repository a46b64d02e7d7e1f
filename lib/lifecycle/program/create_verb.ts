import {
  AF_UNIX,
  type Argument,
  AT_FDCWD,
  AT_REMOVEDIR,
  type Cell,
  CLOCK_REALTIME,
  type Label,
  LOCK_EX,
  LOCK_NB,
  MSG_NOSIGNAL,
  NEXT,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_RDONLY,
  O_TRUNC,
  O_WRONLY,
  P_PIDFD,
  placeIn,
  pollfd,
  POLLIN,
  type Program,
  RENAME_NOREPLACE,
  SIGKILL,
  SOCK_CLOEXEC,
  SOCK_SEQPACKET,
  timespec,
  valueOf,
  WEXITED,
} from "../../../ffi/mod.ts";
import { CLOCK, readStartTime, type Text, writeClock, writePid } from "./digits.ts";
import { type CreateGroups, makeGroups } from "./create_groups.ts";
import { checkHost, type CreateHost, type CreateRequest, readRequest } from "./create_request.ts";
import { RECORD_SIZE, STAGE_CREATED } from "./protocol.ts";
import type { Scope } from "./scope.ts";
import {
  awaitProcess,
  compileWalked,
  raiseDescriptors,
  type StartedProgram,
  startProgram,
  type ToldProcess,
} from "./walked_exec.ts";
import { type Piece, Words } from "./words.ts";

// A container's creation, as a program: an engine creates containers of one kind, which differ in their names alone. Once
// crate has created two of a kind, all is known but the names of the next one. Whoever asks for that walks what crate
// itself does: claims the name, makes the groups, starts the container's program, records who waits.

/** Part of a container's file: bytes with the last one's words, bytes without, or what is this one's own. */
export type Filling =
  | Uint8Array
  | { readonly raw: Uint8Array }
  | { readonly own: "clock" | "pid" | "pid text" | "start text" }
  | {
    /** … of as many bytes less the pid's, or the start time's. */
    readonly own: "pid padding" | "start padding" | "pid length" | "start length";
    readonly of: number;
  };

/** What the creation of a container of a kind depends on: all of the last one's, with its words in it. */
export interface CreateInput {
  readonly request: CreateRequest;
  readonly host: CreateHost;
  readonly directory: string;
  /** What its directory is called until it has its record. */
  readonly making: string;
  /** The names of the files in it that a failure removes. */
  readonly files: readonly string[];
  /** When its day began, in seconds since 1970. */
  readonly day: number;
  readonly record: readonly Filling[];
  readonly filter?: Uint8Array;
  readonly groups: CreateGroups;
  /** The socket of its start, as struct sockaddr_un. */
  readonly address: Uint8Array;
  /** The container's program, in an ELF file. */
  readonly program: Uint8Array;
  readonly process: readonly Filling[];
  readonly verbs: readonly Filling[];
  readonly pidFile?: string;
}

const DAY = 86400;
const NEW = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
const REPLACE = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC;
/** Milliseconds: how long the end of a killed process may take. */
const PATIENCE = 10;

/** The program of a container's creation; until the container is created, whatever fails is undone and left to crate. */
export function compileCreateVerb(input: CreateInput): Program {
  return compileWalked((s, ask) => {
    const { p } = s;
    const { fd: request, words } = readRequest(s, input.request, ask);
    const time = readClock(s, input, ask);
    const own = new Words(s, words);
    const [put, filled] = [s.label("put the words"), s.label("filled")];
    p.jump(put);
    p.place(filled);
    checkHost(s, input.host, own, ask);
    raiseDescriptors(s);
    create(s, input, own, time, ask);
    p.place(put);
    own.put(valueOf(request), ask);
    p.jump(filled);
  });
}

/** The time of day; crate is asked when it is another day than that of the program. */
function readClock(s: Scope, { day }: CreateInput, ask: Label): Cell {
  const { p } = s;
  const now = p.variable("now", timespec.size);
  const seconds = p.variable("seconds of the day", 4);
  const today = s.label("today");
  p.call("clock_gettime", [CLOCK_REALTIME, now], { negative: ask });
  p.compute(valueOf(now), day, -1, { result: seconds, negative: ask });
  p.compute(valueOf(seconds), DAY, -1, { negative: today });
  p.jump(ask);
  p.place(today);
  const nanoseconds = p.variable("nanoseconds", 4);
  p.set(nanoseconds, valueOf(now, timespec.offset("tv_nsec")));
  return writeClock(s, seconds, nanoseconds);
}

function create(s: Scope, input: CreateInput, own: Words, time: Cell, ask: Label): void {
  const { p } = s;
  const directory = own.string(input.directory);
  const making = own.string(input.making);
  const [lock, file] = [s.descriptor("lock"), s.descriptor("file")];
  const [unmade, unnamed, ungrouped] = ["unmade", "without a name", "without groups"].map((name) =>
    s.label(name)
  ) as [Label, Label, Label];

  p.call("mkdirat", [AT_FDCWD, making, 0o700], { negative: ask });
  const opening = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  p.call("openat", [AT_FDCWD, making, opening, 0], { result: lock, negative: unmade });
  p.call("flock", [valueOf(lock), LOCK_EX | LOCK_NB], { negative: unmade });
  const write = (name: string, flags: number, pieces: readonly Piece[], failed: Label) => {
    p.call("openat", [valueOf(lock), p.string(name), flags, 0o600], {
      result: file,
      negative: failed,
    });
    own.write(valueOf(file), pieces, failed);
    p.call("close", [valueOf(file)], { negative: NEXT });
  };
  const clock = { from: placeIn(time, 0), length: CLOCK.length };
  const ofTime = (fillings: readonly Filling[]) =>
    fillings.map((filling): Piece => "own" in filling ? clock : filling);
  write("container.json", NEW, ofTime(input.record), unnamed);
  p.call("renameat2", [AT_FDCWD, making, AT_FDCWD, directory, RENAME_NOREPLACE], {
    negative: unnamed,
  });
  if (input.filter !== undefined) write("filter", NEW, [input.filter], ungrouped);
  const { descriptor, remove, removed } = makeGroups(s, input.groups, own, ungrouped);

  const failed = s.label("failed");
  const socket = s.descriptor("start socket");
  const { length } = input.address;
  const kind = SOCK_SEQPACKET | SOCK_CLOEXEC;
  p.call("socket", [AF_UNIX, kind, 0], { result: socket, negative: remove });
  const address = own.bytes(input.address, "start socket's address");
  p.call("bind", [valueOf(socket), address, length], { negative: remove });
  p.call("listen", [valueOf(socket), 16], { negative: remove });
  const started = startProgram(s, {
    program: (to) => own.write(to, [input.program], remove),
    argv: p.pointers([p.string("crate-create")], "[crate-create]"),
    more: [...descriptor === undefined ? [] : [valueOf(descriptor)], valueOf(socket)],
    failed: remove,
  });
  const orphaned = s.label("without a program");
  const told = awaitProcess(s, started, orphaned);
  // Its child by now is the engine's.
  p.call("waitid", [P_PIDFD, valueOf(started.pidfd), 0, WEXITED, 0], { negative: NEXT });
  const fill = recordProcess(s, told, clock, failed);
  write("verbs.new", NEW, fill(input.verbs), failed);
  const go = p.bytes(new Uint8Array([1]), "go on");
  const sendGo = () =>
    p.call("sendto", [valueOf(started.control), go, 1, MSG_NOSIGNAL, 0, 0], { negative: failed });
  sendGo();
  awaitCreated(s, started, failed);
  write("process.json.new", REPLACE, fill(input.process), failed);
  for (const name of ["process.json", "verbs"]) {
    const [from, to] = [p.string(`${name}.new`), p.string(name)];
    p.call("renameat2", [valueOf(lock), from, valueOf(lock), to, 0], { negative: failed });
  }
  if (input.pidFile !== undefined) {
    const [to, from] = [own.string(input.pidFile), own.string(`${input.pidFile}.new`)];
    p.call("openat", [AT_FDCWD, from, REPLACE, 0o644], { result: file, negative: failed });
    own.write(valueOf(file), fill([{ own: "pid text" }]), failed);
    p.call("renameat2", [AT_FDCWD, from, AT_FDCWD, to, 0], { negative: failed });
  }
  sendGo();
  const created = s.label("created");
  const record = p.variable("failure", RECORD_SIZE);
  p.call("read", [valueOf(started.report), record, RECORD_SIZE], {
    zero: created,
    negative: failed,
  });
  p.jump(failed);
  p.place(created);
  // What was created last is forgotten last.
  p.call("utimensat", [AT_FDCWD, p.string(input.request.note), 0, 0], { negative: NEXT });
  p.call("exit_group", [0]);

  p.place(failed);
  endProcess(s, told);
  p.place(orphaned);
  for (const end of [started.control, started.report]) {
    p.call("close", [valueOf(end)], { negative: NEXT });
  }
  p.call("waitid", [P_PIDFD, valueOf(started.pidfd), 0, WEXITED, 0], { negative: NEXT });
  p.jump(remove);
  p.place(removed);
  p.place(ungrouped);
  removeFiles(s, input.files, lock);
  p.call("unlinkat", [AT_FDCWD, directory, AT_REMOVEDIR], { negative: NEXT });
  p.call("close", [valueOf(lock)], { negative: NEXT });
  p.jump(ask);
  p.place(unnamed);
  removeFiles(s, ["container.json"], lock);
  p.place(unmade);
  p.call("unlinkat", [AT_FDCWD, making, AT_REMOVEDIR], { negative: NEXT });
  p.call("close", [valueOf(lock)], { negative: NEXT });
  p.jump(ask);
}

function removeFiles(s: Scope, files: readonly string[], directory: Cell): void {
  for (const name of files) {
    s.p.call("unlinkat", [valueOf(directory), s.p.string(name), 0], { negative: NEXT });
  }
}

/** Ends the container's first process, which is not a child of this one. */
function endProcess(s: Scope, { pidfd }: ToldProcess): void {
  const { p } = s;
  const polled = p.variable("ended", pollfd.size, pollfd.pack({ events: POLLIN }));
  const patience = p.bytes(timespec.pack({ tv_sec: PATIENCE }), `${PATIENCE} s`);
  p.set(placeIn(polled, 0), valueOf(pidfd));
  p.call("pidfd_send_signal", [valueOf(pidfd), SIGKILL, 0, 0], { negative: NEXT });
  p.call("ppoll", [polled, 1, patience, 0, 8], { negative: NEXT });
}

/** Waits until the container's init is at the stage of a created one, and at no other before. */
function awaitCreated(s: Scope, { report }: StartedProgram, failed: Label): void {
  const { p } = s;
  const record = p.variable("stage", RECORD_SIZE);
  const expected = new Uint8Array(RECORD_SIZE);
  expected[8] = STAGE_CREATED;
  const created = s.label("at its stage");
  p.call("read", [valueOf(report), record, RECORD_SIZE], { zero: failed, negative: failed });
  p.compare(record, p.bytes(expected, "created"), RECORD_SIZE, created, failed);
  p.place(created);
}

/** Looks who the container's first process is. @returns what makes pieces of what is filled with that. */
function recordProcess(
  s: Scope,
  { pid }: ToldProcess,
  clock: Piece,
  failed: Label,
): (fillings: readonly Filling[]) => Piece[] {
  const { p } = s;
  const number = p.variable("pid", 4);
  p.set(number, pid);
  const pidText = writePid(s, number);
  const [proc, folder] = [s.descriptor("/proc"), s.descriptor("/proc/pid")];
  const flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  p.call("openat", [AT_FDCWD, p.string("/proc"), flags, 0], { result: proc, negative: failed });
  p.call("openat", [valueOf(proc), valueOf(pidText.base), flags, 0], {
    result: folder,
    negative: failed,
  });
  const startText = readStartTime(s, valueOf(folder), failed);
  const less = (than: number, length: Argument) => {
    const cell = p.variable("length", 4);
    p.subtract(cell, than, length);
    return cell;
  };
  const negated = (cell: Cell) => valueOf(less(0, valueOf(cell)));
  const cellText = (cell: Cell): Text => {
    const [base, length] = [p.variable("number", 4), p.variable("its size", 4)];
    p.set(base, cell);
    p.set(length, 4);
    return { base, length };
  };
  return (fillings) =>
    fillings.map((filling): Piece => {
      if (!("own" in filling)) return filling;
      switch (filling.own) {
        case "clock":
          return clock;
        case "pid":
          return cellText(number);
        case "pid text":
          return pidText;
        case "start text":
          return startText;
        case "pid padding":
          return { zeros: less(filling.of, valueOf(pidText.length)) };
        case "start padding":
          return { zeros: less(filling.of, valueOf(startText.length)) };
        case "pid length":
          return cellText(less(filling.of, negated(pidText.length)));
        case "start length":
          return cellText(less(filling.of, negated(startText.length)));
      }
    });
}
