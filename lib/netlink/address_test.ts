import assert from "node:assert/strict";
import fc from "fast-check";
import {
  addressAt,
  contains,
  formatAddress,
  formatMac,
  formatSubnet,
  maskAddress,
  offsetOf,
  overlaps,
  parseAddress,
  parseMac,
  parseSubnet,
  prefixMask,
  type Subnet,
  subnetSize,
} from "./address.ts";

const bytes = (size: number) =>
  fc.uint8Array({ minLength: size, maxLength: size }).map((all) => new Uint8Array(all));
/** With zeros in it, of which the text has much to say. */
const ipv6 = fc.tuple(bytes(16), fc.array(fc.nat(7), { maxLength: 8 })).map(([all, zeros]) => {
  zeros.forEach((group) => all.fill(0, 2 * group, 2 * group + 2));
  return all;
});
const address = fc.oneof(bytes(4), ipv6);
const subnet: fc.Arbitrary<Subnet> = address.chain((address) =>
  fc.integer({ min: 0, max: 8 * address.length }).map((prefix) => ({ address, prefix }))
);
const number = (all: Uint8Array) => all.reduce((sum, byte) => sum << 8n | BigInt(byte), 0n);

Deno.test("an address comes back from its text", () => {
  fc.assert(fc.property(address, (all) => {
    assert.deepEqual(parseAddress(formatAddress(all)), all);
  }));
});

Deno.test("an IPv6 address has the text that the URL standard gives it, which is RFC 5952's", () => {
  fc.assert(fc.property(ipv6, (all) => {
    const host = new URL(
      `http://[${number(all).toString(16).padStart(32, "0").match(/..../g)!.join(":")}]/`,
    );
    const text = formatAddress(all);
    // RFC 5952, section 5, has IPv4-mapped addresses in the mixed form, and URLs have not.
    if (text.startsWith("::ffff:") && text.includes(".")) return;
    assert.equal(`[${text}]`, host.hostname);
  }));
});

Deno.test("addresses are read in the forms of RFC 4291, and no others", () => {
  const same = (text: string, canonical: string) =>
    assert.equal(formatAddress(parseAddress(text)!), canonical, text);
  same("0.0.0.0", "0.0.0.0");
  same("255.255.255.255", "255.255.255.255");
  same("::", "::");
  same("::1", "::1");
  same("1::", "1::");
  same("2001:DB8:0:0:8:800:200C:417A", "2001:db8::8:800:200c:417a");
  same("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0");
  same("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1");
  same("::13.1.68.3", "::d01:4403");
  same("::ffff:129.144.52.38", "::ffff:129.144.52.38");
  same("1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304");
  const none = [
    ..." 1 1.2.3 1.2.3.4.5 01.2.3.4 1.2.3.04 256.1.1.1 1.2.3.-4 1.2.3.4x 0x1.2.3.4 1..2.3 1.2.3. ١.2.3.4"
      .split(" "),
    ...": ::: 1::2::3 :1 1: 1:2:3:4:5:6:7 1:2:3:4:5:6:7:8:9 1:2:3:4:5:6:7:8:: ::1:2:3:4:5:6:7:8 12345::"
      .split(" "),
    ..."g:: ::1.2.3 1.2.3.4:: ::1.2.3.4:1 1.2.3.4::1 1:2:3:4:5:6:7:1.2.3.4 ::1%eth0 fe80::1/64 ::01.2.3.4"
      .split(" "),
    "1:2:3:4:5:6:7:8 ",
    " ::1",
    "1.2.3.4\n",
    ":".repeat(100_000),
    "1.".repeat(100_000),
    "1:".repeat(100_000),
  ];
  for (const text of none) assert.equal(parseAddress(text), undefined, text.slice(0, 50));
});

