// Not in the virtual machine: cgroups have no part in networks
import assert from "node:assert/strict";
import { readDirectory } from "../ffi/mod.ts";
import { networkPlaces } from "../lib/network/mod.ts";
import { reapOrphans, type Sandbox, stateIn, until } from "./support/mod.ts";
import {
  addressesOf,
  assertPluggedIn,
  idle,
  inspected,
  networkTest,
  serving,
} from "./support/network.ts";
import {
  deleteOthers,
  killedAfter,
  nothingLeft,
  plain,
  ready,
  readyIn,
  readyOfRunning,
  walk,
  walked,
} from "./support/run_verb.ts";
import { ASKED, breakSteps, CRATE_IS_ASKED, DONE, itself, makeLauncher } from "./support/verbs.ts";

// A `crate run` on a network that the launcher walks: the same as crate's own, and to others on the network, too.

/** As many as there are places for. */
const PLACES = 16;

const runOf = (box: Sandbox, script: string, ...options: readonly string[]) => [
  ...["run", "--rm", ...options, "-r", box.rootfs, "/bin/sh", "-c", script],
];

/** Addresses, and what comes of them. */
const unaddressed = (text: string) =>
  text.replaceAll(/\b10(\.\d+){3}\b/g, "IP").replaceAll(/\bfd[0-9a-f:]+\b/g, "IP6")
    .replaceAll(/\bfe80:[0-9a-f:]+\b/g, "LINK").replaceAll(/\b02(:[0-9a-f]{2}){5}\b/g, "MAC")
    .replaceAll(/@if\d+/g, "@if").replaceAll(/\bveth[0-9a-f]+\b/g, "VETH");

const SHOW = `exec 2>&1; cd /etc; ls -ln hosts resolv.conf hostname; cat hosts resolv.conf hostname
ip address; ip route; ip -6 route; hostname; cat /proc/sys/net/ipv6/conf/eth0/accept_ra
cat /proc/self/mountinfo | cut -d' ' -f4-; ls /proc/self/fd; sleep 1`;

networkTest("a run on a network is walked for the third time, and is the same", async ({ box }) => {
  await box.ok(["network", "create", "four"]);
  const kinds = [
    [],
    [
      ...["--network", "four"],
      ...["--hostname", "me", "--add-host", "db:192.0.2.7", "--add-host", "up:host-gateway"],
      ...["--dns", "192.0.2.8", "--dns-search", "example.org", "--network-alias", "also"],
    ],
  ];
  for (const options of kinds) {
    const words = runOf(box, SHOW, ...options);
    await ready(box, words);
    await nothingLeft(box);
    const network = options.includes("four") ? "four" : "crate0";
    const seen: string[] = [];
    for (const start of [() => walk(box, words).ended, () => itself(box, words)]) {
      const ended = start();
      const member = await until("it is on the network", async () => {
        const [found] = Object.values((await inspected(box, network)).Containers);
        return found;
      });
      const record = Deno.readTextFileSync(`${box.root}/${member.Name}/container.json`);
      const { code, stdout, stderr } = await ended;
      assert.deepEqual([code, stderr], [0, ""]);
      assert(stdout.includes(member.IPv4Address), stdout);
      assert(stdout.includes(member.MacAddress), stdout);
      seen.push(plain(unaddressed(`${JSON.stringify(member)}\n${stdout}\n${record}`)));
      await nothingLeft(box);
    }
    assert.equal(seen[0], seen[1]);
  }
});

