// Not in the virtual machine: its filesystems have no id-mapped mounts
// Files of containers in user namespaces: their roots, volumes and binds, and what becomes of what they write.
import assert from "node:assert/strict";
import { BUSYBOX, makeImage } from "./support/image.ts";
import { execute } from "./support/registry.ts";
import { type Sandbox, test, until } from "./support/mod.ts";

const AUTO = ["--userns", "auto"];

/** An image `test:1` in the store. */
async function withImage(box: Sandbox): Promise<void> {
  const more = ["touch", "rm", "stat", "chown", "grep", "find"].map((
    name,
  ) => [`bin/${name}`, "->busybox"]);
  const layers = [{ ...BUSYBOX, ...Object.fromEntries(more) }, { "data/first": "of the image\n" }];
  const from = await makeImage(box.path("image"), layers);
  const archive = box.path("image.tar");
  await execute(["skopeo", "copy", "-q", from, `docker-archive:${archive}:example.test/test:1`]);
  await box.ok(["load", "-q", "-i", archive]);
  await box.ok(["tag", "example.test/test:1", "test:1"]);
}

test("a view of the host shows root's files as root's, and none of the host's secrets can be changed", async (box) => {
  const script = `stat -c %u /etc/passwd /etc/shadow; echo x >> /etc/shadow && rm /etc/passwd &&
touch /made && stat -c %u /made; cat /proc/self/mountinfo | grep -c ' / / '`;
  const host = Deno.readTextFileSync("/etc/shadow");
  const words = ["run", "--rm", ...AUTO, "/bin/sh", "-c", script];
  assert.deepEqual((await box.ok(words)).split("\n"), ["0", "0", "0", "1"]);
  assert.equal(Deno.readTextFileSync("/etc/shadow"), host);
  const keep = box.path("keep");
  const kept = (more: readonly string[], script: string) =>
    box.ok(["run", "--rm", "--keep", keep, ...more, "/bin/sh", "-c", script]);
  await kept(AUTO, "echo kept > /etc/crate-test; rm /etc/hostname; mkdir /srv/d");
  assert.equal(Deno.statSync(`${keep}/upper/etc/crate-test`).uid, 0);
  const look =
    "cat /etc/crate-test; stat -c %u /etc/crate-test /srv/d; [ -e /etc/hostname ] || echo gone";
  for (const more of [[], AUTO]) assert.equal(await kept(more, look), "kept\n0\n0\ngone");
});

test("a bind is as the host has it; with idmap it is the container's, as volumes are", async (box) => {
  const data = box.mkdir("data");
  Deno.writeTextFileSync(`${data}/file`, "x");
  Deno.chmodSync(box.directory, 0o755);
  const look = "stat -c %u /data/file; echo y > /data/made && stat -c %u /data/made";
  const bind = (...more: string[]) => [...AUTO, ...more];
  assert.equal(
    await box.sh(
      "stat -c %u /data/file; touch /data/n 2>/dev/null || echo no",
      bind("-v", `${data}:/data`),
    ),
    "65534\nno",
  );
  assert.equal(await box.sh(look, bind("-v", `${data}:/data:idmap`)), "0\n0");
  assert.equal(
    await box.sh(look, bind("--mount", `type=bind,src=${data},dst=/data,idmap`)),
    "0\n0",
  );
  assert.equal(Deno.statSync(`${data}/made`).uid, 0);
  const own = "idmap=uids=0-@0-1;gids=0-@0-1".replaceAll("0-@0-1", "@0-5-1");
  assert.equal(
    await box.sh("stat -c %u:%g /data/file", bind("-v", `${data}:/data:ro,${own}`)),
    "5:5",
  );
  assert.equal(await box.sh("touch /v/a; stat -c %u /v /v/a", bind("-v", "named:/v")), "0\n0");
  assert.equal(await box.sh("stat -c %u /v /v/a", ["-v", "named:/v"]), "0\n0");
  assert.equal(
    await box.sh("stat -c %u /v/a", bind("--mount", "type=volume,src=named,dst=/v")),
    "0",
  );
  await box.ok(["volume", "rm", "named"]);
});

test("an image's container: started again, diff, commit and export have the container's ids", async (box) => {
  await withImage(box);
  const script =
    `touch /etc/mine; chown 1000:1000 /etc/mine; rm /data/first; echo $(stat -c %u /bin/busybox /etc/mine /vol /vol/f)
touch /vol/f; [ -e /started ] && exit; touch /started; sleep 100`;
  const words = ["run", "-d", "--name", "one", ...AUTO, "-v", "/vol", "test:1", "sh", "-c", script];
  await box.ok(words);
  await until("it has begun", async () => (await box.ok(["diff", "one"])).includes("A /started"));
  const changes = (await box.ok(["diff", "one"])).split("\n");
  for (const line of ["D /data/first", "A /etc/mine", "A /started"]) {
    assert(changes.includes(line), line);
  }
  const owners = async (tar: string) => {
    const { stdout } = await box.host(
      `tar --numeric-owner -tvf ${tar} etc/mine started bin/busybox | awk '{print $2, $6}' | sort`,
    );
    return stdout.trimEnd().split("\n");
  };
  const expected = ["0/0 bin/busybox", "0/0 started", "1000/1000 etc/mine"];
  await box.ok(["export", "-o", box.path("running.tar"), "one"]);
  assert.deepEqual(await owners(box.path("running.tar")), expected);
  await box.ok(["stop", "-t", "0", "one"]);
  await box.ok(["export", "-o", box.path("stopped.tar"), "one"]);
  assert.deepEqual(await owners(box.path("stopped.tar")), expected);
  await box.ok(["start", "one"]);
  assert.equal(await box.ok(["wait", "one"]), "0");
  assert.equal((await box.crate(["logs", "one"])).stdout, "0 1000 0\n0 1000 0 0\n");
  await box.ok(["commit", "-q", "one", "made:1"]);
  const look = ["sh", "-c", "stat -c '%u:%g' /etc/mine /started /bin/sh; ls /data"];
  for (const more of [[], AUTO]) {
    assert.equal(await box.ok(["run", "--rm", ...more, "made:1", ...look]), "1000:1000\n0:0\n0:0");
  }
  await box.ok(["delete", "one"]);
});

