import {
  AT_FDCWD,
  AT_REMOVEDIR,
  close,
  createFile,
  encodeText,
  ENOENT,
  mkdirAll,
  O_APPEND,
  O_CLOEXEC,
  O_WRONLY,
  syscall,
  SyscallError,
  trySyscall,
  writeAll,
} from "../../ffi/mod.ts";
import type { NetworkPlaces } from "./definitions.ts";

// A container's /etc/hosts, /etc/resolv.conf and /etc/hostname: files of the host, bound into it. They are written
// in place, because a bind mount stays with the file that it was made of.

const NAMES = ["hosts", "resolv.conf", "hostname"] as const;

/** A file of the host and where the container has it. */
export interface NetworkFile {
  readonly source: string;
  readonly destination: string;
}

function directoryOf({ state }: NetworkPlaces, key: string): string {
  return `${state}/containers/${key}`;
}

/** What the container finds below /etc. */
export function networkFiles(places: NetworkPlaces, key: string): NetworkFile[] {
  return NAMES.map((name) => ({
    source: `${directoryOf(places, key)}/${name}`,
    destination: `/etc/${name}`,
  }));
}

/** What is left of a container's files when it has ended: files, then the directory. */
export function leftFiles(
  places: NetworkPlaces,
  key: string,
): { files: string[]; directory: string } {
  const directory = directoryOf(places, key);
  return { files: NAMES.map((name) => `${directory}/${name}`), directory };
}

/** Makes a container's files anew. @throws {SyscallError} */
export function makeFiles(
  places: NetworkPlaces,
  key: string,
  contents: Readonly<Record<typeof NAMES[number], string>>,
): void {
  removeFiles(places, key);
  const directory = directoryOf(places, key);
  mkdirAll(directory, 0o755);
  for (const name of NAMES) createFile(`${directory}/${name}`, contents[name]);
}

/** The hosts file; undefined when it is gone with its container. */
function openHosts(places: NetworkPlaces, key: string, flags: number): number | undefined {
  const path = `${directoryOf(places, key)}/hosts`;
  const fd = trySyscall("openat", AT_FDCWD, path, flags | O_CLOEXEC, 0);
  if (fd >= 0) return fd;
  if (fd === -ENOENT) return undefined;
  throw new SyscallError("openat", -fd, path);
}

/** Adds lines to a hosts file. @throws {SyscallError} */
export function appendHosts(places: NetworkPlaces, key: string, lines: string): void {
  const fd = openHosts(places, key, O_WRONLY | O_APPEND);
  if (fd === undefined) return;
  try {
    writeAll(fd, lines);
  } finally {
    close(fd);
  }
}

/** Replaces what is in a hosts file. @throws {SyscallError} */
export function rewriteHosts(places: NetworkPlaces, key: string, text: string): void {
  const fd = openHosts(places, key, O_WRONLY);
  if (fd === undefined) return;
  try {
    // First the new text and then its end: a reader never finds the file empty.
    const bytes = encodeText(text);
    for (let done = 0; done < bytes.length;) {
      done += syscall("pwrite64", fd, bytes.subarray(done), bytes.length - done, done);
    }
    syscall("ftruncate", fd, bytes.length);
  } finally {
    close(fd);
  }
}

/** Removes a container's files. */
export function removeFiles(places: NetworkPlaces, key: string): void {
  const { files, directory } = leftFiles(places, key);
  for (const file of files) trySyscall("unlinkat", AT_FDCWD, file, 0);
  trySyscall("unlinkat", AT_FDCWD, directory, AT_REMOVEDIR);
}
