import {
  type Argument,
  O_DIRECTORY,
  O_RDONLY,
  O_WRONLY,
  RESOLVE_BENEATH,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_XDEV,
  valueOf,
} from "../../../ffi/mod.ts";
import type { Process, Spec } from "../../spec/mod.ts";
import type { MountOptions } from "./mount_options.ts";
import { openBelow, type Scope } from "./scope.ts";

const IN_PROC = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS;

/** A write into a file of a procfs. */
export interface ProcWrite {
  readonly path: string;
  readonly value: string;
  readonly label: string;
}

/**
 * What puts the program that the next execve(2) executes under its AppArmor profile, and gives it its SELinux
 * label. apparmor(7), setexeccon(3)
 */
export function labelWrites({ apparmorProfile, selinuxLabel }: Process): ProcWrite[] {
  const writes: ProcWrite[] = [];
  if (apparmorProfile) {
    writes.push({
      path: "self/attr/apparmor/exec",
      value: `exec ${apparmorProfile}`,
      label: `set the AppArmor profile ${apparmorProfile}`,
    });
  }
  if (selinuxLabel) {
    writes.push({
      path: "self/attr/exec",
      value: selinuxLabel,
      label: `set the SELinux label ${selinuxLabel}`,
    });
  }
  return writes;
}

/** The label of the keys and keyrings that the process makes; empty: its own. setkeycreatecon(3) */
export function keyLabelWrite(label: string): ProcWrite {
  return {
    path: "self/attr/keycreate",
    value: label,
    label: label === "" ? "make keys with the own label" : `make keys with the label ${label}`,
  };
}

/** Types whose files no `context` can label: the kernel's own, those of other mounts, and those bound. */
const UNLABELLED: readonly string[] = ["proc", "sysfs", "mqueue", "cgroup", "cgroup2"];

/** A filesystem's options, with `linux.mountLabel` among them. mount(8), "context=" */
export function withContext(
  type: string,
  data: MountOptions["data"],
  { linux }: Pick<Spec, "linux">,
): MountOptions["data"] {
  const { mountLabel } = linux ?? {};
  if (!mountLabel || UNLABELLED.includes(type) || data.some(([key]) => key === "context")) {
    return data;
  }
  return [...data, ["context", mountLabel]];
}

/**
 * Labels the root of the message queues: their filesystem has been there before it is mounted, and takes no
 * context then.
 */
export function labelQueues(s: Scope, mount: Argument, mountLabel: string, label: string): void {
  const fd = s.descriptor("queues");
  openBelow(s, mount, ".", O_RDONLY | O_DIRECTORY, { label, result: fd });
  const text = s.p.string(mountLabel);
  const args = [valueOf(fd), s.p.string("security.selinux"), text, text.size - 1, 0];
  s.p.call("fsetxattr", args, { label: `${label}: label it ${mountLabel}` });
  s.p.call("close", [valueOf(fd)]);
}

/** Writes into a file below a procfs of our own, on which nothing can have been mounted. */
export function writeBelow(s: Scope, proc: Argument, { path, value, label }: ProcWrite): void {
  const fd = s.descriptor("setting");
  openBelow(s, proc, path, O_WRONLY, { label, result: fd, resolve: IN_PROC });
  const text = s.p.string(value);
  s.p.call("write", [valueOf(fd), text, text.size - 1], { label });
  s.p.call("close", [valueOf(fd)]);
}
