import {
  AF_UNIX,
  type Cell,
  clone_args,
  CLONE_VFORK,
  CLONE_VM,
  NEXT,
  P_PID,
  placeIn,
  type Program,
  SIG_SETMASK,
  SIGCHLD,
  SOCK_CLOEXEC,
  SOCK_SEQPACKET,
  valueOf,
  WEXITED,
} from "../../../ffi/mod.ts";
import { Scope } from "./scope.ts";
import { makeContainer, type WalkedContainer } from "./walked_container.ts";
import { startWalked } from "./walked_start.ts";
import { type Word, Words } from "./words.ts";

// The start of a container as a program that a script walks again and again: its containers of one kind differ in their
// ids alone. A child that shares the script's memory does it, and what that has opened is gone with it.

/** What the start of a container of a kind depends on: all of the last one's, with its words in it. */
export interface ResidentInput extends WalkedContainer {
  readonly id: string;
  /** Eight digits that were the last one's alone. */
  readonly token: string;
}

/** The program, and what of it whoever walks it writes and reads. */
export interface Resident {
  readonly program: Program;
  /** The id and the token of this time, without anything between them. */
  readonly words: Cell;
  /** Where parts of that belong, too. */
  readonly places: readonly {
    readonly cell: Cell;
    readonly offset: number;
    readonly from: number;
    readonly length: number;
  }[];
  /** The descriptors that the container has as 0, 1 and 2. */
  readonly standard: readonly Cell[];
  /** The control sockets; the first is the caller's when the container runs. */
  readonly pair: Cell;
  /** Zero unless the container runs. */
  readonly isDone: Cell;
  /** Not zero: whoever did it was killed, and may have executed the user's program. */
  readonly isGoing: Cell;
  readonly init: Cell;
  /** The monitor's pid, a child of the caller's; zero when there has been none. */
  readonly monitor: Cell;
}

/** The program of a container's start; it returns when the user's program is executed, or when nothing is left of it. */
export function compileResident(input: ResidentInput): Resident {
  const s = new Scope();
  const { p } = s;
  const { id, token } = input;
  const text = id + token;
  const words = p.variable("words", text.length, text);
  const standard = [0, 1, 2].map((i) => p.variable(`descriptor for ${i}`, 4));
  const [isDone, isGoing, initPid, monitorPid, walker] = [
    "done",
    "going",
    "init",
    "monitor",
    "walker",
  ].map(
    (name) => p.variable(name, 4),
  ) as [Cell, Cell, Cell, Cell, Cell];
  const pair = p.variable("control sockets", 8, new Uint8Array(8).fill(0xff));
  const [mask, all] = [p.variable("signals", 8), p.bytes(new Uint8Array(8).fill(0xff), "all")];
  const [child, ask, back] = [s.label("child"), s.label("ask crate"), s.label("back")];
  p.handler(ask);
  // No signal handler of the caller's may run in the child.
  p.call("rt_sigprocmask", [SIG_SETMASK, all, mask, 8], { negative: NEXT });
  const kind = SOCK_SEQPACKET | SOCK_CLOEXEC;
  p.call("socketpair", [AF_UNIX, kind, 0, pair], { negative: back });
  const args = p.struct(clone_args, { flags: CLONE_VM | CLONE_VFORK, exit_signal: SIGCHLD });
  p.call("clone3", [args, clone_args.size], { result: walker, zero: child, negative: back });
  p.call("waitid", [P_PID, valueOf(walker), 0, WEXITED, 0], { negative: NEXT });
  p.place(back);
  p.call("rt_sigprocmask", [SIG_SETMASK, mask, 0, 8], { negative: NEXT });
  p.return();

  p.place(child);
  const word = (text: string, at: number): Word => ({ text, place: placeIn(words, at), at });
  const own = new Words(s, [word(id, 0), word(token, id.length)]);
  const container = makeContainer(s, input, own, ask);
  const { told } = startWalked(s, input, container, {
    program: p.bytes(input.program, "the program"),
    standard: standard.map((cell) => valueOf(cell)),
    forParent: { pair, pid: monitorPid, isGoing },
  });
  p.set(initPid, told.pid);
  p.set(isDone, 1);
  p.call("exit_group", [0], { negative: NEXT });
  p.place(ask);
  p.call("exit_group", [1], { negative: NEXT });
  s.writeAsides();
  const places = own.places.map(({ cell, offset, word: { text, at } }) => ({
    cell,
    offset,
    from: at,
    length: text.length,
  }));
  return {
    program: p.build(),
    words,
    places,
    standard,
    pair,
    isDone,
    isGoing,
    init: initPid,
    monitor: monitorPid,
  };
}
