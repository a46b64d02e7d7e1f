// What crate unpacks is what umoci unpacks and podman mounts of the same image: of a whole Debian, by gzip and by
// zstd, and of forty layers.
import assert from "node:assert/strict";
import { openMerged } from "../../lib/overlay/mod.ts";
import { close } from "../../ffi/mod.ts";
import { makeDebian } from "../support/debian.ts";
import { BUSYBOX, makeImage, type TestLayer } from "../support/image.ts";
import { Podman } from "../support/podman.ts";
import { execute, Registry } from "../support/registry.ts";
import { type Sandbox, test } from "../support/mod.ts";
import { compareTrees, listTree } from "../support/tree.ts";
import { compressByZstd } from "../support/zstd.ts";

const OPTIONS = { ignoredAttributes: ["trusted.overlay."] };

/** The tree of an image that was pulled, as a container would see it. */
async function treeOf(box: Sandbox, name: string): Promise<string[]> {
  const [inspected] = JSON.parse(await box.ok(["inspect", name]));
  const root = openMerged(inspected.GraphDriver.Data.LowerDir.split(":"));
  try {
    return listTree(`/proc/self/fd/${root}/.`, OPTIONS);
  } finally {
    close(root);
  }
}

/** umoci gives a directory that no layer brings the time at which it works; podman's root has one of its own. */
const withoutRoot = (tree: readonly string[]) => tree.filter((line) => !/^\.? /.test(line));

test("a whole Debian is unpacked as umoci unpacks it and podman mounts it, by gzip and by zstd", async (box) => {
  const debian = box.path("debian");
  await makeDebian(debian);
  const layout = box.path("layout");
  await execute(["umoci", "init", "--layout", layout]);
  await execute(["umoci", "new", "--image", `${layout}:1`]);
  await execute(["umoci", "insert", "--image", `${layout}:1`, debian, "/"]);
  await using registry = await Registry.start();
  await registry.push(`oci:${layout}:1`, "debian:gzip");
  await execute(["umoci", "unpack", "--image", `${layout}:1`, box.path("bundle")]);
  const theirs = listTree(box.path("bundle/rootfs"), OPTIONS);
  assert.ok(theirs.length > 5_000, `${theirs.length} entries`);
  await compressByZstd(layout, "1");
  await registry.push(`oci:${layout}:1`, "debian:zstd");
  const words = [...registry.skopeoWords(""), "--raw", `docker://${registry.host}/debian:zstd`];
  assert.match(await execute(["skopeo", "inspect", ...words]), /layer\.v1\.tar\+zstd"/);
  await using podman = Podman.start();
  for (const compression of ["gzip", "zstd"]) {
    const name = `${registry.host}/debian:${compression}`;
    await box.ok(["pull", "-q", name]);
    const ours = await treeOf(box, name);
    assert.deepEqual(
      compareTrees(withoutRoot(ours), withoutRoot(theirs)),
      [],
      `umoci, ${compression}`,
    );
    await podman.run(["pull", "-q", "--tls-verify=false", name]);
    const mounted = listTree((await podman.run(["image", "mount", name])).trim(), OPTIONS);
    assert.deepEqual(
      compareTrees(withoutRoot(ours), withoutRoot(mounted)),
      [],
      `podman, ${compression}`,
    );
    await podman.run(["image", "umount", name]);
  }
  assert.match(
    await box.ok(["run", "--rm", `${registry.host}/debian:zstd`, "/bin/bash", "-c", "echo up"]),
    /up/,
  );
});

test("forty layers are unpacked over each other as umoci and podman do, and run", async (box) => {
  const layers: TestLayer[] = [BUSYBOX];
  for (let i = 1; i < 40; i++) {
    layers.push({
      [`srv/${i}/file`]: `${i}\n`,
      "etc/motd": `layer ${i}\n`,
      // Every third layer takes away what an earlier one has brought.
      ...i % 3 === 0 && { [`srv/${i - 2}`]: null },
    });
  }
  const from = await makeImage(box.path("image"), layers, { cmd: ["/bin/cat", "/etc/motd"] });
  await using registry = await Registry.start();
  await registry.push(from, "forty:1");
  const name = `${registry.host}/forty:1`;
  await box.ok(["pull", "-q", name]);
  assert.equal(await box.ok(["run", "--rm", name]), "layer 39");
  const ours = withoutRoot(await treeOf(box, name));
  await execute(["umoci", "unpack", "--image", from.slice(4), box.path("bundle")]);
  const theirs = withoutRoot(listTree(box.path("bundle/rootfs"), OPTIONS));
  assert.ok(ours.some((line) => line.includes("srv/39/file")));
  assert.ok(!ours.some((line) => line.includes("srv/37/file")));
  assert.deepEqual(compareTrees(ours, theirs), []);
  await using podman = Podman.start();
  await podman.run(["pull", "-q", "--tls-verify=false", name]);
  const mounted = listTree((await podman.run(["image", "mount", name])).trim(), OPTIONS);
  // podman leaves the time of its own work on a directory in which a layer only takes something away.
  const timeless = (tree: readonly string[]) =>
    tree.map((line) => line.startsWith("srv directory") ? line.replace(/ \d+$/, "") : line);
  assert.deepEqual(compareTrees(timeless(ours), timeless(withoutRoot(mounted))), []);
  await podman.run(["image", "umount", name]);
});
