import assert from "node:assert/strict";
import { type Sandbox, test, until } from "./mod.ts";
import type { Result } from "./running.ts";

/** Why criu cannot do its work here, in its own words; undefined where it can. */
function whyNot(): string | undefined {
  // There it must.
  if (Deno.env.get("TEST_MACHINE") === "vm") return undefined;
  try {
    const { success, stderr } = new Deno.Command("criu", { args: ["check"] }).outputSync();
    if (success) return undefined;
    const said = new TextDecoder().decode(stderr).trim().split("\n").at(-1);
    return `criu cannot restore on this kernel (${said}); it is tried in the virtual machine`;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return "criu is not installed (apt-get install criu)";
  }
}

const reason = whyNot();

/** A test that has criu work: in the virtual machine always, elsewhere where the kernel lets it. */
export function criuTest(
  name: string,
  body: (box: Sandbox) => Promise<void>,
): void {
  test(name, body, reason === undefined ? {} : { skip: reason });
}

/** Prints numbers, one more each time, from a variable that only its memory has. */
export const COUNTER = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.1; done";

/** The numbers in a text. */
export function numbers(text: string): number[] {
  return text.split("\n").filter((line) => /^\d+$/.test(line)).map(Number);
}

/** Asserts that a counter has gone on over its checkpoints: no number twice, none left out. */
export function assertGoesOn(text: string, from: number): void {
  const all = numbers(text);
  assert.deepEqual(all, all.map((_, i) => i + 1));
  assert(all.length > from, `${all.length} numbers, and it had ${from}`);
}

/** Waits until a file has so many lines more. @returns how many it has. */
export async function grown(file: string, more = 3): Promise<number> {
  const count = () => Deno.readTextFileSync(file).split("\n").length - 1;
  const before = count();
  await until(`${file} grows`, () => count() >= before + more);
  return count();
}

/** `crate restore` as an engine calls it: the container's output is appended to a file, crate's errors are told. */
export async function restore(
  box: Sandbox,
  out: string,
  words: readonly string[],
): Promise<Pick<Result, "code" | "stderr">> {
  const errors = box.path("restore.err");
  // Its own errors would be the container's from then on.
  // In a user namespace it is opened again, by the container's root.
  const script =
    `: >${errors}; chmod --reference=${out} ${errors}; "$@" </dev/null >>${out} 2>>${errors}; code=$?; cat ${errors} >&2; exit $code`;
  const { code, stderr } = await box.host(script, ["restore", ...words]);
  return { code, stderr };
}
