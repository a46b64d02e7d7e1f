// What the tests of programs share: a kernel that knows of descriptors and of little else, and in
// which everything succeeds that a test does not make fail.
import assert from "node:assert/strict";
import * as ffi from "../../../ffi/mod.ts";
import type { Program } from "../../../ffi/mod.ts";
import { type Answer, type Call, Machine, type Visit } from "../../../ffi/testing.ts";
import { SIGINFO_SIZE } from "./protocol.ts";

/** An open descriptor of the model. */
export interface Descriptor {
  /** What made it, and of what: `openat2 etc/passwd`. */
  readonly what: string;
  /** What it was opened relative to. */
  readonly base?: Descriptor;
  cloexec: boolean;
}

/** One system call that the model has answered. */
export interface Made extends Call {
  /** The how manyth call it is, from 0. */
  readonly order: number;
  /** The descriptors among its arguments, before the call. */
  readonly on: readonly (Descriptor | undefined)[];
  result: Answer;
}

/** What a test decides about a walk. */
export interface Script {
  /** Which side of each clone is walked, in order; then `child`. */
  readonly clones?: readonly ("parent" | "child")[];
  /** Answers some calls in place of the model. */
  readonly answer?: (call: Made, model: Model) => Answer | undefined;
  /** The descriptors that the process starts with, after the standard three. */
  readonly descriptors?: readonly string[];
  readonly cwd?: string;
}

const PID = 4242;

/** A walk of a program against the model. */
export class Model {
  readonly machine: Machine;
  readonly descriptors = new Map<number, Descriptor>();
  readonly calls: Made[] = [];
  readonly visits: readonly Visit[];
  #clones = 0;

  constructor(readonly program: Program, readonly script: Script = {}) {
    this.machine = new Machine(program);
    const names = ["stdin", "stdout", "stderr", ...script.descriptors ?? ["control", "report"]];
    for (const [fd, what] of names.entries()) this.descriptors.set(fd, { what, cloexec: false });
    this.visits = this.machine.run((call) => this.#answer(call));
  }

  /** The call that a process ended with: an execve or an exit. */
  get last(): Made {
    return this.calls.at(-1)!;
  }

  /** The calls of these names, in order. */
  named(...names: string[]): Made[] {
    return this.calls.filter(({ name }) => names.includes(name));
  }

  #answer(call: Call): Answer {
    const { name } = call;
    const on = call.descriptors.map((fd) => this.descriptors.get(fd));
    const made: Made = { ...call, on, order: this.calls.length, result: 0 };
    this.calls.push(made);
    for (const [i, fd] of call.descriptors.entries()) {
      const target = name === "dup3" && i === 1;
      const absent = fd === ffi.AT_FDCWD || (name === "signalfd4" && fd === -1);
      // An earlier failure that the program looks at afterwards is a number below zero.
      const open = target || absent || on[i] !== undefined;
      assert(open, `"${call.step.label}": ${name} on descriptor ${fd}, which is not open`);
    }
    return made.result = this.script.answer?.(made, this) ?? this.#succeed(made);
  }

  /** A new descriptor, the lowest that is free. */
  open(what: string, cloexec: boolean, base?: Descriptor): number {
    let fd = 0;
    while (this.descriptors.has(fd)) fd++;
    this.descriptors.set(fd, { what, cloexec, base });
    return fd;
  }

