import type { CheckpointOptions, RestoreOptions } from "./criu/mod.ts";

// Few need criu: what talks to it loads when it is called.

/**
 * Writes a running container's processes into images, and ends them unless they are to go on.
 *
 * @throws {CrateError} `NOT_FOUND` for a container or criu; `STATE`; `UNSUPPORTED`; `FAILED` with what criu's log says.
 */
export async function checkpointContainer(options: CheckpointOptions): Promise<void> {
  const { checkpoint } = await import("./criu/mod.ts");
  await checkpoint(options);
}

/**
 * Restores a container from images: a new one of a bundle, or one that has stopped.
 *
 * @returns what it has exited with, when it was waited for; else 0.
 * @throws {CrateError} `NOT_FOUND` for images or criu; `EXISTS`; `START`; `FAILED` with what criu's log says.
 */
export async function restoreContainer(options: RestoreOptions): Promise<number> {
  const { restore } = await import("./criu/mod.ts");
  return await restore(options);
}
