import {
  close,
  ENOENT,
  ENOTDIR,
  O_DIRECTORY,
  O_PATH,
  open,
  open_how,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
  SyscallError,
  trySyscall,
} from "../../ffi/mod.ts";
import { copyTree } from "./pack/mod.ts";
import type { Container, ContainerFiles, Image, ReadyFiles, Store } from "./store/mod.ts";
import { statusOf } from "./unpack/mod.ts";

/** A volume that an image declares, and that a container gets as a directory of its own. */
export interface Volume {
  readonly number: number;
  /** In the container, absolute. */
  readonly destination: string;
}

/** What a container of an image needs of the store, and writes to. */
export interface ClaimOptions {
  readonly container: Container;
  /** The layers' directories, the uppermost first. */
  readonly layers: readonly string[];
  /** Where it writes to; undefined: nowhere in the store. */
  readonly files?: ContainerFiles;
  /** Those that nothing else is mounted in the place of. */
  readonly volumes: readonly Volume[];
  /** Opens the layers as the container will see them, when a volume has to be filled. */
  readonly openRoot: () => number;
}

/** What of the store a container's monitor can give back: as little as it can go wrong with. */
export interface LeftInStore {
  /** The note of what it needed, which another one of its name has, too. */
  readonly pin: string;
  readonly files: readonly string[];
  /** Removed in this order where nothing is in them: what it has written is for the next command that changes the store. */
  readonly directories: readonly string[];
}

/** The kernel's own below an overlay's work directory. https://docs.kernel.org/filesystems/overlayfs.html, "Volatile mount" */
const WORK = ["work/work/incompat/volatile", "work/work/incompat", "work/work"];
const MARK = `${WORK[0]}/dirty`;

function leftOf({ path, upper, work }: ContainerFiles, pin: string): LeftInStore {
  const kernels = WORK.map((name) => `${path}/${name}`);
  return {
    pin,
    files: [`${path}/owner`, `${path}/${MARK}`],
    directories: [...kernels, work, upper, path],
  };
}

/** Disposing of it leaves all to the container. */
export interface Claimed extends Disposable {
  /** The container will not be, after all. */
  remove(): void;
  /** What is left of it in the store when the container is gone. */
  readonly left?: LeftInStore;
  /** What a program needs for the next container of the image; undefined where there is more to it. */
  ready?(): Promise<ReadyFiles | undefined>;
}

/**
 * Keeps an image for a container, and makes what it writes to. A volume begins with what the image has at its
 * place, as docker's do.
 *
 * @throws {CrateError} nothing of it is left then.
 */
export async function claimImage(
  store: Store,
  image: Image,
  { container, layers, files, volumes, openRoot }: ClaimOptions,
): Promise<Claimed> {
  const pin = await store.pin(image, container);
  if (files === undefined) return pin;
  try {
    const count = Math.max(0, ...volumes.map(({ number }) => number + 1));
    const { directory } = container;
    const root = rootOf(layers[0]!);
    const owned = await files.make({ directory, root, volumes: count });
    try {
      if (volumes.length > 0) await fillVolumes(files, volumes, openRoot);
    } catch (error) {
      owned.remove();
      throw error;
    }
    return {
      remove() {
        pin.remove();
        owned.remove();
      },
      [Symbol.dispose]() {
        pin[Symbol.dispose]();
        owned[Symbol.dispose]();
      },
      left: leftOf(files, store.pinPath(container)),
      ...volumes.length === 0 && {
        ready: () => store.ready(image, container, { files, layers, root }),
      },
    };
  } catch (error) {
    pin.remove();
    throw error;
  }
}

/** What is merged shows the upper directory's own attributes. */
function rootOf(layer: string): { mode: number; uid: number; gid: number } {
  const fd = open(layer, O_PATH | O_DIRECTORY);
  try {
    return statusOf(fd);
  } finally {
    close(fd);
  }
}

async function fillVolumes(
  files: ContainerFiles,
  volumes: readonly Volume[],
  openRoot: () => number,
): Promise<void> {
  const root = openRoot();
  try {
    for (const { number, destination } of volumes) {
      await copyFromRoot(root, destination, files.volume(number));
    }
  } finally {
    close(root);
  }
}

/**
 * Makes an empty directory a copy of one in a root filesystem; nothing is copied when there is none.
 *
 * @param root a descriptor of the root, which no link leads out of.
 * @throws {CrateError} @throws {SyscallError}
 */
export async function copyFromRoot(root: number, path: string, to: string): Promise<void> {
  const how = open_how.pack({
    flags: O_PATH | O_DIRECTORY,
    resolve: RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
  });
  const from = trySyscall("openat2", root, path, how, how.length);
  // The container's start makes it, or says why it cannot.
  if (from === -ENOENT || from === -ENOTDIR) return;
  if (from < 0) throw new SyscallError("openat2", -from, path);
  try {
    await copyTree(from, to);
  } finally {
    close(from);
  }
}
