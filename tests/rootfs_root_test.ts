// Not in the virtual machine: cgroups have no part in it
import assert from "node:assert/strict";
import { probe, test } from "./support/mod.ts";

// The root filesystem: a directory, or a copy-on-write view of the host's; and the way in by pivot_root.

test("-r makes a directory the root, to read and write", async (box) => {
  assert.equal(await box.sh("ls /; echo new >/file"), "bin\ndev\netc\nproc\nroot\nsys\ntmp");
  assert.equal(Deno.readTextFileSync(`${box.rootfs}/file`), "new\n");
});

test("-r takes a path relative to the working directory, and a link", async (box) => {
  assert.ok(box.rootfs);
  Deno.symlinkSync("rootfs", box.path("link"));
  for (const root of ["rootfs", "./rootfs", "link"]) {
    const words = ["run", "--rm", "-r", root, "cat", "/etc/group"];
    assert.match(await box.ok(words, { cwd: box.directory }), /^web:x:34:$/m);
  }
});

test("--read-only: the root cannot be written, what is mounted in it can", async (box) => {
  const data = box.mkdir("data");
  const script = "(echo x >/file) 2>&1; (echo x >/etc/passwd) 2>&1; mkdir /new 2>&1; " +
    "for f in /dev/shm/x /tmp/x /data/x; do echo x >$f && echo $f; done; " +
    "mount -o remount,rw / 2>/dev/null || echo refused";
  const options = ["--read-only", "--tmpfs", "/tmp", "-v", `${data}:/data`];
  const lines = (await box.sh(script, options)).split("\n");
  for (const line of lines.slice(0, 3)) assert.match(line, /Read-only file system/);
  assert.deepEqual(lines.slice(3), ["/dev/shm/x", "/tmp/x", "/data/x", "refused"]);
  assert.throws(() => Deno.statSync(`${box.rootfs}/file`), Deno.errors.NotFound);
});

test("without -r the root is a view of the host's own, which stays as it is", async (box) => {
  const host = Deno.readTextFileSync("/etc/passwd");
  const script = "cat /etc/passwd; echo changed >/etc/passwd && cat /etc/passwd && " +
    "mkdir /srv/crate-test-new && echo x >/srv/crate-test-new/x && rm -r /etc/group && echo end";
  const words = ["run", "--rm", "/bin/sh", "-c", script];
  assert.equal(await box.ok(words), `${host}changed\nend`);
  assert.equal(Deno.readTextFileSync("/etc/passwd"), host);
  assert.throws(() => Deno.statSync("/srv/crate-test-new"), Deno.errors.NotFound);
  // Each has a view of its own.
  assert.equal(await box.ok(["run", "--rm", "/bin/cat", "/etc/passwd"]), host.trimEnd());
});

test("the view of the host has no way to its mounts: /proc, /sys, /dev, /run are its own", async (box) => {
  const script = "ls /run | wc -l; stat -f -c %T /proc /run /dev; ls /proc | grep -c '^[0-9]'";
  const lines = (await box.ok(["run", "--rm", "/bin/sh", "-c", script])).split("\n");
  assert.deepEqual(lines.slice(0, 4), ["0", "proc", "tmpfs", "tmpfs"]);
  assert.ok(Number(lines[4]) <= 4, `${lines[4]} processes`);
});

test("--read-only makes the view of the host read-only", async (box) => {
  const script = "(echo x >/etc/passwd) 2>&1; (echo x >/new) 2>&1; true";
  const lines = (await box.ok(["run", "--rm", "--read-only", "/bin/sh", "-c", script])).split("\n");
  assert.equal(lines.length, 2);
  for (const line of lines) assert.match(line, /Read-only file system/);
});

test("--keep keeps what is written, for the next container too", async (box) => {
  const keep = box.path("keep");
  const run = async (script: string) =>
    await box.ok(["run", "--rm", "--keep", keep, "/bin/sh", "-c", script]);
  assert.equal(await run("echo kept >/etc/crate-test; rm /etc/hostname; echo $?"), "0");
  assert.equal(Deno.readTextFileSync(`${keep}/upper/etc/crate-test`), "kept\n");
  assert.throws(() => Deno.statSync("/etc/crate-test"), Deno.errors.NotFound);
  assert.equal(await run("cat /etc/crate-test; [ -e /etc/hostname ] || echo gone"), "kept\ngone");
  assert.equal(await run("echo again >>/etc/crate-test; cat /etc/crate-test"), "kept\nagain");
});

test("--keep with the root of another's choice, or in an odd place, is refused", async (box) => {
  for (
    const [options, sentence] of [
      [["--keep", box.path("k"), "-r", box.rootfs], /^crate: --keep is for the view of .*\n$/],
      [["--keep", box.path("a,b")], /^crate: --keep .*comma.*\n$/],
    ] as const
  ) {
    const { code, stderr } = await box.crate(["run", "--rm", ...options, "/bin/true"]);
    assert.equal(code, 125);
    assert.match(stderr, sentence);
  }
  for (const name of ["k", "a,b"]) {
    assert.throws(() => Deno.statSync(box.path(name)), Deno.errors.NotFound);
  }
});

