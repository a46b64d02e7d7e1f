import {
  AT_FDCWD,
  type GuardedFile,
  guardFile,
  STATX_BASIC_STATS,
  statx_layout,
  trySyscall,
} from "../../../ffi/mod.ts";
import type { ContainerFiles } from "./containers.ts";
import type { Paths } from "./layout.ts";
import { pinPath, type PinRecord } from "./pins.ts";

// What a program needs to make a place in the store for the next container of an image, as `pin` and `ContainerFiles.make`
// do it: lib/lifecycle/program/walked_files.ts.

/** What the next container of an image needs of the store. */
export interface ReadyFiles {
  /** Digits that were the last one's alone, in the name of its directory. */
  readonly digits: string;
  readonly lock: string;
  readonly guards: readonly GuardedFile[];
  /** The directory of all containers', and how many links it has when crate is to look what of them is left over. */
  readonly containers: { readonly path: string; readonly links: number };
  readonly directory: string;
  /** The layers' directories. */
  readonly layers: readonly string[];
  readonly root: { readonly mode: number; readonly uid: number; readonly gid: number };
  readonly owner: string;
  readonly pin: { readonly path: string; readonly temporary: string; readonly text: string };
}

/** So many containers may be there more before crate clears away again. */
const MORE = 16;

/**
 * What was made for a container, for the next one of the image.
 *
 * @returns undefined where the filesystem does not count directories.
 */
export function readyFiles(
  paths: Paths,
  pin: PinRecord,
  { files, layers, root }: Pick<ReadyFiles, "layers" | "root"> & { readonly files: ContainerFiles },
): ReadyFiles | undefined {
  const { path } = files;
  const links = linksOf(paths.containers);
  // btrfs says 1, whatever is in it.
  if (links < 2) return undefined;
  const digits = path.slice(path.lastIndexOf("/") + 1);
  return {
    digits,
    lock: paths.lock,
    guards: [guardFile(paths.index), guardFile(paths.version)],
    containers: { path: paths.containers, links: links + MORE },
    directory: path,
    layers,
    root,
    owner: JSON.stringify({ directory: pin.directory, path: files.upper }),
    pin: {
      path: pinPath(paths, pin.directory),
      temporary: `${paths.temporary}/${digits}`,
      text: JSON.stringify(pin),
    },
  };
}

function linksOf(path: string): number {
  const status = new Uint8Array(256);
  if (trySyscall("statx", AT_FDCWD, path, 0, STATX_BASIC_STATS, status) < 0) return 0;
  return new DataView(status.buffer).getUint32(statx_layout.offset("stx_nlink"), true);
}
