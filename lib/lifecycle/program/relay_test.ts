import assert from "node:assert/strict";
import fc from "fast-check";
import * as ffi from "../../../ffi/mod.ts";
import { encodeElf, printProgram, type Program } from "../../../ffi/mod.ts";
import { reachable, successors } from "../../../ffi/testing.ts";
import { type Made, Model } from "./_model.ts";
import { SIGINFO_SIZE } from "./protocol.ts";
import { compileRelay, loadRelayParts, RELAY_CONSOLE, RELAY_PIDFD } from "./relay.ts";
import type { RelayTerminal } from "./relay_console.ts";

const PARTS = await loadRelayParts({ tty: true, notifies: true });

const BEFORE = new Uint8Array(36).fill(1);
const RAW = new Uint8Array(36).fill(2);
const SETTINGS = { before: BEFORE, raw: RAW };
const EOT = "\x04";
const EPIPE = 32;
const EIO = 5;

const terminals = fc.record({
  input: fc.boolean(),
  settings: fc.constantFrom<(RelayTerminal["settings"])[]>(SETTINGS, undefined),
});
const ends = fc.record({ code: fc.constantFrom(ffi.CLD_EXITED, 2), status: fc.nat(64) });

/** What happens to a relay, one thing after the other. */
type Happening =
  | { readonly kind: "signal"; readonly signal: number }
  | { readonly kind: "input" | "output"; readonly text: string }
  | { readonly kind: "input ends" | "console closes" };

const words = fc.string({ unit: fc.constantFrom(..."abcdef"), minLength: 1, maxLength: 30 });
const happenings = fc.array(
  fc.oneof<fc.Arbitrary<Happening>[]>(
    fc.record({
      kind: fc.constant("signal" as const),
      signal: fc.oneof(fc.integer({ min: 1, max: 64 }), fc.constant(ffi.SIGWINCH)),
    }),
    fc.record({ kind: fc.constantFrom("input" as const, "output" as const), text: words }),
  ),
  { maxLength: 12 },
);

interface Walk {
  readonly terminal?: RelayTerminal;
  readonly happenings: readonly Happening[];
  /** How the container ends; undefined: the monitor is gone. */
  readonly end?: { readonly code: number; readonly status: number };
  /** How much a write of so many bytes takes, or a negative error; one after the other, then all. */
  readonly room?: readonly number[];
  /** Makes a call fail. */
  readonly fail?: (call: Made, model: Model) => number | undefined;
}

interface Walked {
  readonly model: Model;
  /** What the container read from its terminal, and the user from standard output. */
  readonly typed: string;
  readonly shown: string;
}

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** A relay against descriptors that have something to read when it has happened. */
function walk({ terminal, happenings, end, room = [], fail }: Walk): Walked {
  const descriptors = ["control", "init", ...terminal === undefined ? [] : ["console"]];
  const left = [...happenings];
  const rooms = [...room];
  const ready: Record<"stdin" | "console" | "signalfd", Happening[]> = {
    stdin: [],
    console: [],
    signalfd: [],
  };
  let over = false;
  const written = { console: "", stdout: "" };
  const QUEUES = {
    signal: "signalfd",
    input: "stdin",
    "input ends": "stdin",
    output: "console",
    "console closes": "console",
  } as const;

  function poll({ args: [at = 0, count = 0], machine }: Made, model: Model): number {
    for (;;) {
      let events = 0;
      for (let i = 0; i < count; i++) {
        const fd = machine.i32(at + 8 * i);
        const wanted = machine.u32(at + 8 * i + 4) & 0xffff;
        const what = model.descriptors.get(fd)?.what as keyof typeof ready | "control";
        let found = 0;
        if (fd >= 0 && wanted & ffi.POLLIN) {
          found = what === "control"
            ? (over ? ffi.POLLIN : 0)
            : ready[what].length
            ? ffi.POLLIN
            : 0;
        }
        if (fd >= 0) found |= wanted & ffi.POLLOUT;
        machine.set32(at + 8 * i + 4, wanted | (found << 16));
        if (found) events++;
      }
      if (events > 0) return events;
      const next = left.shift();
      if (next !== undefined) ready[QUEUES[next.kind]].push(next);
      else if (!over) over = true;
      else assert.fail("the relay waits although the container has ended");
    }
  }

  function read({ args: [, to = 0, size = 0], machine, on }: Made): number {
    const queue = ready[on[0]!.what as keyof typeof ready];
    const next = queue.shift();
    if (next === undefined) return -ffi.EAGAIN;
    if (next.kind === "signal") {
      machine.set32(to, next.signal);
      return 128;
    }
    if (!("text" in next)) {
      queue.unshift(next); // an end stays one
      return next.kind === "input ends" ? 0 : -EIO;
    }
    const bytes = new TextEncoder().encode(next.text).subarray(0, size);
    machine.write(to, bytes);
    return bytes.length;
  }

  function write(bytes: Uint8Array, to: keyof typeof written): number {
    const most = rooms.shift() ?? bytes.length;
    if (most < 0) return most;
    const count = Math.min(Math.max(most, 1), bytes.length);
    written[to] += text(bytes.subarray(0, count));
    return count;
  }

  const model = new Model(compileRelay(PARTS, terminal), {
    descriptors,
    answer(call, model) {
      const failed = fail?.(call, model);
      if (failed !== undefined) return failed;
      const { args, machine, name, on } = call;
      const to = on[0]?.what === "console" ? "console" : "stdout";
      if (name === "ppoll") return poll(call, model);
      if (name === "read") return read(call);
      if (name === "write") return write(machine.bytes(args[1]!, args[2]!), to);
      if (name === "writev") {
        const [base, length] = [0, 8].map((at) => Number(machine.u64(args[1]! + at)));
        return write(machine.bytes(base!, length!), to);
      }
      if (name === "recvfrom") {
        if (end === undefined) return 0;
        machine.set32(args[1]! + ffi.siginfo.offset("si_code"), end.code);
        machine.set32(args[1]! + ffi.siginfo.offset("si_status"), end.status);
        return SIGINFO_SIZE;
      }
      return undefined;
    },
  });
  return { model, typed: written.console, shown: written.stdout };
}

