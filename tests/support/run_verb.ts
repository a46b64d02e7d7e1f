import assert from "node:assert/strict";
import { exists } from "../../ffi/mod.ts";
import { groupDirectories } from "./cgroups.ts";
import { reapOrphans, stateIn } from "./leftovers.ts";
import { Running, type RunningOptions } from "./running.ts";
import { COMMAND, delay, type Sandbox, until } from "./sandbox.ts";
import { at, CRATE_IS_ASKED, makeLauncher } from "./verbs.ts";

// What tests of `crate run` share that the launcher walks.

/** What differs from one container to the next. */
export const plain = (text: string) =>
  text.replaceAll(/\b[-\d]+T[\d:.]+Z|\b\d{2}:\d{2}\b/g, "TIME")
    .replaceAll(/"(pid|startTime)": ?\d+/g, "$1")
    .replaceAll(
      /(?<=^|\s)\d+ \d+ \d+:\d+ |master:\d+|(mnt|net|pid|uts|ipc):\[\d+\]|pipe:\[\d+\]/gm,
      "",
    )
    .replaceAll(/\b[0-9a-f]{8,}\b/g, "HEX").replaceAll(/\.retired-.*?-HEX/g, "RETIRED");

/** The words of a container of the busybox root. */
export const wordsOf = (box: Sandbox, script: string, options: readonly string[] = ["--rm"]) => [
  ...["run", ...options, "-r", box.rootfs, "/bin/sh", "-c", script],
];

/** A call of the launcher without crate behind it. */
export function walk(
  box: Sandbox,
  words: readonly string[],
  options: WalkOptions = {},
): Running {
  return call(box, box.path("launcher"), words, options);
}

/** How a call is made; absent: in this process's directory. */
type WalkOptions = RunningOptions & { cwd?: string };

function call(
  box: Sandbox,
  program: string,
  words: readonly string[],
  { cwd, ...options }: WalkOptions,
): Running {
  const { env } = box.commandLine([]);
  const command = [...box.prefix, program, ...at(box, ...words)];
  const line = cwd === undefined ? command : ["sh", "-c", 'cd "$0" && exec "$@"', cwd, ...command];
  return new Running(line, { ...options, env: { ...env, ...options.env } });
}

/** Calls crate twice with these words: then the next call is ready, if it was not. */
export async function ready(
  box: Sandbox,
  words: readonly string[],
  between: () => Promise<unknown> = () => Promise.resolve(),
  options: WalkOptions = {},
): Promise<void> {
  makeLauncher(box);
  const before = readyIn(box).length;
  for (let i = 0; i < 2; i++) {
    await call(box, COMMAND, words, options).ended;
    await between();
  }
  const after = readyIn(box).length;
  assert(after > 0 && after >= before, words.join(" "));
}

/** As `ready`, of a container that runs until it is deleted; `kept` are there already. */
export async function readyOfRunning(
  box: Sandbox,
  words: readonly string[],
  kept: readonly string[] = [],
): Promise<void> {
  makeLauncher(box);
  for (let i = 0; i < 2; i++) {
    const own = box.start(words);
    const isOurs = (name: string) => !name.startsWith(".") && !kept.includes(name);
    const id = await until("it runs", () => stateIn(box.root).find(isOurs));
    await box.running(id);
    await box.ok(["delete", "--force", id]);
    await own.ended;
  }
}

/** Deletes all containers but those that are kept, until crate lists no other. */
export async function deleteOthers(box: Sandbox, kept: readonly string[] = []): Promise<void> {
  await until("no other is listed", async () => {
    reapOrphans();
    const listed = (await box.ok(["list", "-q"])).split("\n").filter(Boolean);
    const others = listed.filter((id) => !kept.includes(id));
    if (others.length > 0) await box.crate(["delete", "--force", ...others]);
    return others.length === 0;
  });
}

/** Kills the launcher, and what it has become, so many seconds after its beginning. */
export async function killedAfter(
  box: Sandbox,
  words: readonly string[],
  seconds: number,
): Promise<void> {
  const command = [...box.prefix, box.path("launcher"), ...at(box, ...words)];
  const script =
    '"$@" </dev/null >/dev/null 2>&1 & sleep "$TIME"; kill -9 $! 2>/dev/null; wait $! 2>/dev/null; true';
  const env = { ...box.commandLine([]).env, TIME: String(seconds) };
  await new Running(["bash", "-c", script, "bash", ...command], { env }).ended;
  await delay(1);
}

/** The files of calls that are ready. */
export function readyIn(box: Sandbox): string[] {
  if (!exists(box.root)) return [];
  return [...Deno.readDirSync(box.root)].map(({ name }) => name)
    .filter((name) => /^\.run-\w+-(?:any-)?\d+$/.test(name)).map((name) => `${box.root}/${name}`)
    .sort();
}

/** Whether the launcher walks a call, which then ends well. */
export async function walked(
  box: Sandbox,
  words: readonly string[],
  options: { cwd?: string; env?: Record<string, string> } = {},
): Promise<boolean> {
  const { code, stdout, stderr } = await walk(box, words, options).ended;
  if (code === CRATE_IS_ASKED) {
    assert.deepEqual([stdout, stderr], ["", ""]);
    await nothingLeft(box);
    return false;
  }
  assert.deepEqual([code, stderr], [0, ""]);
  return true;
}

/** Nothing of a container is there any more, as soon as its monitor has cleared away. */
export async function nothingLeft(box: Sandbox): Promise<void> {
  await until("nothing is left", () => {
    reapOrphans();
    return stateIn(box.root).length === 0 &&
      groupDirectories(box.cgroupParent).flatMap((group) =>
          [...Deno.readDirSync(group)].filter(({ isDirectory }) => isDirectory)
        ).length === 0;
  });
}
