// Not in the virtual machine: cgroups have no part in ports
import assert from "node:assert/strict";
import { HOST, idle, networkTest, type Place, placeOf, serving } from "./support/network.ts";
import { BUSYBOX, makeImage } from "./support/image.ts";
import { execute } from "./support/registry.ts";
import { networkPlaces } from "../lib/network/mod.ts";
import { type Sandbox, until } from "./support/mod.ts";

// Ports of the host that are containers'.

const run = (box: Sandbox, ...words: string[]) =>
  box.crate(["run", "--rm", "-r", box.rootfs, ...words, "true"]);

networkTest(
  "a published port answers from outside, from the host, from a neighbour and from the container itself",
  async ({ box, host, outside }) => {
    const id = await idle(box, "-p", "8080:80", "-p", "5353:53/udp", "--name", "web");
    const neighbour = await placeOf(box, await idle(box));
    const web = await placeOf(box, id);
    await using _ = await web.serve("web", "tcp:80", "udp:53");
    const ask = async (place: Place, address: string, family: "tcp" | "udp") => {
      const port = family === "tcp" ? 8080 : 5353;
      return await place.ask(address, port, { protocol: family });
    };
    for (const protocol of ["tcp", "udp"] as const) {
      // Who asks from outside is seen under the own address.
      assert.equal(await ask(outside, HOST.ip, protocol), "web saw 192.0.2.2", protocol);
      assert.equal(await ask(outside, HOST.ip6, protocol), "web saw 2001:db8::2", protocol);
      assert.equal(await ask(host, "127.0.0.1", protocol), "web saw 10.90.0.1", protocol);
      assert.match(`${await ask(host, HOST.ip, protocol)}`, /^web saw /, protocol);
      assert.match(`${await ask(host, HOST.ip6, protocol)}`, /^web saw /, protocol);
      for (const [name, place] of [["neighbour", neighbour], ["itself", web]] as const) {
        for (const address of [HOST.ip, HOST.ip6, "10.90.0.1"]) {
          assert.match(
            `${await ask(place, address, protocol)}`,
            /^web saw /,
            `${name} ${address} ${protocol}`,
          );
        }
      }
    }
    assert.equal(
      await box.ok(["port", "web"]),
      "80/tcp -> 0.0.0.0:8080\n53/udp -> 0.0.0.0:5353",
    );
    assert.equal(await box.ok(["port", "web", "53/udp"]), "0.0.0.0:5353");
    const { code, stderr } = await box.crate(["port", "web", "53"]);
    assert.deepEqual([code, stderr], [
      125,
      'crate: port 53/tcp of container "web" is not published\n',
    ]);
  },
);

networkTest(
  "a port of one address answers there only; ranges are ports one by one",
  async ({ box, host, outside }) => {
    const published = [
      "-p",
      "127.0.0.1:8000-8002:90-92",
      "-p",
      `[${HOST.ip6}]:8080:80`,
      "-p",
      `${HOST.ip}:81:80`,
    ];
    const id = await idle(box, ...published, "--name", "web");
    const web = await placeOf(box, id);
    await using _ = await web.serve("web", "tcp:80", "tcp:90", "tcp:91", "tcp:92");
    for (const port of [8000, 8001, 8002]) {
      assert.match(`${await host.ask("127.0.0.1", port)}`, /^web/);
      await outside.assertSilent(HOST.ip, port);
    }
    await host.assertSilent(HOST.ip, 8000);
    await web.assertSilent("10.90.0.1", 8001);
    assert.equal(await outside.ask(HOST.ip6, 8080), "web saw 2001:db8::2");
    await outside.assertSilent(HOST.ip, 8080);
    assert.equal(await outside.ask(HOST.ip, 81), "web saw 192.0.2.2");
    await outside.assertSilent(HOST.ip6, 81);
    assert.equal(
      await box.ok(["port", "web", "80"]),
      `[${HOST.ip6}]:8080\n${HOST.ip}:81`,
    );
    // The same port of another address is another's.
    const other = await serving(box, "-p", "127.0.0.2:8000:80", "--hostname", "other");
    assert.equal(await host.ask("127.0.0.2", 8000), "other");
    assert.match(`${await host.ask("127.0.0.1", 8000)}`, /^web/);
    await box.ok(["delete", "--force", other]);
  },
);

