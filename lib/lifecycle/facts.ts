import {
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  close,
  decodeText,
  EINVAL,
  ENOENT,
  ENOTDIR,
  FSCONFIG_SET_STRING,
  FSOPEN_CLOEXEC,
  isInitialUserNamespace,
  readDirectory,
  readText,
  S_IFCHR,
  S_IFDIR,
  S_IFMT,
  STATX_BASIC_STATS,
  statx_layout,
  SyscallError,
  trySyscall,
} from "../../ffi/mod.ts";
import type { CgroupLayout } from "../cgroup/mod.ts";
import { CrateError } from "../errors.ts";
import { lastCapability } from "../security/mod.ts";
import type { Spec } from "../spec/mod.ts";
import { requireModules } from "./security_modules.ts";
import {
  type CgroupHierarchy,
  hasUserNamespace,
  type HostFacts,
  type HostPart,
  isBind,
  needsLayers,
  rootMount,
} from "./program/mod.ts";

function statx(path: string, flags = 0): Uint8Array | undefined {
  const buffer = new Uint8Array(256);
  const result = trySyscall("statx", AT_FDCWD, path, flags, STATX_BASIC_STATS, buffer);
  if (result === -ENOENT || result === -ENOTDIR) return undefined;
  if (result < 0) throw new SyscallError("statx", -result, path);
  return buffer;
}

/**
 * Whether a path of the host is a directory; undefined when it is not there.
 *
 * @param flags `AT_SYMLINK_NOFOLLOW`: a link in the last place is none.
 * @throws {SyscallError}
 */
export function isDirectory(path: string, flags = 0): boolean | undefined {
  const found = statx(path, flags);
  return found && (statx_layout.get(found, "stx_mode") & S_IFMT) === S_IFDIR;
}

/** Whether this host has swap. proc(5), /proc/swaps @throws {SyscallError} */
export function hasSwap(): boolean {
  return readText("/proc/swaps").trim().split("\n").length > 1;
}

/** Longer than any path that the kernel takes. limits.h, PATH_MAX */
const LINK_MAX = 4096;

/** Where a link points; undefined for what is none, or not there. @throws {SyscallError} */
function readLink(path: string): string | undefined {
  const target = new Uint8Array(LINK_MAX);
  const length = trySyscall("readlinkat", AT_FDCWD, path, target, LINK_MAX);
  if (length === -EINVAL || length === -ENOENT || length === -ENOTDIR) return undefined;
  if (length < 0) throw new SyscallError("readlinkat", -length, path);
  return decodeText(target.subarray(0, length));
}

/** stx_rdev_major and stx_rdev_minor, statx(2). */
const RDEV_AT = 0x80;

function checkNull(): void {
  const found = statx("/dev/null");
  const view = found && new DataView(found.buffer);
  const isNull = found && (statx_layout.get(found, "stx_mode") & S_IFMT) === S_IFCHR &&
    view!.getUint32(RDEV_AT, true) === 1 && view!.getUint32(RDEV_AT + 4, true) === 3;
  if (!isNull) {
    throw new CrateError("UNSUPPORTED", "/dev/null of this host is not the null device (c 1:3)");
  }
}

/** This process's own group in each v1 hierarchy, by one of its controllers; cgroups(7). */
function ownGroups(): Map<string, string> {
  const own = new Map<string, string>();
  for (const line of readText("/proc/self/cgroup").split("\n")) {
    const [, , names, path] = /^(\d+):([^:]*):(.*)$/.exec(line) ?? [];
    for (const name of names?.split(",") ?? []) own.set(name, path!);
  }
  return own;
}

/** @param made the container's group below each mount point; absent: it stays in crate's own. */
function hierarchies(layout: CgroupLayout, made: string | undefined): CgroupHierarchy[] {
  const own = made === undefined ? ownGroups() : undefined;
  const byMount = new Map<string, string[]>();
  for (const [controller, mount] of layout.v1) {
    const controllers = byMount.get(mount);
    if (controllers) controllers.push(controller);
    else byMount.set(mount, [controller]);
  }
  if (byMount.size === 0) return [];
  const found: CgroupHierarchy[] = [...byMount].map(([mount, controllers]) => ({
    name: mount.slice(mount.lastIndexOf("/") + 1),
    type: "cgroup",
    group: `${mount}${made ?? own?.get(controllers[0]!) ?? ""}`,
    options: controllers.flatMap((controller): [string, string?][] =>
      controller.startsWith("name=") ? [["none"], ["name", controller.slice(5)]] : [[controller]]
    ),
  }));
  if (layout.v2) {
    found.push({
      name: "unified",
      type: "cgroup2",
      options: [],
      group: `${layout.v2.mount}${made ?? own?.get("") ?? ""}`,
    });
  }
  return found;
}

