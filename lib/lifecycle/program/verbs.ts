import {
  AF_UNIX,
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_REMOVEDIR,
  EAGAIN,
  encodeText,
  ENOENT,
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
  O_WRONLY,
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
import type { ProcessId } from "../process_id.ts";
import { findLine, readBytes, unlessEnded } from "./lines.ts";
import { RECORD_SIZE } from "./protocol.ts";
import { Scope } from "./scope.ts";

// What an engine asks of a container that it has created, as a program: `start`, `state`, `kill` and `delete` are a
// few system calls each, all of whose arguments are known once the container is created. Whoever is asked for one
// walks it in a millisecond, where starting Deno takes twelve. What is not the usual case, and every failure, is left
// to whom the program's process tells so by its exit code: to crate itself.

/** The kind of the program's file: another one when what follows, or how programs are encoded, changes. */
export const VERBS_KIND = "crv1";

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
  /** How to see that it is paused; absent: it cannot be. */
  readonly paused?: { readonly file: string; readonly line: string };
  /** What `state` prints. */
  readonly states: Readonly<Record<"created" | "running" | "paused" | "stopped", string>>;
  /** Whether its start is nothing but that its init goes on. */
  readonly start: boolean;
  /** Its groups, and what its directory is called until it is gone; absent: there is more to do. */
  readonly delete?: { readonly groups: readonly string[]; readonly retired: string };
}

/** The program of a container's verbs. */
export function compileVerbs(input: VerbsInput): Program {
  const s = new Scope();
  const { p } = s;
  const ask = p.label("ask crate");
  const entries = VERBS.map((verb) => p.label(verb));
  for (const entry of entries) p.jump(entry);
  const [start, state, remove, terminate, kill] = entries as [Label, Label, Label, Label, Label];

  p.place(start);
  if (input.start) startInit(s, input, ask);
  else p.jump(ask);
  p.place(state);
  printState(s, input, ask);
  p.place(remove);
  if (input.delete !== undefined) removeContainer(s, input, input.delete, ask);
  else p.jump(ask);
  const signal = p.variable("signal", 4);
  const send = p.label("send the signal");
  p.place(terminate);
  p.set(signal, SIGTERM);
  p.jump(send);
  p.place(kill);
  // What is frozen does not end of it.
  unlessPaused(s, input, ask);
  p.set(signal, SIGKILL);
  p.place(send);
  const pidfd = s.descriptor("pidfd");
  p.call("pidfd_open", [input.init.pid, 0], { result: pidfd, negative: ask });
  unlessEnded(s, input.init, ask);
  p.call("pidfd_send_signal", [valueOf(pidfd), valueOf(signal), 0, 0], { negative: ask });
  p.call("exit_group", [0]);

  p.place(ask);
  // A step that fails: the loader knows what that means.
  p.compute(-1, 0, -1);
  s.writeAsides();
  return p.build();
}

/** As `startCreated`. */
function startInit(
  s: Scope,
  { directory, socket, address, failure, paused }: VerbsInput,
  ask: Label,
): void {
  const { p } = s;
  const connection = s.descriptor("connection");
  const record = p.variable("record", RECORD_SIZE);
  const file = s.descriptor("failure");
  const started = s.label("started");
  lock(s, directory, ask);
  // It would not answer.
  unlessPaused(s, { paused }, ask);
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

/** As `ociState`, of what `readState` tells. */
function printState(
  s: Scope,
  { init, socket, address, paused, states }: VerbsInput,
  ask: Label,
): void {
  const { p } = s;
  const print = (text: string) => {
    const bytes = encodeText(text);
    p.call("write", [1, p.bytes(bytes, text), bytes.length], { negative: ask });
    p.call("exit_group", [0]);
  };
  const stopped = s.label("stopped");
  const still = s.label("paused");
  const running = s.label("running");
  const created = s.label("created");
  const connection = s.descriptor("connection");
  const answer = s.descriptor("answer");
  unlessEnded(s, init, stopped);
  unlessPaused(s, { paused }, still);
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
}

/** As `deleteContainer`, of one that has ended and left nothing in its groups. */
function removeContainer(
  s: Scope,
  { init, directory, files }: VerbsInput,
  { groups, retired }: NonNullable<VerbsInput["delete"]>,
  ask: Label,
): void {
  const { p } = s;
  const ended = s.label("ended");
  lock(s, directory, ask);
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

function unlessPaused(s: Scope, { paused }: Pick<VerbsInput, "paused">, found: Label): void {
  if (paused === undefined) return;
  const absent = s.label("not paused");
  findLine(s, paused.line, { ...readBytes(s, paused.file, absent), found, absent });
  s.p.place(absent);
}

/** The container's lock, as `lockContainer`, and that the directory is still the locked one, as `isOwn`. */
function lock(s: Scope, directory: string, ask: Label): void {
  const { p } = s;
  const fd = s.descriptor("lock");
  const path = p.string(directory);
  const [mine, named] = [p.variable("locked directory", 256), p.variable("named directory", 256)];
  const flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  p.call("openat", [AT_FDCWD, path, flags, 0], { result: fd, negative: ask });
  p.call("flock", [valueOf(fd), LOCK_EX | LOCK_NB], { negative: ask });
  const empty = p.string("");
  p.call("statx", [valueOf(fd), empty, AT_EMPTY_PATH, STATX_BASIC_STATS, mine], { negative: ask });
  p.call("statx", [AT_FDCWD, path, 0, STATX_BASIC_STATS, named], { negative: ask });
  const inode = statx_layout.offset("stx_ino");
  for (const half of [inode, inode + 4]) {
    const same = s.label("same inode");
    p.jumpIfEqual(valueOf(mine, half), valueOf(named, half), same);
    p.jump(ask);
    p.place(same);
  }
}
