import {
  AF_UNIX,
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_REMOVEDIR,
  type Cell,
  EAGAIN,
  encodeText,
  ENOENT,
  F_GETFD,
  iovec,
  type Label,
  LOCK_EX,
  LOCK_NB,
  MAPPED_FILE,
  MSG_NOSIGNAL,
  NEXT,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_RDONLY,
  O_WRONLY,
  placeIn,
  type Program,
  SIGKILL,
  SIGTERM,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_SEQPACKET,
  STATX_BASIC_STATS,
  statx_layout,
  valueOf,
} from "../../../ffi/mod.ts";
import type { FreezerFiles } from "../../cgroup/mod.ts";
import type { ProcessId } from "../process_id.ts";
import { PID_DIGITS } from "./digits.ts";
import {
  numberBytes,
  type ProcessCells,
  processCells,
  unlessEnded,
  unlessPaused,
} from "./lines.ts";
import { RECORD_SIZE } from "./protocol.ts";
import { Scope } from "./scope.ts";

// What an engine asks of a container that it has created, as a program: `start`, `state`, `kill` and `delete` are a
// few system calls each, all of whose arguments are known once the container is created. Whoever is asked for one
// walks it in a millisecond, where starting Deno takes twelve. What is not the usual case, and every failure, is left
// to whom the program's process tells so by its exit code: to crate itself.

/** The kind of the program's file: another one when what follows, or how programs are encoded, changes. */
export const VERBS_KIND = "crv3";

/** The exit code when a part of what a verb prints is out, and the rest cannot be written. */
const VERB_FAILED = 125;

/** Where the program can be entered, in this order. */
export const VERBS = ["start", "state", "delete", "kill-TERM", "kill-KILL"] as const;

/** What a container's verbs depend on. */
export interface VerbsInput {
  readonly init: ProcessId;
  /** Its directory, and the names of the files in it. */
  readonly directory: string;
  readonly files: readonly string[];
  /** The socket on which its init waits, and that as struct sockaddr_un. */
  readonly socket: string;
  readonly address: Uint8Array;
  /** Where the record of a failed start is put. */
  readonly failure: string;
  /** The file of this program. */
  readonly file: string;
  /** How to see that it is paused, and to let it go on; absent: it cannot be. */
  readonly freezer?: FreezerFiles;
  /** What `state` prints. */
  readonly states: Readonly<Record<"created" | "running" | "paused" | "stopped", string>>;
  /** Whether its start is nothing but that its init goes on. */
  readonly start: boolean;
  /** Its groups, and what its directory is called until it is gone; absent: there is more to do. */
  readonly delete?: { readonly groups: readonly string[]; readonly retired: string };
}

/** A text in cells, with room for a pid of the most digits. */
export interface VerbsText {
  readonly text: Cell;
  readonly length: Cell;
}

/** The program of a container's verbs, and its cells that are not the same for each container of a kind. */
export interface CompiledVerbs {
  readonly program: Program;
  readonly init: ProcessCells;
  /** What `state` prints. */
  readonly texts: readonly VerbsText[];
}

/** The program of a container's verbs. */
export function compileVerbs(input: VerbsInput): CompiledVerbs {
  const s = new Scope();
  const { p } = s;
  const init = processCells(s, input.init);
  const states = Object.entries(input.states).map(([status, content]): [string, VerbsText] => {
    const bytes = encodeText(content);
    const length = p.variable("its length", 4, numberBytes(bytes.length));
    return [status, { text: p.variable(content, bytes.length + PID_DIGITS, bytes), length }];
  });
  const ask = p.label("ask crate");
  const entries = VERBS.map((verb) => p.label(verb));
  for (const entry of entries) p.jump(entry);
  const [start, state, remove, terminate, kill] = entries as [Label, Label, Label, Label, Label];

  p.place(start);
  if (input.start) startInit(s, input, ask);
  else p.jump(ask);
  p.place(state);
  printState(s, input, init, Object.fromEntries(states) as States, ask);
  p.place(remove);
  if (input.delete !== undefined) removeContainer(s, input, input.delete, init, ask);
  else p.jump(ask);
  const signal = p.variable("signal", 4);
  const send = p.label("send the signal");
  p.place(terminate);
  p.set(signal, SIGTERM);
  p.jump(send);
  p.place(kill);
  p.set(signal, SIGKILL);
  p.place(send);
  sendSignal(s, input, init, signal, ask);

  p.place(ask);
  // A step that fails: the loader knows what that means.
  p.compute(-1, 0, -1);
  s.writeAsides();
  return { program: p.build(), init, texts: states.map(([, text]) => text) };
}

