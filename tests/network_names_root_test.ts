// Not in the virtual machine: cgroups have no part in names
import assert from "node:assert/strict";
import { addressesOf, attachments, idle, networkTest, serving } from "./support/network.ts";
import type { Sandbox } from "./support/mod.ts";

// Containers find each other by address and by name.

async function answerIn(box: Sandbox, id: string, address: string): Promise<string> {
  return await box.ok(["exec", id, "nc", "-w", "5", address, "80"]);
}

const hostsOf = (box: Sandbox, id: string) => box.ok(["exec", id, "cat", "/etc/hosts"]);

for (const network of ["crate0", "made"]) {
  networkTest(
    `containers on ${network} reach each other by address, name and alias`,
    async ({ box }) => {
      if (network === "made") await box.ok(["network", "create", "--ipv6", "made"]);
      const on = ["--network", network];
      await serving(
        box,
        ...on,
        "--name",
        "web",
        "--hostname",
        "web-host",
        "--network-alias",
        "www",
      );
      await idle(box, ...on, "--name", "client");
      const { ip, ip6 } = await addressesOf(box, "web", network);
      for (const address of [ip, ip6, "web", "www"]) {
        assert.equal(await answerIn(box, "client", address), "web-host", address);
      }
      await serving(box, ...on, "--name", "later", "--network-alias", "www2");
      assert.equal(
        await answerIn(box, "client", "www2"),
        "later",
        "a name comes with its container",
      );
      assert.equal(await answerIn(box, "web", "web-host"), "web-host", "its own name");
      assert.equal(await answerIn(box, "web", "www"), "web-host", "its own alias");
      assert.equal(await answerIn(box, "later", "web"), "web-host");
    },
  );
}

networkTest(
  "the hosts files tell who is there, and no more when somebody is gone",
  async ({ box }) => {
    const add = ["--add-host", "db:198.51.100.7", "--add-host", "up:host-gateway"];
    await idle(box, "--name", "one", "--hostname", "first", ...add);
    await idle(box, "--name", "two", "--network-alias", "second");
    const [one, two] = [await addressesOf(box, "one"), await addressesOf(box, "two")];
    const local = (await hostsOf(box, "one")).split("\n").slice(0, 6);
    assert.deepEqual(local, [
      "127.0.0.1\tlocalhost",
      "::1\tlocalhost ip6-localhost ip6-loopback",
      "fe00::\tip6-localnet",
      "ff00::\tip6-mcastprefix",
      "ff02::1\tip6-allnodes",
      "ff02::2\tip6-allrouters",
    ]);
    const own = [
      `${one.ip}\tfirst one`,
      `${one.ip6}\tfirst one`,
      "198.51.100.7\tdb",
      "10.90.0.1\tup",
    ];
    const other = [`${two.ip}\ttwo second`, `${two.ip6}\ttwo second`];
    assert.deepEqual((await hostsOf(box, "one")).split("\n").slice(6), [...own, ...other]);
    assert.deepEqual((await hostsOf(box, "two")).split("\n").slice(6), [
      `${two.ip}\ttwo`,
      `${two.ip6}\ttwo`,
      `${two.ip}\tsecond`,
      `${one.ip}\tone`,
      `${one.ip6}\tone`,
    ]);
    await box.ok(["delete", "--force", "two"]);
    await idle(box, "--name", "three");
    const three = await addressesOf(box, "three");
    const third = [`${three.ip}\tthree`, `${three.ip6}\tthree`];
    assert.deepEqual((await hostsOf(box, "one")).split("\n").slice(6), [...own, ...third]);
    assert.deepEqual(attachments(box).state, ["one", "three"]);
    assert.equal(attachments(box).files.length, 2);
  },
);

networkTest(
  "a name that is used again leads to the new container, for everybody",
  async ({ box }) => {
    await idle(box, "--name", "client");
    await idle(box, "--name", "web");
    const before = await addressesOf(box, "web");
    await box.ok(["delete", "--force", "web"]);
    await idle(box, "--name", "web");
    const after = await addressesOf(box, "web");
    assert.notEqual(after.ip, before.ip, "an address is used again late");
    const lines = (await hostsOf(box, "client")).split("\n").filter((line) => /\tweb$/.test(line));
    assert.deepEqual(lines, [`${after.ip}\tweb`, `${after.ip6}\tweb`]);
  },
);

networkTest("names vanish with any command on networks", async ({ box }) => {
  await idle(box, "--name", "client");
  await idle(box, "--name", "web");
  const before = await hostsOf(box, "client");
  assert.match(before, /\tweb$/m);
  await box.ok(["delete", "--force", "web"]);
  await box.ok(["network", "prune"]);
  assert.doesNotMatch(await hostsOf(box, "client"), /\tweb$/m);
});

networkTest("the resolver's file is the host's, or what the options say", async ({ box }) => {
  const cat = (file: string, ...options: string[]) =>
    box.ok(["run", "--rm", "-r", box.rootfs, ...options, "cat", file]);
  const host = Deno.readTextFileSync("/etc/resolv.conf").split("\n")
    .filter((line) => /^nameserver (?!127\.|::1)/.test(line));
  const own = (await cat("/etc/resolv.conf")).split("\n");
  if (host.length > 0) assert.deepEqual(own.filter((line) => line.startsWith("name")), host);
  const options = ["--dns", "198.51.100.1", "--dns", "2001:db8::53", "--dns-search", "example.org"];
  assert.equal(
    await cat("/etc/resolv.conf", ...options, "--dns-option", "ndots:2"),
    "nameserver 198.51.100.1\nnameserver 2001:db8::53\nsearch example.org\noptions ndots:2",
  );
  assert.doesNotMatch(await cat("/etc/resolv.conf", "--dns-search", "."), /search/);
  assert.equal(await cat("/etc/hostname", "--hostname", "named"), "named");
  const id = await box.ok(["run", "--rm", "-r", box.rootfs, "cat", "/etc/hostname"]);
  assert.match(id, /^[0-9a-f]{12}$/);
});
