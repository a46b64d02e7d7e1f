// Not in the virtual machine: cgroups have no part in interfaces
import assert from "node:assert/strict";
import {
  addressesOf,
  HOST,
  Host,
  idle,
  inspected,
  networkTest,
  OUTSIDE,
  type Place,
  placeOf,
  serving,
} from "./support/network.ts";
import type { Sandbox } from "./support/mod.ts";

// What a container has of its networks.

/** Runs a container that is refused. @returns the sentence. */
async function refused(box: Sandbox, ...options: string[]): Promise<string> {
  const { code, stdout, stderr } = await box.crate(["run", "-r", box.rootfs, ...options, "true"]);
  assert.deepEqual([code, stdout], [125, ""], options.join(" "));
  assert.equal(await box.ok(["list", "-q"]), "", "nothing of it is left");
  return stderr;
}

const globals = async (place: Place, name: string) =>
  (await place.link(name)).addr_info.filter(({ scope }) => scope === "global")
    .map(({ local }) => local);

networkTest(
  "a network's MTU is its bridge's and both ends' of every container",
  async ({ box, host }) => {
    await box.ok(["network", "create", "--mtu", "1400", "small"]);
    const place = await placeOf(box, await idle(box, "--network", "small"));
    const { Interface, Mtu } = await inspected(box, "small");
    const outer = (await host.links()).find(({ master }) => master === Interface)!;
    const mtus = [Mtu, (await host.link(Interface)).mtu, outer.mtu, (await place.link("eth0")).mtu];
    assert.deepEqual(mtus, [1400, 1400, 1400, 1400]);
    const other = await placeOf(box, await idle(box));
    assert.equal((await other.link("eth0")).mtu, 1500);
  },
);

networkTest("--ip, --ip6 and --mac-address are what the container has", async ({ box, host }) => {
  await box.ok(["network", "create", "--subnet", "10.77.1.0/24", "--subnet", "fd77::/64", "made"]);
  const on = ["--network", "made"];
  const words = ["--ip", "10.77.1.9", "--ip6", "fd77::0:9", "--mac-address", "02:00:5E:10:00:01"];
  const place = await placeOf(
    box,
    await serving(box, ...on, ...words, "--name", "web", "-h", "web"),
  );
  assert.deepEqual(await globals(place, "eth0"), ["10.77.1.9", "fd77::9"]);
  assert.equal((await place.link("eth0")).address, "02:00:5e:10:00:01");
  assert.equal(await host.ask("fd77::9", 80), "web");
  const { Containers } = await inspected(box, "made");
  assert.deepEqual(Containers, {
    web: {
      Name: "web",
      Interface: "eth0",
      MacAddress: "02:00:5e:10:00:01",
      IPv4Address: "10.77.1.9/24",
      IPv6Address: "fd77::9/64",
    },
  });
  await box.ok(["delete", "--force", "web"]);
  await idle(box, ...on, ...words, "--name", "again");
  await box.ok(["delete", "--force", "again"]);
});

networkTest(
  "an address that cannot be had is refused, and nothing is left of it",
  async ({ box, host }) => {
    await box.ok([
      "network",
      "create",
      "--subnet",
      "10.77.1.0/24",
      "--gateway",
      "10.77.1.7",
      "made",
    ]);
    const on = ["--network", "made"];
    const before = (await host.links()).length;
    for (const address of ["10.77.2.1", "10.77.1.0", "10.77.1.255"]) {
      assert.equal(
        await refused(box, ...on, "--ip", address),
        `crate: --ip ${address} is no address of network made\n`,
      );
    }
    assert.equal(
      await refused(box, ...on, "--ip", "10.77.1.7"),
      "crate: --ip 10.77.1.7 is in use in network made\n",
    );
    assert.match(
      await refused(box, ...on, "--ip6", "fd00::1"),
      /network made has no IPv6 addresses\n$/,
    );
    assert.match(await refused(box, ...on, "--ip", "10.77.1"), /^crate: --ip 10\.77\.1 [^\n]*\n$/);
    assert.match(
      await refused(box, ...on, "--mac-address", "01:00:00:00:00:01"),
      /first one even\n$/,
    );
    assert.equal((await host.links()).length, before, "what is refused leaves no interface");
    const id = await idle(box, ...on, "--ip", "10.77.1.9");
    const { stderr } = await box.crate([
      "run",
      ...on,
      "--ip",
      "10.77.1.9",
      "-r",
      box.rootfs,
      "true",
    ]);
    assert.equal(stderr, "crate: --ip 10.77.1.9 is in use in network made\n");
    assert.equal(await box.ok(["list", "-q"]), id);
  },
);

