import assert from "node:assert/strict";
import fc from "fast-check";
import { generate } from "../../scripts/assemble.ts";
import { has } from "../_tools.ts";
import { AT_FDCWD, F_SETFL, O_NONBLOCK } from "../constants.ts";
import { EAGAIN, EBADF } from "../errno.ts";
import { runProgram } from "../libc.ts";
import {
  type Argument,
  type Cell,
  type Label,
  ProgramBuilder,
  valueOf,
} from "../program/builder.ts";
import type { Program } from "../program/builder.ts";
import { encodeElf, STEP_SIZE } from "../program/encode.ts";
import type { Arch } from "../syscalls.ts";
import { Machine } from "../testing.ts";
import { INTERPRETERS } from "./bytes.ts";

const ARCHES = ["x86_64", "aarch64"] as const;
const QEMU = "qemu-aarch64-static";

/** How a program's file is executed on this machine; undefined: not at all. */
function runner(arch: Arch): string[] | undefined {
  if (arch === Deno.build.arch) return [];
  return arch === "aarch64" && has(QEMU) ? [QEMU] : undefined;
}

/**
 * Runs a program as a process of its own.
 *
 * @param answer is written to its standard input a while after its first words.
 */
async function execute(program: Program, arch: Arch, answer?: string) {
  const directory = await Deno.makeTempDir();
  try {
    const file = `${directory}/program`;
    const { bytes, addresses } = encodeElf(program, arch);
    await Deno.writeFile(file, bytes, { mode: 0o755 });
    const [command, ...args] = [...runner(arch)!, file];
    const child = new Deno.Command(command!, { args, stdin: "piped", stdout: "piped" }).spawn();
    const input = child.stdin.getWriter();
    const parts: Uint8Array<ArrayBuffer>[] = [];
    for await (const part of child.stdout) {
      if (parts.push(part) === 1 && answer !== undefined) {
        await new Promise((resolve) => setTimeout(resolve, 20));
        await input.write(new TextEncoder().encode(answer));
      }
    }
    await input.close().catch(() => {}); // a process that has ended reads no more
    const { code, signal } = await child.status;
    return { code, signal, stdout: await new Blob(parts).bytes(), addresses };
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test({
  name: "the interpreters' bytes are what their sources assemble to",
  ignore: !has("as") || !has("aarch64-linux-gnu-as"),
  fn: async () => {
    const file = new URL("./bytes.ts", import.meta.url).pathname;
    assert.equal(await Deno.readTextFile(file), (await generate()).get(file));
  },
});

Deno.test("an interpreter takes less than 300 bytes", () => {
  for (const { hex, size } of Object.values(INTERPRETERS)) {
    assert.equal(hex.length, 2 * size);
    assert(size < 300, `${size} bytes`);
  }
});

// Programs of computations: what the interpreter does itself, with every kind of argument and branch.

const VARIABLES = 5;
type Operand = { readonly variable: number } | { readonly constant: bigint };
interface Computation {
  readonly args: readonly [Operand, Operand, Operand];
  readonly result: number;
  /** How many steps on, for negative, zero, positive; 0: no branch. */
  readonly ways: readonly [number, number, number];
}

const constant = fc.oneof(
  fc.constantFrom(0n, 1n, -1n, 0x7fffffffn, -0x80000000n, 0xffffffffn, 1n << 63n, (1n << 63n) - 1n),
  fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }),
  fc.bigInt({ min: -300n, max: 300n }),
);
const operand: fc.Arbitrary<Operand> = fc.oneof(
  fc.record({ variable: fc.nat(VARIABLES - 1) }),
  fc.record({ constant }),
);
const computation: fc.Arbitrary<Computation> = fc.record({
  args: fc.tuple(operand, operand, fc.oneof(fc.constant({ constant: -1n }), operand)),
  result: fc.nat(VARIABLES - 1),
  ways: fc.tuple(fc.nat(3), fc.nat(3), fc.nat(3)),
});
const section = fc.array(computation, { minLength: 1, maxLength: 12 });

/** Walks each section in turn, then writes the header and the variables to standard output. */
function program(sections: readonly (readonly Computation[])[], write: boolean) {
  const p = new ProgramBuilder();
  const variables = Array.from({ length: VARIABLES }, (_, i) => {
    const initial = new Uint8Array(new Int32Array([i * 0x12345677 - 7]).buffer);
    return p.variable(`v${i}`, 4, initial);
  });
  const current = p.variable("section", 4);
  const handler = p.label("failed");
  p.handler(handler);
  const ends: Label[] = [];
  for (const [s, steps] of sections.entries()) {
    const labels = [...steps, ...Array(3)].map((_, i) => p.label(`s${s} ${i}`));
    ends.push(labels.at(-1)!);
    p.set(current, s);
    const argument = (o: Operand): Argument =>
      "variable" in o ? valueOf(variables[o.variable]!) : o.constant;
    for (const [i, { args, result, ways }] of steps.entries()) {
      p.place(labels[i]!);
      const [negative, zero, positive] = ways.map((far) => far ? labels[i + far] : undefined);
      p.compute(argument(args[0]), argument(args[1]), argument(args[2]), {
        result: variables[result],
        negative,
        zero,
        positive,
      });
    }
    for (const label of labels.slice(steps.length)) p.place(label);
    // The header's `last`, and then all of it as it is now.
    if (write) p.call("write", [1, p.header, DUMP]);
  }
  if (write) p.call("exit_group", [0]);
  else p.return();
  p.place(handler);
  for (const [s, end] of ends.entries()) p.jumpIfEqual(valueOf(current), s, end);
  return { built: p.build(), header: p.header, variables };
}