/** The settings that a terminal was given, in order. */
function settings({ model }: Walked): Uint8Array[] {
  return model.named("ioctl").filter(({ args }) => args[1] === ffi.TCSETS)
    .map(({ args, machine }) => machine.bytes(args[2]!, 36));
}

/** What the texts of one kind are together. */
function all(happenings: readonly Happening[], kind: "input" | "output"): string {
  return happenings.map((h) => h.kind === kind ? h.text : "").join("");
}

Deno.test("the command ends as its container did, and as killed when the monitor is gone", () => {
  fc.assert(
    fc.property(
      fc.option(terminals, { nil: undefined }),
      happenings,
      ends,
      (terminal, happenings, end) => {
        const { last } = walk({ terminal, happenings, end }).model;
        const code = end.code === ffi.CLD_EXITED ? end.status : 128 + end.status;
        assert.deepEqual([last.name, last.args[0]], ["exit_group", code]);
        const lost = walk({ terminal, happenings }).model.last;
        assert.deepEqual([lost.name, lost.args[0]], ["exit_group", 137]);
      },
    ),
    { numRuns: 60 },
  );
});

Deno.test("signals go to the container, in order; a new window size with a terminal does not", () => {
  fc.assert(
    fc.property(fc.option(terminals, { nil: undefined }), happenings, (terminal, happenings) => {
      const { model } = walk({ terminal, happenings });
      const sent = model.named("pidfd_send_signal").map(({ args, on }) => {
        assert.equal(args[0], RELAY_PIDFD);
        assert.equal(on[0]!.what, "init");
        return args[1];
      });
      const signals = happenings.flatMap((h) => h.kind === "signal" ? [h.signal] : []);
      const kept = (signal: number) => terminal === undefined || signal !== ffi.SIGWINCH;
      assert.deepEqual(sent, signals.filter(kept));
      const sizes = model.named("ioctl").filter(({ args }) => args[1] === ffi.TIOCSWINSZ);
      if (terminal === undefined) return;
      const resizes = signals.filter((signal) => !kept(signal)).length;
      assert.equal(sizes.length, 1 + resizes);
      for (const { args } of sizes) assert.equal(args[0], RELAY_CONSOLE);
    }),
    { numRuns: 60 },
  );
});

Deno.test("the signals that are blocked are those forwarded, and no more", () => {
  const { model } = walk({ happenings: [] });
  const [block] = model.named("rt_sigprocmask") as [Made];
  const mask = block.machine.u64(block.args[1]!);
  const blocked = Array.from({ length: 64 }, (_, i) => i + 1).filter((n) =>
    (mask >> BigInt(n - 1)) & 1n
  );
  for (const signal of [1, 2, 3, 10, 12, 14, 15, 18, 28, 34, 64]) assert(blocked.includes(signal));
  for (const signal of [9, 11, 17, 19, 20]) assert(!blocked.includes(signal), `${signal}`);
  const [fd] = model.named("signalfd4") as [Made];
  assert(fd.order > block.order);
});

