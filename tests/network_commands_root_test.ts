// Not in the virtual machine: cgroups have no part in networks' definitions
import assert from "node:assert/strict";
import { exists } from "../ffi/mod.ts";
import { networkPlaces } from "../lib/network/mod.ts";
import {
  assertPluggedIn,
  attachments,
  idle,
  inspected,
  networkTest,
  placeOf,
  type ShownNetwork,
} from "./support/network.ts";
import type { Sandbox } from "./support/mod.ts";

// crate network: what it makes, shows and removes, and what it refuses.

async function refused(box: Sandbox, words: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await box.crate(["network", ...words]);
  assert.deepEqual([code, stdout], [125, ""], words.join(" "));
  assert.equal(stderr.split("\n").length, 2, stderr);
  return stderr.trimEnd();
}

const namesOf = async (box: Sandbox) => (await box.ok(["network", "ls", "-q"])).split("\n");

networkTest("what inspect and ls tell agrees with ip and nft", async ({ box, host }) => {
  const options = ["--subnet", "10.77.0.0/20", "--gateway", "10.77.0.9", "--mtu", "1450"];
  const label = ["--label", "a=1", "--label", "b="];
  assert.equal(
    await box.ok([
      "network",
      "create",
      "--ipv6",
      "--interface",
      "my-br",
      ...options,
      ...label,
      "a",
    ]),
    "a",
  );
  await box.ok(["network", "create", "--internal", "b"]);
  await idle(box, "--network", "a", "--network", "b", "--name", "web");
  await idle(box, "--name", "db");
  assert.deepEqual(await namesOf(box), ["a", "b", "crate0"]);
  const table = (await box.ok(["network", "ls"])).split("\n");
  assert.match(table[0]!, /^NETWORK NAME +DRIVER +INTERFACE +SUBNETS +CREATED +CONTAINERS$/);
  assert.match(table[1]!, /^a +bridge +my-br +10\.77\.0\.0\/20, fd\S+\/64 .* web$/);
  const all: ShownNetwork[] = JSON.parse(await box.ok(["network", "ls", "--format", "json"]));
  assert.deepEqual(all, JSON.parse(await box.ok(["network", "inspect", "a", "b", "crate0"])));
  assert.deepEqual(all.map(({ Internal }) => Internal), [false, true, false]);
  assert.deepEqual(all[0]!.Labels, { a: "1", b: "" });
  assert.equal(all[0]!.IPAM.Config[0]!.Gateway, "10.77.0.9");

  const links = await host.links();
  for (const { Name, Interface, IPAM, Containers, Mtu = 1500 } of all) {
    const bridge = links.find(({ ifname }) => ifname === Interface)!;
    assert.equal(bridge.mtu, Mtu);
    const addresses = bridge.addr_info.filter(({ scope }) => scope === "global");
    assert.deepEqual(
      addresses.map(({ local }) => local),
      IPAM.Config.map(({ Gateway }) => Gateway),
      Name,
    );
    for (const [id, member] of Object.entries(Containers)) {
      const inside = await (await placeOf(box, id)).link(member.Interface);
      assert.equal(inside.address, member.MacAddress);
      const own = inside.addr_info.filter(({ scope }) => scope === "global")
        .map(({ local }) => local);
      const shown = [member.IPv4Address, member.IPv6Address].filter((each) => each !== "");
      assert.deepEqual(own, shown.map((each) => each.split("/")[0]));
    }
    const ports = links.filter(({ master }) => master === Interface);
    assert.equal(ports.length, Object.keys(Containers).length);
    assert(ports.every(({ mtu, operstate }) => mtu === Mtu && operstate === "UP"));
  }
  assert.deepEqual(all.map(({ Containers }) => Object.keys(Containers)), [["web"], ["web"], [
    "db",
  ]]);
  const { table: name } = networkPlaces(box.imageRoot);
  const elements = async (set: string) => {
    const { nftables } = JSON.parse(await host.ok(`nft -j list set inet ${name} ${set}`));
    return nftables[1].set.elem;
  };
  const interfaces = all.map(({ Interface }) => Interface);
  assert.deepEqual((await elements("bridges")).sort(), interfaces.sort());
  assert.deepEqual(await elements("internal"), [all[1]!.Interface]);
  assert.equal((await elements("subnets4")).length, 2);
});

networkTest(
  "a network in use is not removed; prune removes those that are not",
  async ({ box, host }) => {
    for (const name of ["a", "b", "c"]) await box.ok(["network", "create", name]);
    const id = await idle(box, "--network", "a");
    assert.equal(
      await refused(box, ["rm", "a"]),
      `crate: network "a" is in use by ${id}: stop them, or disconnect them`,
    );
    const { Interface } = await inspected(box, "a");
    assert.equal(await box.ok(["network", "rm", "b"]), "b");
    assert.equal(await box.ok(["network", "prune"]), "c");
    assert.deepEqual(await namesOf(box), ["a"]);
    await box.ok(["delete", "--force", id]);
    assert.deepEqual(attachments(box), { state: [id], files: [] });
    assert.equal(await box.ok(["network", "rm", "a"]), "a");
    assert.deepEqual(attachments(box), { state: [], files: [] });
    assert((await host.links()).every(({ ifname }) => ifname !== Interface), "its bridge is gone");
    assert.equal(await host.ruleset(), "", "with the last network the firewall's table");
    assert.equal(
      await refused(box, ["rm", "a"]),
      'crate: network "a" does not exist: crate network ls shows them',
    );
    assert.equal(await box.ok(["network", "rm", "--force", "a"]), "");
    const { stdout, code } = await box.crate(["network", "inspect", "a"]);
    assert.deepEqual([code, stdout], [125, "[]\n"]);
  },
);

