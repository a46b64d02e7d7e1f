// Not in the virtual machine: cgroups have no part in networks
import assert from "node:assert/strict";
import { exists, readDirectory } from "../ffi/mod.ts";
import {
  HOST,
  Host,
  OUTSIDE,
  placeOf,
  serving,
  startOutside,
  type TestNetwork,
} from "./support/network.ts";
import { type Result, type Sandbox, test, until } from "./support/mod.ts";

// --network cni:NAME with the plugins of Debian's containernetworking-plugins, in a network namespace of the test's own.

const PLUGINS = "/usr/lib/cni";
const skip = exists(`${PLUGINS}/bridge`)
  ? false
  : "it needs CNI plugins (apt-get install containernetworking-plugins)";

interface Configured {
  /** Addresses that host-local has given away. */
  leases(): string[];
  /** What the plugins of the test's own were called with, in order. */
  calls(): string[];
}

/** A plugin that passes on what there is, and writes down what it is called with. */
function makePlugin(box: Sandbox, name: string, onAdd = ""): string {
  const script = `#!/bin/sh
echo "$CNI_COMMAND ${name}\${CNI_NETNS:+ in a namespace}" >> ${box.path("calls")}
cat > ${box.path(`${name}`)}.$CNI_COMMAND
[ "$CNI_COMMAND" = ADD ] || exit 0
${onAdd}
exec jq -c '.prevResult // {cniVersion, ips: []}' ${box.path(`${name}`)}.ADD
`;
  box.mkdir("plugins");
  return box.file(`plugins/${name}`, script, 0o755);
}

/** The network "web": a bridge with ports, a firewall, and two plugins of the test's own around them. */
function configure(box: Sandbox, lastOnAdd = ""): Configured {
  makePlugin(box, "first");
  makePlugin(box, "last", lastOnAdd);
  box.mkdir("net.d");
  const leases = box.path("leases");
  const ipam = {
    type: "host-local",
    dataDir: leases,
    ranges: [[{ subnet: "10.77.0.0/24" }]],
    routes: [{ dst: "0.0.0.0/0" }],
  };
  const bridge = {
    type: "bridge",
    bridge: "cni0",
    isGateway: true,
    ipMasq: true,
    capabilities: { ips: true, mac: true },
    ipam,
    dns: { nameservers: ["10.77.0.1"], search: ["test.example"], options: ["ndots:2"] },
  };
  const portmap = { type: "portmap", capabilities: { portMappings: true } };
  const plugins = [{ type: "first" }, bridge, portmap, { type: "firewall" }, { type: "last" }];
  // The first plugin has nothing to pass on: it comes after the bridge.
  [plugins[0], plugins[1]] = [plugins[1]!, plugins[0]!];
  box.file(
    "net.d/10-web.conflist",
    JSON.stringify({ cniVersion: "1.0.0", name: "web", plugins }),
  );
  box.environment = {
    NETCONFPATH: box.path("net.d"),
    CNI_PATH: `${box.path("plugins")}:${PLUGINS}`,
  };
  return {
    leases: () =>
      exists(`${leases}/web`)
        ? readDirectory(`${leases}/web`).filter((name) => name.startsWith("10."))
        : [],
    calls: () =>
      exists(box.path("calls")) ? Deno.readTextFileSync(box.path("calls")).trim().split("\n") : [],
  };
}

const ADDED = ["ADD first in a namespace", "ADD last in a namespace"];
const DELETED = ["DEL last in a namespace", "DEL first in a namespace"];

/** Nothing of a container is left but what the plugins keep for the network: the bridge, chains of their own. */
async function assertGone({ host, box }: TestNetwork, cni: Configured): Promise<void> {
  assert.deepEqual(cni.leases(), []);
  const rules = await host.ok("iptables -t nat -S; iptables -S");
  assert.doesNotMatch(rules, /10\.77\.0|CNI-DN|DNAT --to/);
  assert.deepEqual(readDirectory(`${box.root}/.networks`), []);
  const ports = (await host.links()).filter(({ master }) => master === "cni0");
  assert.deepEqual(ports, []);
}

/** A test on two machines of its own, whose bridges go with them. */
function cniTest(name: string, body: (network: TestNetwork) => Promise<void>): void {
  test(name, async (box) => {
    await using host = await Host.start();
    await using outside = await startOutside(host);
    box.on(host.pid);
    await body({ box, host, outside });
  }, { skip });
}

async function run(box: Sandbox, ...words: string[]): Promise<Result> {
  return await box.crate(["run", "--rm", "-r", box.rootfs, ...words]);
}

