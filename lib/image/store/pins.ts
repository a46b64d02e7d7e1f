import {
  close,
  encodeText,
  exists,
  isMissing,
  LOCK_EX,
  LOCK_SH,
  O_CREAT,
  O_EXCL,
  O_RDWR,
  open,
  readText,
  writeAll,
} from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import { digestOf } from "../documents/mod.ts";
import { digestHex, isDigest } from "../names/mod.ts";
import type { Digest } from "../types.ts";
import {
  explainedAsync,
  namesIn,
  rename,
  replaceWhole,
  temporaryPath,
  unlinkIfThere,
} from "./disk.ts";
import type { Paths } from "./layout.ts";
import { isHeld, tryFlock, underLock } from "./lock.ts";

// What a container needs of the store. Its pin counts for as long as its state directory is there, and,
// until that has been made, while the one who pinned it lives. A pin is not synced: neither it nor the
// container outlives the boot.

const MAX_PIN = 1 << 20;

/** What a container needs. */
export interface PinRecord {
  /** The container's id, for messages. */
  readonly container: string;
  /** Its state directory: when it is gone, so is the container. */
  readonly directory: string;
  /** The image's id. */
  readonly image: Digest;
  /** The documents, blobs and layers (by diffID) that stay. */
  readonly digests: readonly Digest[];
}

/** A pin's owner; disposing of it leaves the pin to the container's directory. */
export interface Pin extends Disposable {
  /** The container will not be, after all. */
  remove(): void;
}

/** Longer ids have no room in the name of a file. */
const MAX_ID = 128;

/**
 * A container has one pin, whichever image it was last of: by its id, and by a digest of where its state directory is, which
 * is the same for others.
 */
export function pinPath(paths: Paths, directory: string): string {
  const at = directory.lastIndexOf("/");
  const id = directory.slice(at + 1);
  const hex = (text: string) => digestHex(digestOf(encodeText(text)));
  if (id.length > MAX_ID) return `${paths.pins}/${hex(directory)}`;
  return `${paths.pins}/${hex(directory.slice(0, at))}-${id}`;
}

/**
 * Pins what a container needs: it appears whole, and only if all of it is there.
 *
 * @param check looks, under the lock, whether all is there. @throws {CrateError} when not
 * @throws {CrateError}
 */
export function pin(paths: Paths, record: PinRecord, check: () => void): Promise<Pin> {
  const path = pinPath(paths, record.directory);
  return explainedAsync(
    paths,
    `note what container "${record.container}" needs`,
    () =>
      underLock(paths, LOCK_SH, () => {
        check();
        const temporary = temporaryPath(paths);
        const fd = open(temporary, O_RDWR | O_CREAT | O_EXCL, 0o600);
        try {
          writeAll(fd, JSON.stringify(record), path);
          if (!tryFlock(fd, LOCK_EX)) {
            throw new CrateError("FAILED", `${path} is locked by another`);
          }
          rename(temporary, path);
        } catch (error) {
          unlinkIfThere(temporary);
          close(fd);
          throw error;
        }
        return owner(path, fd);
      }),
  );
}

function owner(path: string, fd: number): Pin {
  let open = true;
  const end = () => {
    if (open) close(fd);
    open = false;
  };
  return {
    remove() {
      if (open) unlinkIfThere(path);
      end();
    },
    [Symbol.dispose]: end,
  };
}

/** Forgets what a container needed; one without a pin is fine. @throws {CrateError} */
export function unpin(paths: Paths, directory: string): void {
  unlinkIfThere(pinPath(paths, directory));
}

/** Makes a container's pin count for another state directory, too; one without a pin is fine. @throws {CrateError} */
export function renamePin(paths: Paths, from: string, to: string): void {
  const record = readPin(pinPath(paths, from));
  if (record === undefined) return;
  const container = to.slice(to.lastIndexOf("/") + 1);
  const text = JSON.stringify({ ...record, container, directory: to });
  replaceWhole(paths, pinPath(paths, to), text);
}

function readPin(path: string): PinRecord | undefined {
  try {
    const { container, directory, image, digests } = JSON.parse(readText(path, MAX_PIN));
    const whole = typeof container === "string" && typeof directory === "string" &&
      isDigest(image) && Array.isArray(digests) && digests.every(isDigest);
    if (whole) return { container, directory, image, digests };
  } catch (error) {
    if (isMissing(error)) return undefined;
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new CrateError(
    "FAILED",
    `${path} is not whole: remove it when no container of an image is running`,
  );
}

/** In this order: who pinned it lets go when the directory is there. */
function counts(path: string, { directory }: PinRecord): boolean {
  return isHeld(path) || exists(directory);
}

/** The pins that count. Without the lock a pin that is being made may be missing. */
export function readPins(paths: Paths): PinRecord[] {
  return namesIn(paths.pins).flatMap((name) => {
    const path = `${paths.pins}/${name}`;
    const record = readPin(path);
    if (record === undefined) return [];
    return counts(path, record) ? record : [];
  });
}

/** Under the exclusive lock: removes the pins of containers that are gone. */
export function clearPins(paths: Paths): void {
  for (const name of namesIn(paths.pins)) {
    const path = `${paths.pins}/${name}`;
    const record = readPin(path);
    if (record !== undefined && !counts(path, record)) unlinkIfThere(path);
  }
}
