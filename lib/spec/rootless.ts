import type { LinuxNamespaceType, Mount, Spec } from "./types.ts";

/** What a user alone cannot make of the usual config, or would have no use of. */
const LEFT_OUT: readonly LinuxNamespaceType[] = ["user", "network", "cgroup"];

/** Whether an option gives files to an id that is not in the user namespace. */
const isOfAnother = (option: string) => /^[ug]id=/.test(option);

function mountFor(mount: Mount): Mount {
  if (mount.destination !== "/sys") {
    return { ...mount, options: mount.options?.filter((option) => !isOfAnother(option)) };
  }
  // A sysfs belongs to a network namespace, and the host's is not the user's.
  return {
    destination: "/sys",
    type: "none",
    source: "/sys",
    options: ["rbind", "nosuid", "noexec", "nodev", "ro"],
  };
}

/**
 * A config for a user without privileges, as runc's `spec --rootless` changes it: a user namespace in which the user
 * is root, the host's network, no limits.
 *
 * @param uid the user's id, and `gid` the group's.
 */
export function rootlessSpec({ linux, mounts, ...spec }: Spec, uid: number, gid: number): Spec {
  const { resources: _, cgroupsPath: __, ...rest } = linux ?? {};
  return {
    ...spec,
    ...mounts && { mounts: mounts.map(mountFor) },
    linux: {
      ...rest,
      uidMappings: [{ containerID: 0, hostID: uid, size: 1 }],
      gidMappings: [{ containerID: 0, hostID: gid, size: 1 }],
      namespaces: [
        ...(linux?.namespaces ?? []).filter(({ type }) => !LEFT_OUT.includes(type)),
        { type: "user" },
      ],
    },
  };
}
