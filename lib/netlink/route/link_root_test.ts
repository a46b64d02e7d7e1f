// Not in the virtual machine: netlink has no part in cgroups
import assert from "node:assert/strict";
import { formatMac, parseAddress, parseMac, parseSubnet } from "../address.ts";
import { NetlinkError } from "../errors.ts";
import { networkTest, TestNetwork } from "../testing.ts";
import * as route from "./mod.ts";

// What is made here is what ip(8) prints, and what ip makes is what is read here. Each test has a
// network namespace of its own.

const at = (text: string) => parseAddress(text)!;
const mac = (text: string) => parseMac(text)!;
const open = (network: TestNetwork) => route.RouteSocket.open({ namespace: network.fd });

function refused(body: () => void, message: string): void {
  assert.throws(body, (error) => {
    assert.ok(error instanceof NetlinkError, String(error));
    assert.equal(error.message, message);
    return true;
  });
}

/** Some fields of what ip prints of a link. */
function ipLink(network: TestNetwork, name: string) {
  const [link] = network.ip("link", "show", "dev", name);
  assert.ok(link !== undefined, name);
  return link as {
    ifindex: number;
    ifname: string;
    mtu: number;
    address: string;
    ifalias?: string;
    master?: string;
    link_index?: number;
    flags: string[];
    operstate: string;
    linkinfo?: {
      info_kind?: string;
      info_data?: Record<string, unknown>;
      info_slave_data?: Record<string, unknown>;
    };
  };
}

/** A link as both tell of it. */
async function compareLinks(network: TestNetwork, socket: route.RouteSocket): Promise<void> {
  // A link's state follows what was done to it a little later.
  for (let left = 100; left > 0; left--) {
    const [ours, theirs] = bothLinks(network, socket);
    if (left === 1) assert.deepEqual(ours, theirs);
    else if (JSON.stringify(ours) === JSON.stringify(theirs)) return;
    await delay(10);
  }
}

function delay(time: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, time));
}

function bothLinks(network: TestNetwork, socket: route.RouteSocket): [object[], object[]] {
  const links = socket.links();
  const theirs = network.ip("link").map(({ ifname }) => ipLink(network, String(ifname)));
  const nameOf = (index: number | undefined) => links.find((link) => link.index === index)?.name;
  return [
    links.map((link) => ({
      ifindex: link.index,
      ifname: link.name,
      mtu: link.mtu,
      address: formatMac(link.address!),
      ifalias: link.alias,
      master: nameOf(link.master),
      up: link.up,
      operstate: link.operState.toUpperCase(),
      kind: link.kind,
    })),
    theirs.map((link) => ({
      ifindex: link.ifindex,
      ifname: link.ifname,
      mtu: link.mtu,
      address: link.address,
      ifalias: link.ifalias,
      master: link.master,
      up: link.flags.includes("UP"),
      operstate: link.operstate,
      kind: link.linkinfo?.info_kind,
    })),
  ];
}

networkTest("a bridge with a veth pair is what ip prints, made in two calls", async (network) => {
  using socket = open(network);
  const bridge = { stpState: 0, forwardDelay: 200 };
  socket.execute([
    route.setLink({ name: "lo", up: true }),
    route.addLink({
      name: "br0",
      kind: "bridge",
      address: mac("02:42:00:00:00:01"),
      alias: "of a test",
      up: true,
      bridge,
    }),
  ]);
  const { index } = socket.link("br0")!;
  const peer = { name: "eth0", address: mac("02:42:00:00:00:02"), mtu: 1400 };
  socket.execute([
    route.addLink({ name: "v0", kind: "veth", master: index, mtu: 1400, up: true, peer }),
    route.setLink({ name: "v0", bridgePort: { hairpin: true, isolated: true } }),
    route.setLink({ name: "eth0", up: true }),
  ]);

  const data = ipLink(network, "br0").linkinfo?.info_data;
  assert.deepEqual(
    [data?.stp_state, data?.forward_delay],
    [0, 200],
  );
  const port = ipLink(network, "v0");
  assert.equal(port.master, "br0");
  assert.deepEqual(
    [port.linkinfo?.info_slave_data?.hairpin, port.linkinfo?.info_slave_data?.isolated],
    [true, true],
  );
  assert.deepEqual(socket.link("v0")?.bridgePort, { hairpin: true, isolated: true });
  assert.equal(ipLink(network, "eth0").address, "02:42:00:00:00:02");
  assert.equal(ipLink(network, "eth0").mtu, 1400);
  assert.equal(socket.link("v0")?.linkIndex, socket.link("eth0")?.index);
  await compareLinks(network, socket);
});

