import { CrateError } from "../errors.ts";
import type { Hook, Hooks } from "../spec/mod.ts";
import type { ProcessId } from "./process_id.ts";
import { namespaceFlag } from "./program/mod.ts";
import { runTask, type TaskEnd } from "./task.ts";
import { type Hooked, hookState } from "./hook_state.ts";

/** Of what a hook has said, how much an error repeats. */
const MAX_SAID = 4096;

/**
 * Runs the hooks that come before the container's root is its root: prestart and createRuntime in the host's
 * namespaces, createContainer in the container's, from where the host's files are still to be seen.
 *
 * @throws {CrateError} `START` when one fails.
 */
export async function runEarlyHooks(container: Hooked, init: ProcessId): Promise<void> {
  const { spec } = container;
  const { prestart, createRuntime, createContainer } = spec.hooks ?? {};
  const state = hookState(container, "creating", init.pid);
  await runHooks(prestart, "prestart", container, state);
  await runHooks(createRuntime, "createRuntime", container, state);
  await runHooks(createContainer, "createContainer", container, state, init);
}

/**
 * Runs the hooks of one point in their order.
 *
 * @param inside the init whose namespaces they run in; absent: the host's.
 * @throws {CrateError} `START` when one fails; the others do not run then.
 */
export async function runHooks(
  hooks: readonly Hook[] | undefined,
  point: keyof Hooks,
  container: Hooked,
  state: string,
  inside?: ProcessId,
): Promise<void> {
  for (const [index, hook] of (hooks ?? []).entries()) {
    await runHook(hook, `hooks.${point}[${index}] (${hook.path})`, container, state, inside);
  }
}

async function runHook(
  hook: Hook,
  field: string,
  { spec, bundle, directory }: Hooked,
  state: string,
  inside: ProcessId | undefined,
): Promise<void> {
  const failed = (why: string, cause?: unknown) =>
    new CrateError("START", `${field} ${why}`, { cause });
  const namespaces = inside === undefined
    ? 0
    : (spec.linux?.namespaces ?? []).reduce((all, ns) => all | namespaceFlag(ns), 0) >>> 0;
  let ended: TaskEnd;
  try {
    ended = await runTask({
      path: hook.path,
      args: hook.args?.length ? hook.args : [hook.path],
      env: hook.env ?? [],
      cwd: bundle,
      input: state,
      directory,
      timeout: hook.timeout === undefined ? undefined : hook.timeout * 1000,
      inside: inside && { init: inside, namespaces },
    });
  } catch (error) {
    if (error instanceof CrateError) throw failed(`cannot run: ${error.message}`, error);
    throw error;
  }
  const { exit, isLate, said } = ended;
  if (isLate) throw failed(`did not end within its timeout of ${hook.timeout} s`);
  if (exit.code === 0) return;
  const words = said.slice(0, MAX_SAID).trim().replaceAll("\n", "; ");
  const how = exit.signal === undefined
    ? `exited with ${exit.code}`
    : `was killed (${exit.signal})`;
  throw failed(words === "" ? how : `${how}: ${words}`);
}
