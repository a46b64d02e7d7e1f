// Copies between this host and containers: whose, from which of them, and that nothing of a container's leads out of it.
// Not in the virtual machine: paths are resolved by the same calls there, and cgroups have no part in copies
import assert from "node:assert/strict";
import { BUSYBOX, makeImage } from "./support/image.ts";
import { execute } from "./support/registry.ts";
import { assertEnded, delay, type Sandbox, test, until } from "./support/mod.ts";
import { create, makeBundle } from "./support/bundle.ts";

const owner = (path: string) => {
  const { uid, gid, mode } = Deno.lstatSync(path);
  return `${uid}:${gid} ${(mode! & 0o7777).toString(8)}`;
};

/** What `crate cp` says when it refuses. */
async function refusal(box: Sandbox, ...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await box.crate(["cp", ...words]);
  assert.deepEqual([code, stdout], [125, ""], stderr);
  return stderr.trimEnd();
}

async function withImage(box: Sandbox): Promise<void> {
  const from = await makeImage(box.path("image"), [BUSYBOX, { "data/first": "from the image\n" }]);
  const archive = box.path("image.tar");
  await execute(["skopeo", "copy", "-q", from, `docker-archive:${archive}:example.test/test:1`]);
  await box.ok(["load", "-q", "-i", archive]);
  await box.ok(["tag", "example.test/test:1", "test:1"]);
}

test("files go out of a running container and into it, volumes and memory included", async (box) => {
  const volume = box.mkdir("volume");
  const options = ["--name", "one", "--tmpfs", "/tmp", "-v", `${volume}:/volume`];
  await box.detached(
    "mkdir /d; echo a > /d/a; echo m > /tmp/m; echo v > /volume/v; echo ready; sleep 1000",
    options,
  );
  await box.logged("one", "ready");
  assert.equal(await box.ok(["cp", "one:/d", box.path("out")]), "");
  assert.equal(Deno.readTextFileSync(box.path("out/a")), "a\n");
  await box.ok(["cp", "one:tmp/m", box.path("m")]);
  assert.equal(Deno.readTextFileSync(box.path("m")), "m\n");
  const all = await box.crate(["cp", "one:/", box.path("all")]);
  assert.equal(all.code, 0);
  assert.match(
    all.stderr,
    /^crate: warn: devices are not copied: \S+\/all\/dev\/full and 5 more\n$/,
  );
  assert.equal(Deno.readTextFileSync(box.path("all/volume/v")), "v\n");
  assert.deepEqual([...Deno.readDirSync(box.path("all/proc"))], []);
  await box.ok(["cp", box.file("new", "new\n"), "one:/tmp"]);
  await box.ok(["cp", box.path("new"), "one:/volume/v"]);
  assert.equal(await box.ok(["exec", "one", "cat", "/tmp/new", "/volume/v"]), "new\nnew");
  assert.equal(Deno.readTextFileSync(`${volume}/v`), "new\n");
  await box.ok(["delete", "-f", "one"]);
});

test("a relative path is from the working directory, and one with a colon needs its dot", async (box) => {
  await box.detached("sleep 1000", ["--name", "one"]);
  const here = box.mkdir("here");
  Deno.writeTextFileSync(`${here}/a:b`, "colon");
  const script = `cd ${here}; "$@" cp ./a:b one:/x && "$@" cp one:/x . && cat x`;
  const { stdout, stderr } = await box.host(script);
  assert.deepEqual([stdout, stderr], ["colon", ""]);
  await box.ok(["delete", "-f", "one"]);
});

test("archives go through standard output and standard input", async (box) => {
  await box.detached("mkdir -p /d/e; echo f > /d/e/f; chown 7:8 /d/e/f; echo ready; sleep 1000", [
    "--name",
    "one",
  ]);
  await box.logged("one", "ready");
  const listed = await box.host(`"$@" cp one:/d - | tar --numeric-owner -tvf -`);
  assert.match(listed.stdout, /^drwx\S+ 0\/0 .* d\/\n.* d\/e\/\n-rw\S+ 7\/8 +2 .* d\/e\/f\n$/);
  const through = await box.host(`"$@" cp one:/d/. - | gzip | "$@" cp - one:/etc`);
  assertEnded(through, {});
  assert.equal(
    await box.ok(["exec", "one", "ls", "-ln", "/etc/e/f"]).then((it) => it.split(/ +/)[2]),
    "0",
  );
  assertEnded(await box.host(`"$@" cp one:/d/. - | "$@" cp -a - one:/etc`), {});
  assert.equal(
    await box.ok(["exec", "one", "ls", "-ln", "/etc/e/f"]).then((it) => it.split(/ +/)[2]),
    "7",
  );
  await box.ok(["delete", "-f", "one"]);
});