networkTest("links that ip made are read as ip prints them", async (network) => {
  const make = [
    "link add br7 address 02:00:00:00:00:07 type bridge",
    "link add name n0 mtu 1300 type veth peer name n1",
    "link set dev n0 master br7 up",
    "link set dev n0 alias hello",
    "link add name m0 link n1 type macvlan mode bridge",
    "link set dev n1 up",
  ];
  for (const line of make) network.run(["ip", ...line.split(" ")]);
  using socket = open(network);
  await compareLinks(network, socket);
  assert.equal(socket.link("m0")?.linkIndex, socket.link("n1")?.index);
});

networkTest("a macvlan stands on the link that it is given", (network) => {
  using socket = open(network);
  socket.execute([route.addLink({ name: "a", kind: "veth", peer: { name: "b" } })]);
  const parent = socket.link("a")!.index;
  socket.execute([route.addLink({ name: "m", kind: "macvlan", parent, macvlanMode: "bridge" })]);
  assert.equal(ipLink(network, "m").linkinfo?.info_data?.mode, "bridge");
  assert.equal(socket.link("m")?.linkIndex, parent);
});

/** Kinds that a kernel may be without. */
const KINDS: [kind: string, options: Partial<route.NewLink>, shown: Record<string, unknown>][] = [
  ["vlan", { vlanId: 12 }, { id: 12 }],
  ["ipvlan", { ipvlanMode: "l2" }, { mode: "l2" }],
];

for (const [kind, options, shown] of KINDS) {
  networkTest(
    `a link of the kind ${kind} is what ip prints, where the kernel has it`,
    (network) => {
      using socket = open(network);
      socket.execute([route.addLink({ name: "a", kind: "veth", peer: { name: "b" } })]);
      const parent = socket.link("a")!.index;
      const request = route.addLink({ name: "x", kind, parent, ...options });
      const words = ["link", "add", "name", "y", "link", "b", "type", kind];
      const known = network.succeeds(["ip", ...words, ...(kind === "vlan" ? ["id", "7"] : [])]);
      if (!known) {
        refused(
          () => socket.execute([request]),
          "add the link x: EOPNOTSUPP (Unknown device type)",
        );
        return;
      }
      socket.execute([request]);
      const data = ipLink(network, "x").linkinfo?.info_data ?? {};
      for (const [name, value] of Object.entries(shown)) assert.equal(data[name], value, name);
      assert.equal(socket.link("x")?.linkIndex, parent);
    },
  );
}

networkTest(
  "a bridge looks at vlans and multicast as it is told, where the kernel can",
  (network) => {
    using socket = open(network);
    for (
      const [option, word] of [["vlanFiltering", "vlan_filtering"], [
        "multicastSnooping",
        "mcast_snooping",
      ]] as const
    ) {
      for (const value of [true, false]) {
        const request = route.addLink({ name: "br0", kind: "bridge", bridge: { [option]: value } });
        const words = ["ip", "link", "add", "br1", "type", "bridge", word, String(Number(value))];
        if (!network.succeeds(words)) {
          refused(() => socket.execute([request]), "add the link br0: EOPNOTSUPP");
          continue;
        }
        socket.execute([request]);
        assert.equal(ipLink(network, "br0").linkinfo?.info_data?.[word], Number(value), word);
        socket.execute([route.deleteLink({ name: "br0" }), route.deleteLink({ name: "br1" })]);
      }
    }
  },
);

networkTest(
  "a veth's other end is born in another namespace, by descriptor or by process",
  async (network) => {
    using other = new TestNetwork();
    using socket = open(network);
    using there = open(other);
    const [command, ...args] = other.words("sleep", "60");
    const process = new Deno.Command(command, { args, stdin: "null", stdout: "null" }).spawn();
    try {
      const inOther = () =>
        Deno.readLinkSync(`/proc/${process.pid}/ns/net`) !== Deno.readLinkSync("/proc/self/ns/net");
      for (let i = 0; i < 1000 && !inOther(); i++) await delay(5);
      socket.execute([
        route.addLink({ name: "v0", kind: "veth", peer: { name: "eth0", namespaceFd: other.fd } }),
        route.addLink({
          name: "v1",
          kind: "veth",
          up: true,
          peer: { name: "eth1", namespacePid: process.pid },
        }),
      ]);
    } finally {
      process.kill("SIGKILL");
    }
    assert.deepEqual(there.links().map(({ name }) => name), ["lo", "eth0", "eth1"]);
    assert.deepEqual(socket.links().map(({ name }) => name), ["lo", "v0", "v1"]);
    // Each end knows where the other one is.
    const id = socket.namespaceId({ fd: other.fd });
    assert.notEqual(id, undefined);
    assert.equal(socket.link("v0")?.linkNamespaceId, id);
    assert.equal(socket.link("v0")?.linkIndex, there.link("eth0")?.index);
    // And a link can go from one to the other later.
    socket.execute([route.setLink({ name: "v1", namespaceFd: other.fd })]);
    assert.equal(socket.link("v1"), undefined);
    assert.equal(ipLink(other, "v1").ifname, "v1");
    socket.execute([route.deleteLink({ name: "v0" })]);
    assert.equal(there.link("eth0"), undefined);
    await process.status;
  },
);

