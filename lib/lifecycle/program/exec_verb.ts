import { type Program, setDisposition, SIGCHLD } from "../../../ffi/mod.ts";
import {
  abandon,
  awaitProcess,
  compileWalked,
  letGo,
  openContainer,
  startProgram,
  type WalkedExec,
} from "./walked_exec.ts";
import { becomeRelay, prepareRelay, requireMonitor, unlessOrphaned } from "./walked_relay.ts";

// A container's exec, as a program: once crate has executed something in it, all is known but the arguments of the
// next one. Whoever asks for that walks what crate itself does: looks whether the container runs, starts exec's
// program, lets it go on, and becomes its relay. See verbs.ts for the container's other verbs.

/**
 * Where the container's arguments begin in those of the process that walks the program, which come from
 * scripts/verbs.sh: itself, the launcher, its `--root`, `exec`, the container.
 */
const ARGUMENTS = 5;

/**
 * The program of a container's exec; exec's program has its own arguments. Until the user's program runs, whatever
 * fails is left to crate.
 */
export function compileExecVerb(input: WalkedExec): Program {
  return compileWalked((s, ask) => {
    const { p } = s;
    const more = openContainer(s, input, ask);
    const coming = prepareRelay(s);
    const argv = { own: "argv", from: ARGUMENTS } as const;
    const started = startProgram(s, { program: input.program, argv, more });
    // The kernel reaps it: the relay has nobody who would.
    setDisposition(p, "SIG_IGN", SIGCHLD);
    const failed = s.label("failed");
    const executed = s.label("executed");
    const told = awaitProcess(s, started, failed);
    unlessOrphaned(s, started, failed);
    letGo(s, started, executed, failed);
    p.place(failed);
    abandon(s, started);
    setDisposition(p, "SIG_DFL", SIGCHLD);
    p.jump(ask);

    p.place(executed);
    requireMonitor(s, started, told);
    becomeRelay(s, started, told, coming);
  });
}
