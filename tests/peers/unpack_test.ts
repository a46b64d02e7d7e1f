// What crate unpacks is what umoci unpacks of the same image, entry by entry.
import assert from "node:assert/strict";
import { close, O_RDONLY, open, syscall } from "../../ffi/mod.ts";
import { withMerged } from "../../lib/overlay/mod.ts";
import { execute, Registry } from "../support/registry.ts";
import { type Sandbox, test } from "../support/mod.ts";
import { compareTrees, listTree } from "../support/tree.ts";

const encoder = new TextEncoder();

/** All kinds of entries that a layer may have. */
const FIRST = `
  mkdir -p bin deep/$(printf 'd%.0s' {1..120})/$(printf 'e%.0s' {1..120}) gone kept
  echo program > bin/program; chmod 4755 bin/program
  ln bin/program bin/other; ln -s ../bin/program kept/link; ln -s /nowhere dangling
  mkfifo fifo; mknod null c 1 3; mknod disk b 254 7
  truncate -s 1M sparse; printf x | dd of=sparse bs=1 seek=524288 conv=notrunc status=none
  echo a > gone/a; echo b > gone/b; echo file > becomes-a-directory; mkdir becomes-a-file
  touch -d '1999-12-31 23:59:59.123456789' kept/old; echo long > kept/$(printf 'n%.0s' {1..200})
  touch kept/ž "kept/$(printf 'a\\nb')"; chown 1234:5678 kept/old; chmod 1777 kept
  touch -h -d '2001-02-03 04:05:06.7' dangling; chmod 0 bin/program`;

/** What the second layer adds, replaces and takes away. */
const SECOND = `
  mkdir -p gone becomes-a-directory kept; echo new > becomes-a-directory/new; echo file > becomes-a-file
  touch gone/.wh.a; touch .wh.fifo; echo c > gone/c; chmod 1777 kept; touch kept/.wh.link`;

const THIRD = `mkdir -p deep; touch deep/.wh..wh..opq; echo only > deep/one`;

async function layer(box: Sandbox, name: string, script: string): Promise<string> {
  const directory = box.mkdir(name);
  await execute(["bash", "-euc", script], { cwd: directory });
  if (name === "first") {
    const fd = open(`${directory}/kept/old`, O_RDONLY);
    const value = encoder.encode("value\0of it");
    syscall("fsetxattr", fd, "user.test", value, value.length, 0);
    close(fd);
  }
  const archive = box.path(`${name}.tar`);
  const words = ["--format=pax", "--xattrs", "--sparse", "--numeric-owner", "--sort=name"];
  await execute(["tar", "-C", directory, ...words, "-cf", archive, "."]);
  return archive;
}

test("an image of every kind of entry is unpacked as umoci unpacks it", async (box) => {
  const image = `${box.path("layout")}:image`;
  await execute(["umoci", "init", "--layout", box.path("layout")]);
  await execute(["umoci", "new", "--image", image]);
  for (const [name, script] of Object.entries({ first: FIRST, second: SECOND, third: THIRD })) {
    await execute(["umoci", "raw", "add-layer", "--image", image, await layer(box, name, script)]);
  }
  await execute(["umoci", "unpack", "--image", image, box.path("bundle")]);
  await using registry = await Registry.start();
  await registry.push(`oci:${image}`, "test/image:1");
  const name = `${registry.host}/test/image:1`;
  await box.ok(["pull", "-q", name]);
  const [inspected] = JSON.parse(await box.ok(["inspect", name]));
  const layers: string[] = inspected.GraphDriver.Data.LowerDir.split(":");
  assert.equal(layers.length, 3);
  const options = { ignoredAttributes: ["trusted.overlay."] };
  const ours = withMerged(layers, (fd) => listTree(`/proc/self/fd/${fd}/.`, options));
  const theirs = listTree(box.path("bundle/rootfs"), options);
  assert.ok(ours.length > 20, ours.join("\n"));
  assert.deepEqual(compareTrees(ours, theirs), []);
});