test("a root that is not there, or no directory, is an error that names it", async (box) => {
  const file = box.file("file");
  for (
    const [root, sentence] of [
      [box.path("none"), /^crate: the root filesystem .*none does not exist \(--rootfs\)\n$/],
      [file, /^crate: the root filesystem .*file is not a directory \(--rootfs\)\n$/],
    ] as const
  ) {
    const { code, stderr } = await box.crate(["run", "--rm", "-r", root, "true"]);
    assert.equal(code, 125);
    assert.match(stderr, sentence);
  }
});

test("the host's files cannot be reached from a container", async (box) => {
  const secret = box.file("secret", "of the host");
  const attempts = [
    secret,
    `/proc/1/root${secret}`,
    `/proc/self/root${secret}`,
    `/proc/1/cwd/../../../..${secret}`,
    `/../../../../..${secret}`,
    `/proc/1/fd/3${secret}`,
    ...[3, 4, 5, 6, 7, 8, 9, 10].map((fd) => `/proc/self/fd/${fd}/../../..${secret}`),
  ];
  const script = attempts.map((path) => `cat ${path} 2>/dev/null`).join("; ") + "; echo end";
  for (const options of [[], ["--privileged"]]) {
    assert.equal(await box.sh(script, options), "end");
  }
});

test("a container cannot leave its root by chroot", async (box) => {
  // The classic: a directory that stays open while the root is moved below it, then up and up.
  const inode = `${Deno.statSync("/").dev}:${Deno.statSync("/").ino}`;
  const script = "mkdir -p /tmp/jail; cd /; chroot /tmp/jail /bin/true 2>/dev/null; " +
    "stat -c %d:%i /../../..; stat -c %d:%i /";
  const [up, root] = (await box.sh(script)).split("\n");
  assert.equal(up, root);
  assert.notEqual(up, inode);
  const climb = [
    ["openat", -100, "/", 0, 0],
    ["chroot", "/tmp/jail"],
    ["fchdir", 3],
    ...Array.from({ length: 10 }, () => ["chdir", ".."] as const),
    ["chroot", "."],
    ["openat", -100, `${box.rootfs}/etc/passwd`, 0, 0],
  ] as const;
  const results = await probe(box, climb);
  assert.deepEqual(results, [3, ...Array(13).fill(0), -2], "ENOENT: still the container's root");
});

test("the working directory is made where it is missing, and is what -w says", async (box) => {
  assert.equal(await box.sh("pwd"), "/");
  assert.equal(await box.sh("pwd; cd /; pwd", ["-w", "/new/deep"]), "/new/deep\n/");
  assert.ok(Deno.statSync(`${box.rootfs}/new/deep`).isDirectory);
  assert.equal(await box.sh("pwd", ["-w", "/etc/../tmp/."]), "/tmp");
  assert.equal(await box.sh("pwd", ["-w", ""]), "/", "a shell's unset variable is none");
  for (const directory of ["relative", "/etc/passwd"]) {
    const words = ["run", "--rm", "-r", box.rootfs, "-w", directory, "pwd"];
    const { code, stdout, stderr } = await box.crate(words);
    assert.deepEqual([code, stdout], [125, ""], directory);
    assert.match(stderr, /^crate: .*\n$/);
  }
});

test("a container leaves no mount point and no file behind in its root but its own", async (box) => {
  const before = [...Deno.readDirSync(box.rootfs)].map(({ name }) => name);
  await box.sh("true");
  const after = [...Deno.readDirSync(box.rootfs)].map(({ name }) => name).sort();
  // The mount points of /proc, /dev and /sys are made where an image lacks them.
  assert.deepEqual(after, [...before, "dev", "proc", "sys"].sort());
  for (const name of ["dev", "proc", "sys"]) {
    assert.deepEqual([...Deno.readDirSync(`${box.rootfs}/${name}`)], [], name);
  }
});

test("a root on which nothing can be written works with --read-only and its mount points", async (box) => {
  for (const name of ["proc", "sys", "dev"]) Deno.mkdirSync(`${box.rootfs}/${name}`);
  const script = `mount --bind ${box.rootfs} ${box.rootfs} && ` +
    `mount -o remount,ro,bind ${box.rootfs} && "$@"`;
  const { code, stdout, stderr } = await box.host(
    `unshare --mount bash -c '${script}' bash "$@"`,
    ["run", "--rm", "--read-only", "-r", box.rootfs, "echo", "works"],
  );
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: "works\n", stderr: "" });
});
