import assert from "node:assert/strict";
import { close, SIGKILL, trySyscall } from "../ffi/mod.ts";
import { CrateError } from "../lib/errors.ts";
import {
  listContainers,
  nullStdio,
  prepareContainer,
  readState,
  startContainer,
  waitForExit,
} from "../lib/lifecycle/mod.ts";
import {
  delay,
  EVERYWHERE_THE_SAME,
  type Sandbox,
  test,
  type TestOptions,
  until,
} from "./support/mod.ts";
import { dieAt } from "./support/faults.ts";
import { featuredView } from "./support/featured.ts";
import {
  assertUnchanged,
  type Descendant,
  descendants,
  SCALE,
  scaled,
  takeQuietSnapshot,
  warmUp,
} from "./support/snapshot.ts";

// crate, or a container's monitor, is killed at any moment: what is left of the container is in the
// list, or dies; and the next commands clear it.

/** The moments are random, and the same ones again for the same seed. */
const SEED = Number(Deno.env.get("TEST_SEED") ?? Date.now() % 2 ** 31);
/** How long `crate list` may take, in milliseconds. */
const LIST_LIMIT = 1_000 / SCALE;
const PATIENCE = 2_000 / SCALE;
/** For each of the four commands. */
const ROUNDS = 10;

/** Numbers from 0 to 1: mulberry32. */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** What `crate list` says of a container. */
interface Listed {
  readonly id: string;
  readonly status: string;
  readonly pid?: number;
}

async function list(box: Sandbox): Promise<Listed[]> {
  const times: number[] = [];
  // The machine may be busy with something else; not twice.
  while (times.length < 2) {
    const start = performance.now();
    const found = JSON.parse(await box.ok(["list", "--format", "json"]));
    const time = performance.now() - start;
    if (time < LIST_LIMIT) return found;
    times.push(time);
  }
  throw new Error(`crate list took ${times.join(" and ")} ms`);
}

/** Processes of containers that the list does not show as running. */
function unlisted(shown: readonly Listed[]): Descendant[] {
  const all = descendants().filter(({ state }) => state !== "Z");
  const byPid = new Map(all.map((process) => [process.pid, process]));
  const isShown = (process: Descendant | undefined): boolean => {
    if (process === undefined) return false;
    return shown.some(({ pid }) => pid === process.pid) || isShown(byPid.get(process.parent));
  };
  return all.filter((process) => process.contained && !isShown(process));
}

/** Starts crate and kills it after some milliseconds, unless it has ended before. */
async function killAfter(box: Sandbox, words: readonly string[], time: number): Promise<void> {
  const { words: [command, ...args], env } = box.commandLine(words);
  const options = { args, env, stdin: "null", stdout: "null", stderr: "null" } as const;
  const child = new Deno.Command(command!, options).spawn();
  await delay(time);
  try {
    child.kill("SIGKILL");
  } catch {
    // It has ended.
  }
  await child.status;
}

/** The list answers and is complete; what it shows can be deleted; then all is as it was. */
async function assertClears(box: Sandbox, before: readonly string[], what: string): Promise<void> {
  let shown = await list(box);
  for (const end = Date.now() + PATIENCE; unlisted(shown).length > 0;) {
    assert(
      Date.now() < end,
      `after ${what}: ${JSON.stringify({ unlisted: unlisted(shown), shown })}`,
    );
    shown = await list(box);
  }
  for (const { id } of shown) {
    const { code, stderr } = await box.crate(["delete", "--force", id]);
    // One of --rm may be gone by itself meanwhile.
    assert(code === 0 || /does not exist/.test(stderr), `after ${what}: ${stderr}`);
  }
  assert.deepEqual(await list(box), [], what);
  await assertUnchanged(box, before, what, { all: true });
}

/** The usual duration of a command, in milliseconds. */
async function duration(run: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < 3; i++) {
    const start = performance.now();
    await run();
    times.push(performance.now() - start);
  }
  return times.sort((a, b) => a - b)[1]!;
}

interface KilledOptions extends TestOptions {
  /** What is done before each time. */
  readonly prepare?: (box: Sandbox) => Promise<unknown>;
}

/** One command, killed at many moments. */
function killed(
  name: string,
  words: readonly string[],
  { prepare, ...options }: KilledOptions = {},
): void {
  test(`crate ${name}, killed at whatever moment, leaves what the list shows`, async (box) => {
    const random = randomNumbers(SEED);
    const run = ["run", "--rm", "-r", box.rootfs, "true"];
    const usual = await duration(() => box.ok(run));
    const before = await takeQuietSnapshot(box);
    console.log(`TEST_SEED=${SEED}, a whole crate run takes ${usual.toFixed(1)} ms`);
    for (let round = 0; round < scaled(ROUNDS); round++) {
      await prepare?.(box);
      // More often late than early: at first there is only Deno's own start.
      const time = Math.sqrt(random()) * usual * 1.2;
      // Words that were never there before are not the launcher's; see run_verb_failures_root_test.ts.
      const label = words[0] === "run" ? ["--label", `round=${round}`] : [];
      const whole = words.toSpliced(1, 0, ...label);
      await killAfter(box, whole.map((word) => word === "ROOTFS" ? box.rootfs : word), time);
      await assertClears(box, before, `${name} killed after ${time.toFixed(1)} ms`);
    }
  }, options);
}

