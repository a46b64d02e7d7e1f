import { close, O_DIRECTORY, O_RDONLY, open, SyscallError } from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import type { Hooked } from "./hook_state.ts";
import type { ProcessId } from "./process_id.ts";
import { STAGE_COPY, STAGE_HOOKS, STAGE_LISTENER } from "./program/mod.ts";
import { listenerState } from "./seccomp_listener.ts";
import type { AtStage } from "./start.ts";

/** What every starter does at the stages before a container is created. */
export function early(container: Hooked, init: ProcessId): AtStage {
  return async (stage, next) => {
    if (stage === STAGE_HOOKS) {
      const { runEarlyHooks } = await import("./hooks.ts");
      await runEarlyHooks(container, init);
    } else if (stage === STAGE_COPY) {
      const [from, to] = [next(), next()];
      await copyUp(init, from, to);
    } else if (stage === STAGE_LISTENER) {
      const { pid } = init;
      return listenerState(container, pid, { pid, status: "creating" });
    }
  };
}

/** `tmpcopyup`: the image's directory into the tmpfs that is going to cover it, by the init's descriptors. */
async function copyUp({ pid }: ProcessId, from: number, to: number): Promise<void> {
  const { copyTree } = await import("../image/mod.ts");
  const source = open(`/proc/${pid}/fd/${from}`, O_RDONLY | O_DIRECTORY);
  try {
    await copyTree(source, `/proc/${pid}/fd/${to}/.`);
  } catch (cause) {
    if (!(cause instanceof SyscallError)) throw cause;
    throw new CrateError("START", `a tmpfs with tmpcopyup cannot be filled: ${cause.message}`, {
      cause,
    });
  } finally {
    close(source);
  }
}