networkTest("what no network can be is refused, and nothing is made", async ({ box, host }) => {
  await host.ok("ip link add br-own type bridge && ip link add v1 type veth peer name v2");
  await box.ok(["network", "create", "--subnet", "10.77.1.0/24", "--interface", "mine", "made"]);
  const before = await host.ok("ip -j link");
  const cases: [words: string[], sentence: RegExp][] = [
    [["made"], /^crate: network "made" exists already$/],
    [["host"], /cannot be named "host": the word has a meaning$/],
    [["bridge"], /cannot be named "bridge"/],
    [["-d", "overlay", "x"], /--driver.*(bridge|macvlan|none)/],
    [["a/b"], /^crate: "a\/b" is no name of a network: /],
    [["a".repeat(65)], /is no name of a network: /],
    [["--subnet", "10.77.1.128/25", "x"], /10\.77\.1\.128\/25 overlaps 10\.77\.1\.0\/24, which/],
    [["--subnet", "10.0.0.0/8", "x"], /10\.0\.0\.0\/8 overlaps 10\.77\.1\.0\/24/],
    [["--subnet", "192.0.2.128/25", "x"], /overlaps 192\.0\.2\.0\/24, which this host/],
    [["--subnet", "2001:db8::/48", "x"], /overlaps 2001:db8::\/64, which this host/],
    [["--subnet", "10.5.0.0", "x"], /--subnet 10\.5\.0\.0: a subnet is an address and the length/],
    [["--subnet", "10.5.0.0/31", "x"], /at most 30 bits/],
    [["--subnet", "10.5.0.0/0", "x"], /a subnet is an address/],
    [["--subnet", "10.5.0.0/16", "--subnet", "10.6.0.0/16", "x"], /one subnet of IPv4 at most$/],
    [["--subnet", "127.5.0.0/16", "x"], /127\.5\.0\.0\/16/],
    [["--subnet", "224.1.0.0/16", "x"], /224\.1\.0\.0\/16/],
    [["--subnet", "fe80::/64", "x"], /fe80::\/64/],
    [["--subnet", "ff05::/64", "x"], /ff05::\/64/],
    [
      ["--subnet", "10.5.0.0/16", "--gateway", "10.6.0.1", "x"],
      /--gateway 10\.6\.0\.1 is no address/,
    ],
    [
      ["--subnet", "10.5.0.0/16", "--gateway", "10.5.0.0", "x"],
      /--gateway 10\.5\.0\.0 is no address/,
    ],
    [["--gateway", "10.5.0.1", "x"], /--gateway 10\.5\.0\.1 is in no --subnet$/],
    [["--mtu", "100", "x"], /^crate: --mtu/],
    [["--mtu", "big", "x"], /^crate: --mtu/],
    [["--interface", "mine", "x"], /--interface mine is network made's$/],
    [["--interface", "v1", "x"], /--interface v1/],
    [["--interface", "br-own", "x"], /--interface br-own/],
    [
      ["--interface", "much-too-long-a-name", "x"],
      /"much-too-long-a-name" is no name of a network interface/,
    ],
    [["--interface", "a/b", "x"], /"a\/b" is no name of a network interface/],
    [["--interface", "br%d", "x"], /"br%d" is no name of a network interface/],
    [["--label", "=1", "x"], /^crate: --label/],
    [
      ["-d", "macvlan", "--interface", "none", "--subnet", "10.5.0.0/16", "x"],
      /no interface none$/,
    ],
    [["-d", "macvlan", "x"], /name them \(--subnet\)$/],
    [["-d", "none", "--subnet", "10.5.0.0/16", "x"], /driver none has no addresses$/],
    [["-d", "none", "--interface", "br9", "x"], /driver none has no interface$/],
  ];
  for (const [words, sentence] of cases) {
    const { code, stdout, stderr } = await box.crate(["network", "create", ...words]);
    assert([125, 2].includes(code) && stdout === "", `${words.join(" ")}: ${code} ${stdout}`);
    assert.match(stderr.split("\n")[0]!, sentence, words.join(" "));
  }
  assert.deepEqual(await namesOf(box), ["made"]);
  assert.equal(await host.ok("ip -j link"), before);
  assert.deepEqual(
    Deno.readDirSync(`${box.imageRoot}/networks`).toArray().map(({ name }) => name),
    [
      "made.json",
    ],
  );
  await host.ok("ip link del br-own && ip link del v1");
});

networkTest(
  "each nonsense that run and connect are told gives one sentence, and makes nothing",
  async ({ box, host }) => {
    const cases: [words: string[], sentence: RegExp][] = [
      [["--network", "nowhere"], /^crate: network "nowhere" does not exist: crate network ls/],
      [["--network", "crate0", "--network", "bridge"], /^crate: --network crate0 is given twice$/],
      [
        ["--network", "host", "--network", "crate0"],
        /^crate: --network host goes with no other --network$/,
      ],
      [["--network", "ns:relative"], /it is ns: and an absolute path$/],
      [["--network", "ns:/none"], /\/none/],
      [["--network", "ns:/etc/passwd"], /\/etc\/passwd/],
      [["--network", "container:none"], /none/],
      [["--network", ""], /^crate: .*network/],
      [["--network", "none", "-p", "80"], /^crate: --publish is for a network of crate's/],
      [["--network", "host", "--ip", "10.90.0.7"], /^crate: --ip is for/],
      [["-p", ""], /--publish/],
      [["-p", "a:80"], /^crate: --publish a:80: /],
      [["-p", "80:a"], /^crate: --publish 80:a: /],
      [["-p", "0"], /ports are 1 to 65535$/],
      [["-p", "65536"], /ports are 1 to 65535$/],
      [["-p", "1:2:3:4"], /--publish 1:2:3:4/],
      [["-p", "80/quic"], /the protocol is tcp, udp or sctp, not "quic"$/],
      [["-p", "8000-8002:80-81"], /differ in length$/],
      [["-p", "8002-8000:80-82"], /ends before it begins$/],
      [["-p", "localhost:80:80"], /"localhost" is no address$/],
      [["-p", "80:80", "-p", "80:81"], /cannot be both 80 and 81 of the container$/],
      [["-p", "1-2000:1-2000"], /2000 ports are more than 1000$/],
      [["-P", "--expose", "a"], /a/],
      [["--expose", "80:80"], /80:80/],
      [["--ip", "fd00::1"], /an IPv6 address is --ip6's$/],
      [["--ip6", "10.90.0.3"], /an IPv4 address is --ip's$/],
      [["--ip", "nonsense"], /^crate: --ip nonsense/],
      [["--mac-address", "nonsense"], /^crate: --mac-address nonsense: it is six bytes/],
      [
        ["--network-alias", "a b"],
        /^crate: --network-alias: "a b" is no host name: letters, digits, /,
      ],
      [["--network-alias", "a\nb"], /is no host name: letters, digits, /],
      [["--dns", "nonsense"], /^crate: --dns nonsense: it is an address/],
      [["--dns-search", "a b"], /^crate: --dns-search a b/],
      [["--dns-option", "a b"], /^crate: --dns-option a b/],
      [["--add-host", "nonsense"], /^crate: --add-host nonsense: it is NAME:ADDRESS/],
      [["--add-host", "a:b"], /^crate: --add-host a:b/],
      [["--add-host", "a b:10.0.0.1"], /is no host name: letters, digits, /],
    ];
    const networks = `${box.imageRoot}/networks`;
    for (const [words, sentence] of cases) {
      const result = await box.crate(["run", "-r", box.rootfs, ...words, "true"]);
      const { code, stdout, stderr } = result;
      assert([125, 2].includes(code) && stdout === "", `${words.join(" ")}: ${code} ${stderr}`);
      const [said = "", ...more] = stderr.trimEnd().split("\n");
      assert.match(said, sentence, words.join(" "));
      assert(more.length <= (code === 2 ? 1 : 0), stderr);
    }
    assert.equal(await box.ok(["list", "-q"]), "");
    assert(!exists(networks) || Deno.readDirSync(networks).toArray().length <= 1);
    assert.deepEqual((await host.links()).map(({ ifname }) => ifname), ["uplink"]);
    assert.equal(await host.ruleset(), "");
    const id = await idle(box, "--network", "none");
    assert.match(
      await refused(box, ["connect", "crate0", id]),
      /it runs with --network none, host, or/,
    );
    assert.match(await refused(box, ["connect", "crate0", "nobody"]), /nobody/);
    assert.match(await refused(box, ["disconnect", "crate0", id]), /it runs with --network none/);
  },
);

networkTest(
  "a container that does not start gives back all that it had of networks",
  async ({ box, host }) => {
    await idle(box, "--name", "stays");
    const words = ["-p", "8080:80", "--name", "broken", "-r", box.rootfs, "/no-such-command"];
    for (const mode of ["--rm", "-d"]) {
      const { code, stdout, stderr } = await box.crate(["run", mode, ...words]);
      assert.deepEqual([code, stdout], [127, ""]);
      assert.match(stderr, /^crate: \/no-such-command: no such file/);
      assert.deepEqual(attachments(box).state, ["stays"]);
      assert.equal(attachments(box).files.length, 1);
      assert.doesNotMatch(await host.ruleset(), /8080/);
      assert.doesNotMatch(await box.ok(["exec", "stays", "cat", "/etc/hosts"]), /broken/);
      assert.equal(await host.ok("ss -ltnH"), "");
      await assertPluggedIn(host, 1);
    }
    assert.equal(await box.ok(["list", "-q"]), "stays");
  },
);
