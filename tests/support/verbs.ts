import { arch, compileLoader, encodeElf, exists, STEP_SIZE } from "../../ffi/mod.ts";
import { syscallNumber } from "../../ffi/syscalls.ts";
import { CREATE_KIND, EXEC_VERB_KIND, RUN_KIND } from "../../lib/lifecycle/mod.ts";
import { VERBS, VERBS_KIND } from "../../lib/lifecycle/program/mod.ts";
import { reapOrphans } from "./leftovers.ts";
import { type Result, Running } from "./running.ts";
import { BUNDLES, EMULATED, type Sandbox, until } from "./sandbox.ts";

// What tests of a created container's verbs share: the launcher, without crate behind it.

export const SCRIPT = new URL("../../scripts/verbs.sh", import.meta.url).pathname;
/** The launcher goes on to crate. */
export const CRATE_IS_ASKED = 42;
export const ASKED = { code: CRATE_IS_ASKED, stdout: "", stderr: "" };
export const DONE = { code: 0, stdout: "", stderr: "" };

export type Walk = (words: readonly string[], env?: Record<string, string>) => Promise<Result>;

/** The launcher with loaders of its own, without crate behind it. */
export function walker(box: Sandbox): Walk {
  const launcher = makeLauncher(box);
  return async (words, env = {}) =>
    await new Running([launcher, ...words], {
      env: { XDG_CONFIG_HOME: box.path("none"), ...env },
    }).ended;
}

/** The launcher's file: it has loaders of its own, and ends where it would ask crate. */
export function makeLauncher(box: Sandbox): string {
  // What is ready is so for one crate, which is known by its bundle's name.
  const made = Deno.readTextFileSync(`${BUNDLES}/current`);
  const [, bundle] = /^bundle='(\w+)'$/m.exec(made)!;
  const loaders = box.mkdir(`${bundle}/verbs`);
  for (const name of ["exec", "create", "run"]) box.mkdir(`${bundle}/verbs/${name}`);
  const name = box.path("loaders");
  if (!exists(name)) Deno.symlinkSync(loaders, name);
  const programs = [
    ...VERBS.map((verb, entry) => [verb, compileLoader(entry, VERBS_KIND)] as const),
    ["exec/sh", compileLoader(0, EXEC_VERB_KIND, { inPlace: true, blocks: true })] as const,
    ["create/sh", compileLoader(0, CREATE_KIND, { inPlace: true })] as const,
    ["run/sh", compileLoader(0, RUN_KIND, { inPlace: true, blocks: true })] as const,
  ];
  for (const [name, program] of programs) {
    Deno.writeFileSync(`${loaders}/${name}`, encodeElf(program, arch).bytes, { mode: 0o755 });
  }
  const file = box.path("launcher");
  const script = `. ${SCRIPT}; verbs ${loaders} ${file} "$@"; exit ${CRATE_IS_ASKED}`;
  return box.file("launcher", `#!/bin/sh\n${script}\n`, 0o755);
}

export const at = (box: Sandbox, ...words: string[]) => ["--root", box.root, ...words];

/** A word of which the launcher knows nothing: crate itself. */
export const itself = (box: Sandbox, words: readonly string[]) =>
  box.crate(["--log-level", "warn", ...words]);

export async function ended(box: Sandbox, id: string): Promise<void> {
  await until(`${id} ends`, async () => {
    reapOrphans();
    return (await box.state(id)).status === "stopped";
  });
}

/** A program's steps come after its kind and size. */
const HEADER = 8;

/**
 * Makes one step after the other of a walked program fail, others in each run, all with time.
 *
 * @param never calls that are done again when they fail, or of which nobody looks whether they have.
 */
export function* breakSteps(
  file: string,
  never: readonly Parameters<typeof syscallNumber>[0][] = ["ppoll", "close", "exit_group"],
): Generator<number> {
  const whole = Deno.readFileSync(file);
  const view = new DataView(whole.buffer);
  const numberOf = (i: number) => view.getInt32(HEADER + i * STEP_SIZE, true);
  const numbers = never.map((name) => syscallNumber(name, arch));
  const calls: number[] = [];
  // Where a step goes on is so many steps away, but for a bit, or a way out of the program; of what stands behind the last
  // one that is not so.
  const isStep = (i: number) =>
    [4, 6].every((at) =>
      (view.getInt32(HEADER + i * STEP_SIZE + 4 * at, true) & ~1) % STEP_SIZE === 0
    );
  // Where it is no system call's, it is one of the interpreter's own, which cannot fail.
  for (let i = 0; numberOf(i) <= 500 && numberOf(i) >= -3 && isStep(i); i++) {
    if (numberOf(i) >= 0 && !numbers.includes(numberOf(i))) calls.push(i);
  }
  const every = Math.ceil(calls.length / (EMULATED ? 8 : 40));
  const first = Math.floor(Math.random() * every);
  for (const i of calls.filter((_, at) => at % every === first)) {
    const broken = whole.slice();
    new DataView(broken.buffer).setInt32(HEADER + i * STEP_SIZE, 9999, true);
    Deno.removeSync(file);
    Deno.writeFileSync(file, broken, { mode: 0o600 });
    yield i;
  }
  Deno.removeSync(file);
  Deno.writeFileSync(file, whole, { mode: 0o600 });
}