type States = Readonly<Record<keyof VerbsInput["states"], VerbsText>>;

/** As `startCreated`. */
function startInit(s: Scope, input: VerbsInput, ask: Label): void {
  const { p } = s;
  const { socket, address, failure } = input;
  const connection = s.descriptor("connection");
  const record = p.variable("record", RECORD_SIZE);
  const file = s.descriptor("failure");
  const started = s.label("started");
  lock(s, input, ask);
  // It would not answer.
  unlessPaused(s, input.freezer, ask);
  p.call("socket", [AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0], { result: connection });
  p.call("connect", [valueOf(connection), p.bytes(address, socket), address.length]);
  const go = p.bytes(new Uint8Array([1]), "go on");
  p.call("sendto", [valueOf(connection), go, 1, MSG_NOSIGNAL, 0, 0]);
  p.call("read", [valueOf(connection), record, RECORD_SIZE], { zero: started });
  const flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
  p.call("openat", [AT_FDCWD, p.string(failure), flags, 0o600], { result: file });
  p.call("write", [valueOf(file), record, RECORD_SIZE]);
  p.jump(ask);
  p.place(started);
  p.call("unlinkat", [AT_FDCWD, p.string(socket), 0], { negative: NEXT });
  p.call("exit_group", [0]);
}

/** As `killContainer`: the signal is in a cell. */
function sendSignal(
  s: Scope,
  { freezer }: VerbsInput,
  init: ProcessCells,
  signal: Cell,
  ask: Label,
): void {
  const { p } = s;
  const pidfd = s.descriptor("pidfd");
  const done = s.label("sent");
  p.call("pidfd_open", [valueOf(init.pid), 0], { result: pidfd, negative: ask });
  unlessEnded(s, init, ask);
  p.call("pidfd_send_signal", [valueOf(pidfd), valueOf(signal), 0, 0], { negative: ask });
  if (freezer !== undefined) {
    const { file, text } = freezer.thaw;
    const fd = s.descriptor("freezer");
    p.jumpIfEqual(valueOf(signal), SIGTERM, done);
    // What is frozen does not end of it.
    p.call("openat", [AT_FDCWD, p.string(file), O_WRONLY | O_CLOEXEC, 0], {
      result: fd,
      negative: done,
    });
    p.call("write", [valueOf(fd), p.string(text), text.length], { negative: NEXT });
  }
  p.place(done);
  p.call("exit_group", [0]);
}