test("a copy is root's in the container and the caller's here, and with -a its source's", async (box) => {
  await box.detached("echo x > /s; chown 7:8 /s; chmod 6755 /s; echo ready; sleep 1000", [
    "--name",
    "one",
  ]);
  await box.logged("one", "ready");
  await box.ok(["cp", "one:/s", box.path("plain")]);
  await box.ok(["cp", "-a", "one:/s", box.path("kept")]);
  assert.equal(owner(box.path("plain")), `${Deno.uid()}:${Deno.gid()} 755`);
  assert.equal(owner(box.path("kept")), "7:8 6755");
  await box.ok(["cp", box.path("kept"), "one:/plain"]);
  await box.ok(["cp", "--archive", box.path("kept"), "one:/kept"]);
  assert.equal(owner(`${box.rootfs}/plain`), "0:0 755");
  assert.equal(owner(`${box.rootfs}/kept`), "7:8 6755");
  await box.ok(["delete", "-f", "one"]);
});

test("owners are those of the container's user namespace, also of one that only was created", async (box) => {
  const map = [{ containerID: 0, hostID: 100_000, size: 1000 }];
  // So that the root of the namespace finds its way to the bundle.
  Deno.chmodSync(box.directory, 0o755);
  for (const name of ["proc", "dev", "sys"]) Deno.mkdirSync(`${box.rootfs}/${name}`);
  const bundle = makeBundle(box, "made", "exec sleep 1000", {
    linux: {
      namespaces: [{ type: "user" }, { type: "mount" }, { type: "pid" }, { type: "uts" }],
      uidMappings: map,
      gidMappings: map,
    },
  });
  assert.equal((await create(box, "made", bundle)).stderr, "");
  await box.ok(["cp", box.file("f", "f"), "made:/etc/f"]);
  assert.equal(owner(`${box.rootfs}/etc/f`), "100000:100000 644");
  Deno.chownSync(box.path("f"), 5, 6);
  await box.ok(["cp", "-a", box.path("f"), "made:/etc/f"]);
  assert.equal(owner(`${box.rootfs}/etc/f`), "100005:100006 644");
  await box.ok(["cp", "-a", "made:/etc/f", box.path("back")]);
  assert.equal(owner(box.path("back")), "5:6 644");
  Deno.chownSync(box.path("f"), 5000, 6);
  assert.equal(
    await refusal(box, "-a", box.path("f"), "made:/etc/f"),
    "crate: the container's user namespace has no user 5000",
  );
  await box.ok(["delete", "-f", "made"]);
});

test("a container of an image has what it wrote when it has ended, and finds what came meanwhile", async (box) => {
  await withImage(box);
  const script = "echo more >> /data/first; cat /data/new; sleep 1000";
  await box.ok(["run", "-d", "--name", "one", "-v", "named:/vol", "test:1", "sh", "-c", script]);
  await until("the line", async () => (await box.ok(["diff", "one"])).includes("/data/first"));
  await box.ok(["stop", "-t", "0", "one"]);
  await box.ok(["cp", "one:/data", box.path("out")]);
  assert.equal(Deno.readTextFileSync(box.path("out/first")), "from the image\nmore\n");
  const mounts = Deno.readTextFileSync("/proc/self/mountinfo");
  await box.ok(["cp", box.file("new", "came\n"), "one:/data/"]);
  await box.ok(["cp", box.path("new"), "one:/vol/in"]);
  assert.equal(Deno.readTextFileSync("/proc/self/mountinfo"), mounts);
  assert.match(await box.ok(["diff", "one"]), /^A \/data\/new$/m);
  await box.ok(["start", "one"]);
  await box.logged("one", "came");
  assert.equal(await box.ok(["exec", "one", "cat", "/vol/in"]), "came");
  await box.ok(["delete", "-f", "one"]);
  await box.ok(["volume", "rm", "named"]);
});

