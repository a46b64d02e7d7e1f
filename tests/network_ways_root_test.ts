// Not in the virtual machine: cgroups have no part in the ways of packets
import assert from "node:assert/strict";
import {
  addressesOf,
  HOST,
  idle,
  networkTest,
  OUTSIDE,
  placeOf,
  serving,
} from "./support/network.ts";

// Where packets go, and where not.

networkTest(
  "containers go out under the host's address, by IPv4 and IPv6",
  async ({ box, outside }) => {
    await using _ = await outside.serve("outside", "tcp:80", "udp:53");
    const place = await placeOf(box, await idle(box));
    for (const family of ["ip", "ip6"] as const) {
      for (const [protocol, port] of [["tcp", 80], ["udp", 53]] as const) {
        const answer = await place.ask(OUTSIDE[family], port, { protocol });
        assert.equal(answer, `outside saw ${HOST[family]}`);
      }
    }
  },
);

networkTest("the host and its containers reach each other", async ({ box, host }) => {
  await using _ = await host.serve("host", "tcp:8000");
  const id = await serving(box, "--hostname", "web");
  const { ip, ip6 } = await addressesOf(box, id);
  assert.equal(await host.ask(ip, 80), "web");
  assert.equal(await host.ask(ip6, 80), "web");
  const place = await placeOf(box, id);
  assert.equal(await place.ask("10.90.0.1", 8000), `host saw ${ip}`);
  assert.equal(await place.ask(HOST.ip, 8000), `host saw ${ip}`);
});

networkTest(
  "an internal network has no way out and no way in, not even to published ports",
  async ({ box, host, outside }) => {
    await using _ = await outside.serve("outside", "tcp:80");
    await box.ok(["network", "create", "--internal", "--ipv6", "db"]);
    const id = await serving(box, "--network", "db", "--name", "store");
    const place = await placeOf(box, id);
    await idle(box, "--network", "db", "--name", "client");
    assert.equal(await box.ok(["exec", "client", "nc", "store", "80"]), id);
    assert.deepEqual((await place.routes()).map(({ dst }) => dst), ["10.92.0.0/24"]);
    const six = (await place.routes("-6")).map(({ dst }) => dst);
    assert(!six.includes("default"), six.join());
    // A container with the right to may give itself a route.
    const { IPAM } = JSON.parse(await box.ok(["network", "inspect", "db"]))[0];
    const [four, sixth] = IPAM.Config.map(({ Gateway }: { Gateway: string }) => Gateway);
    await place.ok(`ip route add default via ${four} && ip -6 route add default via ${sixth}`);
    await place.assertSilent(OUTSIDE.ip, 80);
    await place.assertSilent(OUTSIDE.ip6, 80);
    await serving(box, "-p", "8080:80", "--hostname", "web");
    assert.equal(await host.ask(HOST.ip, 8080), "web");
    await place.assertSilent(four, 8080);
    await place.assertSilent(HOST.ip, 8080);
    await place.assertSilent(sixth, 8080);
    const { ip } = await addressesOf(box, "store", "db");
    await outside.ok(`ip route add 10.92.0.0/24 via ${HOST.ip}`);
    await outside.assertSilent(ip, 80);
    const refused = await box.crate([
      "run",
      "--network",
      "db",
      "-p",
      "80:80",
      "-r",
      box.rootfs,
      "true",
    ]);
    assert.deepEqual(
      [refused.code, refused.stderr],
      [125, "crate: --publish needs a bridge network with a way out, which db is not\n"],
    );
  },
);

networkTest(
  "networks are apart from each other, and from outside, but for published ports",
  async ({ box, outside }) => {
    await box.ok(["network", "create", "--ipv6", "other"]);
    const id = await serving(box, "--name", "web", "--hostname", "web", "-p", "8080:80");
    const near = await addressesOf(box, id);
    const place = await placeOf(box, await idle(box, "--network", "other", "--name", "far"));
    const far = await addressesOf(box, "far", "other");
    for (const address of [near.ip, near.ip6]) await place.assertSilent(address, 80);
    assert.equal(await place.ask("10.92.0.1", 8080), "web");
    assert.equal(await place.ask(HOST.ip6, 8080), "web");
    assert.doesNotMatch(await box.ok(["exec", "far", "cat", "/etc/hosts"]), /web/);
    // Somebody outside who has a route to the containers.
    await outside.ok(
      `ip route add 10.90.0.0/15 via ${HOST.ip} && ip route add 10.92.0.0/16 via ${HOST.ip}
ip -6 route add fd00::/8 via ${HOST.ip6}`,
    );
    for (const address of [near.ip, near.ip6]) await outside.assertSilent(address, 80);
    assert.equal((await outside.run("busybox ping -c 1 -W 1 $1", far.ip)).code, 1, "ping");
    // On a network that both are on they meet.
    await box.ok(["network", "connect", "other", "web"]);
    assert.equal(await box.ok(["exec", "far", "nc", "web", "80"]), "web");
  },
);

networkTest("on a host without IPv6 networks are of IPv4 alone", async ({ box, host, outside }) => {
  await using _ = await outside.serve("outside", "tcp:80");
  await host.ok("sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1");
  const id = await serving(box, "-p", "8080:80", "--hostname", "web");
  const place = await placeOf(box, id);
  assert.equal(await place.ask(OUTSIDE.ip, 80), `outside saw ${HOST.ip}`);
  assert.equal(await outside.ask(HOST.ip, 8080), "web");
  const { addr_info } = await place.link("eth0");
  assert(addr_info.every(({ local }) => !local.includes(":")), JSON.stringify(addr_info));
  await box.ok(["network", "create", "--ipv6", "made"]);
  await box.ok(["run", "--rm", "--network", "made", "-p", "81:80", "-r", box.rootfs, "true"]);
});
