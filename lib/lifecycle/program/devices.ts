import {
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  type Cell,
  EEXIST,
  S_IFBLK,
  S_IFCHR,
  S_IFIFO,
  valueOf,
} from "../../../ffi/mod.ts";
import type { LinuxDevice, Mount } from "../../spec/mod.ts";
import type { CompileInput } from "./input.ts";
import { cloneTree } from "./filesystem.ts";
import { isBind, isRemount } from "./mounts.ts";
import { attach, below, openOrMake, type Scope } from "./scope.ts";

/** config-linux.md, "Default Devices": every container has them. */
const DEFAULTS: readonly LinuxDevice[] = ([
  ["null", 1, 3],
  ["zero", 1, 5],
  ["full", 1, 7],
  ["random", 1, 8],
  ["urandom", 1, 9],
  ["tty", 5, 0],
] as const).map(([name, major, minor]) => ({
  path: `/dev/${name}`,
  type: "c",
  major,
  minor,
  fileMode: 0o666,
}));

/** runtime-linux.md, "Dev symbolic links". */
const LINKS = [
  ["/proc/self/fd", "fd"],
  ["/proc/self/fd/0", "stdin"],
  ["/proc/self/fd/1", "stdout"],
  ["/proc/self/fd/2", "stderr"],
  ["pts/ptmx", "ptmx"],
] as const;

const FILE_TYPES = { b: S_IFBLK, c: S_IFCHR, u: S_IFCHR, p: S_IFIFO } as const;

/** The device number as mknod(2) takes it; makedev(3). */
export function deviceNumber(major: number, minor: number): number {
  return ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & ~0xff) << 12)) >>> 0;
}

/** A device's parent directory and name, below the root. */
function split(path: string): [string, string] {
  const relative = below(path);
  const slash = relative.lastIndexOf("/");
  return slash < 0 ? [".", relative] : [relative.slice(0, slash), relative.slice(slash + 1)];
}

/** Whether a path lies in a bind mount, or is one: what is there is the host's, not ours to change. */
function isForeign(mounts: readonly Mount[], path: string): boolean {
  let depth = 0;
  let foreign = false;
  for (const mount of mounts) {
    if (isRemount(mount)) continue;
    const point = below(mount.destination);
    if (path !== point && !path.startsWith(`${point}/`)) continue;
    if (point.length < depth) continue;
    depth = point.length;
    foreign = isBind(mount);
  }
  return foreign;
}

/** Makes the default devices and links, and those of `linux.devices`. The umask is 0 here. */
export function makeDevices(s: Scope, { spec, facts }: CompileInput, root: Cell): void {
  const { p } = s;
  const mounts = spec.mounts ?? [];
  const devices = new Map<string, LinuxDevice>();
  for (const device of [...DEFAULTS, ...spec.linux?.devices ?? []]) {
    const path = below(device.path);
    if (!isForeign(mounts, path)) devices.set(path, device);
  }
  const parents = new Map<string, Cell>();
  for (const device of devices.values()) {
    const [directory, name] = split(device.path);
    let parent = parents.get(directory);
    if (parent === undefined) {
      parent = openOrMake(s, root, directory, "directory");
      parents.set(directory, parent);
    }
    if (facts.isInUserNamespace && device.type !== "p") bindDevice(s, root, device);
    else makeDevice(s, parent, name, device);
  }
  if (isForeign(mounts, "dev")) return;
  const dev = parents.get("dev") ?? openOrMake(s, root, "dev", "directory");
  for (const [target, name] of LINKS) {
    const next = s.label("next");
    const failed = s.descriptor("link");
    const label = `link /dev/${name}`;
    const there = s.label("there");
    p.call("symlinkat", [p.string(target), valueOf(dev), p.string(name)], {
      label,
      result: failed,
      negative: there,
    });
    p.place(next);
    s.aside(() => {
      p.place(there);
      p.jumpIfEqual(valueOf(failed), -EEXIST, next);
      s.fail(label, failed);
    });
  }
}

/** In a user namespace there are no device nodes but the host's own. user_namespaces(7) */
function bindDevice(s: Scope, root: Cell, { path }: LinuxDevice): void {
  const label = `bind device ${path}`;
  const tree = cloneTree(s, AT_FDCWD, `/${below(path)}`, false, label);
  attach(s, valueOf(tree), valueOf(openOrMake(s, root, path, "file")), label);
}

function makeDevice(s: Scope, parent: Cell, name: string, device: LinuxDevice): void {
  const { p } = s;
  const label = `make device ${device.path}`;
  const type = FILE_TYPES[device.type];
  const mode = type | ((device.fileMode ?? 0o666) & 0o7777);
  const number = device.type === "p" ? 0 : deviceNumber(device.major ?? 0, device.minor ?? 0);
  const file = p.string(name);
  const args = [valueOf(parent), file, mode, number];
  const result = s.descriptor("node");
  const there = s.label("there");
  const made = s.label("made");
  p.call("mknodat", args, { label, result, negative: there });
  p.place(made);
  if (device.uid || device.gid) {
    const ids = [device.uid ?? 0, device.gid ?? 0];
    p.call("fchownat", [valueOf(parent), file, ...ids, AT_SYMLINK_NOFOLLOW], {
      label: `own device ${device.path}`,
    });
  }
  s.aside(() => {
    // What the image put in its place is not what the config promises: made anew.
    const replace = s.label("replace");
    p.place(there);
    p.jumpIfEqual(valueOf(result), -EEXIST, replace);
    s.fail(label, result);
    p.place(replace);
    p.call("unlinkat", [valueOf(parent), file, 0], { label });
    p.call("mknodat", args, { label });
    p.jump(made);
  });
}
