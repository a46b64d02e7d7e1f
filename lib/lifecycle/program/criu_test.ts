import assert from "node:assert/strict";
import { printProgram } from "../../../ffi/mod.ts";
import type { Spec } from "../../spec/mod.ts";
import { compileCriu, type CriuInput, ownPoints } from "./criu.ts";

const spec: Spec = {
  ociVersion: "1.0.2",
  root: { path: "/bundle/rootfs", readonly: true },
  mounts: [
    { destination: "/proc", type: "proc", source: "proc" },
    { destination: "/dev", type: "tmpfs", source: "tmpfs" },
    { destination: "/dev/pts", type: "devpts", source: "devpts" },
    { destination: "/etc/hosts", type: "bind", source: "/run/hosts", options: ["bind"] },
    { destination: "//data/", type: "bind", source: "/data", options: ["rbind"] },
    { destination: "/database", type: "bind", source: "/data", options: ["rbind"] },
  ],
};

const input: CriuInput = {
  path: "/usr/sbin/criu",
  env: ["PATH=/bin"],
  directories: ["/images", "/work"],
  next: 6,
};

const restore = {
  spec,
  attachPoint: "/run/crate/.mount",
  groups: ["/sys/fs/cgroup/web/cgroup.procs"],
  facts: {
    sourceKinds: new Map([["/run/hosts", "file"], ["/data", "directory"]] as const),
    cgroupHierarchies: [],
    lastCapability: 40,
  },
};

const lines = (given: CriuInput) => printProgram(compileCriu(given)).split("\n");

/** Asserts that steps come in this order, each after the one before. */
function inOrder(all: readonly string[], ...patterns: RegExp[]): void {
  let from = 0;
  for (const pattern of patterns) {
    const at = all.findIndex((line, i) => i >= from && pattern.test(line));
    assert(at >= 0, `${pattern} after line ${from} of\n${all.join("\n")}`);
    from = at + 1;
  }
}

Deno.test("criu gets its directories and its socket as the next descriptors, and none of crate's own", () => {
  inOrder(
    lines(input),
    /getpid/,
    /close_range.*3.*4.*CLOEXEC|close_range.*3, 4/,
    /openat.*\/images/,
    /dup3.*6/,
    /openat.*\/work/,
    /dup3.*7/,
    /socketpair/,
    /sendmsg/,
    /dup3.*8/,
    /execve.*criu/,
  );
  assert(lines(input).every((line) => !/unshare|move_mount/.test(line)));
});

Deno.test("a restore's root is mounted in a namespace that is criu's own, and sealed last", () => {
  inOrder(
    lines({ ...input, restore }),
    /openat.*cgroup\.procs/,
    /unshare.*CLONE_NEWNS/,
    /mount.*"\/"/,
    /open_tree.*\/bundle\/rootfs/,
    /move_mount.*\.mount/,
    /mount_setattr/,
    /openat.*\/images/,
    /execve/,
  );
});

Deno.test("a root of a user namespace is where criu looks for it, and not over criu's own root", () => {
  const linux = {
    ...spec.linux,
    namespaces: [...spec.linux?.namespaces ?? [], { type: "user" as const }],
  };
  const at = lines({ ...input, restore: { ...restore, spec: { ...spec, linux } } })
    .find((line) => line.includes("move_mount"));
  assert.match(at!, /"[^"]*\.mount"/);
});

Deno.test("mount points are made in the root itself, and not in what is mounted over it", () => {
  const made = ownPoints(spec).map(({ destination }) => destination);
  assert.deepEqual(made, ["/proc", "/dev", "/etc/hosts", "//data/", "/database"]);
  const overlay = { destination: "/", type: "overlay", source: "overlay" };
  assert.deepEqual(ownPoints({ ...spec, mounts: [overlay] }), []);
});

Deno.test("a monitor waits for criu, then for the init's pid, and watches that", () => {
  const monitor = {
    detached: true,
    log: "/run/crate/web/log",
    exitFile: "/run/crate/web/exit",
    removeFiles: [],
    removeDirectories: [],
    cgroupDirectories: ["/sys/fs/cgroup/web"],
  };
  inOrder(
    lines({ ...input, restore, monitor }),
    /setsid/,
    /openat.*\/log/,
    /clone3/,
    /waitid/,
    /recvmsg/,
    /pidfd_open/,
    /ppoll/,
    /waitid/,
    /unlinkat.*\/sys\/fs\/cgroup\/web/,
  );
});
