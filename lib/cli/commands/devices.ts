import {
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  readDirectory,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFMT,
  STATX_BASIC_STATS,
  trySyscall,
} from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import { type LinuxDevice, parseDevice, type RunDevice } from "../../spec/mod.ts";

// struct statx, statx(2): where the fields lie that are used here.
const UID = 20;
const GID = 24;
const MODE = 28;
const RDEV = 128;

/** A file of the host: its type and mode, and for a device what the config says of it. */
interface Node {
  readonly type: number;
  readonly device?: LinuxDevice;
}

function readNode(path: string, destination: string, flags: number): Node | undefined {
  const buffer = new Uint8Array(256);
  if (trySyscall("statx", AT_FDCWD, path, flags, STATX_BASIC_STATS, buffer) < 0) return undefined;
  const view = new DataView(buffer.buffer);
  const mode = view.getUint16(MODE, true);
  const type = mode & S_IFMT;
  if (type !== S_IFCHR && type !== S_IFBLK) return { type };
  const device: LinuxDevice = {
    path: destination,
    type: type === S_IFCHR ? "c" : "b",
    major: view.getUint32(RDEV, true),
    minor: view.getUint32(RDEV + 4, true),
    fileMode: mode & 0o7777,
    uid: view.getUint32(UID, true),
    gid: view.getUint32(GID, true),
  };
  return { type, device };
}

/** What `--device` names: a device, or all below a directory. @throws {CrateError} `INVALID` */
export function hostDevicesOf(word: string): RunDevice[] {
  const { source, destination, access } = parseDevice(word);
  const node = readNode(source, destination, 0);
  if (node?.type === S_IFDIR) {
    const devices = devicesBelow(source, destination);
    if (devices.length > 0) return devices.map((each) => ({ ...each, access }));
    throw new CrateError("INVALID", `--device ${word}: no device of this host is below ${source}`);
  }
  if (node?.device !== undefined) return [{ device: node.device, source, access }];
  throw new CrateError(
    "INVALID",
    `--device ${word}: ${source} is not a device of this host, and no directory of devices`,
  );
}

/** What every container has of its own. */
const OWN = ["pts", "shm", "mqueue", "console", "ptmx"];

/**
 * Every device of the host, for --privileged.
 *
 * @throws {SyscallError}
 */
export function hostDevices(): LinuxDevice[] {
  return devicesBelow("/dev", "/dev").map(({ device }) => device);
}

/** @param inside where they are in the container. */
function devicesBelow(directory: string, inside: string): RunDevice[] {
  return readDirectory(directory).flatMap((name): RunDevice[] => {
    if (directory === "/dev" && OWN.includes(name)) return [];
    const source = `${directory}/${name}`;
    const at = `${inside}/${name}`;
    const node = readNode(source, at, AT_SYMLINK_NOFOLLOW);
    if (node?.type === S_IFDIR) return devicesBelow(source, at);
    return node?.device === undefined ? [] : [{ device: node.device, source }];
  });
}