Deno.test("no text makes the readers of addresses and subnets throw", () => {
  fc.assert(fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[0-9a-f:./]{0,50}$/)), (text) => {
    const found = parseAddress(text);
    assert.ok(found === undefined || found.length === 4 || found.length === 16);
    const net = parseSubnet(text);
    assert.ok(net === undefined || net.prefix <= 8 * net.address.length);
    parseMac(text);
  }));
});

Deno.test("a subnet comes back from its text", () => {
  fc.assert(fc.property(subnet, (net) => {
    assert.deepEqual(parseSubnet(formatSubnet(net)), net);
  }));
  const none =
    "10.0.0.0 10.0.0.0/ 10.0.0.0/33 10.0.0.0/-1 10.0.0.0/08 ::/129 /8 10.0.0.0/8/8 ::/1e1";
  for (const text of none.split(" ")) assert.equal(parseSubnet(text), undefined, text);
});

Deno.test("a subnet has the addresses that agree with it in the bits of its prefix", () => {
  fc.assert(fc.property(subnet, fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }), (net, random) => {
    const { address, prefix } = net;
    const free = BigInt(8 * address.length - prefix);
    assert.equal(subnetSize(net), 1n << free);
    const first = maskAddress(net);
    assert.equal(number(first), number(address) >> free << free);
    assert.equal(
      number(prefixMask(prefix, address.length)),
      (1n << BigInt(8 * address.length)) - (1n << free),
    );
    const index = random % subnetSize(net);
    const one = addressAt(net, index)!;
    assert.equal(number(one), number(first) + index);
    assert.ok(contains(net, one));
    assert.equal(offsetOf(net, one), index);
    assert.deepEqual(addressAt(net, index - subnetSize(net)), one);
    assert.equal(addressAt(net, subnetSize(net)), undefined);
    assert.equal(addressAt(net, -subnetSize(net) - 1n), undefined);
  }));
});

Deno.test("an address is in a subnet when its number is between the first and the last", () => {
  const near = subnet.chain((net) =>
    fc.tuple(
      fc.constant(net),
      fc.oneof(
        bytes(net.address.length),
        bytes(net.address.length).map((all) => {
          all.set(net.address.subarray(0, Math.floor(net.prefix / 8)));
          return all;
        }),
      ),
    )
  );
  fc.assert(fc.property(near, ([net, other]) => {
    const first = number(maskAddress(net));
    const isIn = number(other) >= first && number(other) < first + subnetSize(net);
    assert.equal(contains(net, other), isIn);
    assert.equal(offsetOf(net, other) !== undefined, isIn);
    assert.equal(overlaps(net, { address: other, prefix: 8 * other.length }), isIn);
  }));
  assert.equal(contains(parseSubnet("::/0")!, parseAddress("10.0.0.1")!), false);
});

Deno.test("two subnets overlap when one holds the other's first address", () => {
  const two = fc.integer({ min: 0, max: 32 }).chain((a) =>
    fc.tuple(bytes(4), fc.constant(a), bytes(4), fc.integer({ min: 0, max: 32 }), fc.nat(4))
  );
  fc.assert(fc.property(two, ([one, a, other, b, same]) => {
    other.set(one.subarray(0, same));
    const [x, y] = [{ address: one, prefix: a }, { address: other, prefix: b }];
    const expected = contains(x, maskAddress(y)) || contains(y, maskAddress(x));
    assert.equal(overlaps(x, y), expected);
    assert.equal(overlaps(y, x), expected);
  }));
});

Deno.test("bytes that are no address have no text", () => {
  assert.throws(() => formatAddress(new Uint8Array(5)), /an address has 4 or 16 bytes, got 5/);
});

Deno.test("a hardware address comes back from its text", () => {
  fc.assert(fc.property(bytes(6), (all) => assert.deepEqual(parseMac(formatMac(all)), all)));
  assert.equal(parseMac("02:42:0a:01:00"), undefined);
  assert.equal(parseMac("02-42-0a-01-00-02"), undefined);
});
