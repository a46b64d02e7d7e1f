import assert from "node:assert/strict";
import fc from "fast-check";
import { CrateError } from "../errors.ts";
import { compileDeviceProgram } from "./device_program.ts";
import {
  deviceExceptions,
  type DeviceRule,
  type DeviceRules,
  deviceRules,
  deviceSettings,
  restricts,
  withDefaults,
} from "./device_rules.ts";

const lines = (list: DeviceRules) =>
  deviceSettings(list).map(({ file, value }) => `${file} ${value}`);

const DEFAULT_LINES = [
  "devices.deny a",
  "devices.allow c *:* m",
  "devices.allow b *:* m",
  "devices.allow c 1:3 rwm",
  "devices.allow c 1:5 rwm",
  "devices.allow c 1:7 rwm",
  "devices.allow c 1:8 rwm",
  "devices.allow c 1:9 rwm",
  "devices.allow c 5:0 rwm",
  "devices.allow c 5:2 rwm",
  "devices.allow c 136:* rwm",
];

Deno.test("nothing said of devices, or everything denied, leaves the devices every container has", () => {
  assert.deepEqual(lines(deviceRules()), DEFAULT_LINES);
  assert.deepEqual(lines(deviceRules([{ allow: false, access: "rwm" }])), DEFAULT_LINES);
  assert.deepEqual(
    lines(deviceRules([{ allow: false }, { allow: false, type: "b", major: 8, access: "r" }])),
    DEFAULT_LINES,
  );
});

Deno.test("a privileged container's list restricts nothing and needs no write", () => {
  const list = deviceRules([
    { allow: false, type: "b", major: 8, minor: 0, access: "rwm" },
    { allow: true, access: "rwm" },
  ]);
  assert.equal(restricts(list), false);
  assert.deepEqual(lines(list), []);
});

Deno.test("a device that is allowed beside the usual ones has its own line", () => {
  const list = deviceRules([
    { allow: false, access: "rwm" },
    { allow: true, type: "c", major: 10, minor: 229, access: "rw" },
    { allow: true, type: "a", major: 7, minor: -1, access: "r" },
  ]);
  const written = lines(list);
  // Making a node is allowed for all; a line of v1 must hold all that is asked for at once.
  assert(written.includes("devices.allow c 10:229 rwm"), written.join("\n"));
  assert(written.includes("devices.allow b 7:* rm"));
  assert(written.includes("devices.allow c 7:* rm"));
});

Deno.test("v1 denies what is denied from an otherwise open list", () => {
  const list = deviceRules([
    { allow: true },
    { allow: false, type: "b", access: "rwm" },
    { allow: false, type: "c", major: 10, minor: 229 },
  ]);
  // The defaults come last: block devices may be made.
  assert.deepEqual(lines(list), ["devices.deny b *:* rw", "devices.deny c 10:229 rw"]);
});

Deno.test("what v1 cannot hold is refused in its own words", () => {
  const list = deviceRules([
    { allow: true, type: "b", major: 8 },
    { allow: false, type: "b", major: 8, minor: 0, access: "w" },
  ]);
  assert.throws(
    () => lines(list),
    (error) =>
      error instanceof CrateError && error.code === "UNSUPPORTED" &&
      error.message ===
        'linux.resources.devices: cgroup v1 cannot deny "b 8:0 w" where "b 8:* rwm" was allowed before',
  );
});

Deno.test("a number that no device has and an unknown access are refused by field", () => {
  for (
    const [rule, field] of [
      [{ allow: true, major: 4096 }, "major"],
      [{ allow: true, major: 1.5 }, "major"],
      [{ allow: true, minor: 1 << 20 }, "minor"],
      [{ allow: true, minor: -2 }, "minor"],
      [{ allow: true, access: "rx" }, "access"],
      [{ allow: true, access: "" }, "access"],
    ] as const
  ) {
    assert.throws(
      () => deviceRules([{ allow: false }, rule]),
      (error) =>
        error instanceof CrateError && error.code === "INVALID" &&
        error.message.startsWith(`linux.resources.devices[1].${field} `),
    );
  }
});

// Properties: whatever the rules, program and exceptions say what the rules say.

interface Access {
  readonly type: "b" | "c";
  readonly major: number;
  readonly minor: number;
  readonly access: number;
}

/** The meaning of a list, as plainly as it can be said: each kind by the last rule about it. */
function allowed(list: DeviceRules, { type, major, minor, access }: Access): boolean {
  return [1, 2, 4].filter((kind) => access & kind).every((kind) => {
    const about = list.rules.filter((rule) =>
      rule.type === type && (rule.access & kind) !== 0 &&
      (rule.major === undefined || rule.major === major) &&
      (rule.minor === undefined || rule.minor === minor)
    );
    return about.at(-1)?.allow ?? list.allowOthers;
  });
}