networkTest("who is walked finds others by name, and is found", async ({ box, host }) => {
  await serving(box, "--name", "web", "--hostname", "web");
  const client = runOf(box, "nc -w 5 web 80");
  await ready(box, client);
  const hostsOf = async (id: string) =>
    (await box.ok(["exec", id, "cat", "/etc/hosts"])).split("\n").slice(6)
      .map((line) => line.split("\t")[1]!);
  for (let i = 0; i < PLACES + 3; i++) {
    assert.deepEqual(await walk(box, client).ended, { ...DONE, stdout: "web\n" });
  }
  const server = (name: string) => [
    ...["run", "-d", "--name", name, "--hostname", name, "-r", box.rootfs],
    ...["nc", "-ll", "-p", "80", "-e", "hostname"],
  ];
  await ready(box, server("one"), () => box.ok(["delete", "--force", "one"]));
  assert.deepEqual(await walk(box, server("one")).ended, { ...DONE, stdout: "one\n" });
  const { ip } = await addressesOf(box, "one");
  await until("one listens", async () => await host.ask(ip, 80, { patience: 1 }) === "one");
  // Who was there, its own name is there twice when others have told of all; and those who have ended are not.
  assert.deepEqual(new Set(await hostsOf("web")), new Set(["web", "one"]));
  assert.deepEqual(new Set(await hostsOf("one")), new Set(["one", "web"]));
  assert.equal(await box.ok(["exec", "web", "nc", "-w", "5", "one", "80"]), "one");
  // One that crate itself starts knows all, and is known.
  assert.equal((await itself(box, runOf(box, "nc -w 5 one 80"))).stdout, "one\n");
  await idle(box, "--name", "later");
  for (const id of ["web", "one", "later"]) {
    assert.deepEqual(new Set(await hostsOf(id)), new Set(["web", "one", "later"]), id);
  }
  // Two that were walked know each other.
  await ready(box, server("two"), () => box.ok(["delete", "--force", "two"]));
  assert.deepEqual(await walk(box, server("two")).ended, { ...DONE, stdout: "two\n" });
  await ready(box, server("six"), () => box.ok(["delete", "--force", "six"]));
  assert.deepEqual(await walk(box, server("six")).ended, { ...DONE, stdout: "six\n" });
  for (const id of ["web", "one", "two", "six", "later"]) {
    assert.deepEqual(
      new Set(await hostsOf(id)),
      new Set(["web", "one", "two", "six", "later"]),
      id,
    );
  }
  assert.deepEqual(Object.keys((await inspected(box)).Containers), [
    "later",
    "one",
    "six",
    "two",
    "web",
  ]);
  // What is done with them is as with any others.
  await box.ok(["network", "create", "more"]);
  await box.ok(["network", "connect", "more", "six"]);
  await box.ok(["network", "disconnect", "crate0", "six"]);
  assert.deepEqual(new Set(await hostsOf("two")), new Set(["web", "one", "two", "later"]));
  await box.ok(["rename", "two", "too"]);
  assert.deepEqual(new Set(await hostsOf("one")), new Set(["web", "one", "too", "later"]));
  assert.match(
    (await box.crate(["network", "rm", "crate0"])).stderr,
    /in use by later, one, too, web/,
  );
  await assertPluggedIn(host, 5);
  await box.ok(["delete", "--force", "one", "too", "six", "later"]);
  assert.deepEqual(await walk(box, client).ended, ASKED, "networks have changed");
  await ready(box, client);
  assert.deepEqual(await walk(box, client).ended, { ...DONE, stdout: "web\n" });
});

networkTest(
  "calls of several kinds are ready beside each other, and beside crate's own",
  async ({ box }) => {
    const kinds = [[], ["--read-only"], ["--hostname", "me"]].map((options) =>
      runOf(box, "cat /etc/hosts | tail -n 1", ...options)
    );
    for (const words of kinds) await ready(box, words);
    for (let i = 0; i < 3; i++) {
      for (const words of kinds) assert(await walked(box, words), words.join(" "));
      assert.equal((await itself(box, kinds[0]!)).code, 0);
    }
  },
);

