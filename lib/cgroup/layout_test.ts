import assert from "node:assert/strict";
import { CrateError } from "../errors.ts";
import { parseLayout } from "./layout.ts";

const none = () => "";

Deno.test("a pure v2 host has one hierarchy and the controllers it lists", () => {
  const { v1, v2 } = parseLayout(
    "22 1 0:21 / / rw - ext4 /dev/vda rw\n" +
      "31 22 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n",
    (mount) => `cpuset cpu io memory hugetlb pids\n`.repeat(mount === "/sys/fs/cgroup" ? 1 : 0),
  );
  assert.equal(v1.size, 0);
  assert.equal(v2?.mount, "/sys/fs/cgroup");
  assert.deepEqual(v2?.controllers, ["cpuset", "cpu", "io", "memory", "hugetlb", "pids"]);
});

Deno.test("controllers mounted together and a hierarchy with nothing but a name are found", () => {
  const { v1, v2 } = parseLayout(
    "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n" +
      "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:1 master:2 - cgroup cgroup rw,cpu,cpuacct\n" +
      "33 31 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,xattr,clone_children,memory\n" +
      "40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n" +
      "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
    none,
  );
  assert.deepEqual([...v1], [
    ["cpu", "/sys/fs/cgroup/cpu,cpuacct"],
    ["cpuacct", "/sys/fs/cgroup/cpu,cpuacct"],
    ["memory", "/sys/fs/cgroup/memory"],
    ["name=systemd", "/sys/fs/cgroup/systemd"],
  ]);
  assert.deepEqual(v2, { mount: "/sys/fs/cgroup/unified", controllers: [] });
});

Deno.test("of two mounts of one hierarchy the first counts", () => {
  const { v2 } = parseLayout(
    "31 1 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n" +
      "99 1 0:26 /docker/x /var/lib/docker/x/sys/fs/cgroup ro - cgroup2 cgroup rw\n",
    none,
  );
  assert.equal(v2?.mount, "/sys/fs/cgroup");
});

Deno.test("a hierarchy that another mount lies upon is not used", () => {
  const { v1, v2 } = parseLayout(
    "31 1 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n" +
      "39 31 0:36 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n" +
      "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n" +
      "50 41 0:50 / /sys/fs/cgroup/unified rw - tmpfs hide rw\n",
    none,
  );
  assert.equal(v2, undefined);
  assert.equal(v1.get("pids"), "/sys/fs/cgroup/pids");
});

Deno.test("a mount point with a space is unescaped", () => {
  const { v1 } = parseLayout("39 1 0:36 / /c\\040g/pids rw - cgroup cgroup rw,pids", none);
  assert.equal(v1.get("pids"), "/c g/pids");
});

Deno.test("a host without cgroups gets a sentence that says what to mount", () => {
  assert.throws(
    () => parseLayout("22 1 0:21 / / rw - ext4 /dev/vda rw\n", none),
    (error) =>
      error instanceof CrateError && error.code === "UNSUPPORTED" && /cgroup2/.test(error.message),
  );
});
