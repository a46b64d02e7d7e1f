import assert from "node:assert/strict";
import fc from "fast-check";
import { has, run } from "../_tools.ts";
import { INTERPRETERS } from "../interpreter/bytes.ts";
import { Machine, parseElf, type Segment } from "../testing.ts";
import { type Program, ProgramBuilder, valueOf } from "./builder.ts";
import { encodeAt, encodeElf, memorySize, STEP_SIZE, stepAddress } from "./encode.ts";

const ARCHES = ["x86_64", "aarch64"] as const;
const PAGE = { x86_64: 4096, aarch64: 65536 } as const;
const LOAD = 1;
const GNU_STACK = 0x6474e551;
const [EXECUTE, WRITE, READ] = [1, 2, 4];

/** A program of so many steps with so much data. */
function sized(steps: number, constants: number, variables: number, buffers: number): Program {
  const p = new ProgramBuilder();
  if (constants) p.bytes(new Uint8Array(constants).fill(1));
  const variable = p.variable("variable", variables, new Uint8Array(variables).fill(2));
  if (buffers) p.variable("buffer", buffers);
  for (let i = 0; i < steps; i++) p.call("close", [valueOf(variable)], { label: `close ${i}` });
  return p.build();
}

const size = (max: number) => fc.oneof(fc.nat(300), fc.nat(max), fc.constantFrom(4096, 65536));
const programs = fc.tuple(
  fc.integer({ min: 1, max: 500 }),
  size(200_000),
  size(100_000),
  size(2 ** 22),
)
  .map(([steps, constants, variables, buffers]) => sized(steps, constants, variables + 4, buffers));

const covers = ({ address, memorySize }: Segment, at: number, size = 1) =>
  at >= address && at + size <= address + memorySize;

Deno.test("a program's file is a static executable whose memory is never both written and executed", () => {
  fc.assert(
    fc.property(programs, fc.constantFrom(...ARCHES), (program, arch) => {
      const { bytes, addresses } = encodeElf(program, arch);
      assert.equal(stepAddress(2, arch), addresses.steps + 2 * STEP_SIZE);
      const elf = parseElf(bytes);
      assert.equal(elf.type, 2, "ET_EXEC");
      assert.equal(elf.machine, { x86_64: 62, aarch64: 183 }[arch]);
      const [text, data, stack, ...more] = elf.segments as [Segment, Segment, Segment];
      assert.equal(more.length, 0);
      assert.deepEqual([text.type, text.flags], [LOAD, READ! | EXECUTE!]);
      assert.deepEqual([data.type, data.flags], [LOAD, READ! | WRITE!]);
      assert.deepEqual([stack.type, stack.flags & EXECUTE!], [GNU_STACK, 0]);
      for (const { address, align, fileSize, memorySize, offset } of [text, data]) {
        assert.equal(align, PAGE[arch]);
        assert.equal(offset % align, address % align, "elf(5): p_offset and p_vaddr agree");
        assert(offset + fileSize <= bytes.length);
        assert(fileSize <= memorySize);
      }
      const lastOfText = Math.floor((text.address + text.memorySize - 1) / PAGE[arch]);
      assert(Math.floor(data.address / PAGE[arch]) > lastOfText, "they share no page");
      assert(covers(text, elf.entry, INTERPRETERS[arch].size));
      assert(covers(text, addresses.steps, program.steps.length * STEP_SIZE));
      assert(covers(text, addresses.constants, program.sizes.constants));
      assert(covers(data, addresses.variables, program.sizes.variables + program.sizes.buffers));
    }),
    { numRuns: 60 },
  );
});

Deno.test("the interpreter in the file knows where the steps and the header are", () => {
  for (const arch of ARCHES) {
    const machine = new Machine(sized(3, 10, 4, 0), arch);
    const { patchHeader, patchSteps } = INTERPRETERS[arch];
    assert.equal(machine.u32(machine.elf.entry + patchSteps), machine.addresses.steps);
    assert.equal(machine.u32(machine.elf.entry + patchHeader), machine.addresses.variables);
  }
});

Deno.test("buffers take no room in the file, and are zeros when it runs", () => {
  const [small, large] = [sized(5, 100, 100, 0), sized(5, 100, 100, 1 << 24)];
  for (const arch of ARCHES) {
    assert.equal(encodeElf(large, arch).bytes.length, encodeElf(small, arch).bytes.length);
    const [, data] = parseElf(encodeElf(large, arch).bytes).segments;
    assert(data!.memorySize - data!.fileSize >= 1 << 24);
  }
  assert(encodeElf(small, "x86_64").bytes.length < 1500);
});

Deno.test("a file is the same every time it is made", () => {
  const program = sized(9, 1000, 500, 5000);
  assert.deepEqual(encodeElf(program, "x86_64").bytes, encodeElf(program, "x86_64").bytes);
});

Deno.test({
  name: "readelf reads the file without a complaint",
  ignore: !has("readelf"),
  fn: async () => {
    const file = await Deno.makeTempFile();
    try {
      for (const arch of ARCHES) {
        await Deno.writeFile(file, encodeElf(sized(20, 5000, 3000, 100_000), arch).bytes);
        const text = await run("readelf", ["-hlW", file]);
        assert.doesNotMatch(text, /warning|error/i);
        assert.match(text, /Type: +EXEC/);
        const flags = [...text.matchAll(/^ +(LOAD|GNU_STACK)(?: +0x\w+){5} (R?W? ?E?) +0x/gm)];
        assert.deepEqual(flags.map(([, type, flags]) => `${type} ${flags}`.trim()), [
          "LOAD R E",
          "LOAD RW",
          "GNU_STACK RW",
        ]);
      }
    } finally {
      await Deno.remove(file);
    }
  },
});

Deno.test("in this process's memory a program lies as it does in a file", () => {
  fc.assert(
    fc.property(programs, fc.constantFrom(0, 1), (program, high) => {
      // Real addresses have more than 32 bits.
      const base = 0x1000 + high * 0x7f12_3456_7000;
      const memory = new Uint8Array(memorySize(program) + 64).fill(0xee);
      const p = new ProgramBuilder();
      const handled = p.label("handled");
      p.place(handled);
      const at = encodeAt({ ...program, handler: handled }, "x86_64", base, memory);
      const view = new DataView(memory.buffer);
      for (let i = 0; i < program.steps.length; i++) {
        const step = at.steps - base + i * STEP_SIZE;
        const [variable] = program.variables;
        assert.equal(Number(view.getBigUint64(step + 32, true)), at.variables + variable!.offset);
      }
      assert.equal(Number(view.getBigUint64(16, true)), at.steps, "the handler");
      assert(memory.subarray(memorySize(program)).every((byte) => byte === 0xee), "nothing beyond");
    }),
    { numRuns: 40 },
  );
});
