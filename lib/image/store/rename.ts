import { isMissing, LOCK_SH, readText } from "../../../ffi/mod.ts";
import { type Owner, parseOwner } from "./containers.ts";
import { namesIn, replaceWhole } from "./disk.ts";
import type { Paths } from "./layout.ts";
import { underLock } from "./lock.ts";
import { renamePin, unpin } from "./pins.ts";

// The store knows containers by their state directories. While one is renamed it knows both names, so that whenever
// crate is killed the container keeps what it has: its image, what it has written, its volumes.

const MAX_OWNER = 1 << 16;

/**
 * Renames a container.
 *
 * @param move gives the state directory its new name; what it throws leaves all as it was.
 */
export function renameContainer<T>(
  paths: Paths,
  from: string,
  to: string,
  move: () => T | Promise<T>,
): Promise<T> {
  // Under the lock nobody takes what is needed for what nobody needs.
  return underLock(paths, LOCK_SH, async () => {
    const owners = [
      ...namesIn(paths.containers).map((name) => `${paths.containers}/${name}/owner`),
      ...namesIn(paths.volumes).flatMap((volume) => {
        const users = `${paths.volumes}/${volume}/users`;
        return namesIn(users).map((name) => `${users}/${name}`);
      }),
    ].flatMap((file) => {
      const owner = ownerIn(file);
      const isIts = owner?.directory === from || owner?.also === from;
      return isIts ? [{ file, owner: owner! }] : [];
    });
    const note = (directory: string, also?: string) => {
      for (const { file, owner: { path } } of owners) {
        replaceWhole(paths, file, JSON.stringify({ directory, path, ...also && { also } }));
      }
    };
    renamePin(paths, from, to);
    note(from, to);
    let result: T;
    try {
      result = await move();
    } catch (error) {
      unpin(paths, to);
      note(from);
      throw error;
    }
    note(to);
    unpin(paths, from);
    return result;
  });
}

function ownerIn(file: string): Owner | undefined {
  try {
    return parseOwner(readText(file, MAX_OWNER));
  } catch (error) {
    // Removed meanwhile.
    if (isMissing(error)) return undefined;
    throw error;
  }
}