test("a crate that is killed as it writes to a container that has ended leaves no mount, and it starts", async (box) => {
  await withImage(box);
  await box.crate(["run", "--name", "one", "test:1", "true"]);
  for (let i = 0; i < 3; i++) {
    const script = `(echo; sleep 100) | "$@" cp - one:/data & sleep ${
      0.2 + i * 0.1
    }; kill -9 $(jobs -p) $!; wait`;
    await box.host(`set -m; ${script}`);
  }
  assert.ok(!Deno.readTextFileSync("/proc/self/mountinfo").includes(box.directory));
  await box.ok(["start", "one"]);
  assert.equal(await box.ok(["wait", "one"]), "0");
  await box.ok(["delete", "one"]);
});

test("of what was in memory nothing is left, and what is mounted read-only stays so", async (box) => {
  await box.crate(["run", "--name", "view", "/bin/true"]);
  const f = box.file("f", "f");
  assert.match(
    await refusal(box, "view:/etc", box.path("out")),
    /^crate: what container "view" wrote was in memory, and is gone since it has ended \(--keep/,
  );
  await box.ok(["delete", "view"]);

  const kept = box.path("kept");
  await box.crate([
    "run",
    "--name",
    "keeps",
    "--keep",
    kept,
    "/bin/sh",
    "-c",
    "echo k > /etc/kept",
  ]);
  await box.ok(["cp", "keeps:/etc/kept", box.path("k")]);
  await box.ok(["cp", f, "keeps:/etc/came"]);
  assert.equal(Deno.readTextFileSync(`${kept}/upper/etc/came`), "f");
  assert.equal(
    await refusal(box, "keeps:/run/x", box.path("x")),
    "crate: keeps:/run was in memory, at /run, and is gone with the container",
  );
  await box.ok(["delete", "keeps"]);

  const volume = box.mkdir("volume");
  const options = ["--read-only", "-v", `${volume}:/ro:ro`, "-v", `${volume}:/rw`];
  const words = ["-d", "--name", "one", "-r", box.rootfs, ...options, "/bin/sleep", "1000"];
  await box.ok(["run", ...words]);
  for (const status of ["running", "stopped"]) {
    const readOnly = /cannot be written: it is mounted read-only$/;
    assert.match(await refusal(box, f, "one:/etc/f"), readOnly, status);
    assert.match(await refusal(box, f, "one:/ro/f"), readOnly, status);
    await box.ok(["cp", f, `one:/rw/${status}`]);
    assert.equal(Deno.readTextFileSync(`${volume}/${status}`), "f");
    await box.ok(["stop", "-t", "0", "one"]);
  }
  Deno.removeSync(volume, { recursive: true });
  assert.match(
    await refusal(box, "one:/rw", box.path("x")),
    /^crate: one:\/rw was mounted at \/rw of \S+\/volume, which is gone$/,
  );
  await box.ok(["delete", "one"]);
});

test("devices, sockets and fifos neither hold a copy up nor are opened", async (box) => {
  await box.detached(
    "mkdir /d; mknod /d/zero c 1 5; mknod /d/disk b 8 0; mkfifo /d/pipe; echo f > /d/f; echo ready; sleep 1000",
    ["--name", "one"],
  );
  await box.logged("one", "ready");
  const { code, stderr } = await box.crate(["cp", "one:/d", box.path("out")]);
  assert.equal(code, 0);
  assert.match(stderr, /^crate: warn: devices are not copied: \S+\/out\/disk and 1 more\n$/);
  const names = [...Deno.readDirSync(box.path("out"))].map(({ name }) => name).sort();
  assert.deepEqual(names, ["f", "pipe"]);
  assert.match(
    await refusal(box, box.path("out/f"), "one:/d/pipe"),
    /^crate: one:\/d\/pipe is neither a directory nor a regular file: nothing is copied there$/,
  );
  assert.match(await refusal(box, "one:/proc/kmsg", box.path("x")), /is the kernel's own/);
  assert.match(await refusal(box, box.path("out/f"), "one:/sys/f"), /is the kernel's own/);
  assert.match(
    await refusal(box, "one:/proc/1/root/etc", box.path("x")),
    /leads through links in a circle, or through \/proc's$/,
  );
  await box.ok(["delete", "-f", "one"]);
});

// CVE-2018-15664: between a look and the copy the container puts a link in the place of what was looked at.
test("a container that puts links in the place of what is copied reaches nothing of the host's", async (box) => {
  const secret = box.mkdir("secret");
  Deno.writeTextFileSync(`${secret}/file`, "of the host");
  const target = `${secret}/file`;
  const flip = `mkdir -p /a/dir /b
    echo own > /a/dir/file; echo own > /a/file
    echo ready
    while :; do
      rm -rf /a/dir; ln -s ${secret} /a/dir; ln -sf ${target} /a/file; ln -sfn ${secret} /b/to
      rm -f /a/dir; mkdir -p /a/dir; rm -f /a/file; echo own > /a/file; echo own > /a/dir/file; rm -f /b/to; mkdir -p /b/to
      rmdir /b/to/d/dir; rm -rf /b/to/d; ln -s ${secret} /b/to/d; rm -rf /b/to
    done 2>/dev/null`;
  await box.detached(flip, ["--name", "one"]);
  await box.logged("one", "ready");
  box.mkdir("src/d/dir");
  box.file("src/d/dir/file", "into");
  box.file("src/d/file", "into");
  const before = (path: string) => `${owner(path)} ${Deno.lstatSync(path).mtime!.getTime()}`;
  const was = before(target);
  for (const end = Date.now() + 4000; Date.now() < end;) {
    const out = box.path(`out-${Date.now()}`);
    await box.crate(["cp", "one:/a", out]);
    await box.crate(["cp", "-L", "one:/a/file", `${out}-file`]);
    await box.crate(["cp", `${box.path("src")}/.`, "one:/b/to"]);
    await box.crate(["cp", "-a", `${box.path("src")}/d`, "one:/b/to"]);
    const { stdout } = await new Deno.Command("grep", {
      args: ["-rl", "of the host", box.directory, "--include=*", "--exclude-dir=secret"],
    }).output();
    assert.equal(new TextDecoder().decode(stdout), "");
  }
  assert.deepEqual([...Deno.readDirSync(secret)].map(({ name }) => name), ["file"]);
  assert.equal(Deno.readTextFileSync(target), "of the host");
  assert.equal(before(target), was);
  await box.ok(["delete", "-f", "one"]);
});

// CVE-2019-14271: nothing of a container's is loaded by who looks at it; and no process of it sees a crate.
test("a copy starts nothing in the container, and no process of crate's is ever in it", async (box) => {
  await box.detached(
    "mkdir /d; for i in 1 2 3 4 5 6 7 8 9; do echo $i > /d/$i; done; echo ready; while :; do ps; done",
    ["--name", "one"],
  );
  await box.logged("one", "ready");
  for (let i = 0; i < 5; i++) await box.ok(["cp", "one:/d", box.path(`out${i}`)]);
  await delay(50);
  const { stdout } = await box.crate(["logs", "one"]);
  assert.doesNotMatch(stdout, /crate cp|deno/);
  await box.ok(["delete", "-f", "one"]);
});

test("words that name no copy are refused in a sentence", async (box) => {
  await box.detached("sleep 1000", ["--name", "one"]);
  const usage = async (...words: string[]) => {
    const { code, stderr } = await box.crate(["cp", ...words]);
    assert.equal(code, 2, stderr);
    return stderr.trimEnd();
  };
  assert.match(await usage("a", "b"), /^crate: neither a nor b is in a container/);
  assert.match(
    await usage("one:/a", "two:/b"),
    /are both in containers: copy to this host first, or pipe/,
  );
  assert.match(await usage("one:/a", ""), /an empty word is no path/);
  assert.match(await refusal(box, "none:/a", "."), /container "none" does not exist/);
  assert.match(
    await refusal(box, "one:/etc/none", "."),
    /^crate: one:\/etc\/none: there is no such file/,
  );
  await box.ok(["delete", "-f", "one"]);
});