Deno.test("what is typed reaches the container whole and in order, however little it takes at once", () => {
  const rooms = fc.array(fc.oneof(fc.integer({ min: 1, max: 9 }), fc.constant(-ffi.EAGAIN)), {
    maxLength: 20,
  });
  fc.assert(
    fc.property(happenings, rooms, fc.boolean(), (some, room, ends) => {
      const happenings: Happening[] = ends ? [...some, { kind: "input ends" }] : some;
      const only = happenings.filter(({ kind }) => kind !== "output");
      const { typed } = walk({ terminal: { input: true }, happenings: only, room });
      assert.equal(typed, all(only, "input") + (ends ? EOT : ""));
    }),
    { numRuns: 200 },
  );
});

Deno.test("what the container writes is shown whole and in order, however little is taken at once", () => {
  const rooms = fc.array(fc.oneof(fc.integer({ min: 1, max: 9 }), fc.constant(-ffi.EAGAIN)), {
    maxLength: 20,
  });
  fc.assert(
    fc.property(happenings, rooms, ends, (some, room, end) => {
      const happenings = some.filter(({ kind }) => kind !== "input");
      const { shown, model } = walk({ terminal: { input: true }, happenings, room, end });
      assert.equal(shown, all(happenings, "output"));
      assert.equal(model.last.name, "exit_group");
    }),
    { numRuns: 200 },
  );
});

Deno.test("output is shown although nobody types, and input that is not wanted is not read", () => {
  const happenings: Happening[] = [{ kind: "output", text: "out" }, { kind: "console closes" }];
  const { model, shown } = walk({ terminal: { input: false }, happenings });
  assert.equal(shown, "out");
  assert.equal(model.named("read").filter(({ on }) => on[0]!.what === "stdin").length, 0);
});

Deno.test("the terminal is raw meanwhile and as before in the end, whatever happens and fails", () => {
  const errnos = fc.constantFrom(EIO, ffi.EAGAIN, EPIPE, 4);
  fc.assert(
    fc.property(
      happenings,
      fc.option(ends, { nil: undefined }),
      fc.nat(),
      errnos,
      (some, end, pick, errno) => {
        const happenings: Happening[] = [...some, { kind: "input ends" }];
        const terminal = { input: true, settings: SETTINGS };
        const good = walk({ terminal, happenings, end });
        assert.deepEqual(settings(good), [RAW, BEFORE]);
        const raw = good.model.calls.findIndex(({ step }) => step.label.includes("raw mode"));
        const exit = good.model.calls.length - 1;
        const index = raw + 1 + pick % (exit - raw - 1);
        const { step, name } = good.model.calls[index]!;
        // A poll that fails for ever would be tried for ever.
        if (name === "ppoll" && errno !== 4) return;
        const restoring = step.label === "restore the terminal";
        const bad = walk({
          terminal,
          happenings,
          end,
          fail: (_, model) => model.calls.length - 1 === index ? -errno : undefined,
        });
        assert.equal(bad.model.last.name, "exit_group");
        assert.deepEqual(settings(bad), [RAW, BEFORE], step.label);
        assert(restoring || bad.model.last.order > 0);
      },
    ),
    { numRuns: 200 },
  );
});

Deno.test("after raw mode no call fails without a way on that leads to the old settings", () => {
  const program: Program = compileRelay(PARTS, { input: true, settings: SETTINGS });
  const raw = program.steps.findIndex(({ label }) => label.includes("raw mode"));
  const restored = (index: number) => program.steps[index]!.label === "restore the terminal";
  const seen = new Set<number>();
  const left = successors(program.steps[raw]!, raw);
  for (let index = left.pop(); index !== undefined; index = left.pop()) {
    if (seen.has(index) || restored(index)) continue;
    seen.add(index);
    const step = program.steps[index]!;
    assert.notEqual(step.operation, "exit_group", "an exit with the terminal still raw");
    if (step.operation !== "compute") assert(step.negative !== undefined, step.label);
    left.push(...successors(step, index));
  }
  assert(seen.size > 20);
});

Deno.test("every step of the relay has a label, can be reached, encoded and printed", () => {
  fc.assert(
    fc.property(fc.option(terminals, { nil: undefined }), (terminal) => {
      const program = compileRelay(PARTS, terminal);
      const reached = reachable(program);
      for (const [i, { label }] of program.steps.entries()) {
        assert(label !== "" && reached.has(i), `${i} ${label}`);
      }
      for (const arch of ["x86_64", "aarch64"] as const) encodeElf(program, arch);
      const lines = printProgram(program).split("\n").filter((line) => /^ *\d+ {2}\S/.test(line));
      assert.equal(lines.length, program.steps.length);
    }),
    { numRuns: 20 },
  );
});
