// Not in the virtual machine: crate is killed at any moment there by kill_root_test.ts, and its networks know no cgroups
import assert from "node:assert/strict";
import { SIGKILL, trySyscall } from "../ffi/mod.ts";
import { readState } from "../lib/lifecycle/mod.ts";
import { networkPlaces } from "../lib/network/mod.ts";
import {
  assertPluggedIn,
  attachments,
  idle,
  inspected,
  networkTest,
  placeOf,
  serving,
} from "./support/network.ts";
import { delay, type Sandbox, until } from "./support/mod.ts";

// crate, or a container's monitor, is killed at any moment: the next commands on networks take all back.

const ROUNDS = 15;

/** The moments are random, and the same ones again for the same seed. */
const SEED = Number(Deno.env.get("TEST_SEED") ?? Date.now() % 2 ** 31);

/** Numbers from 0 to 1: a linear congruential generator, Numerical Recipes' constants. */
function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
}

/** Starts crate and kills it within so many milliseconds. */
async function killed(box: Sandbox, words: readonly string[], after: number): Promise<void> {
  const command = box.start(words);
  await delay(after);
  try {
    command.signal("SIGKILL");
  } catch (error) {
    if (!(error instanceof TypeError)) throw error; // it has ended
  }
  await command.ended;
}

const listed = async (box: Sandbox) =>
  (await box.ok(["list", "-q"])).split("\n").filter((id) => id !== "");

networkTest(
  "of crates that are killed while they start containers nothing is left",
  async ({ box, host }) => {
    console.log(`TEST_SEED=${SEED}`);
    const random = randomNumbers(SEED);
    await idle(box, "--name", "stays", "-p", "7000:80");
    const start = performance.now();
    await box.ok(["run", "--rm", "-p", "7999:80", "-r", box.rootfs, "true"]);
    const whole = performance.now() - start;
    const portsOf = (i: number) => ["-p", `${8000 + i}:80`, "-p", `${8000 + i}:80/udp`];
    for (let i = 0; i < ROUNDS; i++) {
      const mode = i % 3 === 0 ? ["--rm"] : ["-d"];
      const run = ["run", ...mode, "--name", `c${i}`, ...portsOf(i), "-r", box.rootfs];
      await killed(box, [...run, "sleep", "1000000"], random() * 1.2 * whole);
    }
    await until("what belonged to nobody has ended", async () => {
      const ids = (await listed(box)).filter((id) => id !== "stays");
      if (ids.length > 0) await box.crate(["delete", "--force", ...ids]);
      return ids.length === 0;
    });
    // Every port is free again, and every name.
    const ports = Array.from({ length: ROUNDS }, (_, i) => portsOf(i)).flat();
    await idle(box, "--name", "next", ...ports);
    const names = Object.keys((await inspected(box)).Containers);
    assert.deepEqual(names, ["next", "stays"]);
    assert.deepEqual(attachments(box).state.sort(), ["next", "stays"]);
    assert.equal(attachments(box).files.length, 2);
    await assertPluggedIn(host, 2);
    const hosts = await box.ok(["exec", "stays", "cat", "/etc/hosts"]);
    assert.deepEqual(hosts.match(/\t(c\d+|next)$/gm), ["\tnext", "\tnext"]);
    await box.ok(["delete", "--force", "next"]);
    const { table } = networkPlaces(box.imageRoot);
    const map = await host.ok(`nft list map inet ${table} ports4`);
    assert.deepEqual(map.match(/\. \d+ :/g), [". 7000 :"]);
  },
);

networkTest(
  "crates that are killed while they change networks leave them usable",
  async ({ box, host }) => {
    console.log(`TEST_SEED=${SEED}`);
    const random = randomNumbers(SEED + 1);
    const web = await placeOf(box, await serving(box, "--name", "web", "--hostname", "web"));
    const start = performance.now();
    await box.ok(["network", "create", "more"]);
    const whole = performance.now() - start;
    const words = [
      ["network", "connect", "more", "web"],
      ["network", "disconnect", "more", "web"],
      ["network", "create", "other"],
      ["network", "rm", "other"],
      ["network", "prune"],
    ];
    for (let i = 0; i < ROUNDS; i++) await killed(box, words[i % 5]!, random() * 1.2 * whole);
    // Whether they are there is not known; that they can be had, and left, is.
    await box.crate(["network", "create", "more"]);
    await box.crate(["network", "disconnect", "more", "web"]);
    await box.ok(["network", "connect", "more", "web"]);
    await idle(box, "--network", "more", "--name", "client");
    assert.equal(await box.ok(["exec", "client", "nc", "web", "80"]), "web");
    await box.ok(["network", "disconnect", "more", "web"]);
    assert.deepEqual((await web.links()).map(({ ifname }) => ifname), ["eth0"]);
    await assertPluggedIn(host, 2);
  },
);

networkTest(
  "the ports of a container whose monitor was killed are taken back by the next one",
  async ({ box, host }) => {
    const { table } = networkPlaces(box.imageRoot);
    const map = () => host.ok(`nft list map inet ${table} ports4`);
    const start = async () => {
      const id = await serving(box, "-p", "8080:80", "--name", "web");
      const { pid } = readState(box.root, id)!.process!.monitor!;
      assert.equal(await host.ask("127.0.0.1", 8080), id);
      assert.equal(trySyscall("kill", pid, SIGKILL), 0);
      await until("it has ended", async () => (await box.state(id)).status === "stopped");
      assert.match(await map(), /8080/, "nobody could take it out");
      await box.ok(["delete", "--force", id]);
    };
    await start();
    const other = await idle(box);
    assert.doesNotMatch(await map(), /8080/);
    assert.deepEqual(attachments(box).state, [other]);
    await start();
    await start();
    await idle(box, "--name", "web");
    assert.doesNotMatch(await map(), /8080/, "a namesake without ports");
  },
);

networkTest(
  "the last address of a network is taken back from a container that is gone, and the port that led to it",
  async ({ box, host }) => {
    const { table } = networkPlaces(box.imageRoot);
    // A gateway and one container.
    await box.ok(["network", "create", "--subnet", "10.213.7.0/30", "small"]);
    const id = await serving(box, "--network", "small", "-p", "8080:80", "--name", "web");
    assert.match(
      (await box.crate(["run", "--rm", "--network", "small", "-r", box.rootfs, "true"])).stderr,
      /network small has no address left: all of 10\.213\.7\.0\/30 are in use/,
    );
    const { pid } = readState(box.root, id)!.process!.monitor!;
    assert.equal(trySyscall("kill", pid, SIGKILL), 0);
    await until("it has ended", async () => (await box.state(id)).status === "stopped");
    const heir = await idle(box, "--network", "small", "--name", "heir");
    assert.deepEqual(attachments(box).state, [heir]);
    const { Containers } = await inspected(box, "small");
    assert.equal(Containers[heir]?.IPv4Address, "10.213.7.2/30");
    assert.doesNotMatch(await host.ok(`nft list map inet ${table} ports4`), /8080/);
    await assertPluggedIn(host, 1);
  },
);
