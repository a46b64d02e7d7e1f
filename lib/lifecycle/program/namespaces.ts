import {
  AF_INET,
  AT_FDCWD,
  type Cell,
  CLONE_NEWCGROUP,
  CLONE_NEWIPC,
  CLONE_NEWNET,
  CLONE_NEWNS,
  CLONE_NEWPID,
  CLONE_NEWTIME,
  CLONE_NEWUSER,
  CLONE_NEWUTS,
  encodeText,
  IFF_UP,
  O_CLOEXEC,
  O_RDONLY,
  O_WRONLY,
  SIOCSIFFLAGS,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  valueOf,
} from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import type { LinuxNamespace, LinuxNamespaceType, Spec } from "../../spec/mod.ts";
import type { Scope } from "./scope.ts";

const FLAGS: Partial<Record<LinuxNamespaceType, number>> = {
  mount: CLONE_NEWNS,
  pid: CLONE_NEWPID,
  uts: CLONE_NEWUTS,
  ipc: CLONE_NEWIPC,
  network: CLONE_NEWNET,
  cgroup: CLONE_NEWCGROUP,
  user: CLONE_NEWUSER,
  time: CLONE_NEWTIME,
};

/** The flag of a namespace type. @throws {CrateError} for one that crate does not make. */
export function namespaceFlag({ type }: LinuxNamespace): number {
  const flag = FLAGS[type];
  if (flag === undefined) {
    throw new CrateError("UNSUPPORTED", `linux.namespaces: type "${type}" is not supported yet`);
  }
  return flag;
}

/** A namespace of the config, when it is there. */
export function namespace(spec: Spec, type: LinuxNamespaceType): LinuxNamespace | undefined {
  return spec.linux?.namespaces?.find((ns) => ns.type === type);
}

/** Whether the container gets a namespace of its own of a type. */
export function isNew(spec: Spec, type: LinuxNamespaceType): boolean {
  const found = namespace(spec, type);
  return found !== undefined && !found.path;
}

/** Types whose new namespace is not made by clone3; see {@linkcode cloneFlags}. */
const NOT_CLONED = CLONE_NEWCGROUP | CLONE_NEWTIME;

/**
 * The flags for clone3. The cgroup namespace is not among them: its root is the group of whoever
 * makes it, and that must be the init, in its own group. cgroup_namespaces(7) Nor is the time
 * namespace: its offsets are set before a process is in it. time_namespaces(7)
 */
export function cloneFlags(spec: Spec): number {
  let flags = 0;
  for (const ns of spec.linux?.namespaces ?? []) {
    const flag = namespaceFlag(ns);
    if (!ns.path && (flag & NOT_CLONED) === 0) flags |= flag;
  }
  return flags >>> 0;
}

/** Those that a process is in only when it is cloned, or that take the host's rights away. */
const FIRST: readonly LinuxNamespaceType[] = ["pid", "time", "user"];

/** Whether a joined namespace is joined before the init is cloned: with a user namespace, all are. */
function isFirst({ linux }: Spec, { type }: LinuxNamespace): boolean {
  if (type === "mount") return false;
  return FIRST.includes(type) || linux!.namespaces!.some((ns) => ns.type === "user");
}

/** Joins the namespaces that the config names by path, while the host's paths are there. */
export function joinNamespaces(s: Scope, spec: Spec): void {
  for (const ns of spec.linux?.namespaces ?? []) {
    if (ns.path && !isFirst(spec, ns)) setNamespace(s, ns, openNamespace(s, ns));
  }
}

/**
 * What the process that clones the init does before: it joins the namespaces that the init is to be born
 * in, and makes the time namespace. One that belongs to a joined user namespace is joined from in there.
 */
export function joinFirst(s: Scope, spec: Spec): void {
  const { p } = s;
  const joined = (spec.linux?.namespaces ?? []).filter((ns) => ns.path && isFirst(spec, ns));
  const user = joined.find(({ type }) => type === "user");
  if (isNew(spec, "time")) makeTimeNamespace(s, spec);
  const others = joined.filter((ns) => ns !== user).map((ns) => ({
    ns,
    fd: openNamespace(s, ns),
    result: s.descriptor("joined"),
  }));
  if (user === undefined) {
    for (const { ns, fd } of others) setNamespace(s, ns, fd);
    return;
  }
  const userFd = openNamespace(s, user);
  for (const { ns, fd, result } of others) {
    const next = s.label("next");
    p.call("setns", [valueOf(fd), namespaceFlag(ns)], { result, negative: next });
    p.place(next);
  }
  setNamespace(s, user, userFd);
  for (const { ns, fd, result } of others) {
    const next = s.label("next");
    p.jumpIfEqual(valueOf(result), 0, next);
    setNamespace(s, ns, fd);
    p.place(next);
  }
}

function openNamespace(s: Scope, { type, path }: LinuxNamespace): Cell {
  const fd = s.descriptor(`${type} namespace`);
  s.p.call("openat", [AT_FDCWD, s.p.string(path!), O_RDONLY | O_CLOEXEC, 0], {
    label: joinLabel(type, path),
    result: fd,
  });
  return fd;
}

function setNamespace(s: Scope, ns: LinuxNamespace, fd: Cell): void {
  const label = joinLabel(ns.type, ns.path);
  s.p.call("setns", [valueOf(fd), namespaceFlag(ns)], { label });
}

function joinLabel(type: string, path: string | undefined): string {
  return `join the ${type} namespace ${path}`;
}

/** Its processes are the ones that are cloned from here on. time_namespaces(7) */
function makeTimeNamespace(s: Scope, { linux }: Spec): void {
  const { p } = s;
  p.call("unshare", [CLONE_NEWTIME], { label: "make the time namespace" });
  for (const [clock, { secs = 0, nanosecs = 0 }] of Object.entries(linux?.timeOffsets ?? {})) {
    const label = `set the offset of the ${clock} clock`;
    const fd = s.descriptor("offsets");
    p.call("openat", [AT_FDCWD, p.string("/proc/self/timens_offsets"), O_WRONLY | O_CLOEXEC, 0], {
      label,
      result: fd,
    });
    const line = p.string(`${clock} ${secs} ${nanosecs}\n`);
    p.call("write", [valueOf(fd), line, line.size - 1], { label });
    p.call("close", [valueOf(fd)]);
  }
}

/** Brings a new network namespace's loopback up. netdevice(7) */
export function raiseLoopback(s: Scope): void {
  const { p } = s;
  const socket = s.descriptor("socket");
  const label = "bring the loopback up";
  // struct ifreq: the name in 16 bytes, then the flags
  const request = new Uint8Array(40);
  request.set(encodeText("lo"));
  new DataView(request.buffer).setUint16(16, IFF_UP, true);
  p.call("socket", [AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0], { label, result: socket });
  p.call("ioctl", [valueOf(socket), SIOCSIFFLAGS, p.bytes(request, "{lo, IFF_UP}")], { label });
}