/** As `ociState`, of what `readState` tells. */
function printState(
  s: Scope,
  input: VerbsInput,
  init: ProcessCells,
  states: States,
  ask: Label,
): void {
  const { p } = s;
  const { socket, address } = input;
  const text = p.variable("text", iovec.size);
  const [base, left] = [placeIn(text, iovec.offset("iov_base")), iovec.offset("iov_len")];
  const write = s.label("write");
  const print = (status: VerbsText) => {
    p.set(base, status.text);
    p.set(placeIn(text, left), valueOf(status.length));
    p.jump(write);
  };
  // Else the next descriptor would be the output.
  p.call("fcntl", [1, F_GETFD, 0], { negative: ask });
  const stopped = s.label("stopped");
  const still = s.label("paused");
  const running = s.label("running");
  const created = s.label("created");
  const connection = s.descriptor("connection");
  const answer = s.descriptor("answer");
  unlessEnded(s, init, stopped);
  unlessPaused(s, input.freezer, still);
  p.call("faccessat", [AT_FDCWD, p.string(socket), 0], { negative: running });
  const kind = SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK;
  p.call("socket", [AF_UNIX, kind, 0], { result: connection });
  p.call("connect", [valueOf(connection), p.bytes(address, socket), address.length], {
    result: answer,
    zero: created,
    negative: NEXT,
  });
  // More than fit wait already.
  p.jumpIfEqual(valueOf(answer), -EAGAIN, created);
  p.place(running);
  print(states.running);
  p.place(created);
  print(states.created);
  p.place(still);
  print(states.paused);
  p.place(stopped);
  print(states.stopped);

  const written = s.descriptor("written");
  const minus = s.descriptor("minus");
  const more = s.label("more");
  const all = s.label("all");
  const lost = s.label("lost");
  p.place(write);
  p.call("writev", [1, text, 1], { result: written, negative: ask });
  p.place(more);
  p.subtract(minus, 0, valueOf(written));
  p.subtract(base, { value: base }, valueOf(minus));
  p.subtract(placeIn(text, left), valueOf(text, left), valueOf(written));
  p.jumpIfEqual(valueOf(text, left), 0, all);
  p.call("writev", [1, text, 1], { result: written, positive: more, zero: lost, negative: lost });
  p.place(lost);
  p.call("exit_group", [VERB_FAILED]);
  p.place(all);
  p.call("exit_group", [0]);
}

/** As `deleteContainer`, of one that has ended and left nothing in its groups. */
function removeContainer(
  s: Scope,
  input: VerbsInput,
  { groups, retired }: NonNullable<VerbsInput["delete"]>,
  init: ProcessCells,
  ask: Label,
): void {
  const { p } = s;
  const { directory, files } = input;
  const ended = s.label("ended");
  lock(s, input, ask);
  unlessEnded(s, init, ended);
  p.jump(ask);
  p.place(ended);
  const result = s.descriptor("result");
  for (const group of groups) {
    const removed = s.label("removed");
    p.call("unlinkat", [AT_FDCWD, p.string(group), AT_REMOVEDIR], {
      result,
      zero: removed,
      negative: NEXT,
    });
    p.jumpIfEqual(valueOf(result), -ENOENT, removed);
    p.jump(ask);
    p.place(removed);
  }
  // From here on it is gone: what may be left of it, others clear away.
  const to = p.string(retired);
  p.call("renameat2", [AT_FDCWD, p.string(directory), AT_FDCWD, to, 0], { negative: ask });
  for (const file of files) {
    p.call("unlinkat", [AT_FDCWD, p.string(`${retired}/${file}`), 0], { negative: NEXT });
  }
  p.call("unlinkat", [AT_FDCWD, to, AT_REMOVEDIR], { negative: NEXT });
  p.call("exit_group", [0]);
}

/**
 * The container's lock, as `lockContainer`, and that it is this program's container: it may have been deleted, and its
 * name be another one's. Nobody's file has the inode of the one that is open.
 */
function lock(s: Scope, { directory, file }: VerbsInput, ask: Label): void {
  const { p } = s;
  const fd = s.descriptor("lock");
  const [mine, named] = [p.variable("own file", 256), p.variable("named file", 256)];
  const flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  p.call("openat", [AT_FDCWD, p.string(directory), flags, 0], { result: fd, negative: ask });
  p.call("flock", [valueOf(fd), LOCK_EX | LOCK_NB], { negative: ask });
  const [own, empty] = [MAPPED_FILE, p.string("")];
  p.call("statx", [own, empty, AT_EMPTY_PATH, STATX_BASIC_STATS, mine], { negative: ask });
  p.call("statx", [AT_FDCWD, p.string(file), 0, STATX_BASIC_STATS, named], { negative: ask });
  const inode = statx_layout.offset("stx_ino");
  for (const half of [inode, inode + 4]) {
    const same = s.label("same inode");
    p.jumpIfEqual(valueOf(mine, half), valueOf(named, half), same);
    p.jump(ask);
    p.place(same);
  }
}
