import assert from "node:assert/strict";
import { elementsOf, isOfFamily, publishedPorts } from "./firewall.ts";
import type { Attachment, NetworkDefinition, PortMapping } from "./types.ts";

function network(name: string, changes: Partial<NetworkDefinition> = {}): NetworkDefinition {
  return {
    version: 1,
    name,
    driver: "bridge",
    created: "2026-01-01T00:00:00Z",
    interface: `br-${name}`,
    subnets: [],
    internal: false,
    labels: {},
    ...changes,
  };
}

const NETWORKS = [
  network("both", {
    subnets: [
      { subnet: "10.1.0.0/24", gateway: "10.1.0.1" },
      { subnet: "fd01::/64", gateway: "fd01::1" },
    ],
  }),
  network("four", { subnets: [{ subnet: "10.2.0.0/24", gateway: "10.2.0.1" }] }),
  network("inner", { internal: true, subnets: [{ subnet: "10.3.0.0/24", gateway: "10.3.0.1" }] }),
  network("lan", {
    driver: "macvlan",
    interface: "eth0",
    subnets: [{ subnet: "192.0.2.0/24", gateway: "192.0.2.1" }],
  }),
  network("nothing", { driver: "none" }),
];

function attached(networks: Record<string, [ip?: string, ip6?: string]>, ports: PortMapping[]) {
  const endpoints = Object.entries(networks).map(([name, [ip, ip6]], i) => ({
    network: name,
    interface: `eth${i}`,
    mac: "02:00:00:00:00:01",
    aliases: [],
    ...ip !== undefined && { ip },
    ...ip6 !== undefined && { ip6 },
  }));
  return { id: "c", key: "c", holder: { pid: 1, startTime: 1 }, endpoints, ports, hosts: "" };
}

const PORT = { protocol: "tcp", hostPort: 8080, containerPort: 80 } as const;

Deno.test("the sets hold bridges, those that are internal, and the subnets that go out", () => {
  const { ports, ...sets } = elementsOf(NETWORKS, { version: 1, last: {}, attachments: {} });
  assert.deepEqual(ports, []);
  assert.deepEqual(sets, {
    bridges: ["br-both", "br-four", "br-inner"],
    internal: ["br-inner"],
    subnets4: ["10.1.0.0/24", "10.2.0.0/24"],
    subnets6: ["fd01::/64"],
  });
});

Deno.test("a port leads to the first address of each family on a bridge with a way out", () => {
  const attachment: Attachment = attached({
    nothing: [],
    inner: ["10.3.0.2"],
    lan: ["192.0.2.9"],
    four: ["10.2.0.2"],
    both: ["10.1.0.2", "fd01::2"],
  }, [PORT]);
  assert.deepEqual(publishedPorts(attachment, NETWORKS), [
    { ...PORT, address: "10.2.0.2" },
    { ...PORT, address: "fd01::2" },
  ]);
  assert.deepEqual(publishedPorts(attached({ inner: ["10.3.0.2"] }, [PORT]), NETWORKS), []);
  assert.deepEqual(publishedPorts(attached({ gone: ["10.4.0.2"] }, [PORT]), NETWORKS), []);
});

Deno.test("a port of an address is of that address's family", () => {
  const networks: Record<string, [string, string]> = { both: ["10.1.0.2", "fd01::2"] };
  const addresses = (hostAddress?: string) => {
    const port = hostAddress === undefined ? PORT : { ...PORT, hostAddress };
    return publishedPorts(attached(networks, [port]), NETWORKS).map(({ address }) => address);
  };
  assert.deepEqual(addresses(), ["10.1.0.2", "fd01::2"]);
  assert.deepEqual(addresses("127.0.0.1"), ["10.1.0.2"]);
  assert.deepEqual(addresses("0.0.0.0"), ["10.1.0.2"]);
  assert.deepEqual(addresses("::"), ["fd01::2"]);
  assert(isOfFamily(PORT, "4") && isOfFamily(PORT, "6"));
});

Deno.test("the ports of all containers are in the maps", () => {
  const one = { ...attached({ four: ["10.2.0.2"] }, [PORT]), id: "one" };
  const two = { ...attached({ four: ["10.2.0.3"] }, [{ ...PORT, hostPort: 81 }]), id: "two" };
  const { ports } = elementsOf(NETWORKS, { version: 1, last: {}, attachments: { one, two } });
  assert.deepEqual(ports.map(({ address, hostPort }) => [address, hostPort]), [
    ["10.2.0.2", 8080],
    ["10.2.0.3", 81],
  ]);
});
