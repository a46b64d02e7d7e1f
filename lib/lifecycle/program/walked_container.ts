import {
  type Argument,
  AT_FDCWD,
  AT_REMOVEDIR,
  type Cell,
  CLOCK_REALTIME,
  type Label,
  LOCK_EX,
  LOCK_NB,
  NEXT,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_RDONLY,
  O_TRUNC,
  O_WRONLY,
  placeIn,
  type Program,
  RENAME_NOREPLACE,
  timespec,
  valueOf,
} from "../../../ffi/mod.ts";
import { CLOCK, readStartTime, type Text, writeClock, writePid } from "./digits.ts";
import { type CreateGroups, makeGroups } from "./create_groups.ts";
import { checkHost, type WalkedHost } from "./check_host.ts";
import type { Scope } from "./scope.ts";
import { compileWalked, raiseDescriptors } from "./walked_exec.ts";
import { type Piece, type Word, Words } from "./words.ts";

// What the creation of a container consists of where a program does it, of which all is known but some words: it claims the
// name, makes the groups, starts the container's program, records who runs. create_verb.ts, run_verb.ts

/** Part of a container's file: bytes with the last one's words, bytes without, or what is this one's own. */
export type Filling =
  | Uint8Array
  | { readonly raw: Uint8Array }
  | { readonly own: OwnText }
  | {
    /** … of as many bytes less the pid's, or the start time's. */
    readonly own: "pid padding" | "start padding" | "pid length" | "start length";
    readonly of: number;
  };

type OwnText =
  | "clock"
  | "pid"
  | "pid text"
  | "start text"
  | "monitor's pid text"
  | "monitor's start text";

/** Part of a container's record: its command may be this one's own. */
export type RecordFilling = Filling | { readonly own: "command" };

/** What the creation of a container of a kind depends on: all of the last one's, with its words in it. */
export interface WalkedContainer {
  readonly host: WalkedHost;
  readonly directory: string;
  /** What its directory is called until it has its record. */
  readonly making: string;
  /** The names of the files in it that a failure removes. */
  readonly files: readonly string[];
  /** When its day began, in seconds since 1970. */
  readonly day: number;
  readonly record: readonly RecordFilling[];
  readonly filter?: Uint8Array;
  readonly groups: CreateGroups;
  /** The container's program, in an ELF file. */
  readonly program: Uint8Array;
  readonly process: readonly Filling[];
}

/** A container's name and groups, as a program has made them. */
export interface ClaimedContainer {
  readonly own: Words;
  /** The time of its creation. */
  readonly clock: Piece;
  /** Its directory, which is locked. */
  readonly directory: Cell;
  /** Writes a file in it. @param flags {@linkcode NEW} or {@linkcode REPLACE} */
  write(name: string, flags: number, pieces: readonly Piece[], failed: Label): void;
  /** What its program has from 5 on. */
  readonly groups: readonly Argument[];
  /** Steps that undo all of it begin here, and go on at crate's own way. */
  readonly remove: Label;
}

/** A file, and where this time's words are in it, and in the program. */
export interface WordsFile {
  readonly fd: Cell;
  readonly words: readonly Word[];
  /** The command, as the record has it, where it is this time's own. */
  readonly command?: Text;
}

const DAY = 86400;
/** How a file is opened that is not there. */
export const NEW = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
/** How a file is opened that may be there. */
export const REPLACE = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC;

/**
 * A program that creates a container. Until that is created, whatever fails is undone and left to crate.
 *
 * @param read writes the steps that look at what is asked for. They tell which file has the words, and where they are.
 * @param create writes the rest.
 */
export function compileWalkedContainer(
  input: WalkedContainer,
  read: (s: Scope, ask: Label) => WordsFile,
  create: (s: Scope, container: ClaimedContainer) => void,
): Program {
  return compileWalked((s, ask) => {
    const { p } = s;
    const { fd: request, words, command } = read(s, ask);
    const own = new Words(s, words);
    const [put, filled] = [s.label("put the words"), s.label("filled")];
    p.jump(put);
    p.place(filled);
    raiseDescriptors(s);
    create(s, makeContainer(s, input, own, ask, command));
    p.place(put);
    own.put(valueOf(request), ask);
    p.jump(filled);
  });
}

/** Writes the steps that make all of a container but its processes. */
export function makeContainer(
  s: Scope,
  input: WalkedContainer,
  own: Words,
  ask: Label,
  command?: Text,
): ClaimedContainer {
  const time = readClock(s, input, ask);
  checkHost(s, input.host, own, ask);
  return claimContainer(s, input, own, { time, command }, ask);
}

/** The time of day; crate is asked when it is another day than that of the program. */
function readClock(s: Scope, { day }: WalkedContainer, ask: Label): Cell {
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

function claimContainer(
  s: Scope,
  input: WalkedContainer,
  own: Words,
  { time, command }: { readonly time: Cell; readonly command?: Text },
  ask: Label,
): ClaimedContainer {
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
  const record = input.record.map((filling): Piece =>
    !("own" in filling) ? filling : filling.own === "command" ? command! : clock
  );
  write("container.json", NEW, record, unnamed);
  p.call("renameat2", [AT_FDCWD, making, AT_FDCWD, directory, RENAME_NOREPLACE], {
    negative: unnamed,
  });
  if (input.filter !== undefined) write("filter", NEW, [input.filter], ungrouped);
  const { descriptor, remove, removed } = makeGroups(s, input.groups, own, ungrouped);
  s.aside(() => {
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
  });
  const groups = descriptor === undefined ? [] : [valueOf(descriptor)];
  return { own, clock, directory: lock, write, groups, remove };
}

function removeFiles(s: Scope, files: readonly string[], directory: Cell): void {
  for (const name of files) {
    s.p.call("unlinkat", [valueOf(directory), s.p.string(name), 0], { negative: NEXT });
  }
}

/** A process as it is recorded. */
export interface Identity {
  /** Its pid. */
  readonly number: Cell;
  /** Its pid as text. */
  readonly pid: Text;
  readonly startTime: Text;
}

/** Looks who a process is: when it started. */
export function identifyProcess(s: Scope, pid: Argument, failed: Label): Identity {
  const { p } = s;
  const number = p.variable("pid", 4);
  p.set(number, pid);
  const text = writePid(s, number);
  const [proc, folder] = [s.descriptor("/proc"), s.descriptor("/proc/pid")];
  const flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  p.call("openat", [AT_FDCWD, p.string("/proc"), flags, 0], { result: proc, negative: failed });
  p.call("openat", [valueOf(proc), valueOf(text.base), flags, 0], {
    result: folder,
    negative: failed,
  });
  const startTime = readStartTime(s, valueOf(folder), failed);
  for (const fd of [folder, proc]) p.call("close", [valueOf(fd)], { negative: NEXT });
  return { number, pid: text, startTime };
}

/** What makes pieces of what is filled with processes and a time. */
export function filler(
  s: Scope,
  clock: Piece,
  init: Identity,
  monitor?: Identity,
): (fillings: readonly Filling[]) => Piece[] {
  const { p } = s;
  const { number, pid, startTime } = init;
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
          return pid;
        case "start text":
          return startTime;
        case "monitor's pid text":
          return monitor!.pid;
        case "monitor's start text":
          return monitor!.startTime;
        case "pid padding":
          return { zeros: less(filling.of, valueOf(pid.length)) };
        case "start padding":
          return { zeros: less(filling.of, valueOf(startTime.length)) };
        case "pid length":
          return cellText(less(filling.of, negated(pid.length)));
        case "start length":
          return cellText(less(filling.of, negated(startTime.length)));
      }
    });
}
