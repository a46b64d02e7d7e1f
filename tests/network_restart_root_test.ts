// Not in the virtual machine: cgroups have no part in what a container has of networks when it starts again
import assert from "node:assert/strict";
import {
  addressesOf,
  assertPluggedIn,
  attachments,
  HOST,
  idle,
  inspected,
  networkTest,
  placeOf,
  serving,
} from "./support/network.ts";
import { Running, until } from "./support/mod.ts";

// Containers on networks that are started once more, and what runs beside them.

networkTest(
  "a container that is started again has its networks, names and ports again",
  async ({ box, outside }) => {
    await box.ok(["network", "create", "--ipv6", "more"]);
    const own = [
      "--network-alias",
      "www",
      "--add-host",
      "db:198.51.100.7",
      "--dns",
      "198.51.100.1",
    ];
    const networks = ["--network", "more", "--network", "crate0"];
    await serving(
      box,
      "--name",
      "web",
      "--hostname",
      "web-host",
      "-p",
      "8080:80",
      ...own,
      ...networks,
    );
    await idle(box, "--name", "client", "--network", "more");
    const before = await addressesOf(box, "web", "more");
    const resolver = await box.ok(["exec", "web", "cat", "/etc/resolv.conf"]);
    for (const again of [["restart", "-t", "0", "web"], ["start", "web"]]) {
      if (again[0] === "start") {
        await box.ok(["stop", "-t", "0", "web"]);
        await outside.assertSilent(HOST.ip, 8080);
        assert.equal(await box.ok(["port", "web"]), "");
        assert.equal((await inspected(box, "more")).Containers["web"], undefined);
      }
      await box.ok(again);
      await until("it answers", () => outside.ask(HOST.ip, 8080, { patience: 1 }));
      assert.equal(await outside.ask(HOST.ip6, 8080), "web-host");
      assert.equal(await box.ok(["exec", "client", "nc", "www", "80"]), "web-host");
      const place = await placeOf(box, "web");
      assert.deepEqual((await place.links()).map(({ ifname }) => ifname), ["eth0", "eth1"]);
      const hosts = await box.ok(["exec", "web", "cat", "/etc/hosts"]);
      assert.match(hosts, /^198\.51\.100\.7\tdb$/m);
      assert.match(hosts, /\tclient$/m);
      assert.doesNotMatch(hosts, new RegExp(before.ip));
      assert.equal(await box.ok(["exec", "web", "cat", "/etc/resolv.conf"]), resolver);
      assert.equal(await box.ok(["port", "web"]), "80/tcp -> 0.0.0.0:8080");
    }
    const lines = (await box.ok(["exec", "client", "cat", "/etc/hosts"])).split("\n");
    assert.equal(lines.filter((line) => line.includes("web")).length, 2, "once for each family");
  },
);

networkTest(
  "a container that cannot have its port again stays as it was",
  async ({ box, host }) => {
    await serving(box, "--name", "web", "-p", "8080:80");
    await box.ok(["stop", "-t", "0", "web"]);
    const other = await idle(box, "-p", "8080:80");
    const refused = await box.crate(["start", "web"]);
    assert.deepEqual(
      [refused.code, refused.stderr],
      [125, `crate: port 8080/tcp of this host is in use by container "${other}"\n`],
    );
    assert.deepEqual(attachments(box).state, [other]);
    await box.ok(["delete", "--force", other]);
    await box.ok(["network", "create", "other"]);
    await box.ok(["start", "web"]);
    await until("it answers", () => host.ask("127.0.0.1", 8080, { patience: 1 }));
  },
);

networkTest(
  "what shares a container's network joins its new one when it starts again",
  async ({ box }) => {
    await serving(box, "--name", "web", "--hostname", "web");
    await idle(box, "--name", "beside", "--network", "container:web");
    await box.ok(["restart", "-t", "0", "web"]);
    await box.ok(["stop", "-t", "0", "beside"]);
    await box.ok(["start", "beside"]);
    const namespace = async (id: string) =>
      Deno.readLinkSync(`/proc/${await box.running(id)}/ns/net`);
    assert.equal(await namespace("beside"), await namespace("web"));
    await until(
      "the server listens",
      async () => (await box.crate(["exec", "beside", "nc", "127.0.0.1", "80"])).stdout === "web\n",
    );
    // All at the same time, and in whatever order: it is started when the other one has been.
    assert.equal(await box.ok(["restart", "-t", "0", "beside", "web"]), "beside\nweb");
    assert.equal(await namespace("beside"), await namespace("web"));
    await box.ok(["stop", "-t", "0", "beside", "web"]);
    const { code, stderr } = await box.crate(["start", "beside"]);
    assert.deepEqual(
      [code, stderr],
      [125, 'crate: --network container:web: container "web" is not running\n'],
    );
  },
);

networkTest("two state directories with one store share its networks", async ({ box, host }) => {
  const other = box.path("other-state");
  const crate = async (...words: string[]) => {
    const line = box.commandLine(words);
    const own = line.words.map((word) => word === box.root ? other : word);
    const { code, stdout, stderr } = await new Running(own, { env: line.env }).ended;
    return { code, stdout: stdout.trimEnd(), stderr };
  };
  await serving(box, "--name", "web", "--hostname", "web");
  const ids: string[] = [];
  for (let i = 0; i < 3; i++) {
    const started = await crate("run", "-d", "-r", box.rootfs, "sleep", "1000");
    assert.deepEqual([started.code, started.stderr], [0, ""]);
    ids.push(started.stdout, await idle(box));
  }
  const { Containers } = await inspected(box);
  const addresses = Object.values(Containers).map(({ IPv4Address }) => IPv4Address);
  assert.equal(addresses.length, 7);
  assert.equal(new Set(addresses).size, 7);
  assert.equal((await crate("exec", ids[0]!, "nc", "web", "80")).stdout, "web");
  const same = await crate("run", "-d", "--name", "web", "-r", box.rootfs, "sleep", "1000");
  assert.deepEqual(
    [same.code, same.stderr],
    [125, 'crate: the name "web" is in use by a container on these networks\n'],
  );
  assert.equal((await crate("list", "-q")).stdout.split("\n").length, 3);
  await crate("delete", "--force", ...ids.filter((_, i) => i % 2 === 0));
  await assertPluggedIn(host, 4);
});

networkTest(
  "a conversation by UDP goes on with the container that was started again",
  async ({ box, outside }) => {
    await idle(box, "-p", "5353:53/udp", "--name", "web");
    // Always from the same port: for netfilter it is one conversation.
    const script = `const socket = Deno.listenDatagram({ port: 40000, transport: "udp" });
await socket.send(new Uint8Array(1), { transport: "udp", hostname: "${HOST.ip}", port: 5353 });
setTimeout(() => Deno.exit(1), 5000);
const [answer] = await socket.receive();
console.log(new TextDecoder().decode(answer).trimEnd());
Deno.exit();`;
    const words = outside.words([Deno.execPath(), "eval", "--unstable-net", script]);
    const ask = async () => {
      const { code, stdout } = await new Running(words).ended;
      return code === 0 ? stdout.trimEnd() : undefined;
    };
    {
      await using _ = await (await placeOf(box, "web")).serve("first", "udp:53");
      assert.equal(await ask(), "first saw 192.0.2.2");
    }
    await box.ok(["stop", "-t", "0", "web"]);
    assert.equal(await ask(), undefined);
    await box.ok(["start", "web"]);
    await using _ = await (await placeOf(box, "web")).serve("second", "udp:53");
    assert.equal(await ask(), "second saw 192.0.2.2");
  },
);