const DUMP = 32 + 8 * VARIABLES;

/** A dump without what differs between machines: addresses become indexes of steps. */
function normalize(dump: Uint8Array<ArrayBuffer>, steps: number) {
  const view = new DataView(dump.buffer, dump.byteOffset);
  const failed = Number(view.getBigUint64(0, true));
  return {
    failed: failed === 0 ? undefined : (failed - steps) / STEP_SIZE,
    error: view.getBigInt64(8, true),
    last: view.getBigInt64(24, true),
    variables: Array.from({ length: VARIABLES }, (_, i) => view.getInt32(32 + 8 * i, true)),
  };
}

function simulate(built: Program, header: Cell, arch: Arch) {
  const machine = new Machine(built, arch);
  const dumps: ReturnType<typeof normalize>[] = [];
  machine.run(({ name }) => {
    if (name === "exit_group") return "end";
    dumps.push(normalize(machine.bytes(machine.addressOf(header), DUMP), machine.addresses.steps));
    return DUMP;
  });
  return dumps;
}

for (const arch of ARCHES) {
  Deno.test({
    name: `any computations leave the same memory on ${arch} as in the tests' own machine`,
    ignore: runner(arch) === undefined,
    fn: async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(section, { minLength: 30, maxLength: 60 }), async (sections) => {
          const { built, header } = program(sections, true);
          const { code, signal, stdout, addresses } = await execute(built, arch);
          assert.deepEqual({ code, signal }, { code: 0, signal: null });
          assert.equal(stdout.length, DUMP * sections.length);
          const dumps = sections.map((_, i) =>
            normalize(stdout.slice(i * DUMP, (i + 1) * DUMP), addresses.steps)
          );
          assert.deepEqual(dumps, simulate(built, header, arch));
        }),
        { numRuns: 8, endOnFailure: true },
      );
    },
  });

  Deno.test({
    name: `a failing step goes to the handler with its address and errno on ${arch}`,
    ignore: runner(arch) === undefined,
    fn: async () => {
      const p = new ProgramBuilder();
      const handler = p.label("handler");
      const times = p.variable("times", 4);
      p.handler(handler);
      p.call("getpid", []);
      p.call("close", [-1], { label: "close nothing" }); // the step with index 1
      p.call("exit_group", [1]);
      p.place(handler);
      p.call("write", [1, p.header, 16]);
      p.compute(valueOf(times), -1, -1, { result: times });
      const over = p.label("over");
      p.jumpIfEqual(valueOf(times), 2, over);
      p.compute(-77, 0, -1); // a computation fails in the same way: the handler, once more
      p.place(over);
      p.call("exit_group", [9]);
      const { code, stdout, addresses } = await execute(p.build(), arch);
      const view = new DataView(stdout.buffer);
      assert.equal(code, 9);
      assert.equal(Number(view.getBigUint64(0, true)), addresses.steps + STEP_SIZE);
      assert.equal(Number(view.getBigInt64(8, true)), -EBADF);
      assert.equal(Number(view.getBigUint64(16, true)), addresses.steps + 6 * STEP_SIZE);
      assert.equal(Number(view.getBigInt64(24, true)), -77);
    },
  });

  Deno.test({
    name: `a loop counts, and all six arguments arrive, on ${arch}`,
    ignore: runner(arch) === undefined,
    fn: async () => {
      const p = new ProgramBuilder();
      const left = p.variable("left", 4);
      const sum = p.variable("sum", 4);
      const minus = p.variable("minus", 4);
      const loop = p.label("loop");
      const next = p.label("next value");
      p.set(left, 100);
      p.place(loop);
      p.compute(0, valueOf(left), -1, { result: minus, negative: next });
      p.place(next);
      p.compute(valueOf(sum), valueOf(minus), -1, { result: sum });
      p.compute(valueOf(left), 1, -1, { result: left, positive: loop });
      // statx(2) takes five arguments, mmap(2) six; an anonymous private page has no error.
      const file = p.variable("statx", 256);
      p.call("statx", [-100, p.string("/"), 0, 0x7ff, file]);
      p.call("mmap", [0, 4096, 3, 0x22, -1, 0]);
      p.call("write", [1, sum, 4]);
      p.call("exit_group", [valueOf(file, 28)]); // stx_mode's low byte: 0o755 of a directory
      const { code, stdout } = await execute(p.build(), arch);
      assert.equal(new DataView(stdout.buffer).getInt32(0, true), 5050);
      assert.equal(code, Deno.statSync("/").mode! & 0xff);
    },
  });

  Deno.test({
    name: `bytes are compared on ${arch}`,
    ignore: runner(arch) === undefined,
    fn: async () => {
      const texts = ["abcdefgh", "abcdefgh", "abcdefgx", "xbcdefgh", "abcdXfgh"];
      const p = new ProgramBuilder();
      const cells = texts.map((text) => p.variable(text, 9, text));
      const size = p.variable("size", 4);
      const expected: boolean[] = [];
      for (const [i, a] of texts.entries()) {
        for (const [j, b] of texts.entries()) {
          for (let length = 1; length <= 8; length++) {
            const [same, other, next] = ["same", "other", "next"].map((name) => p.label(name)) as [
              Label,
              Label,
              Label,
            ];
            expected.push(a.slice(0, length) === b.slice(0, length));
            p.set(size, length);
            p.compare(cells[i]!, cells[j]!, valueOf(size), same, other);
            p.place(same);
            p.call("write", [1, p.string("="), 1]);
            p.jump(next);
            p.place(other);
            p.call("write", [1, p.string("#"), 1]);
            p.place(next);
          }
        }
      }
      p.call("exit_group", [0]);
      const built = p.build();
      const wanted = expected.map((same) => same ? "=" : "#").join("");
      const { stdout } = await execute(built, arch);
      assert.equal(new TextDecoder().decode(stdout), wanted);
      let written = "";
      new Machine(built, arch).run(({ name, args, machine }) => {
        if (name === "exit_group") return "end";
        written += machine.string(args[1]!);
        return 1;
      });
      assert.equal(written, wanted);
    },
  });

  Deno.test({
    name: `a process hands on what it was executed with on ${arch}`,
    ignore: runner(arch) === undefined,
    fn: () => {
      const run = (build: (p: ProgramBuilder) => void, ...words: string[]) => {
        const p = new ProgramBuilder();
        build(p);
        const file = Deno.makeTempFileSync();
        Deno.writeFileSync(file, encodeElf(p.build(), arch).bytes);
        Deno.chmodSync(file, 0o755);
        const [command, ...args] = [...runner(arch)!, file, ...words];
        const script = 'echo "$0" "$1" "$VARIABLE"';
        const { stdout } = new Deno.Command(command!, {
          args: [...args, "-c", script, "zero", "one"],
          env: { VARIABLE: "its value" },
        }).outputSync();
        Deno.removeSync(file);
        return new TextDecoder().decode(stdout);
      };
      const all = (p: ProgramBuilder) => {
        const [argv, envp] = [{ own: "argv", from: 1 }, { own: "envp", from: 0 }] as const;
        p.call("execve", [p.string("/bin/sh"), argv, envp]);
      };
      assert.equal(run(all, "sh"), "zero one its value\n");
      const written = (p: ProgramBuilder) => {
        const from = p.variable("from", 4, new Uint8Array([1]));
        p.call("write", [1, { own: "words", from }, 3]);
        p.call("exit_group", [0]);
      };
      // The first word is the program's path.
      const temporary = Deno.makeTempFileSync();
      Deno.removeSync(temporary);
      assert.equal(run(written), temporary.slice(1, 4));
      // The third argument, too: execveat(2) has it there, which not every emulator knows.
      const over = (p: ProgramBuilder) => {
        const argv = { own: "argv", from: 2 } as const;
        p.call("readlinkat", [AT_FDCWD, p.string("/proc/self/ns/mnt"), argv, 5]);
        p.call("write", [1, argv, 5]);
        p.call("exit_group", [0]);
      };
      assert.equal(run(over), "mnt:[");
    },
  });

  Deno.test({
    name: `a step that fails can be tried again by itself on ${arch}`,
    ignore: runner(arch) === undefined,
    fn: async () => {
      const p = new ProgramBuilder();
      const byte = p.variable("byte", 4);
      const broken = p.label("broken");
      const again = p.label("again");
      p.handler(broken);
      p.call("fcntl", [0, F_SETFL, O_NONBLOCK]);
      p.call("write", [1, p.string("?"), 1]);
      p.place(again);
      p.call("read", [0, byte, 1], { negative: again }); // EAGAIN until there is something
      p.call("exit_group", [valueOf(byte)]);
      p.place(broken);
      p.call("exit_group", [111]);
      const { code } = await execute(p.build(), arch, "*");
      assert.equal(code, "*".charCodeAt(0));
    },
  });
}

Deno.test("a program in this process leaves the same memory as in the tests' own machine", () => {
  fc.assert(
    fc.property(section, (steps) => {
      const { built, variables } = program([steps], false);
      const machine = new Machine(built, Deno.build.arch);
      machine.run(() => -EAGAIN);
      const ran = runProgram(built);
      for (const cell of variables) {
        assert.equal(ran.value(cell), machine.i32(machine.addressOf(cell)), cell.name);
      }
    }),
    { numRuns: 300 },
  );
});