networkTest(
  "a container is on the host's network, on none, on another's, or in a namespace by its path",
  async ({ box, host }) => {
    const links = (network: string, ...options: string[]) =>
      box.ok([
        "run",
        "--rm",
        "-r",
        box.rootfs,
        "--network",
        network,
        ...options,
        "ls",
        "/sys/class/net",
      ]);
    const names = (await host.links()).map(({ ifname }) => ifname);
    assert.equal(await links("host"), [...names, "lo"].sort().join("\n"));
    assert.equal(await links("none"), "lo");
    await using other = await Host.start();
    await other.ok("ip link add other type bridge");
    assert.equal(await links(`ns:/proc/${other.pid}/ns/net`), "lo\nother");
    const web = await serving(box, "--name", "web", "--hostname", "web");
    const beside = await idle(box, "--network", "container:web");
    assert.equal(await box.ok(["exec", beside, "nc", "127.0.0.1", "80"]), "web");
    const hosts = await box.ok(["exec", web, "cat", "/etc/hosts"]);
    assert.equal(await box.ok(["exec", beside, "cat", "/etc/hosts"]), hosts);
    const { code, stderr } = await box.crate(
      ["run", "-r", box.rootfs, "--network", "container:nobody", "true"],
    );
    assert.deepEqual([code, stderr.split("\n").length], [125, 2], stderr);
    await box.ok(["delete", "--force", beside]);
  },
);

networkTest(
  "a container on several networks has an interface on each and one way out",
  async ({ box, outside }) => {
    await using _ = await outside.serve("outside", "tcp:80");
    await box.ok(["network", "create", "--internal", "inner"]);
    await box.ok(["network", "create", "--ipv6", "outer"]);
    const networks = ["inner", "outer", "crate0"].flatMap((name) => ["--network", name]);
    const id = await serving(box, ...networks, "--name", "web", "--hostname", "web");
    const place = await placeOf(box, id);
    assert.deepEqual((await place.links()).map(({ ifname }) => ifname), ["eth0", "eth1", "eth2"]);
    for (const family of ["-4", "-6"] as const) {
      const ways = (await place.routes(family)).filter(({ dst }) => dst === "default");
      assert.deepEqual(ways.map(({ dev }) => dev), ["eth1"], family);
    }
    assert.equal(await place.ask(OUTSIDE.ip6, 80), `outside saw ${HOST.ip6}`);
    for (const network of ["inner", "outer", "crate0"]) {
      const neighbour = await idle(box, "--network", network);
      assert.equal(await box.ok(["exec", neighbour, "nc", "web", "80"]), "web", network);
      assert(
        (await box.ok(["exec", "web", "cat", "/etc/hosts"])).includes(
          `${(await addressesOf(box, neighbour, network)).ip}\t${neighbour}`,
        ),
        network,
      );
    }
  },
);

