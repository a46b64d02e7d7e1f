// What crate saves is read by podman and skopeo, and what they write is loaded.
import assert from "node:assert/strict";
import { BUSYBOX, makeImage, type TestLayer } from "../support/image.ts";
import { Podman } from "../support/podman.ts";
import { execute, Registry } from "../support/registry.ts";
import { test } from "../support/mod.ts";

const CONFIG = { cmd: ["/bin/cat", "/etc/motd"] };
const LAYERS: readonly TestLayer[] = [{ ...BUSYBOX, "old": "gone\n" }, {
  "etc/motd": "carried over\n",
  "old": null,
}];

test("podman loads what crate saves, and crate what podman saves, in both formats", async (box) => {
  const from = await makeImage(box.path("image"), LAYERS, CONFIG);
  const first = box.path("first.tar");
  await execute(["skopeo", "copy", "-q", from, `docker-archive:${first}:example.test/a/b:1`]);
  const loaded = await box.ok(["load", "-q", "-i", first]);
  assert.equal(loaded, "Loaded image: example.test/a/b:1");
  const [{ Id: id }] = JSON.parse(await box.ok(["inspect", "example.test/a/b:1"]));
  await using podman = Podman.start();
  await using registry = await Registry.start();
  for (const format of ["docker-archive", "oci-archive"]) {
    const file = box.path(`${format}.tar`);
    await box.ok(["save", "--format", format, "-o", file, "example.test/a/b:1"]);
    assert.match(await podman.run(["load", "-q", "-i", file]), /example\.test\/a\/b:1/);
    const theirs = await podman.run([
      "image",
      "inspect",
      "--format",
      "{{.Id}}",
      "example.test/a/b:1",
    ]);
    assert.equal(`sha256:${theirs.trim()}`, id);
    // By way of a registry, too.
    const pushed = `${registry.host}/${format}:1`;
    await podman.run([
      "push",
      "-q",
      "--tls-verify=false",
      "example.test/a/b:1",
      `docker://${pushed}`,
    ]);
    await box.ok(["pull", "-q", pushed]);
    assert.equal(await box.ok(["run", "--rm", pushed]), "carried over");
    const back = box.path(`${format}.back.tar`);
    await podman.run(["save", "-q", "--format", format, "-o", back, "example.test/a/b:1"]);
    await podman.run(["rmi", "example.test/a/b:1"]);
    await box.ok(["rmi", "-f", id]);
    assert.equal(await box.ok(["load", "-q", "-i", back]), "Loaded image: example.test/a/b:1");
    assert.equal(await box.ok(["run", "--rm", "example.test/a/b:1"]), "carried over");
    const { Id: again } = JSON.parse(await box.ok(["inspect", "example.test/a/b:1"]))[0];
    assert.equal(again, id);
  }
});

test("skopeo inspects what crate saves, and the store itself", async (box) => {
  const from = await makeImage(box.path("image"), LAYERS, CONFIG);
  const archive = box.path("oci.tar");
  await execute(["skopeo", "copy", "-q", from, `oci-archive:${archive}:example.test/c:2`]);
  assert.equal(await box.ok(["load", "-q", "-i", archive]), "Loaded image: example.test/c:2");
  const diffIds = async (place: string): Promise<string[]> =>
    JSON.parse(await execute(["skopeo", "inspect", "--config", place])).rootfs.diff_ids;
  const wanted = await diffIds(from);
  assert.deepEqual(await diffIds(`oci:${box.imageRoot}:example.test/c:2`), wanted);
  for (const format of ["docker-archive", "oci-archive"]) {
    const file = box.path(`${format}.tar`);
    await box.ok(["save", "--format", format, "-o", file, "example.test/c:2"]);
    assert.deepEqual(await diffIds(`${format}:${file}`), wanted);
  }
});
