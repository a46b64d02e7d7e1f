import {
  close,
  O_CLOEXEC,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDONLY,
  readAll,
  syscall,
  trySyscall,
} from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import type { Directory } from "./images.ts";
import { decode, message } from "./wire.ts";

// Memory that was cut off: criu 3.17 reads a file of pages that is too short again and again, and never ends.
// Other broken images it refuses by itself. https://criu.org/Images, https://criu.org/Memory_dumps

const head = message({ pages_id: [1, "uint32"] });
const process = message({ pid: [1, "uint32"] });
const entry = message({ nr_pages: [2, "uint32"], flags: [4, "uint32"] });

/** Before the magic number of an image's own kind. */
const COMMON_MAGIC = 0x54564319;
/** The pages are in the file, and neither in the parent's nor still to come. */
const PE_PRESENT = 4;
/** The smallest there is. */
const PAGE = 4096;
const MAX_IMAGE = 256 << 20;
const SEEK_END = 2;

/** How much memory the map of an image says that a file of pages has. */
export interface PagesNeeded {
  readonly id: number;
  /** Bytes. */
  readonly size: number;
}

/** The entries of an image; undefined for what is none: criu has better words for it. */
function entriesOf(image: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer>[] | undefined {
  const view = new DataView(image.buffer, image.byteOffset, image.length);
  if (image.length < 12 || view.getUint32(0, true) !== COMMON_MAGIC) return undefined;
  const entries: Uint8Array<ArrayBuffer>[] = [];
  for (let at = 8; at < image.length;) {
    if (at + 4 > image.length) return undefined;
    const end = at + 4 + view.getUint32(at, true);
    if (end > image.length) return undefined;
    entries.push(image.subarray(at + 4, end));
    at = end;
  }
  return entries;
}

function readable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof CrateError) return undefined;
    throw error;
  }
}

/** Reads a `pagemap-*.img`; undefined for what is none. */
export function pagesNeeded(image: Uint8Array<ArrayBuffer>): PagesNeeded | undefined {
  const [first, ...rest] = entriesOf(image) ?? [];
  if (first === undefined) return undefined;
  return readable(() => {
    const present = rest.map((bytes) => decode(entry, bytes))
      .filter(({ flags = 0 }) => (flags & PE_PRESENT) !== 0);
    const size = present.reduce((sum, { nr_pages = 0 }) => sum + nr_pages * PAGE, 0);
    return { id: decode(head, first).pages_id ?? 0, size };
  });
}

/** Reads a `pstree.img`: the processes, by their ids in the container. */
function processesIn(image: Uint8Array<ArrayBuffer>): number[] {
  return readable(() => entriesOf(image)?.map((bytes) => decode(process, bytes).pid ?? 0)) ?? [];
}

const READ = O_RDONLY | O_CLOEXEC | O_NONBLOCK;

function sizeOf(directory: number, name: string): number | undefined {
  const fd = trySyscall("openat", directory, name, READ | O_NOFOLLOW, 0);
  if (fd < 0) return undefined;
  try {
    return syscall("lseek", fd, 0, SEEK_END);
  } finally {
    close(fd);
  }
}

function read(directory: number, name: string): Uint8Array<ArrayBuffer> {
  const fd = trySyscall("openat", directory, name, READ | O_NOFOLLOW, 0);
  if (fd < 0) return new Uint8Array();
  try {
    return readAll(fd, MAX_IMAGE, name);
  } finally {
    close(fd);
  }
}

/**
 * Sees that the memory of every process is as long as it should be. Images of an earlier checkpoint may lie beside
 * them, whose pages were written over.
 *
 * @throws {CrateError} `INVALID` for a file that is cut off.
 */
export function requirePages({ fd, path }: Directory): void {
  for (const pid of processesIn(read(fd, "pstree.img"))) {
    const name = `pagemap-${pid}.img`;
    const needed = pagesNeeded(read(fd, name));
    if (needed === undefined) continue;
    const file = `pages-${needed.id}.img`;
    const size = sizeOf(fd, file);
    if (size === undefined || size >= needed.size) continue;
    throw new CrateError(
      "INVALID",
      `${path}/${file} is cut off: it has ${size} bytes, and ${name} needs ${needed.size}`,
    );
  }
}
