import assert from "node:assert/strict";
import {
  AT_FDCWD,
  AT_REMOVEDIR,
  P_PID,
  SIGKILL,
  trySyscall,
  WEXITED,
  WNOHANG,
} from "../../ffi/mod.ts";
import { running } from "./running.ts";
import { groupDirectories } from "./cgroups.ts";

/** What a sandbox's traces are found by. */
export interface Traces {
  readonly directory: string;
  readonly root: string;
  readonly cgroupParent: string;
}

/** How long the last monitors may take to clear away. */
const PATIENCE = 10_000;
/** The mount point of every root is made once and stays, as does the file of locks. */
const LASTING = [".mount", ".networks", ".ids"];

function names(directory: string): string[] {
  try {
    return [...Deno.readDirSync(directory)].map(({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** A child of this process. */
interface Child {
  readonly pid: number;
  readonly name: string;
  readonly state: string;
}

/** The children of this process: also the orphans of those that were. */
function children(): Child[] {
  return names("/proc").filter((name) => /^\d+$/.test(name)).flatMap((pid) => {
    let stat: string;
    try {
      stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
    } catch {
      return []; // it has ended
    }
    const [, name, rest] = /^\d+ \((.*)\) (.*)$/s.exec(stat)!;
    const [state, parent] = rest!.split(" ");
    return Number(parent) === Deno.pid ? [{ pid: Number(pid), name: name!, state: state! }] : [];
  });
}

function reap(pid: number): void {
  trySyscall("waitid", P_PID, pid, null, WEXITED | WNOHANG, null);
}

/** Reaps the orphans that have ended: a test is in the place of an engine, whose children they are. */
export function reapOrphans(): void {
  for (const { pid, state } of children()) if (state === "Z" && !running.has(pid)) reap(pid);
}

/** Reaps podman's monitors until it is disposed of: podman waits until theirs are gone, up to 20 s. */
export function reapMonitors(): Disposable {
  const timer = setInterval(() => {
    for (const { pid, name, state } of children()) {
      if (state === "Z" && name === "conmon") reap(pid);
    }
  }, 20);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

/** Processes that run; those that have ended are reaped, as nobody else will. */
function processes(): string[] {
  return children().flatMap(({ pid, name, state }) => {
    if (state === "Z") reap(pid);
    return state === "Z" ? [] : [`process ${pid} (${name}, ${state})`];
  });
}

/** What is in a state directory but what stays there: the mount point, and what is ready for the launcher. */
export function stateIn(root: string): string[] {
  return names(root).filter((name) => !LASTING.includes(name) && !/^\.(?:create|run)-/.test(name));
}

/** Everything of a sandbox that is still there. */
function leftovers({ directory, root, cgroupParent }: Traces): string[] {
  const mounts = Deno.readTextFileSync("/proc/self/mountinfo").split("\n");
  return [
    ...processes(),
    ...stateIn(root).map((name) => `state ${name}`),
    ...names(`${root}/.networks`).map((name) => `files of a network: ${name}`),
    ...names(`${root}/.mount`).map((name) => `a file in the mount point: ${name}`),
    ...groupDirectories(cgroupParent).flatMap((parent) =>
      groupsFrom(parent).slice(0, -1).map((group) => `cgroup ${group}`)
    ),
    ...mounts.filter((line) => line.includes(directory)).map((line) => `mount ${line}`),
  ];
}

/** Fails when, after some patience, there is still something. */
export async function assertNothingLeft(traces: Traces): Promise<void> {
  let left = leftovers(traces);
  for (const end = Date.now() + PATIENCE; left.length > 0 && Date.now() < end;) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    left = leftovers(traces);
  }
  assert.deepEqual(left, [], "left behind");
}

/** Ends what a test has left running, and removes its groups with their parent. */
export async function clearAway({ cgroupParent }: Traces): Promise<void> {
  const all = () => groupDirectories(cgroupParent).flatMap(groupsFrom);
  for (const end = Date.now() + PATIENCE; Date.now() < end;) {
    for (const group of all()) {
      for (const pid of processesOf(group)) trySyscall("kill", pid, SIGKILL);
      trySyscall("unlinkat", AT_FDCWD, group, AT_REMOVEDIR);
    }
    for (const { pid } of children()) {
      trySyscall("kill", pid, SIGKILL);
      if (!running.has(pid)) reap(pid);
    }
    if (all().length === 0 && children().length === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

function processesOf(group: string): number[] {
  try {
    const text = Deno.readTextFileSync(`${group}/cgroup.procs`);
    return text.split("\n").map(Number).filter((pid) => pid > 0);
  } catch {
    return []; // its monitor was faster
  }
}

/** A group and those below it, the lowest first. */
function groupsFrom(directory: string): string[] {
  const below = names(directory).filter((name) => isDirectory(`${directory}/${name}`));
  return [...below.flatMap((name) => groupsFrom(`${directory}/${name}`)), directory];
}

function isDirectory(path: string): boolean {
  try {
    return Deno.lstatSync(path).isDirectory;
  } catch {
    return false;
  }
}