cniTest(
  "a container on a CNI network is reached, reaches others, and leaves nothing",
  async (network) => {
    const { box, host, outside } = network;
    const cni = configure(box);
    await using _ = await outside.serve("outside", "tcp:7");
    const id = await serving(
      box,
      ...["--network", "cni:web", "--name", "web", "-p", "8080:80", "--ip", "10.77.0.9"],
      ...["--mac-address", "02:00:00:00:00:09", "--add-host", "gate:host-gateway"],
    );
    const place = await placeOf(box, id);
    const { address, addr_info } = await place.link("eth0");
    assert.equal(address, "02:00:00:00:00:09");
    assert(addr_info.some(({ local }) => local === "10.77.0.9"));
    assert.equal(await place.ask(OUTSIDE.ip, 7), `outside saw ${HOST.ip}`);
    assert.equal(await outside.ask(HOST.ip, 8080), "web");
    assert.equal(await host.ask("10.77.0.9", 80), "web");
    assert.deepEqual(cni.calls(), ADDED);
    assert.deepEqual(cni.leases(), ["10.77.0.9"]);
    const etc = await box.ok([
      "exec",
      id,
      "cat",
      "/etc/hosts",
      "/etc/resolv.conf",
      "/etc/hostname",
    ]);
    assert.match(etc, /^10\.77\.0\.9\tweb$/m);
    assert.match(etc, /^10\.77\.0\.1\tgate$/m);
    assert.match(etc, /^nameserver 10\.77\.0\.1\nsearch test\.example\noptions ndots:2\nweb$/m);
    const [{ NetworkSettings }] = JSON.parse(await box.ok(["inspect", id]));
    assert.deepEqual(NetworkSettings, {
      Ports: { "80/tcp": [{ HostIp: "0.0.0.0", HostPort: "8080" }] },
      IPAddress: "10.77.0.9",
      MacAddress: "02:00:00:00:00:09",
      Networks: {
        "cni:web": {
          Aliases: [],
          MacAddress: "02:00:00:00:00:09",
          Gateway: "10.77.0.1",
          IPAddress: "10.77.0.9",
          IPPrefixLen: 24,
          IPv6Gateway: "",
          GlobalIPv6Address: "",
          GlobalIPv6PrefixLen: 0,
        },
      },
    });
    assert.equal(await box.ok(["port", id, "80"]), "0.0.0.0:8080");

    // Each plugin gets what it has a capability for, and DEL gets the whole list's result.
    const { prevResult, runtimeConfig } = JSON.parse(
      Deno.readTextFileSync(box.path("last.ADD")),
    );
    assert.equal(runtimeConfig, undefined);
    assert.equal(prevResult.ips[0].address, "10.77.0.9/24");

    await box.ok(["stop", "-t", "0", id]);
    assert.deepEqual(cni.calls(), [...ADDED, ...DELETED]);
    const told = JSON.parse(Deno.readTextFileSync(box.path("first.DEL")));
    assert.equal(told.prevResult.ips[0].address, "10.77.0.9/24");
    await assertGone(network, cni);

    // Once more, with what it had.
    await box.ok(["start", id]);
    const again = await placeOf(box, id);
    assert((await again.link("eth0")).addr_info.some(({ local }) => local === "10.77.0.9"));
    await box.ok(["delete", "--force", id]);
    assert.deepEqual(cni.calls(), [...ADDED, ...DELETED, ...ADDED, ...DELETED]);
    await assertGone(network, cni);
  },
);

cniTest("a plugin that fails says why, and what others did is undone", async (network) => {
  const { box } = network;
  const cni = configure(
    box,
    `echo '{"cniVersion":"1.0.0","code":11,"msg":"no such luck"}'; exit 1`,
  );
  const { code, stderr } = await run(box, "--network", "cni:web", "-p", "8080:80", "true");
  assert.equal(code, 125);
  assert.equal(stderr, 'crate: network cni:web: the plugin "last" says: no such luck\n');
  assert.deepEqual(cni.calls(), [...ADDED, ...DELETED]);
  await assertGone(network, cni);

  makePlugin(box, "last", "echo out of reach >&2; exit 3");
  const other = await run(box, "--network", "cni:web", "true");
  assert.equal(
    other.stderr,
    'crate: network cni:web: the plugin "last" exited with 3: out of reach\n',
  );
  makePlugin(box, "last", "echo nonsense; exit 0");
  const third = await run(box, "--network", "cni:web", "true");
  assert.equal(third.stderr, 'crate: network cni:web: the plugin "last" has told no result\n');

  // The network is made, and then the container does not start.
  makePlugin(box, "last");
  const fourth = await run(box, "--network", "cni:web", "-p", "8080:80", "/nowhere");
  assert.equal(fourth.code, 127);
  await assertGone(network, cni);
});

