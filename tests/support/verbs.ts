import { arch, compileLoader, encodeElf, exists } from "../../ffi/mod.ts";
import { CREATE_KIND, EXEC_VERB_KIND } from "../../lib/lifecycle/mod.ts";
import { VERBS, VERBS_KIND } from "../../lib/lifecycle/program/mod.ts";
import { reapOrphans } from "./leftovers.ts";
import { type Result, Running } from "./running.ts";
import { type Sandbox, until } from "./sandbox.ts";

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
  const made = Deno.readTextFileSync(new URL("../../.cache/bundle/current", import.meta.url));
  const [, bundle] = /^bundle='(\w+)'$/m.exec(made)!;
  const loaders = box.mkdir(`${bundle}/verbs`);
  for (const name of ["exec", "create"]) box.mkdir(`${bundle}/verbs/${name}`);
  const name = box.path("loaders");
  if (!exists(name)) Deno.symlinkSync(loaders, name);
  const programs = [
    ...VERBS.map((verb, entry) => [verb, compileLoader(entry, VERBS_KIND)] as const),
    ["exec/sh", compileLoader(0, EXEC_VERB_KIND, { inPlace: true, blocks: true })] as const,
    ["create/sh", compileLoader(0, CREATE_KIND, { inPlace: true })] as const,
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