/**
 * Whether overlayfs takes its layers one by one: it then looks for the directory at once. Before Linux
 * 6.7 it does not know the option, and before 6.5 it takes any.
 */
function appendsLayers(): boolean {
  const context = trySyscall("fsopen", "overlay", FSOPEN_CLOEXEC);
  if (context < 0) return false;
  const missing = "/proc/no such layer";
  const result = trySyscall("fsconfig", context, FSCONFIG_SET_STRING, "lowerdir+", missing, 0);
  close(context);
  return result === -ENOENT;
}

/** Whether the root is a view of the host's own, which nothing keeps. */
function viewsHost({ mounts = [] }: Spec): boolean {
  const mount = rootMount(mounts);
  if (mount?.type !== "overlay" || !mount.options?.includes("lowerdir=/")) return false;
  if (!mount.options.some((option) => option.startsWith("upperdir="))) return true;
  if (isInitialUserNamespace()) return false;
  throw new CrateError(
    "UNSUPPORTED",
    "--keep of the view of the host's root needs root: in a user namespace it is made of parts",
  );
}

/** Paths where something is mounted, of the host's. proc(5), /proc/pid/mountinfo */
function mountPoints(): string[] {
  return readText("/proc/self/mountinfo", 64 << 20).split("\n").map((line) =>
    (line.split(" ")[4] ?? "").replace(
      /\\([0-7]{3})/g,
      (_, octal) => String.fromCharCode(parseInt(octal, 8)),
    )
  );
}

/** What a view of the host's root is made of, where it is made in parts. */
function hostParts(): HostPart[] {
  const mounted = mountPoints();
  const parts: HostPart[] = [];
  for (const name of readDirectory("/")) {
    const path = `/${name}`;
    const target = new Uint8Array(4096);
    const length = trySyscall("readlinkat", AT_FDCWD, path, target, target.length);
    if (length >= 0) {
      parts.push({ name, kind: "link", target: decodeText(target.subarray(0, length)) });
      continue;
    }
    if (!isDirectory(path)) continue;
    // What is mounted below / is not in the view. Something mounted deeper cannot be left out.
    const kind = mounted.includes(path)
      ? "empty"
      : mounted.some((point) => point.startsWith(`${path}/`))
      ? "readonly"
      : "view";
    parts.push({ name, kind });
  }
  return parts;
}

/**
 * Looks up what the compiler must know of this host for a config.
 *
 * @param group the path of the container's control group; absent: it has none of its own.
 * @param coming files, and a directory, that are not there yet, and will be when the container is made.
 * @throws {CrateError} `INVALID` for a mount whose source, or a root, that is not there.
 */
export function gatherFacts(
  spec: Spec,
  layout: CgroupLayout,
  group: string | undefined,
  coming: { readonly files?: readonly string[]; readonly directory?: string } = {},
): HostFacts {
  const sourceKinds = new Map<string, "directory" | "file">();
  const links = new Map<string, string>();
  for (const mount of spec.mounts ?? []) {
    if (!isBind(mount)) continue;
    if (coming.files?.includes(mount.source!)) {
      sourceKinds.set(mount.source!, "file");
      continue;
    }
    const { source, options } = mount;
    const link = options?.includes("copy-symlink") ? readLink(source!) : undefined;
    if (link !== undefined) {
      links.set(source!, link);
      continue;
    }
    const own = options?.includes("src-nofollow") ? AT_SYMLINK_NOFOLLOW : 0;
    const directory = source === coming.directory || isDirectory(source!, own);
    if (directory === undefined) {
      throw new CrateError(
        "INVALID",
        `the source of the mount on ${mount.destination} is not there: ${mount.source}`,
      );
    }
    sourceKinds.set(mount.source!, directory ? "directory" : "file");
  }
  const root = spec.root!.path;
  const directory = isDirectory(root);
  if (!directory) {
    const wrong = directory === undefined ? "is not there" : "is not a directory";
    throw new CrateError("INVALID", `the root filesystem ${root} ${wrong}`);
  }
  if (spec.linux?.maskedPaths?.length) checkNull();
  requireModules(spec);
  const wantsCgroups = (spec.mounts ?? []).some(({ type }) => type === "cgroup");
  return {
    sourceKinds,
    ...links.size === 0 ? {} : { links },
    cgroupHierarchies: wantsCgroups ? hierarchies(layout, group) : [],
    lastCapability: lastCapability(),
    ...(hasUserNamespace(spec) || !isInitialUserNamespace() ? { isInUserNamespace: true } : {}),
    ...viewsHost(spec) && !isInitialUserNamespace() && { hostParts: hostParts() },
    ...(needsLayers(spec.mounts ?? []) ? { overlayAppends: appendsLayers() } : {}),
  };
}
