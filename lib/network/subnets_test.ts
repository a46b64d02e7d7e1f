import assert from "node:assert/strict";
import fc from "fast-check";
import { CrateError } from "../errors.ts";
import { contains, formatAddress, overlaps, parseAddress, parseSubnet } from "../netlink/mod.ts";
import {
  chooseDefault,
  chooseSubnet,
  chooseUnique,
  isUsable,
  lastOffset,
  offsetOf,
  readSubnet,
  requireFree,
  subnetOf,
} from "./subnets.ts";

const range = (text: string) => parseSubnet(text)!;

function refused(body: () => unknown, sentence: RegExp): void {
  assert.throws(body, (error: unknown) => {
    assert(error instanceof CrateError, String(error));
    assert.match(error.message, sentence);
    return true;
  });
}

Deno.test("a subnet has the gateway that is named, or its first address", () => {
  assert.deepEqual(subnetOf("10.91.4.77/24", undefined, "--subnet"), {
    subnet: "10.91.4.0/24",
    gateway: "10.91.4.1",
  });
  assert.deepEqual(subnetOf("fd00:4::/64", "fd00:4:0::0:fe", "--subnet"), {
    subnet: "fd00:4::/64",
    gateway: "fd00:4::fe",
  });
  for (const gateway of ["10.91.5.1", "10.91.4.0", "10.91.4.255", "fd00::1", "x", ""]) {
    refused(() => subnetOf("10.91.4.0/24", gateway, ""), /is no address of 10\.91\.4\.0\/24$/);
  }
});

Deno.test("a subnet has room for two, and addresses that a network can have", () => {
  assert.equal(readSubnet("10.0.0.0/30", "").prefix, 30);
  assert.equal(readSubnet("fd00::/126", "").prefix, 126);
  for (const text of ["10.0.0.0/31", "10.0.0.0", "10.0.0.0/0", "10.0.0/8", "fd00::/127", ""]) {
    refused(() => readSubnet(text, "--subnet"), /^--subnet .*: a subnet is an address and the/);
  }
  for (const text of ["127.4.0.0/16", "224.0.0.0/24", "240.0.0.0/8", "0.1.0.0/16", "fe80::/64"]) {
    refused(() => readSubnet(text, "--subnet"), /these addresses are not for networks$/);
  }
});

Deno.test("neither the network's own address nor IPv4's broadcast address is somebody's", () => {
  const four = range("10.1.2.0/29");
  const usable = Array.from({ length: 8 }, (_, i) => isUsable(four, parseAddress(`10.1.2.${i}`)!));
  assert.deepEqual(usable, [false, true, true, true, true, true, true, false]);
  assert.equal(lastOffset(four), 6n);
  assert.equal(lastOffset(range("fd00::/126")), 3n);
  assert.equal(offsetOf(range("fd00::/64"), parseAddress("fd00::1:2")!), 0x10002n);
});

Deno.test("the addresses that are chosen are those of nobody", () => {
  assert.equal(chooseDefault([]).subnet, "10.90.0.0/16");
  assert.equal(chooseDefault([range("10.0.0.0/8")]).subnet, "172.29.0.0/16");
  assert.equal(chooseSubnet([]).subnet, "10.92.0.0/24");
  assert.equal(chooseSubnet([range("10.92.0.0/25"), range("10.92.1.0/24")]).subnet, "10.92.2.0/24");
  assert.equal(
    chooseSubnet([range("10.0.0.0/8"), range("172.16.0.0/12")]).subnet,
    "192.168.160.0/24",
  );
  const all = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"].map(range);
  refused(() => chooseDefault(all), /^no subnet is free/);
  refused(() => chooseSubnet(all), /^no subnet is free/);
  // A default route takes no address from anybody.
  assert.equal(chooseSubnet([{ address: new Uint8Array(4), prefix: 0 }]).subnet, "10.92.0.0/24");
});

Deno.test("a chosen subnet overlaps none of those that are taken", () => {
  const taken = fc.array(
    fc.tuple(
      fc.integer({ min: 0, max: 255 }),
      fc.integer({ min: 0, max: 255 }),
      fc.integer({ min: 12, max: 30 }),
    )
      .map(([second, third, prefix]) => range(`10.${second}.${third}.0/${prefix}`)),
    { maxLength: 50 },
  );
  fc.assert(fc.property(taken, (ranges) => {
    const found = range(chooseSubnet(ranges).subnet);
    assert(ranges.every((each) => !overlaps(each, found)));
  }));
});

Deno.test("a unique local subnet is random, and within fd00::/8", () => {
  const random = new Uint8Array([0xcc, 0xaf, 0x5a, 0x60, 0x83, 1, 2, 3]);
  assert.deepEqual(chooseUnique(random, []), {
    subnet: "fdcc:af5a:6083::/64",
    gateway: "fdcc:af5a:6083::1",
  });
});

Deno.test("addresses that are somebody's are refused, with whose", () => {
  requireFree(range("10.5.0.0/16"), [range("10.6.0.0/16"), range("fd00::/8")], "--subnet");
  refused(
    () =>
      requireFree(range("10.5.0.0/16"), [range("10.6.0.0/16"), range("10.0.0.0/8")], "--subnet"),
    /^--subnet 10\.5\.0\.0\/16 overlaps 10\.0\.0\.0\/8, which this host or another network uses$/,
  );
});

Deno.test("every usable address is in its subnet, and no other is", () => {
  const addresses = fc.uint8Array({ minLength: 4, maxLength: 4 });
  fc.assert(fc.property(addresses, fc.integer({ min: 8, max: 30 }), (address, prefix) => {
    const subnet = range(`10.77.${prefix}.0/${prefix}`);
    const usable = contains(subnet, address) && isUsable(subnet, address);
    const offset = offsetOf(subnet, address);
    assert.equal(
      usable,
      offset > 0n && offset < (1n << BigInt(32 - prefix)) - 1n,
      formatAddress(address),
    );
  }));
});
