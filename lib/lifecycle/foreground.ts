import {
  become,
  close,
  EINTR,
  P_PID,
  POLLIN,
  type Program,
  runProgram,
  SFD_CLOEXEC,
  SFD_NONBLOCK,
  SIGCHLD,
  spawn,
  syscall,
  TCGETS,
  TIOCGWINSZ,
  trySyscall,
  WEXITED,
  winsize,
} from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import type { Box } from "../spec/mod.ts";
import type { ReadyEnds } from "./notify.ts";
import { openProcess, type ProcessId } from "./process_id.ts";
import {
  compileRelay,
  receiveDescriptor,
  RELAY_CONSOLE,
  type RelayParts,
  type RelayTerminal,
  Scope,
} from "./program/mod.ts";
import { forget, untilReady } from "./ready.ts";
import { decodeExit } from "./state.ts";
import type { Launched } from "./start.ts";

/** The kernel's struct termios, asm-generic/termbits.h: four flag words, the line, 19 characters. */
const TERMIOS_SIZE = 36;

/** The user's terminal settings on a descriptor, undefined when it is no terminal. tcgetattr(3) */
export function terminalSettings(fd: number): Uint8Array | undefined {
  const settings = new Uint8Array(TERMIOS_SIZE);
  return trySyscall("ioctl", fd, TCGETS, settings) < 0 ? undefined : settings;
}

/** The size of the user's window, which may be on any of the three descriptors. ioctl_tty(2) */
export function windowSize(): Box | undefined {
  const size = new Uint8Array(winsize.size);
  for (const fd of [0, 1, 2]) {
    if (trySyscall("ioctl", fd, TIOCGWINSZ, size) < 0) continue;
    const box = { height: winsize.get(size, "ws_row"), width: winsize.get(size, "ws_col") };
    // A terminal without a window, such as a serial line, says 0.
    return box.height > 0 && box.width > 0 ? box : undefined;
  }
}

// termbits.h, what cfmakeraw(3) clears: IGNBRK BRKINT PARMRK ISTRIP INLCR IGNCR ICRNL IXON; OPOST;
// ECHO ECHONL ICANON ISIG IEXTEN; CSIZE PARENB.
const RAW_INPUT = 0o2753;
const RAW_OUTPUT = 0o1;
const RAW_LOCAL = 0o100113;
const RAW_CONTROL = 0o460;
const CS8 = 0o60;
const VTIME = 17 + 5;
const VMIN = 17 + 6;

/** The same settings in raw mode: every byte goes through as it is. cfmakeraw(3) */
export function rawSettings(settings: Uint8Array): Uint8Array {
  const raw = settings.slice();
  const view = new DataView(raw.buffer);
  const clear = (at: number, bits: number) =>
    view.setUint32(at, view.getUint32(at, true) & ~bits, true);
  clear(0, RAW_INPUT);
  clear(4, RAW_OUTPUT);
  clear(8, RAW_CONTROL);
  view.setUint32(8, view.getUint32(8, true) | CS8, true);
  clear(12, RAW_LOCAL);
  raw[VTIME] = 0;
  raw[VMIN] = 1;
  return raw;
}

/** The master of the console that the init has handed out. @throws {CrateError} when there is none. */
export function receiveConsole({ control }: Launched): number {
  const s = new Scope();
  const back = s.p.label("back");
  s.p.handler(back);
  const fd = receiveDescriptor(s, control, "receive the console");
  s.p.place(back);
  s.p.return();
  const master = runProgram(s.p.build()).value(fd);
  if (master < 0) throw new CrateError("START", "the container's console did not arrive");
  return master;
}

/** Whether the container has a terminal, and whether the user's input goes to it. */
export interface ForegroundOptions {
  readonly tty: boolean;
  readonly input: boolean;
  /** The container's first process, when it is to tell a service manager that it is ready. */
  readonly notifies?: ProcessId;
}

/** What this process is going to be for a container; made while the container is being set up. */
export interface Foreground {
  readonly tty: boolean;
  readonly relay: Program;
}

/** Compiles what {@linkcode runInForeground} becomes. @param parts loaded for the same options. */
export function prepareForeground(
  parts: RelayParts,
  { tty, input, notifies }: ForegroundOptions,
): Foreground {
  let terminal: RelayTerminal | undefined;
  if (tty) {
    const before = input ? terminalSettings(0) : undefined;
    terminal = { input, settings: before && { before, raw: rawSettings(before) } };
  }
  const first = tty ? RELAY_CONSOLE + 1 : RELAY_CONSOLE;
  const notification = notifies && { from: first, to: first + 1, pid: notifies.pid };
  return { tty, relay: compileRelay(parts, terminal, notification) };
}

/**
 * Gives this process over to a running container: from here on it is a program of some kilobytes that
 * forwards signals and the terminal, and exits as the container does. Never returns.
 *
 * @param ready as `notifies` of the foreground's options asks for.
 * @throws {CrateError}
 */
export function runInForeground(
  launched: Launched,
  { tty, relay }: Foreground,
  ready?: ReadyEnds,
): never {
  return become(relay, {
    name: "crate-run",
    descriptors: relayDescriptors(launched, tty, ready),
    ignoresChildren: true,
  });
}

function relayDescriptors(launched: Launched, tty: boolean, ready?: ReadyEnds): number[] {
  const { init, control } = launched;
  // An init that has ended already needs no signals; any descriptor will do in its place.
  const pidfd = openProcess(init) ?? control;
  const console = tty ? [receiveConsole(launched)] : [];
  return [0, 1, 2, control, pidfd, ...console, ...ready ? [ready.from, ready.to] : []];
}

/** struct signalfd_siginfo, signalfd(2): the number at 0, who sent it at 8. */
const SIGNAL_SIZE = 128;
const CODE_AT = 8;

/**
 * As {@linkcode runInForeground}, for a container after which something is to be done: the program is a child of
 * this process, which stays, and passes on what is sent to it.
 *
 * All signals must be blocked.
 *
 * @returns the container's exit code.
 * @throws {CrateError}
 */
export async function stayInForeground(
  launched: Launched,
  { tty, relay }: Foreground,
  ready?: ReadyEnds,
): Promise<number> {
  const descriptors = relayDescriptors(launched, tty, ready);
  const pid = spawn(relay, { name: "crate-run", descriptors });
  for (const fd of new Set(descriptors.slice(3))) close(fd);
  const pidfd = syscall("pidfd_open", pid, 0);
  const all = new Uint8Array(8).fill(0xff);
  const signals = syscall("signalfd4", -1, all, 8, SFD_CLOEXEC | SFD_NONBLOCK);
  try {
    const ended = untilReady(pidfd, POLLIN);
    while (!(await Promise.race([ended, untilReady(signals, POLLIN).then(() => false)]))) {
      passOn(signals, pidfd);
    }
    const info = new Uint8Array(128);
    while (trySyscall("waitid", P_PID, pid, info, WEXITED, null) === -EINTR);
    return decodeExit(info).code;
  } finally {
    forget(signals);
    close(signals);
    close(pidfd);
  }
}

/** What the terminal sends, the child is sent too. */
function passOn(signals: number, pidfd: number): void {
  const info = new Uint8Array(SIGNAL_SIZE);
  while (trySyscall("read", signals, info, SIGNAL_SIZE) === SIGNAL_SIZE) {
    const view = new DataView(info.buffer);
    const signal = view.getUint32(0, true);
    if (signal === SIGCHLD || view.getInt32(CODE_AT, true) > 0) continue;
    trySyscall("pidfd_send_signal", pidfd, signal, null, 0);
  }
}