test("capabilities of a file are the container's own, and an image's when it is committed", async (box) => {
  await withImage(box);
  const { stdout } = await box.host("command -v setcap getcap");
  if (stdout.trim().split("\n").length < 2) return;
  const tools = ["-v", "/usr:/usr:ro", "-v", "/usr/lib:/lib:ro", "-v", "/usr/lib64:/lib64:ro"];
  const setcap =
    "echo x > /bin/mine; /usr/sbin/setcap cap_net_raw+ep /bin/mine && /usr/sbin/getcap /bin/mine; sleep 100";
  await box.ok([
    "run",
    "-d",
    "--name",
    "one",
    ...AUTO,
    ...tools,
    "--cap-add",
    "SETFCAP",
    "test:1",
    "sh",
    "-c",
    setcap,
  ]);
  assert.equal(await box.logged("one", "cap_net_raw"), "/bin/mine cap_net_raw=ep\n");
  const attributes = async (tar: string) =>
    (await box.host(`tar --xattrs --xattrs-include='*' -vv -tf ${tar} bin/mine | grep -A1 mine`))
      .stdout;
  await box.ok(["export", "-o", box.path("running.tar"), "one"]);
  assert.match(await attributes(box.path("running.tar")), /x: +20 security\.capability/);
  await box.ok(["commit", "-q", "one", "made:1"]);
  await box.ok(["delete", "--force", "one"]);
  for (const more of [[], AUTO]) {
    const words = ["run", "--rm", ...more, ...tools, "made:1", "/usr/sbin/getcap", "/bin/mine"];
    assert.equal(await box.ok(words), "/bin/mine cap_net_raw=ep");
  }
});

test("an image of many layers is one overlay of as many id-mapped mounts", async (box) => {
  const layers = Array.from({ length: 100 }, (_, i) => ({ [`many/${i}`]: `${i}\n` }));
  const from = await makeImage(box.path("image"), [BUSYBOX, ...layers]);
  const archive = box.path("image.tar");
  await execute(["skopeo", "copy", "-q", from, `docker-archive:${archive}:example.test/many:1`]);
  await box.ok(["load", "-q", "-i", archive]);
  const script =
    "ls /many | wc -l; ls -ln /many | grep -c '1 0 * 0 '; echo x > /many/made; ls -ln /many/made | cut -d' ' -f 5";
  const words = [
    "run",
    "--rm",
    ...AUTO,
    "-v",
    "/usr:/usr",
    "example.test/many:1",
    "busybox",
    "sh",
    "-c",
  ];
  assert.match(
    await box.ok([...words, script.replaceAll(/(wc|grep|cut)/g, "busybox $1")]),
    /^100\n100\n/,
  );
});

test("devices of the host are bound, at other paths, too", async (box) => {
  const device = ["--device", "/dev/zero:/dev/nothing", "--device", "/dev/null"];
  const script =
    "stat -c '%t %T' /dev/nothing; head -c 3 /dev/nothing | wc -c; echo > /dev/null && echo ok";
  assert.equal(await box.sh(script, [...AUTO, ...device]), "1 5\n3\nok");
  assert.equal(await box.sh("mknod /x c 1 3 2>/dev/null || echo refused", AUTO), "refused");
});

test("a rootfs in a directory that nobody else may enter is no hindrance", async (box) => {
  Deno.chmodSync(box.directory, 0o700);
  assert.equal(await box.sh("echo up", AUTO), "up");
});

test("what is copied into a container belongs to its root, and out of it to the caller", async (box) => {
  const file = box.file("one", "content");
  const listed = async () =>
    (await box.ok(["exec", "u", "/bin/sh", "-c", "cd /; stat -c '%n %u %g' a b d/c etc/e"])).split(
      "\n",
    );
  box.mkdir("d");
  box.file("d/c", "below");
  await box.ok([
    "run",
    "-d",
    "--name",
    "u",
    "--userns",
    "auto",
    "-r",
    box.rootfs,
    "/bin/sleep",
    "100",
  ]);
  await box.ok(["cp", file, "u:/a"]);
  await box.ok(["cp", box.path("d"), "u:/"]);
  await box.ok(["cp", file, "u:/etc/e"]);
  await box.ok(["stop", "-t", "0", "u"]);
  await box.ok(["cp", file, "u:/b"]);
  await box.ok(["start", "u"]);
  assert.deepEqual(await listed(), ["a 0 0", "b 0 0", "d/c 0 0", "etc/e 0 0"]);
  await box.ok(["exec", "u", "/bin/sh", "-c", "echo own >/own; chown 5:6 /own"]);
  for (const name of ["first", "second"]) {
    await box.ok(["cp", "-a", "u:/own", box.path(name)]);
    const { uid, gid } = Deno.statSync(box.path(name));
    assert.deepEqual([uid, gid, Deno.readTextFileSync(box.path(name))], [5, 6, "own\n"]);
    await box.ok(["stop", "-t", "0", "u"]);
  }
  await box.ok(["delete", "u"]);
});
