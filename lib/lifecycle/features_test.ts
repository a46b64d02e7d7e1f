import assert from "node:assert/strict";
import { type Mount, requireSupported, type Spec, validateSpec } from "../spec/mod.ts";
import { loadRuntimeSchema } from "../spec/testing.ts";
import { ociFeatures } from "./features.ts";

interface Features {
  readonly hooks: readonly string[];
  readonly mountOptions: readonly string[];
  readonly linux: {
    readonly namespaces: readonly string[];
    readonly capabilities: readonly string[];
    readonly seccomp: {
      readonly actions: readonly string[];
      readonly operators: readonly string[];
      readonly archs: readonly string[];
      readonly supportedFlags: readonly string[];
    };
  };
}

const features = ociFeatures() as unknown as Features;
const PROCESS = { args: ["/bin/true"], cwd: "/" };
const config = (more: object, linux: object = {}) => ({
  ociVersion: "1.2.0",
  root: { path: "/" },
  process: PROCESS,
  ...more,
  linux: { namespaces: [{ type: "mount" }], ...linux },
});

const accepts = (document: unknown) => requireSupported(validateSpec(document) as Spec);

Deno.test("what crate says of itself has the form that the runtime-spec gives it", () => {
  const schema = loadRuntimeSchema().validateFeatures;
  // Debian's schema is of before there was one.
  if (schema === undefined) return;
  assert(schema(features), JSON.stringify(schema.errors));
});

Deno.test("every mount option that crate says it knows is taken, for a bind or for a filesystem", () => {
  assert(features.mountOptions.length > 60);
  for (const option of features.mountOptions) {
    const mounts: Mount[] = [
      { destination: "/a", type: "bind", source: "/", options: ["bind", option] },
      { destination: "/a", type: "tmpfs", options: [option] },
    ];
    const taken = mounts.filter((mount) => {
      try {
        accepts(config({ mounts: [mount] }));
        return true;
      } catch {
        return false;
      }
    });
    assert(taken.length > 0, option);
  }
  for (const option of ["iversion", "acl"]) assert(!features.mountOptions.includes(option));
});

Deno.test("every namespace, hook, capability and word of seccomp that crate says it knows is taken", () => {
  const { namespaces, capabilities, seccomp } = features.linux;
  accepts(config({}, { namespaces: namespaces.map((type) => ({ type })) }));
  const hook = [{ path: "/bin/true" }];
  accepts(config({ hooks: Object.fromEntries(features.hooks.map((point) => [point, hook])) }));
  accepts(config({ process: { ...PROCESS, capabilities: { bounding: capabilities } } }));
  accepts(config({}, {
    seccomp: {
      defaultAction: "SCMP_ACT_ALLOW",
      architectures: seccomp.archs,
      flags: seccomp.supportedFlags,
      listenerPath: "/listener",
      syscalls: [
        ...seccomp.actions.map((action) => ({ names: ["mkdir"], action })),
        ...seccomp.operators.map((op) => ({
          names: ["mkdir"],
          action: "SCMP_ACT_ERRNO",
          args: [{ index: 0, value: 1, op }],
        })),
      ],
    },
  }));
});

Deno.test("what crate says it does of devices, labels and shares is no longer refused", () => {
  accepts(config({
    process: { ...PROCESS, selinuxLabel: "l", apparmorProfile: "p" },
    mounts: [{
      destination: "/a",
      type: "bind",
      source: "/",
      uidMappings: [{ containerID: 0, hostID: 0, size: 1 }],
      gidMappings: [{ containerID: 0, hostID: 0, size: 1 }],
    }],
  }, {
    namespaces: [{ type: "mount" }, { type: "network" }],
    mountLabel: "m",
    intelRdt: { schemata: ["L3:0=f"], enableMonitoring: true },
    netDevices: { eth0: {} },
  }));
  const { apparmor, selinux, intelRdt, netDevices, mountExtensions } = ociFeatures()
    .linux as Record<string, unknown>;
  assert.deepEqual([apparmor, selinux, netDevices], Array(3).fill({ enabled: true }));
  assert.deepEqual(intelRdt, { enabled: true, schemata: true, monitoring: true });
  assert.deepEqual(mountExtensions, { idmap: { enabled: true } });
});
