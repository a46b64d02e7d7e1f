import {
  encodeText,
  MSG_DONTWAIT,
  MSG_PEEK,
  NEXT,
  O_CLOEXEC,
  placeIn,
  pollfd,
  POLLIN,
  type Program,
  resetDispositions,
  setDisposition,
  SIGCHLD,
  SIGKILL,
  timespec,
  valueOf,
} from "../../../ffi/mod.ts";
import { forgetWords, openZeros } from "./own_words.ts";
import { CONTROL, MONITOR_KILLED, SETUP_FAILED } from "./protocol.ts";
import { openSignals, relay, RELAY_PIDFD } from "./relay.ts";
import {
  abandon,
  awaitProcess,
  compileWalked,
  letGo,
  openContainer,
  startProgram,
  type WalkedExec,
} from "./walked_exec.ts";

// A container's exec, as a program: once crate has executed something in it, all is known but the arguments of the
// next one. Whoever asks for that walks what crate itself does: looks whether the container runs, starts exec's
// program, lets it go on, and becomes its relay. See verbs.ts for the container's other verbs.

/**
 * Where the container's arguments begin in those of the process that walks the program, which come from
 * scripts/verbs.sh: itself, the launcher, its `--root`, `exec`, the container.
 */
const ARGUMENTS = 5;

/** The descriptor of the relay's signals, the last one of it. */
const SIGNALS = RELAY_PIDFD + 1;

/**
 * The program of a container's exec; exec's program has its own arguments. Until the user's program runs, whatever
 * fails is left to crate.
 */
export function compileExecVerb(input: WalkedExec): Program {
  return compileWalked((s, ask) => {
    const { p } = s;
    const more = openContainer(s, input, ask);
    const signals = openSignals(s);
    const argv = { own: "argv", from: ARGUMENTS } as const;
    const started = startProgram(s, { program: input.program, argv, more });
    // The kernel reaps it: the relay has nobody who would.
    setDisposition(p, "SIG_IGN", SIGCHLD);
    const zeros = openZeros(s);
    const failed = s.label("failed");
    const executed = s.label("executed");
    const process = awaitProcess(s, started, failed).pidfd;
    // While its parent is there, the pid is its own.
    const monitor = p.variable("monitor", pollfd.size, pollfd.pack({ events: POLLIN }));
    p.set(placeIn(monitor, 0), valueOf(started.pidfd));
    const now = p.bytes(new Uint8Array(timespec.size), "at once");
    p.call("ppoll", [monitor, 1, now, 0, 8], { positive: failed, negative: failed });
    letGo(s, started, executed, failed);
    p.place(failed);
    abandon(s, started);
    setDisposition(p, "SIG_DFL", SIGCHLD);
    p.jump(ask);

    p.place(executed);
    // To where the relay has them. The init's pidfd was opened first: no other is in one of these places.
    p.call("dup3", [valueOf(started.control), CONTROL, O_CLOEXEC], { negative: NEXT });
    p.call("dup3", [valueOf(process), RELAY_PIDFD, O_CLOEXEC], { negative: NEXT });
    p.call("dup3", [valueOf(signals), SIGNALS, O_CLOEXEC], { negative: NEXT });
    p.set(signals, SIGNALS);
    // Without its monitor nobody would tell of its end.
    const watched = s.label("watched");
    const exit = p.variable("exit status's beginning", 4);
    const text = encodeText(`crate: ${MONITOR_KILLED}\n`);
    p.call("ppoll", [monitor, 1, now, 0, 8], { zero: watched, negative: watched });
    const peek = MSG_PEEK | MSG_DONTWAIT;
    p.call("recvfrom", [CONTROL, exit, 4, peek, 0, 0], { positive: watched, negative: NEXT });
    p.call("pidfd_send_signal", [RELAY_PIDFD, SIGKILL, 0, 0], { negative: NEXT });
    p.call("write", [2, p.bytes(text, "what has happened"), text.length], { negative: NEXT });
    p.call("exit_group", [SETUP_FAILED]);
    p.place(watched);
    forgetWords(s, "crate-run", zeros);
    resetDispositions(p);
    setDisposition(p, "SIG_IGN", SIGCHLD);
    p.call("close_range", [SIGNALS + 1, 0xffffffff, 0], { negative: NEXT });
    relay(s, signals, {});
  });
}
