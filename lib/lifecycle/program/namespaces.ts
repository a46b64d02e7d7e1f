import {
  AF_INET,
  AT_FDCWD,
  CLONE_NEWCGROUP,
  CLONE_NEWIPC,
  CLONE_NEWNET,
  CLONE_NEWNS,
  CLONE_NEWPID,
  CLONE_NEWUTS,
  encodeText,
  IFF_UP,
  O_CLOEXEC,
  O_RDONLY,
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

/**
 * The flags for clone3. The cgroup namespace is not among them: its root is the group of whoever
 * makes it, and that must be the init, in its own group. cgroup_namespaces(7)
 */
export function cloneFlags(spec: Spec): number {
  let flags = 0;
  for (const ns of spec.linux?.namespaces ?? []) {
    const flag = namespaceFlag(ns);
    if (!ns.path && flag !== CLONE_NEWCGROUP) flags |= flag;
  }
  return flags >>> 0;
}

/** Joins the namespaces that the config names by path, while the host's paths are there. */
export function joinNamespaces(s: Scope, spec: Spec): void {
  for (const ns of spec.linux?.namespaces ?? []) {
    if (!ns.path) continue;
    const fd = s.descriptor(`${ns.type} namespace`);
    const label = `join the ${ns.type} namespace ${ns.path}`;
    s.p.call("openat", [AT_FDCWD, s.p.string(ns.path), O_RDONLY | O_CLOEXEC, 0], {
      label,
      result: fd,
    });
    s.p.call("setns", [valueOf(fd), namespaceFlag(ns)], { label });
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
