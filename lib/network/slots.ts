import {
  AT_FDCWD,
  AT_REMOVEDIR,
  close,
  encodeText,
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
// `state.json`, until that has it: whoever writes `state.json` empties the files. What such a program must know of
// `state.json` is in `NETWORK-others` and `NETWORK-same` (others.ts).

/** How many containers that programs have started are on a network at once. A power of two. */
export const SLOTS = 16;

/**
 * What a file begins with: how long the container's hosts file is without the lines of others, then the length of the
 * lines by which these find it, four bytes each; the path of its hosts file with a NUL; the lines. The attachment comes
 * then, as JSON.
 */
export const SLOT = { base: 0, length: 4, path: 8, lines: 520, attachment: 1544 } as const;

const MAX_FILE = 1 << 20;

const directoryOf = ({ state }: NetworkPlaces) => `${state}/walked`;
const SAME = "-same";

/** Who is on a network and has no place, each as a place begins: all that live. */
export function othersFile(places: NetworkPlaces, network: string): string {
  return `${directoryOf(places)}/${network}-others`;
}

/** What else a program depends on: another file when it changes, and none when there are too many others. */
export function sameFile(places: NetworkPlaces, network: string): string {
  return `${directoryOf(places)}/${network}${SAME}`;
}

/** The networks of which a program may know something. */
export function networksKnown(places: NetworkPlaces): string[] {
  return namesIn(places).filter((name) => name.endsWith(SAME)).map((name) =>
    name.slice(0, -SAME.length)
  );
}

/** What a place begins with; undefined when it has no room for that. */
export function placeHead(
  { base, path, lines }: { base: number; path: string; lines: string },
): Uint8Array<ArrayBuffer> | undefined {
  const bytes = new Uint8Array(SLOT.attachment);
  const view = new DataView(bytes.buffer);
  const [pathBytes, lineBytes] = [encodeText(`${path}\0`), encodeText(lines)];
  const fits = pathBytes.length <= SLOT.lines - SLOT.path &&
    lineBytes.length <= SLOT.attachment - SLOT.lines;
  if (!fits) return undefined;
  view.setUint32(SLOT.base, base, true);
  view.setUint32(SLOT.length, lineBytes.length, true);
  bytes.set(pathBytes, SLOT.path);
  bytes.set(lineBytes, SLOT.lines);
  return bytes;
}

/** The files of a network's places. */
export function slotFiles(places: NetworkPlaces, network: string): string[] {
  return Array.from({ length: SLOTS }, (_, i) => `${directoryOf(places)}/${network}-${i}`);
}

/** Makes the directory of all these files. @throws {SyscallError} */
export function makeDirectory(places: NetworkPlaces): void {
  mkdirAll(directoryOf(places), 0o700);
}

/** Makes the files of a network's places, where they are not there. @throws {SyscallError} */
export function makeSlots(places: NetworkPlaces, network: string): string[] {
  makeDirectory(places);
  const files = slotFiles(places, network);
  for (const file of files) close(open(file, O_RDWR | O_CREAT, 0o600));
  return files;
}

/** Forgets the places of a network that nobody is on. */
export function removeSlots(places: NetworkPlaces, network: string): void {
  const known = [sameFile(places, network), othersFile(places, network)];
  for (const file of [...known, ...slotFiles(places, network)]) {
    trySyscall("unlinkat", AT_FDCWD, file, 0);
  }
  // As long as there are others' it stays.
  trySyscall("unlinkat", AT_FDCWD, directoryOf(places), AT_REMOVEDIR);
}

function files(places: NetworkPlaces): string[] {
  return namesIn(places).filter((name) => /-\d+$/.test(name)).map((name) =>
    `${directoryOf(places)}/${name}`
  );
}

function namesIn(places: NetworkPlaces): string[] {
  try {
    return readDirectory(directoryOf(places));
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
