import assert from "node:assert/strict";
import {
  assertPluggedIn,
  attachments,
  idle,
  inspected,
  networkTest,
  OUTSIDE,
  placeOf,
  serving,
} from "./support/network.ts";
import { EVERYWHERE_THE_SAME, Running } from "./support/mod.ts";

// Many containers on one network, and a network with few addresses. The last of these is tried in the virtual machine
// too, whose kernel has bridges, veth and nftables as modules.

const PROCESSES = 8;
const EACH = 25;

networkTest(
  "containers that many processes start at once have each an address of its own, and all are reachable",
  async ({ box, host }) => {
    await idle(box, "--name", "first");
    const script = `count=$1; shift; for ((i = 0; i < count; i++)); do "$@" || exit; done`;
    const { words, env } = box.commandLine(["run", "-d", "-r", box.rootfs, "sleep", "1000000"]);
    const results = await Promise.all(Array.from(
      { length: PROCESSES },
      () => new Running(["bash", "-c", script, "bash", `${EACH}`, ...words], { env }).ended,
    ));
    const ids = results.flatMap(({ code, stdout, stderr }) => {
      assert.deepEqual([code, stderr], [0, ""]);
      return stdout.trimEnd().split("\n");
    });
    assert.equal(ids.length, PROCESSES * EACH);
    const { Containers } = await inspected(box);
    const members = ids.map((id) => Containers[id]!);
    for (const family of ["IPv4Address", "IPv6Address", "MacAddress"] as const) {
      assert.equal(new Set(members.map((each) => each[family])).size, ids.length, family);
    }
    const addresses = members.flatMap(({ IPv4Address, IPv6Address }) =>
      [IPv4Address, IPv6Address].map((each) => each.split("/")[0]!)
    );
    const ping =
      `ask() { for try in 1 2 3; do busybox ping -c 1 -W 5 "$1" >/dev/null && return; done; echo "$1"; }
for address; do ask "$address" & done 2>/dev/null; wait`;
    assert.equal(
      await (await placeOf(box, "first")).ok(ping, ...addresses),
      "",
      "these do not answer",
    );
    const hosts = (await box.ok(["exec", "first", "cat", "/etc/hosts"])).split("\n");
    const named = hosts.map((line) => line.split("\t")[1]).filter((name) =>
      ids.includes(name ?? "")
    );
    assert.deepEqual(named.sort(), [...ids, ...ids].sort());
    await box.ok(["delete", "--force", ...ids]);
    await idle(box);
    assert.equal(attachments(box).state.length, 2);
    await assertPluggedIn(host, 2);
  },
  EVERYWHERE_THE_SAME,
);

networkTest(
  "of a small network every address is given out, and one that came back once more",
  async ({ box }) => {
    await box.ok(["network", "create", "--subnet", "10.77.0.0/29", "small"]);
    const on = ["--network", "small"];
    for (let i = 2; i < 7; i++) await idle(box, ...on, "--name", `c${i}`);
    const address = async (id: string) =>
      (await inspected(box, "small")).Containers[id]!.IPv4Address;
    assert.equal(await address("c6"), "10.77.0.6/29");
    const { code, stderr } = await box.crate(["run", ...on, "-r", box.rootfs, "true"]);
    assert.deepEqual(
      [code, stderr],
      [125, "crate: network small has no address left: all of 10.77.0.0/29 are in use\n"],
    );
    await box.ok(["delete", "--force", "c3", "c5"]);
    await idle(box, ...on, "--name", "c7");
    await idle(box, ...on, "--name", "c8");
    assert.deepEqual([await address("c7"), await address("c8")], ["10.77.0.3/29", "10.77.0.5/29"]);
  },
  EVERYWHERE_THE_SAME,
);

networkTest(
  "a container goes out, is reached by its port and by its name",
  async ({ box, host, outside }) => {
    await using _ = await outside.serve("outside", "tcp:80");
    const web = await serving(
      box,
      "-p",
      "8080:80",
      "-p",
      "53:53/udp",
      "--name",
      "web",
      "-m",
      "64m",
    );
    assert.equal(await outside.ask("192.0.2.1", 8080), web);
    assert.equal(await host.ask("127.0.0.1", 8080), web);
    assert.equal(await (await placeOf(box, web)).ask(OUTSIDE.ip6, 80), "outside saw 2001:db8::1");
    const asked = ["run", "--rm", "-r", box.rootfs, "nc", "web", "80"];
    assert.equal(await box.ok(asked), web);
  },
);
