import {
  type Cell,
  encodeText,
  type Label,
  MSG_DONTWAIT,
  MSG_PEEK,
  NEXT,
  O_CLOEXEC,
  placeIn,
  pollfd,
  POLLIN,
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
import type { Scope } from "./scope.ts";
import type { StartedProgram, ToldProcess } from "./walked_exec.ts";

// How a program that has started something in the foreground becomes its relay. exec_verb.ts, run_verb.ts

/** The descriptor of the relay's signals, the last one of it. */
const SIGNALS = RELAY_PIDFD + 1;

/** What a relay needs that is to be had only before: a failing step goes on at crate's own way. */
export interface ComingRelay {
  readonly signals: Cell;
  readonly zeros: Cell;
}

/** Opens what a relay is going to need. From here on no signal that it passes on ends this process. */
export function prepareRelay(s: Scope): ComingRelay {
  return { signals: openSignals(s), zeros: openZeros(s) };
}

function hasMonitorEnded(s: Scope, { pidfd }: StartedProgram, ended: Label, lives: Label): void {
  const { p } = s;
  const polled = p.variable("monitor", pollfd.size, pollfd.pack({ events: POLLIN }));
  const now = p.bytes(new Uint8Array(timespec.size), "at once");
  p.set(placeIn(polled, 0), valueOf(pidfd));
  p.call("ppoll", [polled, 1, now, 0, 8], { positive: ended, zero: lives, negative: ended });
}

/** Goes on at `failed` when the monitor has ended: while it is there, the pid that it has told is its process's. */
export function unlessOrphaned(s: Scope, started: StartedProgram, failed: Label): void {
  const lives = s.label("has its monitor");
  hasMonitorEnded(s, started, failed, lives);
  s.p.place(lives);
}

/** Ends what was executed when its monitor has ended and not told how it has: nobody else would tell of its end. */
export function requireMonitor(s: Scope, started: StartedProgram, { pidfd }: ToldProcess): void {
  const { p } = s;
  const [watched, ended] = [s.label("watched"), s.label("monitor ended")];
  const exit = p.variable("exit status's beginning", 4);
  const text = encodeText(`crate: ${MONITOR_KILLED}\n`);
  hasMonitorEnded(s, started, ended, watched);
  p.place(ended);
  const peek = MSG_PEEK | MSG_DONTWAIT;
  p.call("recvfrom", [valueOf(started.control), exit, 4, peek, 0, 0], {
    positive: watched,
    negative: NEXT,
  });
  p.call("pidfd_send_signal", [valueOf(pidfd), SIGKILL, 0, 0], { negative: NEXT });
  p.call("write", [2, p.bytes(text, "what has happened"), text.length], { negative: NEXT });
  p.call("exit_group", [SETUP_FAILED]);
  p.place(watched);
}

/**
 * From here on this process is the relay of what was executed, and ends with it. Neither its pidfd nor the control
 * socket may be one of the first five descriptors.
 */
export function becomeRelay(
  s: Scope,
  { control }: StartedProgram,
  { pidfd }: ToldProcess,
  { signals, zeros }: ComingRelay,
): void {
  const { p } = s;
  p.call("dup3", [valueOf(control), CONTROL, O_CLOEXEC], { negative: NEXT });
  p.call("dup3", [valueOf(pidfd), RELAY_PIDFD, O_CLOEXEC], { negative: NEXT });
  p.call("dup3", [valueOf(signals), SIGNALS, O_CLOEXEC], { negative: NEXT });
  p.set(signals, SIGNALS);
  forgetWords(s, "crate-run", zeros);
  resetDispositions(p);
  // The kernel reaps its monitor.
  setDisposition(p, "SIG_IGN", SIGCHLD);
  p.call("close_range", [SIGNALS + 1, 0xffffffff, 0], { negative: NEXT });
  relay(s, signals, {});
}