/** What a v1 group with these exceptions allows, security/device_cgroup.c. */
function allowedByV1(allowOthers: boolean, exceptions: readonly DeviceRule[], a: Access): boolean {
  const about = exceptions.filter(({ type, major, minor }) =>
    type === a.type && (major ?? a.major) === a.major && (minor ?? a.minor) === a.minor
  );
  return allowOthers
    ? about.every(({ access }) => (access & a.access) === 0)
    : about.some(({ access }) => (a.access & ~access) === 0);
}

/** Runs a device program on one access: the instructions that such programs have. */
function run(program: Uint8Array, { type, major, minor, access }: Access): number {
  const code = new DataView(program.buffer);
  const context = new DataView(new ArrayBuffer(12));
  context.setUint32(0, access << 16 | (type === "b" ? 1 : 2), true);
  context.setUint32(4, major, true);
  context.setUint32(8, minor, true);
  const r = new Array<bigint>(11).fill(0n);
  for (let pc = 0; pc < program.length / 8; pc++) {
    const dst = code.getUint8(8 * pc + 1) & 15;
    const src = code.getUint8(8 * pc + 1) >> 4;
    const off = code.getInt16(8 * pc + 2, true);
    const imm = BigInt.asUintN(64, BigInt(code.getInt32(8 * pc + 4, true)));
    const value = r[dst]!;
    switch (code.getUint8(8 * pc)) {
      case 0x61:
        r[dst] = BigInt(context.getUint32(off, true));
        break;
      case 0xb7:
        r[dst] = imm;
        break;
      case 0xbf:
        r[dst] = r[src]!;
        break;
      case 0x57:
        r[dst] = value & imm;
        break;
      case 0x77:
        r[dst] = value >> imm;
        break;
      case 0x15:
        if (value === imm) pc += off;
        break;
      case 0x55:
        if (value !== imm) pc += off;
        break;
      case 0x45:
        if ((value & imm) !== 0n) pc += off;
        break;
      case 0x95:
        return Number(r[0]);
      default:
        throw new Error(`instruction ${pc}: code ${code.getUint8(8 * pc)}`);
    }
  }
  throw new Error("the program runs off its end");
}

// Few numbers, so that rules and accesses meet often.
const number = fc.constantFrom(0, 1, 3, 0xfff);
const type = fc.constantFrom("b" as const, "c" as const);
const bits = fc.integer({ min: 1, max: 7 });
const rule = fc.record({
  allow: fc.boolean(),
  type,
  major: fc.option(number, { nil: undefined }),
  minor: fc.option(number, { nil: undefined }),
  access: bits,
});
const list = fc.record({ allowOthers: fc.boolean(), rules: fc.array(rule, { maxLength: 8 }) });
const accesses = fc.array(
  fc.record({ type, major: number, minor: number, access: bits }),
  { minLength: 8, maxLength: 8 },
);

Deno.test("a compiled list allows exactly what the rules allow", () => {
  fc.assert(
    fc.property(list, accesses, (list, accesses) => {
      const program = compileDeviceProgram(list);
      for (const access of accesses) {
        assert.equal(run(program, access), Number(allowed(list, access)), JSON.stringify(access));
      }
    }),
    { numRuns: 2000 },
  );
});

Deno.test("v1's exceptions allow exactly what the rules allow, or the list is refused", () => {
  let held = 0;
  fc.assert(
    fc.property(list, accesses, (list, accesses) => {
      let exceptions: DeviceRule[];
      try {
        exceptions = deviceExceptions(list);
      } catch (error) {
        assert(error instanceof CrateError);
        assert(list.rules.some(({ allow }) => allow === list.allowOthers));
        return;
      }
      held++;
      for (const access of accesses) {
        assert.equal(
          allowedByV1(list.allowOthers, exceptions, access),
          allowed(list, access),
          JSON.stringify({ access, exceptions }),
        );
      }
    }),
    { numRuns: 2000 },
  );
  assert(held > 500, `only ${held} lists could be held`);
});

Deno.test("the config's form and the rules agree: numbers, wildcards, letters", () => {
  const container = withDefaults(deviceRules([
    { allow: false, access: "rwm" },
    { allow: true, type: "b", major: 8, minor: -1, access: "r" },
  ]));
  const access = (type: "b" | "c", major: number, minor: number, access: number) =>
    run(compileDeviceProgram(container), { type, major, minor, access });
  assert.equal(access("c", 1, 3, 6), 1, "null, read and write");
  assert.equal(access("c", 136, 7, 6), 1, "a terminal");
  assert.equal(access("b", 254, 0, 1), 1, "mknod of any");
  assert.equal(access("b", 254, 0, 2), 0, "reading a disk");
  assert.equal(access("b", 8, 5, 2), 1, "reading the allowed disk");
  assert.equal(access("b", 8, 5, 6), 0, "writing it");
  assert.equal(access("c", 5, 1, 2), 0, "the host's console");
});