networkTest(
  "a running container is connected to networks and taken off them",
  async ({ box, outside }) => {
    await using _ = await outside.serve("outside", "tcp:80");
    await box.ok(["network", "create", "--ipv6", "more"]);
    await idle(box, "--network", "more", "--name", "neighbour");
    const place = await placeOf(box, await serving(box, "--name", "web", "--hostname", "web"));
    const words = ["--ip", "10.92.0.99", "--alias", "www", "--mac-address", "02:00:00:00:00:09"];
    await box.ok(["network", "connect", ...words, "more", "web"]);
    assert.equal((await place.link("eth1")).address, "02:00:00:00:00:09");
    for (const name of ["web", "www", "10.92.0.99"]) {
      assert.equal(await box.ok(["exec", "neighbour", "nc", name, "80"]), "web", name);
    }
    assert.match(await box.ok(["exec", "web", "cat", "/etc/hosts"]), /\tneighbour$/m);
    const again = await box.crate(["network", "connect", "more", "web"]);
    assert.deepEqual(
      [again.code, again.stderr],
      [125, 'crate: container "web" is on network more already\n'],
    );
    // The network that gave it its way out is gone: the other one does.
    await box.ok(["network", "disconnect", "crate0", "web"]);
    assert.deepEqual((await place.links()).map(({ ifname }) => ifname), ["eth1"]);
    assert.equal(await place.ask(OUTSIDE.ip, 80), `outside saw ${HOST.ip}`);
    assert.equal(await place.ask(OUTSIDE.ip6, 80), `outside saw ${HOST.ip6}`);
    await box.ok(["network", "connect", "crate0", "web"]);
    assert.deepEqual((await place.links()).map(({ ifname }) => ifname).sort(), ["eth0", "eth1"]);
    await box.ok(["network", "disconnect", "more", "web"]);
    assert.doesNotMatch(await box.ok(["exec", "neighbour", "cat", "/etc/hosts"]), /web/);
    assert.doesNotMatch(await box.ok(["exec", "web", "cat", "/etc/hosts"]), /neighbour|10\.92/);
    assert.equal(await place.ask(OUTSIDE.ip, 80), `outside saw ${HOST.ip}`);
    assert.equal((await place.routes()).filter(({ dst }) => dst === "default").length, 1);
    await box.ok(["network", "disconnect", "crate0", "web"]);
    assert.deepEqual(await place.links(), []);
    const { stderr } = await box.crate(["network", "disconnect", "crate0", "web"]);
    assert.equal(stderr, 'crate: container "web" is not on network crate0\n');
  },
);

networkTest(
  "a published port follows its container when that changes its networks",
  async ({ box, host }) => {
    await box.ok(["network", "create", "more"]);
    await serving(box, "--name", "web", "--hostname", "web", "-p", "8080:80");
    await box.ok(["network", "connect", "more", "web"]);
    await box.ok(["network", "disconnect", "crate0", "web"]);
    assert.equal(await host.ask(HOST.ip, 8080), "web");
    await box.ok(["delete", "--force", "web"]);
    assert.doesNotMatch(await host.ruleset(), /8080/, "and ends with it");
  },
);

networkTest(
  "a macvlan network puts containers beside the host on its cable",
  async ({ box, outside }) => {
    await using _ = await outside.serve("outside", "tcp:80");
    const subnet = ["--subnet", "192.0.2.0/24", "--gateway", OUTSIDE.ip];
    await box.ok(["network", "create", "-d", "macvlan", "--interface", "uplink", ...subnet, "lan"]);
    const words = ["--network", "lan", "--ip", "192.0.2.50", "--hostname", "web", "--name", "web"];
    const place = await placeOf(box, await serving(box, ...words));
    assert.equal(await outside.ask("192.0.2.50", 80), "web");
    assert.equal(await place.ask(OUTSIDE.ip, 80), "outside saw 192.0.2.50");
    const [way] = (await place.routes()).filter(({ dst }) => dst === "default");
    assert.equal(way?.gateway, OUTSIDE.ip);
    await idle(box, "--network", "lan", "--ip", "192.0.2.51", "--name", "client");
    assert.equal(await box.ok(["exec", "client", "nc", "web", "80"]), "web");
    await box.ok(["network", "disconnect", "lan", "client"]);
  },
);
