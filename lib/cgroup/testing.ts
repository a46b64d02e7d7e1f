import { AT_FDCWD, AT_REMOVEDIR, trySyscall } from "../../ffi/mod.ts";
import type { LinuxResources } from "../spec/mod.ts";
import {
  type CgroupPlan,
  createCgroup,
  type CreateOptions,
  detectLayout,
  planCgroup,
  removeCgroup,
} from "./mod.ts";

// What the root tests share: groups of their own, below a parent of their own, and processes in them.

/** The tests' groups are below this one, which goes with them. */
export const PARENT = `/crate-test-${Deno.pid}`;
let count = 0;

/** A plan for groups that nobody else has. */
export function testPlan(resources: LinuxResources = {}): CgroupPlan {
  return planCgroup(detectLayout(), `${PARENT}/${count++}`, resources);
}

/** Removes a plan's groups and the test's parent. */
export async function cleanUp(plan: CgroupPlan): Promise<void> {
  await removeCgroup(plan.directories);
  for (const directory of plan.parents.toReversed()) {
    trySyscall("unlinkat", AT_FDCWD, directory, AT_REMOVEDIR);
  }
}

/** Makes groups, and removes them when the body is done. */
export async function withGroup(
  resources: LinuxResources,
  body: (plan: CgroupPlan) => void | Promise<void>,
  options?: CreateOptions,
): Promise<void> {
  const plan = testPlan(resources);
  createCgroup(plan, options);
  try {
    await body(plan);
  } finally {
    await cleanUp(plan);
  }
}

/** Starts a shell script that is in the groups when its first line runs. */
export function start(plan: CgroupPlan, script: string): Deno.ChildProcess {
  const files = [...plan.join];
  if (plan.joinDirectory !== undefined) files.push(`${plan.joinDirectory}/cgroup.procs`);
  const join = files.map((file) => `echo 0 > '${file}' || exit 99`).join("\n");
  return new Deno.Command("sh", {
    args: ["-c", `${join}\n${script}`],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** Runs such a script to its end. */
export async function run(
  plan: CgroupPlan,
  script: string,
): Promise<{ code: number; stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await start(plan, script).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

/** Waits until something is so. */
export async function until(what: string, so: () => boolean): Promise<void> {
  const end = performance.now() + 20_000;
  while (!so()) {
    if (performance.now() > end) throw new Error(`not within 20 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