networkTest(
  "--publish-all gives a free port to each that the image and --expose name",
  async ({ box, outside }) => {
    const from = await makeImage(box.path("image"), [BUSYBOX], { exposed: ["80", "53/udp"] });
    const archive = box.path("image.tar");
    await execute(["skopeo", "copy", "-q", from, `docker-archive:${archive}:test:1`]);
    await box.ok(["load", "-q", "-i", archive]);
    const run = ["run", "-d", "--name", "web", "-P", "--expose", "7000-7001", "-p", "8053:53/udp"];
    await box.ok([...run, "test:1", "sleep", "100000"]);
    const web = await placeOf(box, "web");
    await using _ = await web.serve("web", "tcp:80", "tcp:7001");
    const ports = (await box.ok(["port", "web"])).split("\n");
    assert.deepEqual(
      ports.map((line) => line.split(" ")[0]).sort(),
      ["53/udp", "7000/tcp", "7001/tcp", "80/tcp"],
    );
    assert(ports.includes("53/udp -> 0.0.0.0:8053"));
    for (const inside of ["80", "7001"]) {
      const port = Number((await box.ok(["port", "web", inside])).split(":")[1]);
      assert.equal(await outside.ask(HOST.ip, port), "web saw 192.0.2.2");
    }
  },
);

networkTest(
  "a port in use is refused in one sentence that says who has it",
  async ({ box, host }) => {
    await using _ = await host.serve("host", "tcp:8000", "udp:53");
    const web = await idle(box, "-p", "8080:80", "-p", "127.0.0.1:82:82", "--name", "web");
    const refused = async (publish: string, who: RegExp) => {
      const { code, stdout, stderr } = await run(box, "-p", publish);
      assert.deepEqual([code, stdout], [125, ""], publish);
      assert.match(stderr, who);
      assert.equal(stderr.split("\n").length, 2, stderr);
    };
    await refused("8080:80", /^crate: port 8080\/tcp of this host is in use by container "web"\n$/);
    await refused(
      "127.0.0.1:8080:9",
      /port 8080\/tcp of 127.0.0.1 of this host is in use by container "web"\n$/,
    );
    await refused("82:82", /port 82\/tcp of this host is in use by container "web"\n$/);
    await refused(
      "0.0.0.0:82:82",
      /port 82\/tcp of 0.0.0.0 of this host is in use by container "web"\n$/,
    );
    await refused("8000:80", /port 8000\/tcp of this host is in use by deno \(pid \d+\)\n$/);
    await refused("53:53/udp", /port 53\/udp of this host is in use by deno \(pid \d+\)\n$/);
    await refused(
      "198.51.100.1:80:80",
      /^crate: --publish: 198.51.100.1 is no address of this host\n$/,
    );
    assert.equal((await run(box, "-p", "8080:80/udp")).code, 0, "of another protocol it is free");
    assert.equal(await box.ok(["port", web]), "80/tcp -> 0.0.0.0:8080\n82/tcp -> 127.0.0.1:82");
  },
);

networkTest(
  "a port is free again when its container has ended, whatever ended it",
  async ({ box, host }) => {
    const ports = ["-p", "8080:80", "-p", "8080:80/udp"];
    const { table } = networkPlaces(box.imageRoot);
    const inMap = async () => (await host.ok(`nft list map inet ${table} ports4`)).includes("8080");
    const isBound = async () => await host.ok("ss -ltunH sport = :8080") !== "";
    const start = async (...options: string[]) => {
      const id = await serving(box, ...ports, ...options);
      assert.equal(await host.ask("127.0.0.1", 8080), id);
      assert(await inMap() && await isBound());
      return id;
    };
    const isFree = async () => !await inMap() && !await isBound();

    const stopped = await start();
    await box.ok(["stop", "-t", "0", stopped]);
    assert(await isFree(), "after stop");
    const deleted = await start();
    await box.ok(["delete", "--force", deleted]);
    assert(await isFree(), "after delete --force");
    const alone = await start();
    await box.ok(["kill", alone, "KILL"]);
    await until("it is free", isFree);
    const { code } = await run(box, ...ports);
    assert.deepEqual([code, await isFree()], [0, true], "after it has ended by itself");

    // Its monitor is killed, and can clear nothing away.
    const orphan = await start("--name", "orphan");
    const { pid } = await placeOf(box, orphan);
    const monitor = Number(
      /^PPid:\s*(\d+)$/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`))![1],
    );
    assert.match(Deno.readTextFileSync(`/proc/${monitor}/comm`), /^crate/);
    Deno.kill(monitor, "SIGKILL");
    await box.ok(["delete", "--force", orphan]);
    const next = await start("--name", "next");
    await box.ok(["delete", "--force", next]);
    assert(await isFree(), "after its monitor was killed");
  },
);
