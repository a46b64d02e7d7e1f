import { LOCK_EX, mkdirAll, readText } from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import { explained, explainedAsync, makeReserve, status, writeWhole } from "./disk.ts";
import { EMPTY_INDEX } from "./index.ts";
import { ALGORITHMS, OCI_LAYOUT, type Paths, VERSION } from "./layout.ts";
import { underLock } from "./lock.ts";

const MAX_VERSION = 64;

/**
 * Makes what is missing of a store.
 *
 * @returns whether nothing was there.
 * @throws {CrateError} `PERMISSION`; `INVALID` when there is something else in the directory's place;
 *   `UNSUPPORTED` when a newer crate has written it.
 */
export async function prepare(paths: Paths): Promise<boolean> {
  let isNew = false;
  if (!isPrepared(paths)) {
    isNew = status(paths.own) === undefined;
    await explainedAsync(paths, "make the image store", async () => {
      mkdirAll(paths.root, 0o700);
      const folders = [paths.leases, paths.partial, paths.locks, paths.layers, paths.trees];
      for (const folder of [...folders, paths.pins, paths.temporary]) mkdirAll(folder, 0o700);
      for (const algorithm of ALGORITHMS) mkdirAll(`${paths.blobs}/${algorithm}`, 0o755);
      await underLock(paths, LOCK_EX, () => {
        makeReserve(paths);
        // The version comes last: with it, all is there.
        const files: [path: string, content: string][] = [
          [paths.index, EMPTY_INDEX],
          [paths.ociLayout, OCI_LAYOUT],
          [paths.version, `${VERSION}\n`],
        ];
        for (const [path, content] of files) {
          if (!isWritten(path)) writeWhole(paths, path, content, false);
        }
      });
    });
  }
  checkVersion(paths);
  return isNew;
}

function isPrepared(paths: Paths): boolean {
  return [paths.version, paths.index, paths.ociLayout].every(isWritten);
}

/** Nothing waits for an empty store to reach the disk: a power failure may leave names of files that are empty. */
function isWritten(path: string): boolean {
  return (status(path)?.size ?? 0) > 0;
}

function checkVersion(paths: Paths): void {
  const text = explained(
    paths,
    "read the store's version",
    () => readText(paths.version, MAX_VERSION),
  );
  if (text.trim() === `${VERSION}`) return;
  throw new CrateError(
    "UNSUPPORTED",
    `${paths.version} says ${JSON.stringify(text.trim())}, this crate knows version ${VERSION}: ` +
      "use the crate that made the store, or let image_root name another directory",
  );
}