killed("run", ["run", "-r", "ROOTFS", "--name", "victim", "sleep", "1000"]);
killed(
  "run --rm",
  ["run", "--rm", "-r", "ROOTFS", "--name", "victim", "sh", "-c", "sleep 0.01"],
  EVERYWHERE_THE_SAME,
);
killed(
  "run -d",
  ["run", "-d", "-r", "ROOTFS", "--name", "victim", "sleep", "1000"],
  EVERYWHERE_THE_SAME,
);
killed(
  "delete --force",
  ["delete", "--force", "victim"],
  {
    prepare: (box) => box.ok(["run", "-d", "-r", box.rootfs, "--name", "victim", "sleep", "1000"]),
  },
);

/** The monitor of a running container. */
function monitorOf(box: Sandbox, id: string): number {
  return readState(box.root, id)!.process!.monitor!.pid;
}

test("a detached container dies with its monitor, and the list shows it", async (box) => {
  await box.ok(["run", "--rm", "-r", box.rootfs, "true"]);
  const before = await takeQuietSnapshot(box);
  for (const words of [["sleep", "1000"], ["sh", "-c", "sleep 1000 & sleep 1000 & wait"]]) {
    await box.ok(["run", "-d", "-r", box.rootfs, "--name", "victim", ...words]);
    assert.equal(trySyscall("kill", monitorOf(box, "victim"), SIGKILL), 0);
    await until("it is stopped", async () => (await list(box))[0]?.status === "stopped");
    await box.ok(["delete", "victim"]);
    await assertUnchanged(box, before, "the monitor's end", { all: true });
  }
});

test("a container of --rm whose monitor was killed is cleared by the next command", async (box) => {
  await box.ok(["run", "--rm", "-r", box.rootfs, "true"]);
  const before = await takeQuietSnapshot(box);
  await box.ok(["run", "-d", "--rm", "-r", box.rootfs, "--name", "victim", "sleep", "1000"]);
  assert.equal(trySyscall("kill", monitorOf(box, "victim"), SIGKILL), 0);
  await until("it is gone", async () => (await list(box)).length === 0);
  await assertUnchanged(box, before, "the monitor's end", { all: true });
});

test("a foreground command ends when its container's monitor is killed", async (box) => {
  await box.ok(["run", "--rm", "-r", box.rootfs, "true"]);
  const before = await takeQuietSnapshot(box);
  const words = ["sh", "-c", "echo running; sleep 1000"];
  const running = box.start(["run", "-r", box.rootfs, "--name", "victim", ...words]);
  await running.printed("running");
  assert.equal(trySyscall("kill", monitorOf(box, "victim"), SIGKILL), 0);
  assert.equal((await running.ended).code, 137);
  await until("it is stopped", async () => (await list(box))[0]?.status === "stopped");
  await box.ok(["delete", "victim"]);
  await assertUnchanged(box, before, "the monitor's end", { all: true });
});

test("a container does not outlive a monitor that dies during the start", async (box) => {
  const none = nullStdio();
  const prepared = await prepareContainer({
    id: "victim",
    root: box.root,
    spec: featuredView(box, ["sleep", "1000"], "group", false),
    bundle: box.directory,
    detached: true,
    remove: true,
    stdio: [none, none, none],
  });
  const { program } = prepared;
  const first = program.steps.findIndex(({ operation }) => operation === "clone3") + 1;
  const wait = program.steps.findIndex(({ operation }) => operation === "ppoll");
  assert(first > 0 && wait > first + 3);
  await warmUp(box);
  const before = await takeQuietSnapshot(box);
  for (let index = first; index <= wait; index++) {
    const what = `the end at ${program.steps[index]!.label}`;
    try {
      const { launched } = await startContainer({ ...prepared, program: dieAt(program, index) });
      // It was in time, and the container dies with it.
      assert.deepEqual(await waitForExit(launched), { code: 137, signal: 9 }, what);
    } catch (error) {
      assert(error instanceof CrateError, what);
      assert.match(error.message, /monitor was killed/, what);
    }
    await listContainers(box.root);
    await assertUnchanged(box, before, what, { all: true });
  }
  close(none);
});
