import { AF_UNIX, O_DIRECTORY, O_PATH } from "./constants.ts";
import { close, open } from "./files.ts";
import { encodeText } from "./text.ts";

/** Room for a path in struct sockaddr_un, with its NUL. */
const PATH_SIZE = 108;

/**
 * Does something with the address of a path, however long it is; `@name` is an abstract one, as in
 * `NOTIFY_SOCKET`. unix(7)
 *
 * @throws {SyscallError}
 */
export function withAddress<T>(path: string, use: (address: Uint8Array<ArrayBuffer>) => T): T {
  if (path.startsWith("@")) return use(addressOf(encodeText(`\0${path.slice(1)}`), 0));
  const slash = path.lastIndexOf("/");
  const bytes = encodeText(path);
  const directory = bytes.length < PATH_SIZE
    ? undefined
    : open(slash > 0 ? path.slice(0, slash) : "/", O_PATH | O_DIRECTORY);
  try {
    const short = directory === undefined
      ? bytes
      : encodeText(`/proc/self/fd/${directory}/${path.slice(slash + 1)}`);
    return use(addressOf(short, 1));
  } finally {
    if (directory !== undefined) close(directory);
  }
}

function addressOf(name: Uint8Array, nuls: number): Uint8Array<ArrayBuffer> {
  const address = new Uint8Array(2 + name.length + nuls);
  new DataView(address.buffer).setUint16(0, AF_UNIX, true);
  address.set(name, 2);
  return address;
}
