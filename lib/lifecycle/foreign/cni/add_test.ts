import assert from "node:assert/strict";
import {
  deletionsOf,
  failureOf,
  findPlugins,
  inputOf,
  requireCapabilities,
  wantedOf,
} from "./add.ts";
import type { NetworkConfiguration } from "./configuration.ts";
import { parseResult } from "./result.ts";

const configuration: NetworkConfiguration = {
  name: "web",
  cniVersion: "1.0.0",
  file: "/n/web.conflist",
  plugins: [
    { type: "bridge", capabilities: { ips: true }, mtu: 1400 },
    { type: "portmap", capabilities: { portMappings: true, ips: false } },
    { type: "firewall" },
  ],
};
const plugins = configuration.plugins.map((each) => ({
  path: `/p/${each.type}`,
  configuration: each,
}));
const result = { cniVersion: "1.0.0", ips: [{ address: "10.1.0.2/16" }] };
const port = {
  protocol: "tcp",
  hostAddress: "127.0.0.1",
  hostPort: 8080,
  containerPort: 80,
} as const;
const wanted = wantedOf({ ip: "10.1.0.2" }, [port]);

Deno.test("a plugin reads its part, the network's name and version, what came before, and what it is capable of", () => {
  const [bridge, portmap, firewall] = configuration.plugins;
  assert.deepEqual(JSON.parse(inputOf(configuration, bridge!, wanted, undefined)), {
    type: "bridge",
    capabilities: { ips: true },
    mtu: 1400,
    name: "web",
    cniVersion: "1.0.0",
    runtimeConfig: { ips: ["10.1.0.2"] },
  });
  const mapped = { hostPort: 8080, containerPort: 80, protocol: "tcp", hostIP: "127.0.0.1" };
  assert.deepEqual(JSON.parse(inputOf(configuration, portmap!, wanted, result)).runtimeConfig, {
    portMappings: [mapped],
  });
  assert.deepEqual(JSON.parse(inputOf(configuration, firewall!, wanted, result)), {
    type: "firewall",
    name: "web",
    cniVersion: "1.0.0",
    prevResult: result,
  });
});

Deno.test("what was added is deleted in the opposite order, with the result of all", () => {
  const all = deletionsOf(configuration, plugins, wanted, ["A=1"], result);
  assert.deepEqual(all.map(({ path }) => path), ["/p/firewall", "/p/portmap", "/p/bridge"]);
  for (const { env, input } of all) {
    assert.deepEqual(env, ["A=1"]);
    assert.deepEqual(JSON.parse(input).prevResult, result);
  }
  // Of a list that came as far as its second plugin.
  const some = deletionsOf(configuration, plugins.slice(0, 2), wanted, [], result);
  assert.deepEqual(some.map(({ path }) => path), ["/p/portmap", "/p/bridge"]);
  const old = deletionsOf({ ...configuration, cniVersion: "0.3.1" }, plugins, wanted, [], result);
  assert(old.every(({ input }) => JSON.parse(input).prevResult === undefined));
});

Deno.test("what no plugin is capable of is refused, by the option that asked for it", () => {
  requireCapabilities(configuration, wanted);
  requireCapabilities({ ...configuration, plugins: [{ type: "a" }] }, {});
  const without = { ...configuration, plugins: [{ type: "a", capabilities: { ips: false } }] };
  assert.throws(
    () => requireCapabilities(without, wantedOf({}, [port])),
    /^CrateError: --publish: /,
  );
  assert.throws(
    () => requireCapabilities(without, wantedOf({ ip6: "fd::1" }, [])),
    /--ip: .*"ips"/,
  );
  assert.throws(() => requireCapabilities(without, wantedOf({ mac: "x" }, [])), /--mac-address: /);
});

Deno.test("a plugin that is nowhere is named, with its file and the directories", () => {
  assert.throws(
    () => findPlugins(configuration, ["/nowhere", "/no/where"]),
    /web\.conflist names the plugin "bridge", which is in none of \/nowhere, \/no\/where/,
  );
});

Deno.test("a plugin's failure is its own message in one line, else its standard error, else its code", () => {
  const failure = (
    output: string,
    said = "",
    exit: { code: number; signal?: number } = { code: 1 },
  ) => failureOf("web", "bridge", { exit, isLate: false, said, output }).message;
  const start = 'network cni:web: the plugin "bridge" ';
  assert.equal(failure('{"code":7,"msg":"a\\nb"}'), `${start}says: a; b`);
  assert.equal(failure('{"msg":"a","details":"b"}'), `${start}says: a (b)`);
  assert.equal(failure("", "one\ntwo\n"), `${start}exited with 1: two`);
  assert.equal(failure("null"), `${start}exited with 1`);
  assert.equal(failure("{}", "", { code: 137, signal: 9 }), `${start}was killed (9)`);
});

Deno.test("of a result the addresses of the container's own interface count, the first of each family", () => {
  const read = (value: object) => parseResult(value as Record<string, unknown>, "eth0", "cni:web");
  const whole = read({
    interfaces: [
      { name: "cni0", mac: "02:00:00:00:00:01" },
      { name: "eth0", mac: "02:00:00:00:00:02", sandbox: "/proc/1/ns/net" },
    ],
    ips: [
      { address: "192.0.2.1/24", interface: 0 },
      { version: "4", address: "10.1.2.3/16", gateway: "10.1.0.1", interface: 1 },
      { address: "10.1.2.4/16", interface: 1 },
      { address: "FD00::2/64", gateway: "fd00::1", interface: 1 },
    ],
    dns: { nameservers: ["10.1.0.1"], domain: "a.example", search: ["b.example", "a.example"] },
  });
  assert.deepEqual(whole, {
    ip: "10.1.2.3",
    ip6: "fd00::2",
    gateway: "10.1.0.1",
    mac: "02:00:00:00:00:02",
    subnets: [
      { subnet: "10.1.0.0/16", gateway: "10.1.0.1" },
      { subnet: "fd00::/64", gateway: "fd00::1" },
    ],
    dns: { dns: ["10.1.0.1"], dnsSearch: ["a.example", "b.example"], dnsOptions: undefined },
  });
  assert.equal(read({ ips: [{ address: "10.0.0.1/8" }] }).ip, "10.0.0.1");
  assert.throws(
    () => read({ ips: [{ address: "10.0.0.1" }] }),
    /has "10\.0\.0\.1" as ips\[0\]\.address/,
  );
  assert.throws(
    () => read({ ips: [{ address: "10.0.0.1/8", gateway: "x" }] }),
    /"x" as ips\[0\]\.gateway/,
  );
  assert.throws(() => read({ dns: { nameservers: ["1.2.3.4\nx"] } }), /as dns\.nameservers\[0\]/);
  assert.throws(() => read({ dns: { search: ["a b"] } }), /"a b" as dns\.search\[0\]/);
  assert.throws(() => read({ dns: { domain: "a b" } }), /"a b" as dns\.domain/);
  assert.throws(() => read({ dns: { options: ["x y"] } }), /"x y" as dns\.options\[0\]/);
});
