import assert from "node:assert/strict";
import * as ffi from "../../../ffi/mod.ts";
import { encodeElf } from "../../../ffi/mod.ts";
import { reachable } from "../../../ffi/testing.ts";
import type { Mount } from "../../spec/mod.ts";
import { Model } from "./_model.ts";
import {
  type AddMountInput,
  compileAddMount,
  compileRemoveMount,
  MOUNT_IDMAP,
} from "./change_mounts.ts";

const NAMESPACES = ffi.CLONE_NEWNS + ffi.CLONE_NEWPID + ffi.CLONE_NEWNET;
const SPEC = { ociVersion: "1.2.0" };

function input(mount: Mount, hasIdmap = false): AddMountInput {
  const facts = {
    sourceKinds: new Map([["/data", "directory" as const]]),
    cgroupHierarchies: [],
    lastCapability: 40,
  };
  return { spec: SPEC, namespaces: NAMESPACES, mount, facts, hasIdmap };
}

const bind: Mount = {
  destination: "/a/b",
  type: "bind",
  source: "/data",
  options: ["rbind", "ro"],
};
const tmpfs: Mount = { destination: "/a/b", type: "tmpfs", options: ["size=1m", "nosuid"] };

function walk(program: ffi.Program, idmap = false): Model {
  const descriptors = ["control", "report", "init", ...idmap ? ["idmap"] : []];
  const walked = new Model(program, { descriptors });
  const reached = reachable(program);
  for (const [i, { label }] of program.steps.entries()) {
    assert(label !== "" && reached.has(i), `${i} ${label}`);
  }
  for (const arch of ["x86_64", "aarch64"] as const) encodeElf(program, arch);
  assert.deepEqual([walked.last.name, walked.last.args[0]], ["exit_group", 0]);
  return walked;
}

Deno.test("a bind's source is the host's, a filesystem is made in the container", () => {
  for (
    const [mount, name, isFirst] of [[bind, "open_tree", true], [tmpfs, "fsopen", false]] as const
  ) {
    const walked = walk(compileAddMount(input(mount)));
    const [join] = walked.named("setns");
    assert.deepEqual([join!.on[0]!.what, join!.args[1]], ["init", NAMESPACES]);
    for (const { order } of walked.named(name)) assert.equal(order < join!.order, isFirst);
    // Its mount point is found in the container, below a root that was opened there.
    for (const { order, on } of walked.named("openat2")) {
      assert(order > join!.order);
      assert.equal(on[0]!.what, "openat /");
    }
  }
});

Deno.test("a clone of the host's mount is no peer of it when it is attached, unless that is asked for", () => {
  const propagations = (mount: Mount) => {
    const walked = walk(compileAddMount(input(mount)));
    return walked.named("mount_setattr").map(({ args, machine }) =>
      machine.u32(args[3]! + ffi.mount_attr.offset("propagation"))
    ).filter((propagation) => propagation !== 0);
  };
  assert.deepEqual(propagations(bind), [ffi.MS_SLAVE]);
  assert.deepEqual(propagations({ ...bind, options: ["rbind", "rshared"] }), [ffi.MS_SHARED]);
});

Deno.test("the ids of an id-mapped mount are those of its own namespace", () => {
  const walked = walk(compileAddMount(input(bind, true)), true);
  const idmapped = walked.named("mount_setattr").map(({ args, machine }) =>
    machine.u32(args[3]! + ffi.mount_attr.offset("userns_fd"))
  );
  assert(idmapped.includes(MOUNT_IDMAP));
});

Deno.test("what runs in the container cannot look into what changes its mounts", () => {
  for (const program of [compileAddMount(input(bind)), compileAddMount(input(tmpfs))]) {
    const walked = walk(program);
    const hide = walked.named("prctl").find(({ args }) => args[0] === ffi.PR_SET_DUMPABLE)!;
    assert.equal(hide.args[1], 0);
    for (const { order } of walked.named("setns")) assert(hide.order < order);
  }
});

Deno.test("a removal goes no way that has a symbolic link, and does not follow the last name", () => {
  const change = { spec: SPEC, namespaces: NAMESPACES };
  for (const [destination, parent] of [["/a/./b/../c", "a"], ["d", "."], ["/x/y/z", "x/y"]]) {
    const walked = walk(compileRemoveMount({ ...change, destination: destination! }));
    const [open] = walked.named("openat2");
    assert.equal(open!.strings[1], parent);
    const resolve = walked.machine.u32(open!.args[2]! + ffi.open_how.offset("resolve"));
    assert.equal(resolve & ffi.RESOLVE_NO_SYMLINKS, ffi.RESOLVE_NO_SYMLINKS);
    assert.equal(resolve & ffi.RESOLVE_IN_ROOT, ffi.RESOLVE_IN_ROOT);
    const [unmount] = walked.named("umount2");
    assert(!unmount!.strings[0]!.includes("/"));
    assert.equal(unmount!.args[1], ffi.MNT_DETACH | ffi.UMOUNT_NOFOLLOW);
  }
});
