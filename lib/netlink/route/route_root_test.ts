// Not in the virtual machine: netlink has no part in cgroups
import assert from "node:assert/strict";
import { formatAddress, formatMac, parseAddress, parseMac } from "../address.ts";
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

networkTest("addresses and routes are what ip prints", (network) => {
  using socket = open(network);
  socket.execute([
    route.setLink({ name: "lo", up: true }),
    route.addLink({ name: "br0", kind: "bridge", up: true }),
    route.addLink({ name: "a", kind: "veth", up: true, peer: { name: "b" } }),
  ]);
  socket.execute([route.setLink({ name: "b", up: true })]);
  const { index } = socket.link("a")!;
  socket.execute([
    route.addAddress({ index, address: at("10.7.0.2"), prefix: 16, broadcast: at("10.7.255.255") }),
    route.addAddress({ index, address: at("fd07::2"), prefix: 64, noDad: true }),
    route.addRoute({ gateway: at("10.7.0.1") }),
    route.addRoute({ gateway: at("fd07::1"), metric: 50 }),
    route.addRoute({ destination: at("192.168.9.0"), prefix: 24, index, source: at("10.7.0.2") }),
    route.addRoute({ destination: at("172.16.0.0"), prefix: 12, type: "unreachable", metric: 9 }),
    route.addRoute({
      destination: at("10.99.0.1"),
      gateway: at("10.200.0.1"),
      index,
      onLink: true,
    }),
    route.addRoute({ destination: at("10.98.0.0"), prefix: 16, index, table: 1000 }),
  ]);
  const [{ addr_info }] = network.ip("addr", "show", "dev", "a") as [
    { addr_info: Record<string, unknown>[] },
  ];
  assert.deepEqual(
    addr_info.filter(({ scope }) => scope === "global").map((each) => [
      each.local,
      each.prefixlen,
      each.broadcast,
      each.nodad,
    ]),
    [["10.7.0.2", 16, "10.7.255.255", undefined], ["fd07::2", 64, undefined, true]],
  );
  const lines = (...words: string[]) =>
    network.run(["ip", ...words]).trim().split("\n").map((line) => line.trim()).sort();
  const routes = lines("route");
  assert.deepEqual(routes, [
    "10.7.0.0/16 dev a proto kernel scope link src 10.7.0.2",
    "10.99.0.1 via 10.200.0.1 dev a onlink",
    "192.168.9.0/24 dev a scope link src 10.7.0.2",
    "default via 10.7.0.1 dev a",
    "unreachable 172.16.0.0/12 metric 9",
  ]);
  assert.deepEqual(lines("route", "show", "table", "1000"), ["10.98.0.0/16 dev a scope link"]);
  assert.ok(
    lines("-6", "route").some((line) => line.startsWith("default via fd07::1 dev a metric 50")),
  );
  compareRoutes(network, socket);
  assert.deepEqual(
    socket.addresses(index).map(({ address, prefix }) => `${formatAddress(address)}/${prefix}`)
      .filter((text) => !text.startsWith("fe80")),
    ["10.7.0.2/16", "fd07::2/64"],
  );

  socket.execute([
    route.deleteRoute({ gateway: at("10.7.0.1") }),
    route.deleteRoute({ destination: at("192.168.9.0"), prefix: 24 }),
    route.deleteRoute({ destination: at("10.98.0.0"), prefix: 16, table: 1000 }),
    route.deleteRoute({ destination: at("172.16.0.0"), prefix: 12, type: "unreachable" }),
    route.deleteRoute({ family: "ipv6", gateway: at("fd07::1") }),
    route.deleteAddress({ index, address: at("fd07::2"), prefix: 64 }),
  ]);
  assert.deepEqual(lines("route").length, 2);
  assert.ok(!lines("-6", "route").some((line) => /default|fd07/.test(line)));
});

