import {
  type Argument,
  type Cell,
  type Label,
  NEXT,
  setDisposition,
  SIGCHLD,
  valueOf,
} from "../../../ffi/mod.ts";
import type { Scope } from "./scope.ts";
import {
  type ClaimedContainer,
  filler,
  identifyProcess,
  type Identity,
  REPLACE,
  type WalkedContainer,
} from "./walked_container.ts";
import {
  abandon,
  awaitProcess,
  type ForParent,
  letGo,
  type StartedProgram,
  startProgram,
  type ToldProcess,
} from "./walked_exec.ts";
import { unlessOrphaned } from "./walked_relay.ts";

// How a program starts a container that it has made, with its monitor: as `startContainer`. run_verb.ts, resident.ts

/** What a container is started with. */
export interface WalkedStart {
  /** Its program's file. */
  readonly program: Cell;
  /** What the program is executed with; absent: its name. */
  readonly argv?: Argument;
  /** What its monitor has as 0, 1 and 2. */
  readonly standard: readonly Argument[];
  /** Descriptors for its monitor, the last ones. */
  readonly held?: readonly Argument[];
  /** Writes steps between its first process's beginning and the user's program. */
  attach?(init: Identity, failed: Label): void;
  /** For a process that starts it for its own parent; see startProgram. */
  readonly forParent?: ForParent;
}

/** Starts a container and records who runs. Goes on when the user's program is executed; what fails is undone. */
export function startWalked(
  s: Scope,
  { process }: WalkedContainer,
  { own, clock, directory, write, groups, remove }: ClaimedContainer,
  { program, argv, standard, held = [], attach, forParent }: WalkedStart,
): { readonly started: StartedProgram; readonly told: ToldProcess } {
  const { p } = s;
  const [failed, executed] = [s.label("failed"), s.label("executed")];
  const started = startProgram(s, {
    program: (to) => own.write(to, [{ constant: program }], remove),
    argv: argv ?? p.pointers([p.string("crate-monitor")], "[crate-monitor]"),
    standard,
    more: [...groups, ...held],
    failed: remove,
    forParent,
  });
  // The kernel reaps it: a relay has nobody who would.
  if (forParent === undefined) setDisposition(p, "SIG_IGN", SIGCHLD);
  const told = awaitProcess(s, started, failed);
  const init = identifyProcess(s, told.pid, failed);
  const monitor = identifyProcess(s, valueOf(started.pid), failed);
  unlessOrphaned(s, started, failed);
  attach?.(init, failed);
  write("process.json.new", REPLACE, filler(s, clock, init, monitor)(process), failed);
  const [from, to] = [p.string("process.json.new"), p.string("process.json")];
  p.call("renameat2", [valueOf(directory), from, valueOf(directory), to, 0], { negative: failed });
  if (forParent !== undefined) p.set(forParent.isGoing, 1);
  letGo(s, started, executed, failed);
  p.place(failed);
  if (forParent !== undefined) p.set(forParent.isGoing, 0);
  abandon(s, started);
  if (forParent === undefined) setDisposition(p, "SIG_DFL", SIGCHLD);
  p.jump(remove);
  p.place(executed);
  p.call("close", [valueOf(started.report)], { negative: NEXT });
  return { started, told };
}
