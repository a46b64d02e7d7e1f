import assert from "node:assert/strict";
import {
  type LinuxIDMapping,
  type Mount,
  requireSupported,
  type RunDefaults,
  type RunOptions,
  specFromOptions,
  validateSpec,
} from "./mod.ts";

const MAPS = [{ containerID: 0, hostID: 100000, size: 65536 }];
const userns = { uids: MAPS, gids: MAPS };
const defaults: RunDefaults = {
  capabilities: ["CAP_CHOWN"],
  allCapabilities: ["CAP_CHOWN", "CAP_SYS_ADMIN"],
  seccomp: () => null,
};

function specOf(more: Partial<RunOptions> = {}) {
  const options = { args: ["/bin/true"], rootfs: "/srv/root", userns, ...more };
  const spec = validateSpec(specFromOptions(options, defaults));
  requireSupported(spec);
  return spec;
}

const mountAt = (path: string, more: Partial<RunOptions> = {}) =>
  specOf(more).mounts?.find(({ destination }) => destination === path);

Deno.test("the config has a new user namespace with the maps", () => {
  const { linux } = specOf();
  assert.deepEqual(linux?.namespaces?.at(-1), { type: "user" });
  assert.deepEqual([linux?.uidMappings, linux?.gidMappings], [MAPS, MAPS]);
  assert.equal(specOf({ userns: undefined }).linux?.uidMappings, undefined);
});

Deno.test("a directory that is the root is bound with the container's ids, an overlay's layers have them", () => {
  const spec = specOf();
  assert.deepEqual(spec.root, { path: "/srv/root" });
  const options = ["rbind", "idmap"];
  assert.deepEqual(spec.mounts?.[0], {
    destination: "/",
    type: "bind",
    source: "/srv/root",
    options,
  });
  const overlay: Mount = { destination: "/", type: "overlay", options: ["lowerdir=/"] };
  assert.deepEqual(mountAt("/", { rootfs: "/", mounts: [overlay] }), {
    ...overlay,
    options: ["lowerdir=/", "idmap"],
  });
});

Deno.test("what needs a namespace of the container's own is bound where that is the host's", () => {
  assert.equal(mountAt("/proc")?.type, "proc");
  assert.equal(mountAt("/sys")?.type, "sysfs");
  const bound = (path: string, more: Partial<RunOptions>) => {
    const { type, source, options } = mountAt(path, more)!;
    assert.deepEqual([type, source, options?.[0]], ["bind", path, "rbind"]);
    return options!;
  };
  assert.ok(bound("/sys", { network: "host" }).includes("rro"));
  assert.ok(bound("/sys", { network: { path: "/proc/1/ns/net" } }).includes("rro"));
  assert.ok(!bound("/sys", { network: "host", privileged: true }).includes("rro"));
  assert.ok(!bound("/proc", { pid: "host" }).includes("rro"));
  bound("/dev/mqueue", { ipc: "host" });
  bound("/sys/fs/cgroup", { cgroupns: "host" });
  assert.throws(
    () => specOf({ pid: "host", sysctls: { "net.ipv4.ip_forward": "1" } }),
    /^CrateError: --sysctl in a user namespace needs a \/proc of the container's own/,
  );
});

Deno.test("terminals are group 5's where there is one", () => {
  const few: LinuxIDMapping[] = [{ containerID: 0, hostID: 7, size: 5 }];
  assert.ok(mountAt("/dev/pts")?.options?.includes("gid=5"));
  assert.ok(!mountAt("/dev/pts", { userns: { uids: few, gids: few } })?.options?.includes("gid=5"));
});

Deno.test("devices are binds of the host's, and a privileged container's stay devices", () => {
  const device = (path: string) => ({ path, type: "c" as const, major: 1, minor: 5 });
  const devices = [{ device: device("/dev/here"), source: "/dev/zero" }, {
    device: device("/dev/same"),
    access: "r",
  }];
  const spec = specOf({ devices });
  assert.equal(spec.linux?.devices, undefined);
  assert.deepEqual(
    spec.mounts?.slice(-2).map(({ source, destination }) => [source, destination]),
    [["/dev/zero", "/dev/here"], ["/dev/same", "/dev/same"]],
  );
  assert.equal(spec.linux?.resources?.devices?.at(-1)?.access, "r");
  const all = specFromOptions(
    { args: ["x"], rootfs: "/", userns, devices, privileged: true },
    { ...defaults, hostDevices: [device("/dev/zero"), device("/dev/same")] },
  );
  assert.deepEqual(all.linux?.devices?.map(({ path }) => path), ["/dev/zero"]);
});

Deno.test("maps that are none, and users that are in none, are refused", () => {
  const refused = (more: Partial<RunOptions>, sentence: RegExp) =>
    assert.throws(() => specOf(more), sentence);
  const maps = (...uids: LinuxIDMapping[]) => ({ userns: { uids, gids: MAPS } });
  const map = (containerID: number, hostID: number, size: number) => ({
    containerID,
    hostID,
    size,
  });
  refused(maps(map(1, 5, 5)), /--uidmap: the container's root, id 0, is in no range/);
  refused(maps(map(0, 5, 5), map(4, 50, 1)), /--uidmap: id 4 of the container is in two ranges/);
  refused(maps(map(9, 5, 5), map(0, 9, 1)), /--uidmap: id 9 of the host is in two ranges/);
  refused(
    maps(...Array.from({ length: 341 }, (_, i) => map(i, 2 * i, 1))),
    /--uidmap: the kernel takes 340 ranges, and these are 341/,
  );
  refused({ user: { uid: 65536, gid: 0 } }, /user 65536 is not in the .* which has 0 to 65535/);
  refused({ user: { uid: 0, gid: 65536 } }, /group 65536 is not in the container's user/);
  refused(
    { ...maps(map(0, 5, 1), map(3, 6, 2)), user: { uid: 1, gid: 0 } },
    /user 1 is not in the container's user namespace, which has 0, 3 to 4: ask for more/,
  );
  const mounts = [{ destination: "/d", type: "bind", source: "/d", options: ["rbind", "idmap"] }];
  assert.equal(mountAt("/d", { mounts })?.options?.at(-1), "idmap");
  refused({ userns: undefined, mounts }, /\/d: idmap is by the maps of the container's user/);
});
