// Not in the virtual machine: the permissions are Deno's, whatever the kernel
// The commands on images, files and networks under the permissions that they say they need, and under fewer.
import assert from "node:assert/strict";
import { type CommandName, permissionFlags, permissionsOf } from "../lib/cli/permissions.ts";
import { BUSYBOX, makeImage } from "./support/image.ts";
import { Registry } from "./support/registry.ts";
import { assertEnded, test } from "./support/mod.ts";
import { idle, networkTest } from "./support/network.ts";
import { configure, holds, runWith, SYSTEM } from "./support/permissions.ts";

test("cp works under its own flags, and not under fewer", async (box) => {
  const id = await box.detached("sleep 1000");
  const [from, to] = [box.file("from", "hello"), `${id}:/etc/to`];
  await holds(box, { command: "cp", words: ["cp", from, to], expected: {} });
  assert.equal(await box.ok(["exec", id, "cat", "/etc/to"]), "hello");
  const out = { stdout: "hello" };
  const listed = await box.host(`"$@" cp ${to} - | tar -xOf -`);
  assertEnded(listed, out);
  await box.ok(["delete", "-f", id]);
});

test("every command on images works under its own flags, and reaches no registry without net", async (box) => {
  const from = await makeImage(box.path("image"), [BUSYBOX], { cmd: ["/bin/echo", "hello"] });
  await using registry = await Registry.start();
  await registry.push(from, "test/image:1");
  const image = `${registry.host}/test/image:1`;
  const configFiles = [SYSTEM, configure(box)];
  const flagsOf = (command: CommandName) => permissionsOf(command, { root: box.root, configFiles });
  const run = async (command: CommandName, ...words: string[]) => {
    const { code, stdout, stderr } = await runWith(box, permissionFlags(flagsOf(command)), words);
    assert.deepEqual([code, stderr], [0, ""], `crate ${words.join(" ")}`);
    return stdout.trimEnd();
  };
  const { net: _, ...offline } = flagsOf("pull");
  const refused = await runWith(box, permissionFlags(offline), ["pull", "-q", image]);
  assert.equal(refused.code, 125);
  assert.match(refused.stderr, /^crate: [^\n]*net access[^\n]*\n$/);

  const digest = await run("pull", "pull", "-q", image);
  assert.match(digest, /^sha256:/);
  await run("tag", "tag", image, "one");
  assert.match(await run("images", "images"), /^one +latest /m);
  assert.match(await run("history", "history", "one"), /^IMAGE/);
  assert.equal(await run("run", "run", "--name", "c", "-v", "data:/data", "one"), "hello");
  assert.equal(JSON.parse(await run("inspect", "inspect", "one", "c")).length, 2);
  await run("diff", "diff", "c");
  await run("cp", "cp", box.path("image/layout"), "c:/layout");
  await run("cp", "cp", "c:/layout", box.path("back"));
  await run("commit", "commit", "-q", "c", "two");
  await run("export", "export", "-o", box.path("root.tar"), "c");
  await run("import", "import", "-q", box.path("root.tar"), "three");
  await run("save", "save", "-o", box.path("two.tar"), "two");
  assert.match(await run("prune", "container", "prune"), /^c\nReclaimed: /);
  assert.match(await run("volume", "volume", "ls"), /data/);
  await run("rmi", "rmi", "two", "three");
  assert.equal(
    await run("load", "load", "-q", "-i", box.path("two.tar")),
    "Loaded image: two:latest",
  );
  assert.equal(await run("push", "push", "-q", image, `${registry.host}/other:2`), digest);
  assert.match(await run("df", "df"), /^Volumes +1 /m);
  assert.match(await run("system", "system", "df"), /^Volumes +1 /m);
  assert.match(await run("prune", "prune", "--all"), /^Reclaimed: /m);
});

networkTest(
  "network, port and a run on a network work under their own flags, and not under fewer",
  async ({ box }) => {
    await holds(box, {
      command: "run",
      words: ["run", "--rm", "-p", "8080:80", "-r", box.rootfs, "ls", "/sys/class/net"],
      expected: { stdout: "eth0\nlo\n" },
    });
    box.environment = { NETCONFPATH: box.mkdir("net.d") };
    box.file("net.d/lo.conf", '{"cniVersion":"0.4.0","name":"plain","type":"loopback"}');
    await holds(box, {
      command: "run",
      words: ["run", "--rm", "--network", "cni:plain", "-r", box.rootfs, "ls", "/sys/class/net"],
      expected: { stdout: "lo\n" },
    });
    const id = await idle(box, "-p", "8080:80", "--network", "crate0");
    const ports = { stdout: "80/tcp -> 0.0.0.0:8080\n" };
    await holds(box, { command: "port", words: ["port", id], expected: ports });
    await holds(box, {
      command: "network",
      words: ["network", "create", "--ipv6", "--subnet", "10.77.0.0/24", "made"],
      expected: { stdout: "made\n" },
    });
    const configFiles = [SYSTEM, configure(box)];
    const flags = permissionFlags(permissionsOf("network", { root: box.root, configFiles }));
    const network = async (words: readonly string[], stdout = "") =>
      assertEnded(await runWith(box, flags, ["network", ...words]), { stdout });
    await network(["connect", "made", id]);
    await network(["ls", "-q"], "crate0\nmade\n");
    await network(["inspect", "made"], `${await box.ok(["network", "inspect", "made"])}\n`);
    await network(["disconnect", "made", id]);
    await network(["rm", "made"], "made\n");
    await holds(box, { command: "rename", words: ["rename", id, "renamed"], expected: {} });
    await box.ok(["delete", "--force", "renamed"]);
    const prune = ["system", "prune", "--force"];
    const stdout = "Deleted network: crate0\nReclaimed: 0B\n";
    await holds(box, { command: "system", words: prune, expected: { stdout } });
  },
);
