import {
  type Cell,
  NEXT,
  O_CLOEXEC,
  placeIn,
  pollfd,
  POLLIN,
  PR_SET_NAME,
  type Program,
  SIG_SETMASK,
  SIGCHLD,
  SIGPIPE,
  SIGWINCH,
  valueOf,
} from "../../../ffi/mod.ts";
import { exitAs } from "./monitor.ts";
import type { Notification, Readiness } from "./notify.ts";
import type { RelayConsole, RelayTerminal } from "./relay_console.ts";
import { CONTROL, SETUP_FAILED, SIGINFO_SIZE } from "./protocol.ts";
import { Scope } from "./scope.ts";

// What a foreground command becomes once its container runs: a program that forwards signals, copies
// a terminal if there is one, and exits as the container does. The runtime's memory is gone by then.

/** The descriptors of the relay, after the standard three and the control socket. */
export const RELAY_PIDFD = 4;
export const RELAY_CONSOLE = 5;

const KILLED = 137;

/** Signals that stay with the relay, as docker's --sig-proxy has them, and job control's. signal(7) */
const KEPT = [
  4, // SIGILL
  5, // SIGTRAP
  7, // SIGBUS
  8, // SIGFPE
  9, // SIGKILL
  11, // SIGSEGV
  SIGPIPE,
  SIGCHLD,
  19, // SIGSTOP
  20, // SIGTSTP
  21, // SIGTTIN
  22, // SIGTTOU
  23, // SIGURG
];

/** What only some relays consist of. */
export interface RelayParts {
  readonly Console?: typeof RelayConsole;
  readonly Readiness?: typeof Readiness;
}

/** Loads what a relay of a terminal needs, and one that tells a service manager. */
export async function loadRelayParts(
  { tty, notifies }: { readonly tty: boolean; readonly notifies: boolean },
): Promise<RelayParts> {
  const parts: { -readonly [Name in keyof RelayParts]: RelayParts[Name] } = {};
  if (tty) parts.Console = (await import("./relay_console.ts")).RelayConsole;
  if (notifies) parts.Readiness = (await import("./notify.ts")).Readiness;
  return parts;
}

/**
 * The relay's program.
 *
 * @param parts what has been loaded for a terminal and a notification.
 * @param notification between whom the container's readiness goes meanwhile.
 */
export function compileRelay(
  parts: RelayParts,
  terminal?: RelayTerminal,
  notification?: Notification,
): Program {
  const s = new Scope();
  const { p } = s;
  const broken = p.label("failed");
  p.handler(broken);
  relay(s, openSignals(s), parts, terminal, notification);
  p.place(broken);
  p.call("exit_group", [SETUP_FAILED]);
  s.writeAsides();
  return p.build();
}

/** Blocks the signals that a relay forwards, and reads them instead. @returns the register of their descriptor. */
export function openSignals(s: Scope): Cell {
  const { p } = s;
  const set = new Uint8Array(8).fill(0xff);
  for (const signal of KEPT) set[(signal - 1) >> 3]! &= ~(1 << ((signal - 1) & 7));
  const mask = p.bytes(set, "forwarded signals");
  // An output that nobody reads any more must not end the relay: the terminal would stay raw.
  const blocked = set.slice();
  blocked[(SIGPIPE - 1) >> 3]! |= 1 << ((SIGPIPE - 1) & 7);
  const signals = s.descriptor("signals");
  p.call("rt_sigprocmask", [SIG_SETMASK, p.bytes(blocked, "forwarded signals, SIGPIPE"), 0, 8], {
    label: "block signals",
  });
  p.call("signalfd4", [-1, mask, 8, O_CLOEXEC], { label: "open signals", result: signals });
  return signals;
}

/**
 * What the relay does until the container has ended, and its end. Without a terminal and a notification no step of it
 * can fail.
 */
export function relay(
  s: Scope,
  signals: Cell,
  parts: RelayParts,
  terminal?: RelayTerminal,
  notification?: Notification,
): void {
  const { p } = s;
  p.call("prctl", [PR_SET_NAME, p.string("crate-run"), 0, 0, 0], { negative: NEXT });
  const size = pollfd.size;
  const own = terminal === undefined ? 2 : 4;
  const count = notification === undefined ? own : own + 1;
  const initial = new Uint8Array(size * count);
  initial.set(pollfd.pack({ events: POLLIN }), 0);
  initial.set(pollfd.pack({ fd: CONTROL, events: POLLIN }), size);
  if (terminal !== undefined) {
    initial.set(pollfd.pack({ fd: terminal.input ? 0 : -1, events: POLLIN }), 2 * size);
    initial.set(pollfd.pack({ fd: RELAY_CONSOLE, events: POLLIN }), 3 * size);
  }
  if (notification !== undefined) {
    initial.set(pollfd.pack({ fd: notification.from, events: POLLIN }), own * size);
  }
  const readiness = notification && new parts.Readiness!(s, notification);
  const polled = p.variable("pollfds", initial.length, initial);
  p.set(placeIn(polled, 0), valueOf(signals));
  const console = terminal && new parts.Console!(s, terminal, polled);
  console?.begin();

  const loop = p.label("wait");
  const ended = p.label("ended");
  const signalled = p.label("signal");
  const quiet = s.label("no signal");
  const closed = p.label("output closed");
  p.place(loop);
  p.call("ppoll", [polled, count, 0, 0, 8], { negative: loop });
  p.compute(valueOf(polled, 4), 0, 0x7fff0000, { positive: signalled });
  p.place(quiet);
  if (readiness !== undefined) {
    const message = s.label("message");
    const next = s.label("next");
    p.compute(valueOf(polled, own * size + 4), 0, 0x7fff0000, { positive: message });
    p.place(next);
    s.aside(() => {
      p.place(message);
      readiness.forward(next, next);
    });
  }
  console?.copy(closed);
  p.compute(valueOf(polled, size + 4), 0, 0x7fff0000, { positive: ended, zero: loop });

  const info = p.variable("signal", 128);
  p.place(signalled);
  p.call("read", [valueOf(signals), info, 128], { negative: quiet });
  if (console !== undefined) {
    const forward = s.label("forward");
    const resized = s.label("resized");
    p.jumpIfEqual(valueOf(info), SIGWINCH, resized);
    p.jump(forward);
    p.place(resized);
    console.resize();
    p.jump(quiet);
    p.place(forward);
  }
  p.call("pidfd_send_signal", [RELAY_PIDFD, valueOf(info), 0, 0], {
    negative: quiet,
    zero: quiet,
  });

  p.place(ended);
  const exit = p.variable("exit status", SIGINFO_SIZE);
  const lost = p.label("the monitor is gone");
  p.call("recvfrom", [CONTROL, exit, SIGINFO_SIZE, 0, 0, 0], { zero: lost, negative: lost });
  console?.end();
  exitAs(s, exit);
  p.place(lost);
  console?.end();
  p.call("exit_group", [KILLED]);
  p.place(closed);
  if (console !== undefined) {
    console.end();
    p.call("exit_group", [128 + SIGPIPE]);
  }
}
