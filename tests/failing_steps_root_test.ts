import assert from "node:assert/strict";
import {
  close,
  EPERM,
  errnoName,
  P_PID,
  type Program,
  type Step,
  trySyscall,
  WEXITED,
} from "../ffi/mod.ts";
import { CrateError } from "../lib/errors.ts";
import {
  deleteContainer,
  type Exit,
  listContainers,
  nullStdio,
  prepareContainer,
  type Prepared,
  readState,
  startContainer,
  type Started,
  waitForExit,
} from "../lib/lifecycle/mod.ts";
import type { Spec } from "../lib/spec/mod.ts";
import { type Sandbox, test } from "./support/mod.ts";
import { dieAt, failOnce, faultPoints, showStep } from "./support/faults.ts";
import { featuredDirectory, featuredView } from "./support/featured.ts";
import { assertUnchanged, SCALE, takeQuietSnapshot, warmUp } from "./support/snapshot.ts";

// Every step of a container's program fails once. Whatever it is, the start tells which and why, or
// the container does not need it; and nothing of the container is left.

const CODE = 7;
const COMMAND = ["sh", "-c", `echo out; echo err >&2; exit ${CODE}`];
/** A start and an end that take longer than this hang, in milliseconds. */
const PATIENCE = 10_000 / SCALE;

/** Steps without which nobody learns the exit code, the container's own end among them. */
const UNTOLD = ["wait for the init", "tell the exit status", "reap a child"];

interface Case {
  readonly detached: boolean;
  readonly remove: boolean;
  readonly tty?: boolean;
  spec(box: Sandbox): Spec;
}

/** How a container went that was started; unknown when it was given up. */
interface Run {
  readonly exit?: Exit;
}

async function within<T>(what: string, promise: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} hangs`)), PATIENCE);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** To a started container's end, and until its monitor has cleared away. */
async function finish({ launched }: Started, handsOutConsole: boolean): Promise<Run> {
  if (handsOutConsole) {
    // The console's descriptor is under way to a relay that this test is not.
    launched.abandon();
    return {};
  }
  const exit = await within("the container", waitForExit(launched));
  trySyscall("waitid", P_PID, launched.monitor!.pid, null, WEXITED, null);
  return { exit };
}

function assertTold(error: unknown, { label }: Step, what: string): void {
  assert(error instanceof CrateError, `${what}: ${error}`);
  const command = label.startsWith("execute ");
  const told = command ? label.slice("execute ".length) : label;
  assert(error.message.startsWith(`${told}: `), `${what} was told as: ${error.message}`);
  assert(error.message.includes(errnoName(EPERM)), `${what} was told as: ${error.message}`);
  assert.equal(error.code, command ? "COMMAND_NOT_EXECUTABLE" : "START", what);
}

/** Starts a variant of a container and follows it to its end; what is kept of it is deleted. */
async function run(prepared: Prepared, { tty, detached, remove }: Case): Promise<Run> {
  const { root, id } = prepared.options;
  const ended = await finish(await startContainer(prepared), tty === true && !detached);
  if (!remove) {
    assert.equal(readState(root, id)?.status, "stopped");
    await deleteContainer(root, id);
  }
  return ended;
}

/** Whether a container comes to a step at all: if so, it does not survive one that ends it there. */
async function isWalked(prepared: Prepared, program: Program, index: number, of: Case) {
  try {
    const { exit } = await run({ ...prepared, program: dieAt(program, index) }, of);
    return exit?.code !== CODE;
  } catch (error) {
    assert(error instanceof CrateError, String(error));
    return true;
  }
}

async function failStep(prepared: Prepared, index: number, of: Case): Promise<"told" | "run"> {
  const { program, options } = prepared;
  const step = program.steps[index]!;
  const what = showStep(program, index, EPERM);
  let ended: Run;
  try {
    ended = await run({ ...prepared, program: failOnce(program, index, EPERM) }, of);
  } catch (error) {
    assertTold(error, step, what);
    assert.equal(readState(options.root, options.id), undefined, what);
    return "told";
  }
  if (ended.exit === undefined || UNTOLD.includes(step.label)) return "run";
  assert.deepEqual(ended.exit, { code: CODE }, what);
  if (step.negative === undefined) {
    assert(!await isWalked(prepared, program, index, of), `${what}: nobody was told`);
  }
  return "run";
}

function everyStep(name: string, of: Case): void {
  test(`every step of ${name} fails once, and nothing is left`, async (box) => {
    const none = nullStdio();
    const prepared = await prepareContainer({
      id: "featured",
      root: box.root,
      spec: of.spec(box),
      bundle: box.directory,
      detached: of.detached,
      remove: of.remove,
      stdio: [none, none, none],
    });
    const { program } = prepared;
    await run(prepared, of); // the program as it is
    await warmUp(box);
    const before = await takeQuietSnapshot(box);
    const count = { told: 0, run: 0 };
    // Every other one, others in each run.
    const stride = Math.round(2 / SCALE);
    const first = Math.floor(Math.random() * stride);
    const points = faultPoints(program);
    for (const index of points.filter((_, i) => i % stride === first)) {
      count[await failStep(prepared, index, of)]++;
      // As the next command does, whatever it is.
      await listContainers(box.root);
      await assertUnchanged(box, before, showStep(program, index, EPERM));
    }
    console.log(`${points.length} steps: ${count.told} told, ${count.run} not needed`);
    assert(count.told > points.length / stride / 3, "most steps of a program are needed");
    close(none);
  });
}

everyStep("a container in a directory, with an init", {
  detached: false,
  remove: false,
  spec: (box) => featuredDirectory(box, COMMAND, "directory"),
});

everyStep("a detached container in a view of the host", {
  detached: true,
  remove: true,
  spec: (box) => featuredView(box, COMMAND, "view", false),
});

everyStep("a detached container with a terminal", {
  detached: true,
  remove: false,
  tty: true,
  spec: (box) => featuredView(box, COMMAND, "detached", true),
});

everyStep("a container with a terminal", {
  detached: false,
  remove: true,
  tty: true,
  spec: (box) => featuredView(box, COMMAND, "terminal", true),
});
