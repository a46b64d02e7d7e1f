import {
  close,
  FSCONFIG_CMD_CREATE,
  FSCONFIG_SET_FLAG,
  FSCONFIG_SET_STRING,
  FSMOUNT_CLOEXEC,
  FSOPEN_CLOEXEC,
  isInitialUserNamespace,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  O_DIRECTORY,
  O_PATH,
  open,
  syscall,
  trySyscall,
} from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";

/** A string of fsconfig(2), without its NUL. */
const MAX_STRING = 255;

/**
 * Lets something look at layers as the container will see them: the kernel lays them over each other, in
 * a mount that is attached nowhere and ends with its descriptor. Needs CAP_SYS_ADMIN.
 *
 * @param layers directories, the uppermost first.
 * @param use gets a descriptor of the root, for as long as it runs.
 * @throws {CrateError} `UNSUPPORTED`: too many layers for an older kernel. @throws {SyscallError}
 *
 * @see https://docs.kernel.org/filesystems/overlayfs.html
 */
export function withMerged<T>(layers: readonly string[], use: (rootFd: number) => T): T {
  const root = openMerged(layers);
  try {
    return use(root);
  } finally {
    close(root);
  }
}

/** The same for who looks for longer: the descriptor is the caller's to close. */
export function openMerged(layers: readonly string[]): number {
  // An overlay without an upper directory has at least two layers.
  return layers.length === 1 ? open(layers[0]!, O_PATH | O_DIRECTORY) : mounted(layers);
}

/** What is written on layers that are laid over each other. */
export interface Written {
  readonly upper: string;
  readonly work: string;
  /** The other options of the container's own mount, as the kernel takes them. */
  readonly options: readonly string[];
}

/**
 * The same for who writes to them, as the container did that has ended. Nobody else may have mounted these meanwhile.
 *
 * @returns the mount's descriptor, the caller's to close.
 */
export function openWritable(layers: readonly string[], written: Written): number {
  return mounted(layers, written);
}

function mounted(layers: readonly string[], written?: Written): number {
  const opened: number[] = [];
  const context = syscall("fsopen", "overlay", FSOPEN_CLOEXEC);
  try {
    const set = (key: string, value: string) =>
      syscall("fsconfig", context, FSCONFIG_SET_STRING, key, value, 0);
    if (written === undefined) syscall("fsconfig", context, FSCONFIG_SET_FLAG, "ro", null, 0);
    else {
      for (const [key, path] of [["upperdir", written.upper], ["workdir", written.work]] as const) {
        const fd = open(path, O_PATH | O_DIRECTORY);
        opened.push(fd);
        set(key, path.length <= MAX_STRING ? path : `/proc/self/fd/${fd}`);
      }
      for (const option of written.options) {
        const [key, value] = option.split("=", 2) as [string, string?];
        if (value !== undefined) set(key, value);
        else if (key !== "userxattr") syscall("fsconfig", context, FSCONFIG_SET_FLAG, key, null, 0);
      }
    }
    if (!isInitialUserNamespace()) {
      syscall("fsconfig", context, FSCONFIG_SET_FLAG, "userxattr", null, 0);
    }
    const joined = layers.join(":");
    // One by one since Linux 6.7; before, by the short names of descriptors.
    const append = (layer: string) =>
      trySyscall("fsconfig", context, FSCONFIG_SET_STRING, "lowerdir+", layer, 0) >= 0;
    if (joined.length <= MAX_STRING) set("lowerdir", joined);
    else if (append(layers[0]!)) {
      for (const layer of layers.slice(1)) set("lowerdir+", layer);
    } else {
      for (const layer of layers) opened.push(open(layer, O_PATH | O_DIRECTORY));
      const names = opened.map((fd) => `/proc/self/fd/${fd}`).join(":");
      if (names.length > MAX_STRING) {
        throw new CrateError(
          "UNSUPPORTED",
          `names of users in an image of ${layers.length} layers need Linux 6.7 or newer: ` +
            "give them as numbers (--user 1000:1000)",
        );
      }
      set("lowerdir", names);
    }
    syscall("fsconfig", context, FSCONFIG_CMD_CREATE, null, null, 0);
    const attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
    return syscall("fsmount", context, FSMOUNT_CLOEXEC, attributes);
  } finally {
    opened.forEach(close);
    close(context);
  }
}
