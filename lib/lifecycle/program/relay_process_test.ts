import assert from "node:assert/strict";
import * as ffi from "../../../ffi/mod.ts";
import { rawSettings, terminalSettings } from "../foreground.ts";
import { compileRelay, loadRelayParts } from "./relay.ts";
import type { RelayTerminal } from "./relay_console.ts";

const PARTS = await loadRelayParts({ tty: true, notifies: true });

// The relay as a process, between a terminal of the test's and a console of the test's.

const { close, readAll, spawn, syscall, trySyscall } = ffi;
const PTY = ffi.O_RDWR | ffi.O_NOCTTY | ffi.O_CLOEXEC;

function pair(make: (ends: Uint8Array) => void): [number, number] {
  const ends = new Int32Array(2);
  make(new Uint8Array(ends.buffer));
  return [ends[0]!, ends[1]!];
}
const pipe = () => pair((ends) => syscall("pipe2", ends, ffi.O_CLOEXEC));
const sockets = () =>
  pair((ends) =>
    syscall("socketpair", ffi.AF_UNIX, ffi.SOCK_SEQPACKET | ffi.SOCK_CLOEXEC, 0, ends)
  );

/** A pseudo-terminal: who shows it, and who runs in it. */
function pty(): [master: number, slave: number] {
  const master = ffi.open("/dev/ptmx", PTY);
  syscall("ioctl", master, ffi.TIOCSPTLCK, new Uint8Array(4));
  return [master, syscall("ioctl", master, ffi.TIOCGPTPEER, PTY)];
}

/** A process that ends when its standard input does. */
function waiter(): { pid: number; end: number } {
  const [input, end] = pipe();
  const p = new ffi.ProgramBuilder();
  const byte = p.variable("byte", 4);
  const done = p.label("done");
  p.call("read", [0, byte, 1], { negative: done });
  p.place(done);
  p.call("exit_group", [0]);
  const pid = spawn(p.build(), { name: "waiter", descriptors: [input] });
  close(input);
  return { pid, end };
}

function wait(pid: number): { code: number; status: number } {
  const info = new Uint8Array(128);
  syscall("waitid", 1, pid, info, ffi.WEXITED, null);
  return { code: ffi.siginfo.get(info, "si_code"), status: ffi.siginfo.get(info, "si_status") };
}

interface Relayed {
  /** The user's screen and keyboard. */
  readonly user: number;
  /** The user's terminal, as programs have it. */
  readonly terminal: number;
  /** What runs in the container. */
  readonly inside: number;
  /** The monitor's end of the control socket. */
  readonly monitor: number;
  /** What the relay writes, when that is not the terminal. */
  readonly output: number;
  readonly pid: number;
}

/** A relay that runs; its standard output is the terminal, or a pipe. */
function relay(piped: boolean, use: (relayed: Relayed) => void): void {
  const opened: number[] = [];
  const keep = <T extends number[]>(fds: T): T => (opened.push(...fds), fds);
  const { pid: init, end } = waiter();
  try {
    const [user, terminal] = keep(pty());
    const [console, inside] = keep(pty());
    const [control, monitor] = sockets();
    const [output, write] = pipe();
    const [pidfd] = keep([syscall("pidfd_open", init, 0)]);
    const before = terminalSettings(terminal)!;
    const settings: RelayTerminal["settings"] = { before, raw: rawSettings(before) };
    const pid = spawn(compileRelay(PARTS, { input: true, settings }), {
      name: "crate-run",
      descriptors: [terminal, piped ? write : terminal, 2, control, pidfd!, console],
    });
    keep([monitor]);
    close(control);
    close(write);
    try {
      use({ user, terminal, inside, monitor, output, pid });
    } finally {
      trySyscall("close", output);
      assert.deepEqual(terminalSettings(terminal), before, "the terminal is as it was");
    }
  } finally {
    for (const fd of opened) close(fd);
    close(end);
    wait(init);
  }
}

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** Reads until so many bytes have come. */
function readText(fd: number, size: number): string {
  let got = "";
  while (got.length < size) {
    const bytes = new Uint8Array(size - got.length);
    got += text(bytes.subarray(0, syscall("read", fd, bytes, bytes.length)));
  }
  return got;
}

/** What a monitor tells of the container's end. */
function exited(status: number): Uint8Array {
  const info = new Uint8Array(32);
  info.set(ffi.siginfo.pack({ si_code: ffi.CLD_EXITED, si_status: status }));
  return info;
}

Deno.test("a terminal is copied both ways, and given back when the container ends", () => {
  relay(false, ({ inside, monitor, pid, terminal, user }) => {
    syscall("write", inside, "shown", 5);
    assert.equal(readText(user, 5), "shown");
    assert.notDeepEqual(terminalSettings(terminal), undefined);
    const raw = new DataView(terminalSettings(terminal)!.buffer);
    assert.equal(raw.getUint32(12, true) & 0o10, 0, "the user's terminal does not echo by itself");
    syscall("write", user, "typed\n", 6);
    assert.equal(readText(inside, 6), "typed\n");
    // The container's terminal echoes what it was given, and the user sees it.
    assert.equal(readText(user, 7), "typed\r\n");
    syscall("write", inside, "last words", 10);
    syscall("write", monitor, exited(42), 32);
    assert.deepEqual(wait(pid), { code: ffi.CLD_EXITED, status: 42 });
    assert.equal(readText(user, 10), "last words");
  });
});

Deno.test("a new size of the user's window is the console's", () => {
  relay(false, ({ inside, monitor, pid, user }) => {
    const size = ffi.winsize.pack({ ws_row: 33, ws_col: 77 });
    syscall("ioctl", user, ffi.TIOCSWINSZ, size);
    // The kernel tells the terminal's foreground group; here there is none, so the test does.
    syscall("kill", pid, ffi.SIGWINCH);
    syscall("write", user, "x\n", 2);
    readText(inside, 2); // what was typed afterwards has come: the signal was seen before
    const now = new Uint8Array(8);
    for (let i = 0; i < 200 && ffi.winsize.get(now, "ws_row") !== 33; i++) {
      syscall("ioctl", inside, ffi.TIOCGWINSZ, now);
    }
    assert.deepEqual(now, size);
    syscall("write", monitor, exited(0), 32);
    assert.equal(wait(pid).status, 0);
  });
});

Deno.test("when nobody reads the output any more, the terminal is given back all the same", () => {
  relay(true, ({ inside, output, pid }) => {
    syscall("write", inside, "one", 3);
    assert.equal(readText(output, 3), "one");
    close(output);
    syscall("write", inside, "two", 3);
    assert.deepEqual(wait(pid), { code: ffi.CLD_EXITED, status: 128 + ffi.SIGPIPE });
  });
});

Deno.test("when the monitor dies, the command ends and the terminal is given back", () => {
  relay(true, ({ monitor, output, pid }) => {
    syscall("shutdown", monitor, 2);
    assert.deepEqual(wait(pid), { code: ffi.CLD_EXITED, status: 137 });
    assert.equal(text(readAll(output)), "");
  });
});
