import {
  AT_FDCWD,
  close,
  isMissing,
  LOCK_EX,
  LOCK_SH,
  mkdir,
  mkdirAll,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_RDONLY,
  O_RDWR,
  open,
  randomHex,
  readText,
  syscall,
  writeAll,
} from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import { quote } from "../names/mod.ts";
import { type Owner, ownersContainer, writeOwner } from "./containers.ts";
import {
  explained,
  explainedAsync,
  namesIn,
  rename,
  status,
  syncDirectory,
  temporaryPath,
  unlinkIfThere,
} from "./disk.ts";
import { doom, finish } from "./garbage.ts";
import type { Paths } from "./layout.ts";
import { lock, tryFlock, tryLock, underLock } from "./lock.ts";
import { removeTree } from "./remove_tree.ts";
import { treeSize } from "./tree_size.ts";

// Volumes with names: `crate/volumes/<name>/` with
//   volume.json      when it was made, its labels
//   data/            what is in it
//   users/<random>   a container that mounts it: its state directory. It counts as the `owner` of what a container
//                    of an image writes does, see containers.ts.
// A volume appears whole, and is removed by its name alone, and never while somebody uses it.

const MAX_RECORD = 1 << 20;
const MAX_NAME = 200;

/** A volume as it is. */
export interface VolumeInfo {
  readonly name: string;
  /** The directory that containers get. */
  readonly path: string;
  /** RFC 3339. */
  readonly created: string;
  readonly labels: Readonly<Record<string, string>>;
  /** The ids of the containers that mount it. */
  readonly users: readonly string[];
}

/** A container's use of a volume; disposing of it leaves that to the container's record. */
export interface VolumeUse extends Disposable {
  readonly path: string;
  /** The container will not be: nor will the volume, when it was made for it alone. */
  remove(): void;
}

/** Fills an empty directory, that has no name yet, with what a volume begins with. */
export type Fill = (directory: string) => Promise<void>;

/** A volume's name. @throws {CrateError} `INVALID` */
export function volumeName(word: string): string {
  if (/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(word) && word.length <= MAX_NAME) return word;
  throw new CrateError(
    "INVALID",
    `${
      quote(word)
    } is no name of a volume: it has letters, digits, _, . and -, at most ${MAX_NAME}, ` +
      `and begins with a letter or a digit (a directory begins with /, ./ or ../)`,
  );
}

const directoryOf = (paths: Paths, name: string) => `${paths.volumes}/${volumeName(name)}`;

/** Where a volume's content lies, whether it is there or not. @throws {CrateError} `INVALID` */
export function volumePath(paths: Paths, name: string): string {
  return `${directoryOf(paths, name)}/data`;
}

/** All volumes, by name. @throws {CrateError} */
export function listVolumes(paths: Paths): VolumeInfo[] {
  return namesIn(paths.volumes).sort().flatMap((name) => findVolume(paths, name) ?? []);
}