networkTest(
  "many at once have an address each, those without a place by crate",
  async ({ box }) => {
    const words = runOf(box, "ip -4 -o address show eth0 | cut -d' ' -f7; sleep 1");
    await ready(box, words);
    const all = await Promise.all(
      Array.from({ length: PLACES + 2 }, async () => {
        const { code, stdout } = await walk(box, words).ended;
        if (code !== CRATE_IS_ASKED) return { code, stdout, isWalked: true };
        return { ...await itself(box, words), isWalked: false };
      }),
    );
    const addresses = all.map(({ stdout }) => /^10(\.\d+){3}\/16$/m.exec(stdout)?.[0]);
    assert.equal(new Set(addresses).size, PLACES + 2, addresses.join(" "));
    assert(all.every(({ code }) => code === 0));
    const count = all.filter(({ isWalked }) => isWalked).length;
    assert(count >= 2 && count <= PLACES, `${count} were walked`);
  },
);

networkTest(
  "where the host's networks are not as they were, crate is asked",
  async ({ box, host }) => {
    const words = runOf(box, "true");
    const bridge = (await box.crate(words), (await inspected(box)).Interface);
    // What came twice before needs no more than once more.
    const again = async () => {
      await box.ok(words);
      assert(await walked(box, words));
    };
    const { state } = networkPlaces(box.imageRoot);
    const changes = [
      () => host.ok("nft add table inet another"),
      () => host.ok(`ip link set ${bridge} down`),
      () => host.ok(`ip address del 10.90.0.1/16 dev ${bridge}`),
      () => host.ok(`ip -6 address flush dev ${bridge} scope global`),
      () => host.ok(`ip link del ${bridge}`),
      () => host.ok("echo 0 >/proc/sys/net/ipv4/ip_forward"),
      () => host.ok(`echo 0 >/proc/sys/net/ipv4/conf/${bridge}/route_localnet`),
      async () => {
        await box.ok(["network", "create", "other"]);
        assert(await walked(box, words), "it is another one");
        await box.ok(runOf(box, "true", "--network", "other"));
      },
      () => box.ok(["network", "rm", "other"]),
      () => box.ok(["network", "rm", "crate0"]),
      () => Promise.resolve(Deno.removeSync(`${state}/walked/crate0-same`)),
      () => Promise.resolve(Deno.removeSync(`${state}/walked/crate0-others`)),
      () => Promise.resolve(Deno.removeSync(`${state}/walked/crate0-3`)),
      // Another one's directory is in the way of none.
      () => Promise.resolve(Deno.removeSync(`${state}/lock`)),
    ];
    await ready(box, words);
    for (const [i, change] of changes.entries()) {
      await change();
      assert(!await walked(box, words), `change ${i}`);
      await again();
    }
    // An address that is kept for programs is anybody's who names it.
    const shown = runOf(box, "ip -4 -o address show eth0");
    await ready(box, shown);
    const { stdout } = await walk(box, shown).ended;
    const [address] = /10(\.\d+){3}/.exec(stdout)!;
    assert.match(
      await box.ok(runOf(box, "ip -4 -o address show eth0", "--ip", address)),
      new RegExp(address),
    );
    assert(!await walked(box, words));
  },
);