/** The main table as both tell of it. */
function compareRoutes(network: TestNetwork, socket: route.RouteSocket): void {
  const links = socket.links();
  const ours = socket.routes().filter(({ table }) => table === 254).map((each) => ({
    dst: each.destination === undefined ? "default" : formatAddress(each.destination) +
      (each.prefix === 8 * each.destination.length ? "" : `/${each.prefix}`),
    gateway: each.gateway && formatAddress(each.gateway),
    dev: links.find(({ index }) => index === each.index)?.name,
    prefsrc: each.source && formatAddress(each.source),
    metric: each.metric,
    type: each.type,
    scope: each.scope === "universe" ? "global" : each.scope,
  }));
  const theirs = [network.ip("route"), network.ip("-6", "route")].flat().map((each) => ({
    dst: each.dst,
    gateway: each.gateway,
    dev: each.dev,
    prefsrc: each.prefsrc,
    metric: each.metric,
    type: each.type,
    scope: each.scope,
  }));
  const sorted = (all: object[]) => all.map((each) => JSON.stringify(each)).sort();
  assert.deepEqual(sorted(ours), sorted(theirs));
}

networkTest(
  "addresses, routes and neighbours that ip made are read as ip prints them",
  (network) => {
    const make = [
      "link add name n0 address 02:00:00:00:00:0a type veth peer name n1",
      "link set dev n0 up",
      "link set dev n1 up",
      "addr add 10.8.0.2/24 brd + dev n0",
      "addr add fd08::2/64 nodad dev n0",
      "addr add 10.8.0.3/32 scope link dev n0",
      "route add default via 10.8.0.1 metric 7",
      "route add 10.20.0.0/16 via 10.8.0.9 src 10.8.0.2",
      "route add blackhole 10.30.0.0/16",
      "route add fd99::/32 via fd08::1",
      "neigh add 10.8.0.7 lladdr 02:00:00:00:00:07 dev n0",
      "neigh add fd08::7 lladdr 02:00:00:00:00:08 nud reachable dev n0",
    ];
    for (const line of make) network.run(["ip", ...line.split(" ")]);
    using socket = open(network);
    compareRoutes(network, socket);
    const { index } = socket.link("n0")!;
    const [{ addr_info }] = network.ip("addr", "show", "dev", "n0") as [
      { addr_info: Record<string, unknown>[] },
    ];
    assert.deepEqual(
      socket.addresses(index).map((each) => ({
        local: formatAddress(each.address),
        prefixlen: each.prefix,
        broadcast: each.broadcast && formatAddress(each.broadcast),
        scope: each.scope === "universe" ? "global" : each.scope,
      })),
      addr_info.map(({ local, prefixlen, broadcast, scope }) => ({
        local,
        prefixlen,
        broadcast,
        scope,
      })),
    );
    assert.deepEqual(
      socket.neighbours(index).map(({ address, linkAddress, state }) => [
        formatAddress(address),
        linkAddress && formatMac(linkAddress),
        state,
      ]).filter(([address]) => !String(address).startsWith("ff02")).sort(),
      [
        ["10.8.0.7", "02:00:00:00:00:07", "permanent"],
        ["fd08::7", "02:00:00:00:00:08", "reachable"],
      ],
    );
  },
);

networkTest("neighbours are what ip prints", (network) => {
  using socket = open(network);
  socket.execute([route.addLink({ name: "a", kind: "veth", up: true, peer: { name: "b" } })]);
  const { index } = socket.link("a")!;
  const one = { index, address: at("10.0.0.1"), linkAddress: mac("02:00:00:00:00:01") };
  socket.execute([
    route.setLink({ name: "b", up: true }),
    route.addNeighbour(one),
    route.addNeighbour({ ...one, address: at("fd00::1") }),
  ]);
  refused(() => socket.execute([route.addNeighbour(one)]), "add the neighbour 10.0.0.1: EEXIST");
  const linkAddress = mac("02:00:00:00:00:02");
  socket.execute([route.addNeighbour({ ...one, linkAddress, replace: true })]);
  const shown = () =>
    network.ip("neigh").filter(({ state }) => String(state) === "PERMANENT")
      .map(({ dst, lladdr }) => `${dst} ${lladdr}`).sort();
  assert.deepEqual(shown(), ["10.0.0.1 02:00:00:00:00:02", "fd00::1 02:00:00:00:00:01"]);
  socket.execute([route.deleteNeighbour(one)]);
  assert.deepEqual(shown(), ["fd00::1 02:00:00:00:00:01"]);
});