/** One volume; undefined when it is not there. @throws {CrateError} */
export function findVolume(paths: Paths, name: string): VolumeInfo | undefined {
  const directory = directoryOf(paths, name);
  return explained(paths, `read volume ${quote(name)}`, () => {
    let text: string;
    try {
      text = readText(`${directory}/volume.json`, MAX_RECORD);
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
    const { created, labels } = JSON.parse(text);
    return { name, path: `${directory}/data`, created, labels, users: usersOf(directory) };
  });
}

function usersOf(directory: string): string[] {
  return namesIn(`${directory}/users`).flatMap((name) => {
    const container = ownersContainer(`${directory}/users/${name}`);
    return container === undefined ? [] : container.slice(container.lastIndexOf("/") + 1);
  });
}

/** Makes a volume; one that is there stays as it is. @returns whether it was made. @throws {CrateError} */
export function createVolume(
  paths: Paths,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): Promise<boolean> {
  const directory = directoryOf(paths, name);
  return explainedAsync(
    paths,
    `make volume ${quote(name)}`,
    () => underLock(paths, LOCK_SH, () => create(paths, directory, labels)),
  );
}

function create(paths: Paths, directory: string, labels: Readonly<Record<string, string>>) {
  if (status(directory) !== undefined) return false;
  const temporary = temporaryPath(paths);
  mkdir(temporary, 0o700);
  try {
    mkdir(`${temporary}/users`, 0o700);
    mkdir(`${temporary}/data`, 0o755);
    syscall("fchmodat", AT_FDCWD, `${temporary}/data`, 0o755);
    const fd = open(`${temporary}/volume.json`, O_RDWR | O_CREAT | O_EXCL, 0o600);
    try {
      writeAll(fd, JSON.stringify({ created: new Date().toISOString(), labels }), directory);
      syscall("fsync", fd);
    } finally {
      close(fd);
    }
    mkdirAll(paths.volumes, 0o700);
    syncDirectory(temporary);
    // Two may make one at a time: a directory with something in it is not replaced.
    rename(temporary, directory);
    syncDirectory(paths.volumes);
    return true;
  } catch (error) {
    removeTree(temporary);
    if (status(directory) !== undefined) return false;
    throw error;
  }
}

/**
 * Notes that a container is about to mount a volume, and makes that when it is not there.
 *
 * @param user its state directory, and the path by which its record will name the volume.
 * @param fill for a volume that nobody uses and that is empty.
 * @throws {CrateError}
 */
export function takeVolume(
  paths: Paths,
  name: string,
  user: Owner,
  fill?: Fill,
): Promise<VolumeUse> {
  const directory = directoryOf(paths, name);
  return explainedAsync(paths, `use volume ${quote(name)}`, async () => {
    // One at a time: the next one finds it filled.
    const turn = `${paths.locks}/volume-${name}`;
    using _ = await lock(turn, LOCK_EX);
    const { isNew, isFree, use } = await underLock(paths, LOCK_SH, () => {
      const isNew = create(paths, directory, {});
      const isFree = usersOf(directory).length === 0;
      return { isNew, isFree, use: register(paths, directory, user, isNew) };
    });
    try {
      const mayFill = isNew || isFree && namesIn(`${directory}/data`).length === 0;
      if (fill !== undefined && mayFill) await fillData(paths, directory, fill);
    } catch (error) {
      use.remove();
      throw error;
    } finally {
      // Who waits for it sees that it has lost its name, and makes another.
      unlinkIfThere(turn);
    }
    return use;
  });
}

function register(
  paths: Paths,
  directory: string,
  user: Owner,
  isNew: boolean,
): VolumeUse {
  const users = `${directory}/users`;
  for (const name of namesIn(users)) {
    const other = `${users}/${name}`;
    if (ownersContainer(other) === undefined) unlinkIfThere(other);
  }
  const path = `${users}/${randomHex(8)}`;
  const fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0o600);
  let isOpen = true;
  const end = () => {
    if (isOpen) close(fd);
    isOpen = false;
  };
  try {
    if (!tryFlock(fd, LOCK_EX)) throw new CrateError("FAILED", `${path} is locked by another`);
    writeOwner(fd, user);
  } catch (error) {
    unlinkIfThere(path);
    end();
    throw error;
  }
  return {
    path: `${directory}/data`,
    remove() {
      if (isOpen) unlinkIfThere(path);
      end();
      using held = isNew ? tryLock(paths.lock, LOCK_EX) : undefined;
      if (held !== undefined && usersOf(directory).length === 0) removeTree(directory);
    },
    [Symbol.dispose]: end,
  };
}

/** Whole or not at all: what is not renamed yet is cleared away with what else dead commands leave. */
async function fillData(paths: Paths, directory: string, fill: Fill): Promise<void> {
  const temporary = temporaryPath(paths);
  const fd = await underLock(paths, LOCK_SH, () => {
    mkdir(temporary, 0o755);
    const fd = open(temporary, O_RDONLY | O_DIRECTORY);
    if (tryFlock(fd, LOCK_EX)) return fd;
    close(fd);
    throw new CrateError("FAILED", `${temporary} is locked by another`);
  });
  try {
    syscall("fchmod", fd, 0o755);
    await fill(temporary);
    rename(temporary, `${directory}/data`);
  } catch (error) {
    removeTree(temporary);
    throw error;
  } finally {
    close(fd);
  }
}

/**
 * Removes volumes, with all that is in them.
 *
 * @param which names, or what tells by its name whether one that no container uses is among them.
 * @returns the names of those that are gone, and the bytes that are free.
 * @throws {CrateError} `NOT_FOUND`; `STATE` when a container uses one.
 */
export function removeVolumes(
  paths: Paths,
  which: readonly string[] | ((name: string) => boolean),
): Promise<{ readonly removed: readonly string[]; readonly freed: number }> {
  return explainedAsync(paths, "remove volumes", async () => {
    const taken = await underLock(paths, LOCK_EX, () => {
      const found = typeof which === "function"
        ? listVolumes(paths).filter(({ name, users }) => users.length === 0 && which(name))
        : which.map((name) => removable(paths, name));
      return found.flatMap(({ name }) => {
        const doomed = doom(paths, directoryOf(paths, name));
        return doomed === undefined ? [] : { name, doomed };
      });
    });
    if (taken.length > 0) syncDirectory(paths.volumes);
    const freed = taken.reduce((sum, { doomed }) => sum + treeSize(doomed.path), 0);
    finish(taken.map(({ doomed }) => doomed));
    return { removed: taken.map(({ name }) => name), freed };
  });
}

function removable(paths: Paths, name: string): VolumeInfo {
  const volume = findVolume(paths, name);
  if (volume === undefined) {
    throw new CrateError(
      "NOT_FOUND",
      `volume ${quote(name)} does not exist: crate volume ls shows them`,
    );
  }
  const [user] = volume.users;
  if (user === undefined) return volume;
  throw new CrateError(
    "STATE",
    `volume ${
      quote(name)
    } is used by container "${user}": remove that first (crate delete ${user})`,
  );
}
