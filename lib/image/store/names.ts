import { LOCK_EX } from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import type { Descriptor } from "../types.ts";
import { hasBlob, syncBlobs } from "./blobs.ts";
import { explainedAsync } from "./disk.ts";
import { changeIndexAfter, type Entry, named, withName } from "./index.ts";
import type { Paths } from "./layout.ts";
import { underLock } from "./lock.ts";

/**
 * Gives an image a name; the image that had it stays, without a name.
 *
 * @param name canonical; undefined: the image is listed without one, unless it has one already.
 * @throws {CrateError} `NOT_FOUND` when its document is not there; nothing has changed then.
 */
export function putName(
  paths: Paths,
  name: string | undefined,
  descriptor: Descriptor,
): Promise<void> {
  const { mediaType, digest, size, platform } = descriptor;
  const plain = { mediaType, digest, size, ...platform && { platform } };
  return explainedAsync(
    paths,
    `name the image ${name ?? digest}`,
    () =>
      underLock(paths, LOCK_EX, async () => {
        if (!hasBlob(paths, plain)) {
          throw new CrateError("NOT_FOUND", `${digest} is not in the store: it cannot have a name`);
        }
        await changeIndexAfter(
          paths,
          syncBlobs(paths),
          (entries) => name === undefined ? listed(entries, plain) : withName(entries, name, plain),
        );
      }),
  );
}

function listed(entries: Entry[], descriptor: Descriptor): Entry[] {
  const there = entries.some((entry) => entry.descriptor.digest === descriptor.digest);
  return there ? entries : [...entries, named({ descriptor }, undefined)];
}
