import assert from "node:assert/strict";
import * as ffi from "../../../ffi/mod.ts";
import { decodeText, encodeText, type Program } from "../../../ffi/mod.ts";
import { compileNotifier } from "./notify.ts";
import { compileRelay, loadRelayParts } from "./relay.ts";

const PARTS = await loadRelayParts({ tty: true, notifies: true });

// The programs as processes, between a container's socket and a service manager's, both the test's.

const { close, spawn, syscall, trySyscall } = ffi;
const PID = 4711;
const TOLD = `READY=1\nMAINPID=${PID}\n`;

function pair(make: (ends: Uint8Array) => void): [number, number] {
  const ends = new Int32Array(2);
  make(new Uint8Array(ends.buffer));
  return [ends[0]!, ends[1]!];
}
const sockets = (type: number) =>
  pair((ends) => syscall("socketpair", ffi.AF_UNIX, type | ffi.SOCK_CLOEXEC, 0, ends));

/** A process that ends when it is told to. */
function sleeper(): { pid: number; pidfd: number; end: () => void } {
  const [input, end] = pair((ends) => syscall("pipe2", ends, ffi.O_CLOEXEC));
  const p = new ffi.ProgramBuilder();
  const byte = p.variable("byte", 4);
  const done = p.label("done");
  p.call("read", [0, byte, 1], { negative: done });
  p.place(done);
  p.call("exit_group", [0]);
  const pid = spawn(p.build(), { name: "sleeper", descriptors: [input] });
  close(input);
  const pidfd = syscall("pidfd_open", pid, 0);
  return { pid, pidfd, end: () => close(end) };
}

function wait(pid: number): number {
  const info = new Uint8Array(128);
  syscall("waitid", 1, pid, info, ffi.WEXITED, null);
  return ffi.siginfo.get(info, "si_status");
}

/** A message with what descriptors came with it; undefined when none comes in a second. */
function receive(fd: number, milliseconds = 1000): { text: string; barrier?: number } | undefined {
  const polled = ffi.pollfd.pack({ fd, events: ffi.POLLIN });
  const time = ffi.timespec.pack({ tv_sec: 0, tv_nsec: (milliseconds - 1) * 1_000_000 });
  if (syscall("ppoll", polled, 1, time, null, 8) === 0) return undefined;
  const s = new ffi.ProgramBuilder();
  const buffer = s.variable("text", 512);
  const vector = s.variableStruct("vector", ffi.iovec, { iov_len: 512 });
  s.pointer(ffi.placeIn(vector, 0), buffer);
  const control = s.variableStruct("control", ffi.cmsg_fd, { fd: -1 });
  const message = s.variableStruct("message", ffi.msghdr, {
    msg_iovlen: 1,
    msg_controllen: ffi.cmsg_fd.size,
  });
  s.pointer(ffi.placeIn(message, ffi.msghdr.offset("msg_iov")), vector);
  s.pointer(ffi.placeIn(message, ffi.msghdr.offset("msg_control")), control);
  const length = s.variable("length", 4);
  const back = s.label("back");
  s.call("recvmsg", [fd, message, ffi.MSG_CMSG_CLOEXEC], { result: length, negative: back });
  s.place(back);
  s.return();
  const run = ffi.runProgram(s.build());
  const text = decodeText(run.bytes(buffer).subarray(0, run.value(length)));
  const view = new DataView(run.bytes(control).buffer);
  const barrier = view.getInt32(ffi.cmsg_fd.offset("fd"), true);
  return barrier < 0 ? { text } : { text, barrier };
}

interface Between {
  /** The container's. */
  readonly inside: number;
  /** The service manager's. */
  readonly manager: number;
  /** Ends the container. */
  end(): void;
  /** The monitor's end of the control socket. */
  readonly monitor: number;
  readonly pid: number;
}

