import { exists, LOCK_EX, mkdirAll, readText } from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import { explained, explainedAsync, makeReserve, writeWhole } from "./disk.ts";
import { EMPTY_INDEX } from "./index.ts";
import { OCI_LAYOUT, type Paths, VERSION } from "./layout.ts";
import { underLock } from "./lock.ts";

const MAX_VERSION = 64;

/**
 * Makes what is missing of a store.
 *
 * @throws {CrateError} `PERMISSION`; `INVALID` when there is something else in the directory's place;
 *   `UNSUPPORTED` when a newer crate has written it.
 */
export async function prepare(paths: Paths): Promise<void> {
  if (!isPrepared(paths)) {
    await explainedAsync(paths, "make the image store", async () => {
      mkdirAll(paths.root, 0o700);
      const folders = [paths.leases, paths.partial, paths.locks, paths.layers, paths.trees];
      for (const folder of [...folders, paths.pins, paths.temporary]) mkdirAll(folder, 0o700);
      for (const algorithm of ["sha256", "sha512"]) mkdirAll(`${paths.blobs}/${algorithm}`, 0o755);
      await underLock(paths, LOCK_EX, () => {
        makeReserve(paths);
        // The version comes last: with it, all is there.
        if (!exists(paths.index)) writeWhole(paths, paths.index, EMPTY_INDEX);
        if (!exists(paths.ociLayout)) writeWhole(paths, paths.ociLayout, OCI_LAYOUT);
        if (!exists(paths.version)) writeWhole(paths, paths.version, `${VERSION}\n`);
      });
    });
  }
  checkVersion(paths);
}

function isPrepared(paths: Paths): boolean {
  return exists(paths.version) && exists(paths.index) && exists(paths.ociLayout);
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
