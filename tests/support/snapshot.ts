import assert from "node:assert/strict";
import { P_PID, trySyscall, WEXITED, WNOHANG } from "../../ffi/mod.ts";
import { Container } from "../../mod.ts";
import { groupDirectories } from "./cgroups.ts";
import { delay, type Sandbox } from "./sandbox.ts";

// What a host holds of crate's at one moment, in words, so that two moments can be compared. Where
// leftovers.ts asks at the end of a test whether anything is left, this asks many times in between.

/** How much of a long test to do: 1 is all of it; a slow machine sets less (not `CRATE_…`: crate reads those). */
export const SCALE = Number(Deno.env.get("TEST_SCALE") ?? "1");

/** A number of repetitions, scaled. */
export function scaled(count: number): number {
  return Math.max(1, Math.round(count * SCALE));
}

/** How long a dying monitor may take to clear away, in milliseconds. */
const PATIENCE = 2_000 / SCALE;

/** A process below this one. */
export interface Descendant {
  readonly pid: number;
  readonly parent: number;
  readonly name: string;
  /** proc(5): `Z` for one that has ended and was not waited for. */
  readonly state: string;
  /** It lives in a pid namespace below ours: a container's own. */
  readonly contained: boolean;
}

function names(directory: string): string[] {
  try {
    return [...Deno.readDirSync(directory)].map(({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

function look(pid: number): Descendant | undefined {
  let text: string;
  try {
    text = Deno.readTextFileSync(`/proc/${pid}/status`);
  } catch {
    return undefined; // it has ended
  }
  const field = (name: string) => new RegExp(`^${name}:\\s+(.*)$`, "m").exec(text)?.[1] ?? "";
  return {
    pid,
    parent: Number(field("PPid")),
    name: field("Name"),
    state: field("State").charAt(0),
    contained: field("NSpid").split(/\s+/).length > 1,
  };
}

/** All processes below this one, zombies included. */
export function descendants(): Descendant[] {
  const all = names("/proc").filter((name) => /^\d+$/.test(name))
    .flatMap((name) => look(Number(name)) ?? []);
  const parents = new Map(all.map(({ pid, parent }) => [pid, parent]));
  const isOurs = (pid: number): boolean => {
    for (let at = parents.get(pid); at !== undefined; at = parents.get(at)) {
      if (at === Deno.pid) return true;
    }
    return false;
  };
  return all.filter(({ pid }) => isOurs(pid));
}

/**
 * Waits for zombies that nobody else will: a container's processes whose monitor is dead come to this
 * process, the subreaper, and with `all` the monitors of dead crates, too.
 */
export function reapOrphans({ all = false } = {}): void {
  for (const { pid, parent, state, contained } of descendants()) {
    if (state !== "Z" || parent !== Deno.pid || !(contained || all)) continue;
    trySyscall("waitid", P_PID, pid, null, WEXITED | WNOHANG, null);
  }
}

function groupsBelow(directory: string): string[] {
  try {
    return [...Deno.readDirSync(directory)].filter((entry) => entry.isDirectory)
      .flatMap(({ name }) => [`${directory}/${name}`, ...groupsBelow(`${directory}/${name}`)]);
  } catch (error) {
    // A monitor may be removing it right now.
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

function filesBelow(directory: string): string[] {
  try {
    return [...Deno.readDirSync(directory)].flatMap(({ name, isDirectory }) => {
      const path = `${directory}/${name}`;
      return isDirectory ? [path, ...filesBelow(path)] : [path];
    });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** Our open descriptors, without their numbers. */
function descriptors(): string[] {
  return names("/proc/self/fd").flatMap((fd) => {
    try {
      return [Deno.readLinkSync(`/proc/self/fd/${fd}`).replace(/\[\d+\]/, "")];
    } catch {
      return []; // the one by which the directory was read
    }
  });
}

/** How many descriptors this process has open. */
export function descriptorCount(): number {
  return descriptors().length;
}

/** Everything of a sandbox's that is there now, a line each. */
export function takeSnapshot(box: Sandbox): string[] {
  const mounts = Deno.readTextFileSync("/proc/self/mountinfo").trim().split("\n");
  const temporary = names("/tmp").filter((name) => /^\.?crate-(?!test-|vm-)/.test(name));
  return [
    ...mounts.map((line) => `mount ${line}`),
    ...groupDirectories(box.cgroupParent).flatMap(groupsBelow).map((group) => `cgroup ${group}`),
    ...descendants().map(({ pid, name, state }) => `process ${pid} ${name} ${state}`),
    // What is ready for the launcher stays.
    ...filesBelow(box.root).filter((path) => !/\/\.(?:create|run)-[^/]*$/.test(path))
      .map((path) => `file ${path}`),
    ...temporary.map((name) => `temporary /tmp/${name}`),
    ...descriptors().map((link) => `descriptor ${link}`),
  ].sort();
}

/** Runs a container from this process once: what crate and Deno open for good is open then. */
export async function warmUp(box: Sandbox): Promise<void> {
  const { status } = await new Container("/bin/sleep", {
    args: ["0.1"],
    rootfs: box.rootfs,
    stateRoot: box.root,
    cgroupsPath: `${box.cgroupParent}/warm`,
    stdin: "null",
  }).spawn();
  assert.equal((await status).code, 0);
}

/** A snapshot of a moment at which nothing moves any more: all that has ended is cleared away. */
export async function takeQuietSnapshot(box: Sandbox): Promise<string[]> {
  for (let last = "";;) {
    reapOrphans({ all: true });
    const now = takeSnapshot(box);
    if (now.join() === last) return now;
    last = now.join();
    await delay(50 / SCALE);
  }
}

/** The lines that one list has more often than another. */
function without(lines: readonly string[], others: readonly string[]): string[] {
  const count = new Map<string, number>();
  for (const line of others) count.set(line, (count.get(line) ?? 0) + 1);
  return lines.filter((line) => {
    const left = count.get(line) ?? 0;
    count.set(line, left - 1);
    return left <= 0;
  });
}

/** What has changed since a snapshot. Mounts that others have made meanwhile are no business of ours. */
function changes(box: Sandbox, before: readonly string[]): string[] {
  const now = takeSnapshot(box);
  const isForeign = (line: string) => line.startsWith("mount ") && !line.includes(box.name);
  return [
    ...without(now, before).filter((line) => !isForeign(line)).map((line) => `left: ${line}`),
    ...without(before, now).map((line) => `lost: ${line}`),
  ];
}

/** Fails when, after a little patience, something is there that was not, or the other way round. */
export async function assertUnchanged(
  box: Sandbox,
  before: readonly string[],
  after: string,
  reap?: { all: boolean },
): Promise<void> {
  for (const end = Date.now() + PATIENCE;;) {
    reapOrphans(reap);
    const found = changes(box, before);
    if (found.length === 0) return;
    if (Date.now() > end) assert.deepEqual(found, [], `after ${after}`);
    await delay(2);
  }
}