networkTest("a namespace that has no id yet is told so", (network) => {
  using other = new TestNetwork();
  using socket = open(network);
  assert.equal(socket.namespaceId({ fd: other.fd }), undefined);
});

networkTest("a link is renamed, put down, freed of its bridge and removed", (network) => {
  using socket = open(network);
  socket.execute([route.addLink({ name: "br0", kind: "bridge" })]);
  const master = socket.link("br0")!.index;
  socket.execute([
    route.addLink({ name: "a", kind: "veth", master, up: true, peer: { name: "b" } }),
  ]);
  const { index } = socket.link("a")!;
  socket.execute([
    route.setLink({ index, up: false }),
    route.setLink({ index, name: "c", mtu: 1280, master: 0, address: mac("02:00:00:00:00:09") }),
  ]);
  const link = ipLink(network, "c");
  assert.deepEqual(
    [link.ifindex, link.mtu, link.address, link.master, link.flags.includes("UP")],
    [index, 1280, "02:00:00:00:00:09", undefined, false],
  );
  socket.execute([route.deleteLink({ index })]);
  assert.deepEqual(socket.links().map(({ name }) => name), ["lo", "br0"]);
});

networkTest(
  "what the kernel refuses is told in its own words, and the socket goes on",
  (network) => {
    using socket = open(network);
    socket.execute([route.addLink({ name: "a", kind: "veth", peer: { name: "b" } })]);
    refused(
      () => socket.execute([route.addLink({ name: "a", kind: "bridge" })]),
      "add the link a: EEXIST",
    );
    refused(
      () => socket.execute([route.addRoute({ gateway: at("10.0.0.1") })]),
      "add the route to default: ENETUNREACH (Nexthop has invalid gateway)",
    );
    refused(
      () => socket.execute([route.addLink({ name: "c", kind: "nonesuch" })]),
      "add the link c: EOPNOTSUPP (Unknown device type)",
    );
    assert.throws(
      () => socket.execute([route.addAddress({ index: 99, address: at("10.0.0.1"), prefix: 8 })]),
      /^NetlinkError: add the address 10\.0\.0\.1\/8: ENODEV/,
    );
    refused(
      () => socket.execute([route.setLink({ name: "a", mtu: 20 })]),
      "set the link a: EINVAL (mtu less than device minimum)",
    );
    refused(
      () => socket.execute([route.addLink({ name: "d", kind: "bridge", namespaceFd: 99 })]),
      "add the link d: EBADF",
    );
    // What stands after a request that fails is done all the same, and all answers are read.
    refused(
      () =>
        socket.execute([
          route.addLink({ name: "x", kind: "bridge" }),
          route.addLink({ name: "x", kind: "bridge" }),
          route.addLink({ name: "y", kind: "bridge" }),
        ]),
      "add the link x: EEXIST",
    );
    assert.deepEqual(socket.links().map(({ name }) => name).sort(), ["a", "b", "lo", "x", "y"]);
    assert.equal(socket.link("nothing"), undefined);
    assert.equal(socket.link(12345), undefined);
  },
);

networkTest("many objects are made in a few calls and listed whole", (network) => {
  using socket = open(network);
  socket.execute([route.setLink({ name: "lo", up: true })]);
  const net = parseSubnet("10.0.0.0/8")!;
  const addresses = Array.from({ length: 500 }, (_, i) => {
    const address = net.address.slice();
    address.set([1 + (i >> 8), i & 0xff], 2);
    return { index: 1, address, prefix: 32 };
  });
  const links = Array.from({ length: 100 }, (_, i) => ({ name: `br${i}`, kind: "bridge" }));
  socket.execute([...addresses.map(route.addAddress), ...links.map(route.addLink)]);
  assert.equal(socket.addresses(1).filter(({ address }) => address[0] === 10).length, 500);
  assert.equal(socket.links().length, 101);
  assert.equal(network.ip("link").length, 101);
});

networkTest("counters of a link are those of ip", (network) => {
  using socket = open(network);
  socket.execute([route.setLink({ name: "lo", up: true })]);
  network.run(["bash", "-c", "for i in 1 2 3; do echo hello >/dev/udp/127.0.0.1/9; done; true"]);
  const [{ stats64 }] = network.ip("-s", "link", "show", "dev", "lo") as [
    { stats64: Record<"rx" | "tx", { bytes: number; packets: number }> },
  ];
  const { statistics } = socket.link("lo")!;
  assert.ok(statistics!.txPackets > 0);
  assert.deepEqual(
    [statistics?.rxBytes, statistics?.rxPackets, statistics?.txBytes, statistics?.txPackets],
    [stats64.rx.bytes, stats64.rx.packets, stats64.tx.bytes, stats64.tx.packets],
  );
});
