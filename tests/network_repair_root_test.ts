// Not in the virtual machine: cgroups have no part in what others do to networks
import assert from "node:assert/strict";
import { networkPlaces } from "../lib/network/mod.ts";
import { HOST, idle, networkTest, OUTSIDE, placeOf, serving } from "./support/network.ts";

// What others have done to a network is made good when its next container comes.

const OTHERS = `table inet other {
	chain input {
		type filter hook input priority filter; policy accept;
		tcp dport 4711 drop comment "ours"
	}
}
table ip crate_like {
	set s {
		type ipv4_addr
		elements = { 198.51.100.1 }
	}
}`;

networkTest(
  "the firewall's rules are made again when somebody has removed them, and others' are left alone",
  async ({ box, host, outside }) => {
    await using _ = await outside.serve("outside", "tcp:80");
    const { table } = networkPlaces(box.imageRoot);
    await serving(box, "--name", "web", "--hostname", "web", "-p", "8080:80");
    const rules = await host.ok(`nft list table inet ${table}`);
    const others = () => host.ok("nft list table inet other; nft list table ip crate_like");
    const harms = [
      "nft flush ruleset",
      `nft flush table inet ${table}`,
      `nft delete table inet ${table}`,
      `nft flush map inet ${table} ports4`,
      `nft add element inet ${table} bridges '{ "uplink" }'`,
      `nft add rule inet ${table} forward drop`,
      `nft flush chain inet ${table} publish`,
      `nft delete element inet ${table} subnets4 '{ 10.90.0.0/16 }'`,
    ];
    for (const harm of harms) {
      await host.ok(harm);
      await host.ok("nft -f - <<<$1", OTHERS);
      const before = await others();
      const id = await idle(box);
      assert.equal(await host.ok(`nft list table inet ${table}`), rules, harm);
      assert.equal(await others(), before, harm);
      assert.equal(await outside.ask(HOST.ip, 8080), "web", harm);
      assert.equal(
        await (await placeOf(box, id)).ask(OUTSIDE.ip, 80),
        `outside saw ${HOST.ip}`,
        harm,
      );
      await box.ok(["delete", "--force", id]);
      await host.ok("nft delete table inet other; nft delete table ip crate_like");
    }
  },
);

networkTest(
  "a bridge that somebody has removed, or changed, is made whole by the next container",
  async ({ box, host, outside }) => {
    await using _ = await outside.serve("outside", "tcp:80");
    await serving(box, "--name", "web", "--hostname", "web", "-p", "8080:80");
    const harms = [
      "ip address del 10.90.0.1/16 dev crate0",
      "ip -6 address flush dev crate0 scope global",
      "ip link set crate0 down",
      "sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0",
      "sysctl -qw net.ipv4.conf.crate0.route_localnet=0",
      "ip link del crate0",
    ];
    for (const harm of harms) {
      await host.ok(harm);
      const id = await idle(box);
      const place = await placeOf(box, id);
      for (const family of ["ip", "ip6"] as const) {
        assert.equal(await place.ask(OUTSIDE[family], 80), `outside saw ${HOST[family]}`, harm);
      }
      // Also for those that were there before.
      assert.equal(await host.ask("127.0.0.1", 8080), "web", harm);
      assert.equal(await outside.ask(HOST.ip, 8080), "web", harm);
      assert.equal(await outside.ask(HOST.ip6, 8080), "web", harm);
      assert.equal(await box.ok(["exec", id, "nc", "web", "80"]), "web", harm);
      await box.ok(["delete", "--force", id]);
    }
  },
);

networkTest("an interface that is no bridge is not taken for one", async ({ box, host }) => {
  await box.ok(["network", "create", "--interface", "mine", "made"]);
  await host.ok("ip link add mine type veth peer name other");
  const words = ["run", "--network", "made", "-r", box.rootfs, "true"];
  const { code, stderr } = await box.crate(words);
  assert.deepEqual(
    [code, stderr],
    [125, "crate: network made: the interface mine is there, and is no bridge\n"],
  );
  await box.ok(["network", "rm", "made"]);
  assert.equal((await host.links()).length, 3, "and stays");
  await host.ok("ip link del mine");
});

networkTest(
  "a bridge of somebody else's stays when its network is removed",
  async ({ box, host }) => {
    await box.ok(["network", "create", "--interface", "mine", "made"]);
    await host.ok("ip link add mine type bridge");
    await box.ok(["run", "--rm", "--network", "made", "-r", box.rootfs, "true"]);
    await box.ok(["network", "rm", "made"]);
    assert.equal((await host.link("mine")).ifname, "mine");
    await host.ok("ip link del mine");
  },
);