/** Starts a program between the two. */
function between(kind: "notifier" | "relay", use: (between: Between) => void): void {
  const init = sleeper();
  const [from, inside] = sockets(ffi.SOCK_DGRAM);
  const [to, manager] = sockets(ffi.SOCK_DGRAM);
  const [control, monitor] = sockets(ffi.SOCK_SEQPACKET);
  const programs: Record<typeof kind, [Program, number[]]> = {
    notifier: [compileNotifier(PID), [from, init.pidfd, to]],
    relay: [compileRelay(PARTS, undefined, { from: 5, to: 6, pid: PID }), [
      control,
      init.pidfd,
      from,
      to,
    ]],
  };
  const [program, descriptors] = programs[kind];
  const pid = spawn(program, { name: kind, descriptors: [0, 1, 2, ...descriptors] });
  for (const fd of [from, to, control]) close(fd);
  let ended = false;
  const end = () => {
    if (!ended) init.end();
    ended = true;
  };
  try {
    use({ inside, manager, monitor, end, pid });
  } finally {
    end();
    trySyscall("kill", pid, ffi.SIGKILL);
    trySyscall("waitid", 1, pid, null, ffi.WEXITED, null);
    wait(init.pid);
    for (const fd of [inside, manager, monitor, init.pidfd]) close(fd);
  }
}

const say = (fd: number, text: string) => {
  const bytes = encodeText(text);
  syscall("write", fd, bytes, bytes.length);
};

Deno.test("readiness is passed on with the pid, and the notifier ends when that has been read", () => {
  between("notifier", ({ inside, manager, pid }) => {
    say(inside, "READY=1");
    assert.deepEqual(receive(manager), { text: TOLD });
    const { text, barrier } = receive(manager)!;
    assert.equal(text, "BARRIER=1");
    const state = () => /^State:\s*(\w)/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`))![1];
    assert.notEqual(state(), "Z");
    close(barrier!);
    assert.equal(wait(pid), 0);
  });
});

Deno.test("readiness may stand in any line, and nothing that looks like it counts", () => {
  between("notifier", ({ inside, manager }) => {
    for (
      const text of [
        "STATUS=begins",
        "READY=0",
        "READY=10",
        "XREADY=1",
        "READY",
        "\n\n",
        "STATUS=READY=1",
        "READY=\n1",
        "x".repeat(9000),
      ]
    ) say(inside, text);
    assert.equal(receive(manager, 100), undefined);
    say(inside, "STATUS=done\nREADY=1\nMAINPID=1\n");
    assert.deepEqual(receive(manager), { text: TOLD });
  });
});

Deno.test("readiness that was told right before the end is passed on, and without any the notifier ends", () => {
  between("notifier", ({ inside, manager, end, pid }) => {
    say(inside, "STATUS=1");
    end();
    assert.equal(wait(pid), 0);
    assert.equal(receive(manager, 10), undefined);
  });
  const [told, untold] = [[] as string[], [] as string[]];
  for (let i = 0; i < 20; i++) {
    between("notifier", ({ inside, manager, end }) => {
      say(inside, "READY=1\n");
      end();
      (receive(manager)?.text === TOLD ? told : untold).push("");
    });
  }
  assert.deepEqual([told.length, untold.length], [20, 0]);
});

Deno.test("a service manager that is gone does not keep the notifier", () => {
  between("notifier", ({ inside, manager, pid }) => {
    syscall("shutdown", manager, 2);
    say(inside, "READY=1\n");
    assert.equal(wait(pid), 0);
  });
});

Deno.test("a relay passes readiness on once, and stays", () => {
  between("relay", ({ inside, manager, monitor, pid }) => {
    say(inside, "STATUS=1\nREADY=1");
    assert.deepEqual(receive(manager), { text: TOLD });
    say(inside, "READY=1");
    assert.equal(receive(manager, 100), undefined);
    const info = ffi.siginfo.pack({ si_code: ffi.CLD_EXITED, si_status: 7 });
    syscall("sendto", monitor, info.subarray(0, 32), 32, 0, null, 0);
    assert.equal(wait(pid), 7);
  });
});
