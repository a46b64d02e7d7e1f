import {
  AT_FDCWD,
  AT_REMOVEDIR,
  close,
  isMissing,
  mkdirAll,
  O_CLOEXEC,
  O_CREAT,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
  open,
  readDirectory,
  readFile,
  trySyscall,
} from "../../ffi/mod.ts";
import type { NetworkPlaces } from "./definitions.ts";
import type { Attachment } from "./types.ts";

// `walked/NETWORK-N`: places on a network for containers that a program puts there, without crate (ready.ts). Whoever has
// such a container keeps its place locked, flock(2), until it has ended. In the file is what is said of the others in
// `state.json`, until that has it: whoever writes `state.json` empties the files.

/** How many containers that programs have started are on a network at once. */
export const SLOTS = 16;

/**
 * What a file begins with: how long the container's hosts file is without the lines of others, then the length of the
 * lines by which these find it, four bytes each; the path of its hosts file with a NUL; the lines. The attachment comes
 * then, as JSON.
 */
export const SLOT = { base: 0, length: 4, path: 8, lines: 520, attachment: 1544 } as const;

const MAX_FILE = 1 << 20;

const directoryOf = ({ state }: NetworkPlaces) => `${state}/walked`;

/** The files of a network's places. */
export function slotFiles(places: NetworkPlaces, network: string): string[] {
  return Array.from({ length: SLOTS }, (_, i) => `${directoryOf(places)}/${network}-${i}`);
}

/** Makes the files of a network's places, where they are not there. @throws {SyscallError} */
export function makeSlots(places: NetworkPlaces, network: string): string[] {
  mkdirAll(directoryOf(places), 0o700);
  const files = slotFiles(places, network);
  for (const file of files) close(open(file, O_RDWR | O_CREAT, 0o600));
  return files;
}

/** Forgets the places of a network that nobody is on. */
export function removeSlots(places: NetworkPlaces, network: string): void {
  for (const file of slotFiles(places, network)) trySyscall("unlinkat", AT_FDCWD, file, 0);
  // As long as there are others' it stays.
  trySyscall("unlinkat", AT_FDCWD, directoryOf(places), AT_REMOVEDIR);
}

function files(places: NetworkPlaces): string[] {
  const directory = directoryOf(places);
  try {
    return readDirectory(directory).map((name) => `${directory}/${name}`);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

/** What containers have that programs have put on networks, as long as `state.json` does not know of them. */
export function readSlots(places: NetworkPlaces): Attachment[] {
  return files(places).map(readSlot).filter((each) => each !== undefined);
}

function readSlot(file: string): Attachment | undefined {
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = readFile(file, MAX_FILE);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  if (bytes.length <= SLOT.attachment) return undefined;
  try {
    return JSON.parse(new TextDecoder().decode(bytes.subarray(SLOT.attachment)));
  } catch {
    // Who wrote it was killed meanwhile: no container of it has begun.
    return undefined;
  }
}

/** Empties the files: `state.json` has what was in them. */
export function clearSlots(places: NetworkPlaces): void {
  for (const file of files(places)) {
    const fd = trySyscall("openat", AT_FDCWD, file, O_WRONLY | O_TRUNC | O_CLOEXEC, 0);
    if (fd >= 0) close(fd);
  }
}
