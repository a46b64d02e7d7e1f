import assert from "node:assert/strict";
import fc from "fast-check";
import { CrateError } from "../errors.ts";
import {
  allCapabilities,
  availableCapabilities,
  capabilityBit,
  capabilityMask,
  DEFAULT_CAPABILITIES,
  lastCapability,
  resolveCapabilities,
  splitCapabilityMask,
} from "./capabilities.ts";

const HEADER = "/usr/include/linux/capability.h";

function hasHeader(): boolean {
  try {
    return Deno.statSync(HEADER).isFile;
  } catch {
    return false;
  }
}

Deno.test({
  name: "every capability has the bit that the kernel's header gives it",
  ignore: !hasHeader(),
  fn() {
    const defined = [...Deno.readTextFileSync(HEADER).matchAll(/^#define (CAP_\w+)\s+(\d+)$/gm)];
    assert.equal(defined.length, 41);
    for (const [, name, bit] of defined) assert.equal(capabilityBit(name!), Number(bit), name);
  },
});

Deno.test("the kernel's last capability is known, and all up to it have names", () => {
  const last = lastCapability();
  assert.ok(last >= 40 && last < 64, `${last}`);
  assert.equal(allCapabilities().length, 41);
  assert.deepEqual(allCapabilities().map(capabilityBit), Array.from({ length: 41 }, (_, i) => i));
});

Deno.test("the available capabilities are those that this process has", () => {
  const [, hex] = /^CapPrm:\s*(\w+)$/m.exec(Deno.readTextFileSync("/proc/self/status"))!;
  assert.equal(capabilityMask(availableCapabilities()), BigInt(`0x${hex}`));
});

Deno.test("a capability is known in capitals or not, with CAP_ or without", () => {
  for (const name of ["CAP_NET_ADMIN", "NET_ADMIN", "net_admin", "cap_net_admin"]) {
    assert.equal(capabilityBit(name), 12);
  }
});

Deno.test("an unknown capability is refused with the one that was meant", () => {
  assert.throws(() => capabilityBit("net_admn"), (error) => {
    assert.ok(error instanceof CrateError && error.code === "INVALID");
    assert.equal(error.message, 'there is no capability "net_admn": did you mean CAP_NET_ADMIN?');
    return true;
  });
  for (const name of ["", "FLY", "constructor", "__proto__", "CAP_", "ALL"]) {
    assert.throws(() => capabilityBit(name), CrateError, name);
  }
  assert.throws(() => resolveCapabilities({ add: ["FLY"] }), CrateError);
  assert.throws(() => resolveCapabilities({ drop: ["FLY"] }), CrateError);
});

Deno.test("Docker's fourteen are what a container has without a word", () => {
  assert.equal(DEFAULT_CAPABILITIES.length, 14);
  assert.equal(capabilityMask(DEFAULT_CAPABILITIES), 0xa80425fbn);
  assert.deepEqual(resolveCapabilities({}), DEFAULT_CAPABILITIES);
});

Deno.test("ALL added leaves out only the dropped; ALL dropped leaves only the added", () => {
  const all = allCapabilities();
  assert.deepEqual(resolveCapabilities({ add: ["all"] }), all);
  assert.deepEqual(resolveCapabilities({ add: ["ALL"], drop: ["ALL"] }), all);
  const without = all.filter((name) => name !== "CAP_SYS_ADMIN");
  assert.deepEqual(resolveCapabilities({ add: ["ALL"], drop: ["sys_admin"] }), without);
  assert.deepEqual(resolveCapabilities({ drop: ["ALL"] }), []);
  assert.deepEqual(resolveCapabilities({ add: ["kill", "chown"], drop: ["CAP_ALL"] }), [
    "CAP_CHOWN",
    "CAP_KILL",
  ]);
});

Deno.test("what is added and dropped is there: adding comes last", () => {
  assert.ok(resolveCapabilities({ add: ["MKNOD"], drop: ["MKNOD"] }).includes("CAP_MKNOD"));
  assert.ok(!resolveCapabilities({ drop: ["MKNOD"] }).includes("CAP_MKNOD"));
  assert.deepEqual(resolveCapabilities({ add: ["BPF"], defaults: [] }), ["CAP_BPF"]);
});

Deno.test("a privileged container has every capability, whatever was dropped", () => {
  assert.deepEqual(resolveCapabilities({ privileged: true, drop: ["ALL"] }), allCapabilities());
});

Deno.test("a mask and its halves hold exactly the named capabilities", () => {
  fc.assert(fc.property(fc.subarray(allCapabilities()), (names) => {
    const mask = capabilityMask(names);
    const bits = names.map((name) => 1n << BigInt(capabilityBit(name)));
    assert.equal(mask, bits.reduce((all, bit) => all | bit, 0n));
    const [low, high] = splitCapabilityMask(mask);
    assert.equal(BigInt(high) << 32n | BigInt(low), mask);
  }));
});
