import assert from "node:assert/strict";
import { rootlessSpec } from "./rootless.ts";
import { FULL_SPEC } from "./testing.ts";
import { validateSpec } from "./validate.ts";

Deno.test("a rootless config has the user as root of a user namespace, and nothing that needs another's rights", () => {
  const mounts = [
    { destination: "/dev/pts", type: "devpts", options: ["mode=0620", "gid=5", "uid=7"] },
    { destination: "/sys", type: "sysfs", source: "sysfs", options: ["ro"] },
  ];
  const { sysctl: _, timeOffsets: __, netDevices: ___, ...linux } = FULL_SPEC.linux;
  const spec = rootlessSpec({ ...FULL_SPEC, mounts, linux }, 1000, 2000);
  validateSpec(spec);
  assert.deepEqual(spec.linux?.uidMappings, [{ containerID: 0, hostID: 1000, size: 1 }]);
  assert.deepEqual(spec.linux?.gidMappings, [{ containerID: 0, hostID: 2000, size: 1 }]);
  const types = spec.linux?.namespaces?.map(({ type }) => type);
  assert.deepEqual(types, ["pid", "mount", "ipc", "uts", "time", "user"]);
  assert.equal(spec.linux?.resources, undefined);
  assert.equal(spec.linux?.cgroupsPath, undefined);
  assert.deepEqual(spec.mounts, [
    { destination: "/dev/pts", type: "devpts", options: ["mode=0620"] },
    {
      destination: "/sys",
      type: "none",
      source: "/sys",
      options: ["rbind", "nosuid", "noexec", "nodev", "ro"],
    },
  ]);
  assert.deepEqual(spec.process, FULL_SPEC.process);
});