cniTest("what a killed monitor has not given back, the next command does", async (network) => {
  const { box } = network;
  const cni = configure(box);
  const words = ["run", "-d", "-r", box.rootfs, "--name", "web", "-p", "8080:80"];
  await box.ok([...words, "--network", "cni:web", "sleep", "1000"]);
  const pid = await box.running("web");
  const monitor = /^PPid:\s*(\d+)$/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`))![1]!;
  assert.equal(cni.leases().length, 1);
  Deno.kill(Number(monitor), "SIGKILL");
  await until("the container ends with it", () => !exists(`/proc/${pid}/root`));
  assert.equal(cni.leases().length, 1);
  assert.match(await box.ok(["list"]), /stopped/);
  // The namespace is gone with the container: plugins find another in its place.
  assert.deepEqual(cni.calls(), [...ADDED, ...DELETED]);
  await assertGone(network, cni);
  await box.ok(["delete", "web"]);
});

cniTest("what a crate was about to do when it was killed, the next one undoes", async (network) => {
  const { box, host } = network;
  const cni = configure(box, `echo $$ > ${box.path("pid")}; exec sleep 1000`);
  const words = [
    "run",
    "--rm",
    "-r",
    box.rootfs,
    "-p",
    "8080:80",
    "--network",
    "cni:web",
    "true",
  ];
  const crate = box.start(words);
  await until("the last plugin is at it", () => exists(box.path("pid")));
  assert.equal(cni.leases().length, 1);
  // crate itself, not what entered the test's network for it.
  const [child] = (await host.ok(`pgrep -f -- "--root ${box.root} run"`)).split("\n").slice(-1);
  Deno.kill(Number(child), "SIGKILL");
  await crate.ended;
  await box.ok(["network", "ls"]);
  assert.deepEqual(cni.calls(), [...ADDED, ...DELETED]);
  await assertGone(network, cni);
  const plugin = Deno.readTextFileSync(box.path("pid")).trim();
  await until("the plugin has ended with crate", () => !exists(`/proc/${plugin}/root`));
});

cniTest(
  "what is wrong with a CNI network is told in a sentence, and nothing is made",
  async (network) => {
    const { box } = network;
    const cni = configure(box);
    const said = async (...words: string[]) => {
      const { code, stdout, stderr } = await run(box, ...words, "true");
      assert.deepEqual([code, stdout], [125, ""], words.join(" "));
      assert.equal(stderr.split("\n").length, 2, stderr);
      return stderr;
    };
    const file = (name: string, content: object) =>
      box.file(`net.d/${name}`, JSON.stringify(content));
    assert.match(await said("--network", "cni:nope"), /no file in .* of this name, but web$/m);
    assert.match(await said("--network", "cni:a/b"), /a CNI network's name has letters/);
    assert.match(await said("--network", "cni:web", "--network", "none"), /goes with no other/);
    assert.match(
      await said("--network", "cni:web", "--network-alias", "x"),
      /--network-alias is for a network of crate's/,
    );
    file("20-plain.conf", { cniVersion: "0.3.1", name: "plain", type: "first" });
    file("30-lost.conf", { cniVersion: "0.4.0", name: "lost", type: "nowhere" });
    file("40-new.conflist", { cniVersion: "9.0.0", name: "new", plugins: [{ type: "first" }] });
    for (
      const [option, capability] of [
        [["-p", "1:1"], "portMappings"],
        [["--ip", "10.77.0.4"], "ips"],
        [["--mac-address", "02:00:00:00:00:01"], "mac"],
      ] as const
    ) {
      assert.match(
        await said("--network", "cni:plain", ...option),
        new RegExp(`the network cni:plain has no plugin with the capability "${capability}"`),
      );
    }
    assert.match(
      await said("--network", "cni:lost"),
      /30-lost\.conf names the plugin "nowhere", which is in none of .*containernetworking-plugins/,
    );
    assert.match(
      await said("--network", "cni:new"),
      /40-new\.conflist: "cniVersion" is "9\.0\.0", crate knows 0\.3\.1, 0\.4\.0, 1\.0\.0/,
    );
    assert.deepEqual(cni.calls(), []);
    // One that is in order is found all the same; a single plugin is a list of one.
    const { code, stderr } = await run(box, "--network", "cni:plain", "true");
    assert.deepEqual([code, stderr], [0, ""]);
    assert.deepEqual(cni.calls(), ["ADD first in a namespace", "DEL first in a namespace"]);
    // Version 0.3.1 knows no result at DEL.
    const told = JSON.parse(Deno.readTextFileSync(box.path("first.DEL")));
    assert.deepEqual(told, { cniVersion: "0.3.1", name: "plain", type: "first" });
  },
);