  #succeed({ name, args, strings, machine, on }: Made): Answer {
    const [a = 0, b = 0, c = 0, d = 0] = args;
    switch (name) {
      case "exit_group":
      case "execve":
        return "end";
      case "openat":
        return this.open(`openat ${strings[1]}`, (c & ffi.O_CLOEXEC) !== 0, on[0]);
      case "openat2":
        return this.open(`openat2 ${strings[1]}`, (machine.u32(c) & ffi.O_CLOEXEC) !== 0, on[0]);
      case "open_tree":
        return this.open(`open_tree ${strings[1]}`, (c & ffi.OPEN_TREE_CLOEXEC) !== 0, on[0]);
      case "fsopen":
        return this.open(`fsopen ${strings[0]}`, (b & ffi.FSOPEN_CLOEXEC) !== 0);
      case "fsmount":
        return this.open(`fsmount of ${on[0]!.what}`, (b & ffi.FSMOUNT_CLOEXEC) !== 0);
      case "accept4":
        return this.open("starter", (d & ffi.SOCK_CLOEXEC) !== 0);
      case "fcntl": {
        if (b !== ffi.F_DUPFD_CLOEXEC) return 0;
        let fd = c;
        while (this.descriptors.has(fd)) fd++;
        this.descriptors.set(fd, { ...on[0]!, cloexec: true });
        return fd;
      }
      case "socket":
        return this.open("socket", (b & ffi.SOCK_CLOEXEC) !== 0);
      case "signalfd4":
        return this.open("signalfd", (d & ffi.SFD_CLOEXEC) !== 0);
      case "socketpair":
      case "pipe2": {
        const [at, flags] = name === "pipe2" ? [a, b] : [d, b];
        for (const i of [0, 1]) {
          machine.set32(at + 4 * i, this.open(`${name} ${i}`, (flags & ffi.O_CLOEXEC) !== 0));
        }
        return 0;
      }
      case "ioctl":
        if (b === ffi.TIOCGPTPEER) return this.open("pty slave", (c & ffi.O_CLOEXEC) !== 0);
        return 0;
      case "recvmsg": {
        const control = Number(machine.u64(b + ffi.msghdr.offset("msg_control")));
        const fd = this.open("received", (c & ffi.MSG_CMSG_CLOEXEC) !== 0);
        machine.set32(control + ffi.cmsg_fd.offset("fd"), fd);
        return 1;
      }
      case "dup3":
        this.descriptors.set(b, { ...on[0]!, cloexec: (c & ffi.O_CLOEXEC) !== 0 });
        return b;
      case "close":
        this.descriptors.delete(a);
        return 0;
      case "close_range":
        for (const [fd, descriptor] of this.descriptors) {
          if (fd < a || fd > b) continue;
          if (c & ffi.CLOSE_RANGE_CLOEXEC) descriptor.cloexec = true;
          else this.descriptors.delete(fd);
        }
        return 0;
      case "clone3":
        return this.#clone(a);
      case "getcwd": {
        const cwd = new TextEncoder().encode(`${this.script.cwd ?? "/srv"}\0`);
        machine.write(a, cwd);
        return cwd.length;
      }
      case "read":
        return Math.min(c, 1);
      case "write":
      case "sendto":
        return c;
      case "writev":
        return 1;
      case "recvfrom":
        return SIGINFO_SIZE;
      case "setsid":
      case "getpid":
        return 1;
      default:
        return 0;
    }
  }

  #clone(args: number): number {
    const side = this.script.clones?.[this.#clones++] ?? "child";
    if (side === "child") return 0;
    const flags = this.machine.u64(args);
    if (flags & BigInt(ffi.CLONE_PIDFD)) {
      const at = Number(this.machine.u64(args + ffi.clone_args.offset("pidfd")));
      this.machine.set32(at, this.open("pidfd", true));
    }
    return PID;
  }

  /** What the process says on the report pipe: failures by their step's label. */
  get reports(): (string | { pid: number })[] {
    return this.named("write").filter(({ on }) => on[0]?.what === "report").map((call) =>
      call.result === "end" || call.step.label !== "report"
        ? { pid: PID }
        : this.machine.failure().step!.label
    );
  }
}

/** What a monitor's `ppoll` finds: which of its descriptors have something to tell. */
export type Event = "ended" | "starter gone" | "output" | "errors";
const POSITIONS: Record<Event, number> = { ended: 0, "starter gone": 1, output: 2, errors: 3 };

/** How an init ends, as waitid(2) tells it. */
export interface End {
  readonly code: number;
  readonly status: number;
}

/** The walk of a monitor that sees these events, the last of which must be the init's end. */
export function walkMonitor(
  program: Program,
  events: readonly Event[],
  end: End,
  script: Script = {},
) {
  const left = [...events];
  let readable = 0;
  return new Model(program, {
    ...script,
    clones: ["parent"],
    answer(call, model) {
      const given = script.answer?.(call, model);
      if (given !== undefined) return given;
      const { machine, args: [a = 0, b = 0, c = 0] } = call;
      if (call.name === "ppoll") {
        const event = left.shift();
        assert(event !== undefined, "the monitor waits although everything has been told");
        for (let i = 0; i < b; i++) {
          machine.set32(a + 8 * i + 4, machine.u32(a + 8 * i + 4) & 0xffff);
        }
        const at = a + 8 * POSITIONS[event] + 4;
        machine.set32(
          at,
          machine.u32(at) | ((event === "starter gone" ? ffi.POLLHUP : ffi.POLLIN) << 16),
        );
        readable = event === "output" || event === "errors" ? 1 : 0;
        return 1;
      }
      if (call.name === "read") return readable-- > 0 ? 10 : -ffi.EAGAIN;
      if (call.name === "waitid") {
        machine.set32(c + ffi.siginfo.offset("si_code"), end.code);
        machine.set32(c + ffi.siginfo.offset("si_status"), end.status);
        return 0;
      }
      return undefined;
    },
  });
}
