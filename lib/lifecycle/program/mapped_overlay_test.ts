import assert from "node:assert/strict";
import * as ffi from "../../../ffi/mod.ts";
import { printProgram, type Program } from "../../../ffi/mod.ts";
import type { Mount, Spec } from "../../spec/mod.ts";
import { ATTACH_POINT } from "./_configs.ts";
import { type Made, Model, walkMonitor } from "./_model.ts";
import { compileContainer } from "./compile.ts";
import { mountMappedOverlay } from "./mapped_overlay.ts";

const IDMAP = 5;
const MAPS = [{ containerID: 0, hostID: 100000, size: 65536 }];
const OWN = ["upperdir=/s/c/x/upper", "workdir=/s/c/x/work", "index=off", "volatile"];

function compile(options: readonly string[], more: readonly Mount[] = []) {
  const mount: Mount = { destination: "/", type: "overlay", options: [...options, "idmap"] };
  const types = ["mount", "pid", "network", "user"] as const;
  const spec: Spec = {
    ociVersion: "1.2.0",
    root: { path: "/" },
    process: { args: ["/bin/true"], cwd: "/" },
    mounts: [mount, ...more],
    linux: {
      namespaces: types.map((type) => ({ type })),
      uidMappings: MAPS,
      gidMappings: MAPS,
      maskedPaths: ["/proc/acpi"],
    },
  };
  return compileContainer({
    spec,
    facts: { sourceKinds: new Map(), cgroupHierarchies: [], lastCapability: 40 },
    attachPoint: ATTACH_POINT,
    cgroup: { files: [] },
    idmaps: new Map([[mount, IDMAP]]),
    mountMapped: mountMappedOverlay,
    parent: { detached: false, removeFiles: [], removeDirectories: [], cgroupDirectories: [] },
  });
}

const DESCRIPTORS = ["control", "report", "idmap"];
const initOf = (program: Program) => new Model(program, { descriptors: DESCRIPTORS });

const upToClone = (model: Model) =>
  model.calls.slice(0, model.calls.findIndex(({ name }) => name === "clone3"));
const labels = (calls: readonly Made[]) => calls.map(({ step }) => step.label);

Deno.test("each layer, and the upper directory with its work directory, is cloned and has its ids mapped", () => {
  const calls = upToClone(initOf(compile(["lowerdir=/s/l/b:/s/l/a", ...OWN])));
  const cloned = calls.filter(({ name }) => name === "open_tree").map(({ strings }) => strings[1]);
  assert.deepEqual(cloned, ["/s/l/b", "/s/l/a", "/s/c/x"]);
  const mapped = calls.filter(({ name }) => name === "mount_setattr");
  for (const { args, machine } of mapped) {
    assert.equal(machine.u32(args[3]!), ffi.MOUNT_ATTR_IDMAP);
    assert.equal(machine.u32(args[3]! + ffi.mount_attr.offset("userns_fd")), IDMAP);
  }
  assert.equal(mapped.length, 3);
  const options = calls.filter(({ name, args }) =>
    name === "fsconfig" && args[1] === ffi.FSCONFIG_SET_STRING
  ).map(({ strings }) => `${strings[2]}=${strings[3]}`);
  for (const option of ["lowerdir=0:1", "upperdir=2/upper", "workdir=2/work", "index=off"]) {
    assert.ok(options.includes(option), option);
  }
});

Deno.test("the overlay is made in another mount namespace, by the container's root, and all of it is undone", () => {
  const calls = upToClone(initOf(compile(["lowerdir=/s/l/a", ...OWN])));
  const at = (name: string, first?: number) =>
    calls.findIndex((call) => call.name === name && (first ?? call.args[0]) === call.args[0]);
  const home = at("unshare", ffi.CLONE_NEWNS);
  const overlay = calls.findIndex(({ name, strings }) =>
    name === "fsopen" && strings[0] === "overlay"
  );
  assert.ok(home < at("setfsuid", 100000) && at("setfsuid", 100000) < overlay);
  assert.ok(overlay < at("setfsuid", 0) && at("setfsuid", 0) < at("setns"));
  assert.ok(at("setns") < at("chroot"));
  const securebits = calls.filter(({ name, args }) =>
    name === "prctl" && args[0] === ffi.PR_SET_SECUREBITS
  );
  assert.deepEqual(securebits.map(({ args }) => args[1]), [ffi.SECBIT_NO_SETUID_FIXUP, 0]);
  assert.equal(calls[home + 1]?.name, "mount");
  assert.equal(calls[home + 1]?.args[3], ffi.MS_PRIVATE | ffi.MS_REC);
});

Deno.test("without an upper directory there is one in memory, the container's root's", () => {
  const calls = upToClone(initOf(compile(["lowerdir=/"])));
  const own = calls.find(({ name }) => name === "fchownat");
  assert.deepEqual([own?.strings[1], own?.args[2], own?.args[3]], ["upper", 100000, 100000]);
  assert.ok(!calls.some(({ name }) => name === "setfsuid"));
});

Deno.test("in the container the root is attached over the host's, where nothing else is, and the monitor keeps none of it", () => {
  const program = compile(["lowerdir=/s/l/a", ...OWN]);
  const init = initOf(program);
  const inside = init.calls.slice(upToClone(init).length);
  const attached = inside.filter(({ name, strings }) =>
    name === "move_mount" && strings[3] === "/"
  );
  assert.deepEqual(labels(attached), ["mount overlay as the root"]);
  assert.ok(!inside.some(({ strings }) => strings.includes(ATTACH_POINT)));
  assert.ok(!inside.some(({ name, strings }) => name === "fsopen" && strings[0] === "overlay"));
  let left: string[] = [];
  const answer = ({ name }: Made, model: Model) => {
    if (name === "ppoll") left = [...model.descriptors.values()].map(({ what }) => what);
    return undefined;
  };
  const script = { descriptors: DESCRIPTORS, answer };
  walkMonitor(program, ["ended"], { code: ffi.CLD_EXITED, status: 0 }, script);
  assert.ok(
    left.length > 0 && !left.some((what) => /tree|fsmount|mnt|openat \//.test(what)),
    left.join(),
  );
});

Deno.test("names of many layers go to the kernel in one page", () => {
  const layers = Array.from({ length: 500 }, (_, i) => `/s/l/${i}`);
  const text = printProgram(compile([`lowerdir=${layers.join(":")}`, ...OWN]));
  const [, options] = /mount\("[^"]*", "root", "overlay", 0, "([^"]*)"\)/.exec(text) ?? [];
  assert.ok(options !== undefined && options.length < 4096);
  assert.ok(options.startsWith("lowerdir=0:1:2:"));
  assert.ok(options.includes(":499,upperdir=500/upper,workdir=500/work"));
});
