import {
  AT_FDCWD,
  type Cell,
  CLONE_NEWUSER,
  MNT_DETACH,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  PR_SET_DUMPABLE,
  PR_SET_PDEATHSIG,
  type Program,
  RESOLVE_NO_SYMLINKS,
  SIGKILL,
  UMOUNT_NOFOLLOW,
  valueOf,
} from "../../../ffi/mod.ts";
import type { Mount, Spec } from "../../spec/mod.ts";
import { copiedLink } from "./copy_symlink.ts";
import { EXEC_PIDFD } from "./exec.ts";
import { becomeRoot } from "./identity.ts";
import type { HostFacts } from "./input.ts";
import { supervise } from "./monitor.ts";
import { isBind, isShared, leaveHost, mountOne, openBind } from "./mounts.ts";
import { awaitByte } from "./release.ts";
import { below, IN_ROOT, openBelow, Scope } from "./scope.ts";

/** The descriptor of the user namespace with an idmapped mount's ids, right after the init's pidfd. */
export const MOUNT_IDMAP = EXEC_PIDFD + 1;

/** A change of what is mounted in a running container. */
export interface ChangeMountInput {
  /** The container's config, for the user namespace that it has. */
  readonly spec: Spec;
  /** The `CLONE_NEW…` flags of the container's namespaces. */
  readonly namespaces: number;
}

/** A mount to add to a running container. */
export interface AddMountInput extends ChangeMountInput {
  readonly mount: Mount;
  readonly facts: HostFacts;
  readonly hasIdmap: boolean;
}

/**
 * The program that mounts in a running container: a bind's source is cloned where the host's paths are
 * there, everything else is made in the container's namespaces, and attached by descriptor.
 */
export function compileAddMount(input: AddMountInput): Program {
  const { mount, facts, spec, hasIdmap } = input;
  let bound: Cell | undefined;
  return compileChange(input, hasIdmap ? MOUNT_IDMAP : EXEC_PIDFD, (s) => {
    if (!isBind(mount) || copiedLink(facts, mount) !== undefined) return;
    bound = openBind(s, mount, hasIdmap ? MOUNT_IDMAP : undefined);
    if (!isShared(mount)) leaveHost(s, bound, `mount ${mount.source} on ${mount.destination}`);
  }, (s, root) => {
    mountOne(s, { spec, facts }, root, mount, bound);
  });
}

/**
 * The program that unmounts what lies on a path of a running container, the uppermost mount there. The way to
 * it must be one without symbolic links: the container could lead it to what masks its /proc.
 */
export function compileRemoveMount(
  input: ChangeMountInput & { readonly destination: string },
): Program {
  const names = below(input.destination).split("/");
  const name = names.pop()!;
  const label = `unmount ${input.destination}`;
  return compileChange(input, EXEC_PIDFD, () => {}, (s, root) => {
    const parent = s.descriptor("parent");
    openBelow(s, valueOf(root), names.join("/") || ".", O_PATH | O_DIRECTORY, {
      label,
      result: parent,
      resolve: IN_ROOT | RESOLVE_NO_SYMLINKS,
    });
    s.p.call("fchdir", [valueOf(parent)], { label });
    s.p.call("umount2", [s.p.string(name), MNT_DETACH | UMOUNT_NOFOLLOW], { label });
  });
}

/** A monitor, which joins the container's namespaces, and the process that makes the change. */
function compileChange(
  { spec, namespaces }: ChangeMountInput,
  lastDescriptor: number,
  before: (s: Scope) => void,
  change: (s: Scope, root: Cell) => void,
): Program {
  const s = new Scope();
  const { p } = s;
  supervise(s, {
    name: "crate-mounts",
    namespaces: 0,
    lastDescriptor,
    detached: false,
    removeFiles: [],
    removeDirectories: [],
    cgroupDirectories: [],
    before: () => {
      before(s);
      // From here on what runs in the container can see this process: it must not look into it.
      p.call("prctl", [PR_SET_DUMPABLE, 0, 0, 0, 0], { label: "hide from the container" });
      p.call("setns", [EXEC_PIDFD, namespaces], { label: "join the container's namespaces" });
    },
  }, () => {
    p.call("umask", [0]);
    if ((namespaces & CLONE_NEWUSER) !== 0) {
      becomeRoot(s, spec);
      p.call("prctl", [PR_SET_DUMPABLE, 0, 0, 0, 0], { label: "hide from the container" });
    }
    p.call("prctl", [PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0], { label: "die with the monitor" });
    awaitByte(s, "wait for the start");
    const root = s.descriptor("root");
    p.call("openat", [AT_FDCWD, p.string("/"), O_PATH | O_DIRECTORY | O_CLOEXEC, 0], {
      label: "open the container's root",
      result: root,
    });
    change(s, root);
    p.call("exit_group", [0]);
  });
  s.writeAsides();
  return p.build();
}
