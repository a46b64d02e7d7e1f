import {
  type Argument,
  cap_user_data,
  cap_user_header,
  type Cell,
  EPERM,
  LINUX_CAPABILITY_VERSION_3,
  PR_CAP_AMBIENT,
  PR_CAP_AMBIENT_CLEAR_ALL,
  PR_CAP_AMBIENT_RAISE,
  PR_CAPBSET_DROP,
  PR_SET_DUMPABLE,
  PR_SET_KEEPCAPS,
  PR_SET_NO_NEW_PRIVS,
  rlimit64,
  valueOf,
} from "../../../ffi/mod.ts";
import { capabilityBit, capabilityMask, rlimitNumber } from "../../security/mod.ts";
import type { LinuxIDMapping, Process, Spec, Uint64 } from "../../spec/mod.ts";
import type { Scope } from "./scope.ts";

const CAP_SYS_ADMIN = 21;

/** @param mayKeep who may not map groups may not leave them either: those that there are stay then. */
function setGroups(s: Scope, groups: readonly number[], label: string, mayKeep: boolean): void {
  const { p } = s;
  const list = p.bytes(new Uint8Array(new Uint32Array(groups).buffer), `[${groups.join(", ")}]`);
  if (!mayKeep) return p.call("setgroups", [groups.length, list], { label });
  const result = s.descriptor("setgroups' result");
  const refused = s.label("groups refused");
  const next = s.label("next");
  p.call("setgroups", [groups.length, list], { label, result, negative: refused });
  p.place(next);
  s.aside(() => {
    p.place(refused);
    p.jumpIfEqual(valueOf(result), -EPERM, next);
    s.fail(label, result);
  });
}

/** Whether the container's processes live in a user namespace of its own, or of another's. */
export function hasUserNamespace(spec: Spec): boolean {
  return spec.linux?.namespaces?.some(({ type }) => type === "user") ?? false;
}

/**
 * Becomes the user namespace's root, as what the host's root makes has no owner in there. A namespace
 * without one stays as it is. user_namespaces(7)
 */
export function becomeRoot(s: Scope, { linux }: Spec): void {
  const { p } = s;
  const isNew = linux?.namespaces?.some(({ type, path }) => type === "user" && !path);
  const lacks = (maps: readonly LinuxIDMapping[] = []) =>
    !maps.some(({ containerID }) => containerID === 0);
  if (isNew && (lacks(linux?.uidMappings) || lacks(linux?.gidMappings))) return;
  setGroups(s, [], "leave the host's groups", true);
  p.call("setresgid", [0, 0, 0], { label: "become the user namespace's root" });
  p.call("setresuid", [0, 0, 0], { label: "become the user namespace's root" });
}

/**
 * Makes the files that a new namespace's root has below /proc its own, which changing ids has made the host's:
 * there is nobody else in there yet who could look in by them.
 */
export function ownProcFiles(s: Scope, { linux }: Spec): void {
  if (!linux?.namespaces?.some(({ type, path }) => type === "user" && !path)) return;
  s.p.call("prctl", [PR_SET_DUMPABLE, 1, 0, 0, 0], { label: "own what /proc has of it" });
}

/** linux/resource.h, RLIM64_INFINITY. */
const UNLIMITED = 2n ** 64n - 1n;

const limitText = (limit: Uint64) => limit === UNLIMITED ? "unlimited" : String(limit);

/** Resource limits, while the process may still raise them. */
export function setRlimits(s: Scope, { rlimits }: Process): void {
  for (const { type, soft, hard } of rlimits ?? []) {
    const limit = s.p.struct(rlimit64, { rlim_cur: soft, rlim_max: hard });
    s.p.call("prlimit64", [0, rlimitNumber(type), limit, 0], {
      label: `set ${type} to ${limitText(soft)}:${limitText(hard)}`,
    });
  }
}

/**
 * Ids, groups and capabilities, in the one order that leaves nothing too much: the bounding set while
 * CAP_SETPCAP is there, then the ids with the capabilities kept, then all sets at once.
 *
 * @param last the highest capability the kernel knows.
 * @param filtered a seccomp filter follows: without no_new_privs, loading it takes CAP_SYS_ADMIN,
 *   which execve(2) then takes away, since it looks at every set but the permitted one.
 * @param mayKeepGroups in a user namespace that was made without the right to change groups.
 */