networkTest("an address is somebody's again late, on whatever network", async ({ box }) => {
  await box.ok(["network", "create", "--subnet", "10.77.0.0/24", "less"]);
  for (const [network, count] of [["crate0", 8 * PLACES], ["less", PLACES]] as const) {
    const words = runOf(box, "ip -4 -o address show eth0", "--network", network);
    await ready(box, words);
    const seen = new Set<string>();
    for (let i = 0; i < count; i++) {
      const { code, stdout } = await walk(box, words).ended;
      assert.equal(code, 0, `${network} ${i}`);
      seen.add(/ 10(\.\d+){3}\//.exec(stdout)![0]);
    }
    // What is in use for a moment longer is passed over.
    assert(seen.size > count * 0.8, `${seen.size} of ${count}`);
  }
});

networkTest("who is asked has the caller's standard input", async ({ box, host }) => {
  const words = runOf(box, "cat");
  await ready(box, words);
  const inputs = ["walked", "asked"].map((input) => ({ ...DONE, stdout: input }));
  assert.deepEqual(await box.crate(words, { input: "walked" }), inputs[0]);
  await host.ok("nft add table inet another");
  assert.deepEqual(await box.crate(words, { input: "asked" }), inputs[1]);
});

networkTest(
  "a network that is small, or not a bridge of one kind, is crate's",
  async ({ box }) => {
    await box.ok(["network", "create", "--subnet", "10.77.0.0/26", "small"]);
    await box.ok([
      "network",
      "create",
      "--driver",
      "macvlan",
      "--interface",
      "uplink",
      "--subnet",
      "10.78.0.0/16",
      "mac",
    ]);
    const kinds = [
      ["--network", "small"],
      ["--network", "mac"],
      ["--network", "small", "--network", "crate0"],
      ["--ip", "10.90.0.77"],
      ["-p", "8080:80"],
    ];
    makeLauncher(box);
    for (const options of kinds) {
      const words = runOf(box, "true", ...options);
      for (let i = 0; i < 2; i++) assert.deepEqual(await box.crate(words), DONE, options.join(" "));
      assert(!await walked(box, words), options.join(" "));
    }
  },
);

networkTest(
  "whatever step of a walked run on a network fails, nothing of it is left",
  async ({ box, host }) => {
    const mark = box.file("mark", "");
    await serving(box, "--name", "web");
    const words = runOf(box, "ip address show eth0 >>/mark", "-v", `${mark}:/mark`);
    await ready(box, words);
    const [file] = readyIn(box);
    let [done, left] = [0, 0];
    for (const i of breakSteps(file!)) {
      Deno.writeTextFileSync(mark, "");
      const { code, stdout, stderr } = await walk(box, words).ended;
      reapOrphans();
      await until("it is gone", () => stateIn(box.root).filter((id) => id !== "web").length === 0);
      assert.deepEqual([stdout, stderr], ["", ""], `step ${i}`);
      const ran = Deno.readTextFileSync(mark);
      if (code === CRATE_IS_ASKED) {
        left++;
        assert.equal(ran, "", `step ${i}`);
      } else {
        done++;
        assert(code === 137 || code === 0 && /inet 10\./.test(ran), `step ${i}: ${code}, ${ran}`);
      }
    }
    assert(done > 0 && left > 0, `${done} have run, ${left} were left to crate`);
    await onlyWeb(box);
    await assertPluggedIn(host, 1);
  },
);

networkTest(
  "a walked run on a network that is killed at any moment gives all back",
  async ({ box, host }) => {
    await serving(box, "--name", "web");
    const words = runOf(box, "exec sleep 100");
    await readyOfRunning(box, words, ["web"]);
    const rounds = 12;
    for (let i = 0; i < rounds; i++) {
      await killedAfter(box, words, (i / rounds) * 0.03);
    }
    await deleteOthers(box, ["web"]);
    await onlyWeb(box);
    await assertPluggedIn(host, 1);
  },
);

/** After the next container of crate's nothing is left on the network but one that runs. */
async function onlyWeb(box: Sandbox): Promise<void> {
  assert.deepEqual(await itself(box, runOf(box, "true")), DONE);
  assert.deepEqual(Object.keys((await inspected(box)).Containers), ["web"]);
  assert.deepEqual(await itself(box, runOf(box, "true")), DONE);
  const { state } = networkPlaces(box.imageRoot);
  await until("one is left", () => readDirectory(`${state}/containers`).length === 1);
  const hosts = await box.ok(["exec", "web", "cat", "/etc/hosts"]);
  const names = hosts.split("\n").slice(6).map((line) => line.split("\t")[1]);
  // The last one's are taken out by the next.
  assert(names.length <= 4, hosts);
}
