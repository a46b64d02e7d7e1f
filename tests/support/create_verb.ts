import assert from "node:assert/strict";
import type { Spec } from "../../lib/spec/mod.ts";
import { type BundleChanges, engineSpec } from "./bundle.ts";
import { groupDirectories } from "./cgroups.ts";
import { reapOrphans, stateIn } from "./leftovers.ts";
import { type Result, Running } from "./running.ts";
import type { Sandbox } from "./sandbox.ts";
import { ASKED, at, CRATE_IS_ASKED, DONE, makeLauncher } from "./verbs.ts";

// What tests of creations share that the launcher walks: containers of one kind, as an engine creates them.

/** An id as engines give them. */
export const idOf = (letter: string) => letter.repeat(16);

/** A bundle whose config differs from others of its kind in names alone. */
export function bundleOf(
  box: Sandbox,
  id: string,
  script: string,
  changes: BundleChanges = {},
): string {
  const directory = box.mkdir(`bundles/${id}`);
  box.file(`bundles/${id}/hosts`, "127.0.0.1 localhost\n");
  const spec = engineSpec(box, id, script, changes);
  const whole: Spec = {
    ...spec,
    hostname: id.slice(0, 12),
    annotations: { "engine/id": id, "engine/name": "same" },
    mounts: [...spec.mounts ?? [], {
      destination: "/etc/hosts",
      type: "bind",
      source: `${directory}/hosts`,
      options: ["rbind", "ro"],
    }],
    process: { ...spec.process!, env: [...spec.process?.env ?? [], `HOSTNAME=${id.slice(0, 12)}`] },
    ...changes.spec,
  };
  box.file(`bundles/${id}/config.json`, JSON.stringify(whole));
  return directory;
}

export const wordsOf = (box: Sandbox, id: string) => [
  ...["--log", box.path(`bundles/${id}/log`), "--log-format", "json"],
  ...["create", "--bundle", box.path(`bundles/${id}`)],
  ...["--pid-file", box.path(`bundles/${id}/pid`), id],
];

/** Creates a container by the launcher, or by crate; its own output goes to a file. */
export async function created(box: Sandbox, id: string, walks: boolean): Promise<Result> {
  const out = box.path(`bundles/${id}/out`);
  const script = `"$@" </dev/null >${out} 2>&1; code=$?; cat ${out} >&2; exit $code`;
  const line = box.commandLine(["--log-level", "warn", ...wordsOf(box, id)]);
  const command = walks ? [box.path("launcher"), ...at(box, ...wordsOf(box, id))] : line.words;
  return await new Running(["bash", "-c", script, "bash", ...command], { env: line.env }).ended;
}

/** … of which the launcher knows nothing. */
export async function createdFirst(box: Sandbox, id: string): Promise<Result> {
  const out = box.path(`bundles/${id}/out`);
  const script = `"$@" </dev/null >${out} 2>&1`;
  return await box.host(script, wordsOf(box, id));
}

/** Two containers of a kind were created by crate. */
export async function ready(
  box: Sandbox,
  script: string,
  changes: BundleChanges = {},
): Promise<void> {
  makeLauncher(box);
  for (const id of [idOf("a"), idOf("b")]) {
    bundleOf(box, id, script, changes);
    assert.deepEqual(await createdFirst(box, id), DONE);
    await box.ok(["delete", "--force", id]);
  }
  assert.equal(readyIn(box).length, 1);
}

/** The files of creations that are ready. */
export function readyIn(box: Sandbox): string[] {
  return [...Deno.readDirSync(box.root)].map(({ name }) => name)
    .filter((name) => /^\.create-\w+-\d$/.test(name)).map((name) => `${box.root}/${name}`).sort();
}

/** Whether the launcher creates a container; nothing may be there of one that it leaves to crate. */
export async function walked(box: Sandbox, id: string): Promise<boolean> {
  const result = await created(box, id, true);
  if (result.code === CRATE_IS_ASKED) {
    assert.deepEqual(result, ASKED);
    nothingLeft(box, id);
    return false;
  }
  assert.deepEqual(result, DONE);
  assert.equal((await box.state(id)).status, "created");
  await box.ok(["delete", "--force", id]);
  reapOrphans();
  return true;
}

export function nothingLeft(box: Sandbox, id: string): void {
  assert.deepEqual(stateIn(box.root), []);
  assert.deepEqual(groupDirectories(`${box.cgroupParent}/${id}`), []);
}