export function becomeUser(
  s: Scope,
  process: Process,
  { last, filtered, mayKeepGroups = false }: {
    readonly last: number;
    readonly filtered: boolean;
    readonly mayKeepGroups?: boolean;
  },
): void {
  const { p } = s;
  const { capabilities, user, noNewPrivileges } = process;
  const bounding = capabilityMask(capabilities?.bounding ?? []);
  for (let bit = 0; bit <= last; bit++) {
    if ((bounding >> BigInt(bit)) & 1n) continue;
    p.call("prctl", [PR_CAPBSET_DROP, bit, 0, 0, 0], {
      label: `drop capability ${bit} from the bounding set`,
    });
  }
  if (noNewPrivileges) {
    p.call("prctl", [PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0], { label: "no_new_privs" });
  }
  const uid = user?.uid ?? 0;
  const gid = user?.gid ?? 0;
  if (uid !== 0) p.call("prctl", [PR_SET_KEEPCAPS, 1, 0, 0, 0], { label: "keep capabilities" });
  const groups = user?.additionalGids ?? [];
  setGroups(s, groups, "set supplementary groups", mayKeepGroups && groups.length === 0);
  p.call("setresgid", [gid, gid, gid], { label: `become group ${gid}` });
  p.call("setresuid", [uid, uid, uid], { label: `become user ${uid}` });

  setCapabilities(s, process, filtered && !noNewPrivileges ? 1n << BigInt(CAP_SYS_ADMIN) : 0n);
  // The kernel raises what is permitted and inheritable; engines ask for more, and runtimes let that be.
  const { permitted = [], inheritable = [] } = capabilities ?? {};
  const ambient: Argument[] = (capabilities?.ambient ?? [])
    .filter((name) => permitted.includes(name) && inheritable.includes(name))
    .map(capabilityBit);
  p.call("prctl", [PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0], {
    label: "clear ambient capabilities",
  });
  for (const bit of ambient) {
    p.call("prctl", [PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, bit, 0, 0], {
      label: `raise ambient capability ${bit}`,
    });
  }
}

/** The sets of the config, with more in the first two. capset(2) */
function setCapabilities(s: Scope, { capabilities }: Process, more: bigint): void {
  const { p } = s;
  const effective = capabilityMask(capabilities?.effective ?? []) | more;
  const permitted = capabilityMask(capabilities?.permitted ?? []) | more;
  const inheritable = capabilityMask(capabilities?.inheritable ?? []);
  const header = p.struct(cap_user_header, { version: LINUX_CAPABILITY_VERSION_3 });
  const low = (mask: bigint) => Number(mask & 0xffffffffn);
  const high = (mask: bigint) => Number(mask >> 32n);
  const sets = p.struct(cap_user_data, {
    effective_lo: low(effective),
    permitted_lo: low(permitted),
    inheritable_lo: low(inheritable),
    effective_hi: high(effective),
    permitted_hi: high(permitted),
    inheritable_hi: high(inheritable),
  });
  p.call("capset", [header, sets], { label: "set capabilities" });
}

/**
 * Filters a process that executes nothing any more: nothing would take the privilege away again that
 * loading takes, so it gives up what execve could give, which serves as well. seccomp(2)
 */
export function filterForGood(
  s: Scope,
  process: Process,
  seccomp: { filter: Uint8Array; flags: number },
): void {
  s.p.call("prctl", [PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0], { label: "no_new_privs" });
  setCapabilities(s, process, 0n);
  loadFilter(s, seccomp);
}

/**
 * Loads a seccomp filter for what is executed next. seccomp(2)
 *
 * @returns the register of its listener's descriptor, when the flags ask for one.
 */
export function loadFilter(s: Scope, seccomp: { filter: Uint8Array; flags: number }): Cell {
  const { p } = s;
  const filter = p.bytes(seccomp.filter, `(${seccomp.filter.length / 8} instructions)`);
  // struct sock_fprog { unsigned short len; struct sock_filter *filter; }
  const head = new Uint8Array(16);
  new DataView(head.buffer).setUint16(0, seccomp.filter.length / 8, true);
  const program: Cell = p.bytes(head, `{filter of ${seccomp.filter.length / 8} instructions}`);
  p.pointer({ cell: program, offset: 8 }, filter);
  const result = s.descriptor("seccomp listener");
  p.call("seccomp", [1, seccomp.flags, program], { label: "load the seccomp filter", result });
  return result;
}
