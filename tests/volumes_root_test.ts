// Not in the virtual machine: volumes are mounted by the same calls as all else, which other tests try there
import assert from "node:assert/strict";
import { exists } from "../ffi/mod.ts";
import { type Sandbox, test } from "./support/mod.ts";

// Files of the host in a container, and empty ones: -v, --mount, --tmpfs.

/** The options of the mount on a path, as the container sees them. */
function mountOf(path: string): string {
  return `awk '$5 == "${path}" { print $6, $0 }' /proc/self/mountinfo | tail -n 1`;
}

async function refused(box: Sandbox, options: readonly string[], sentence: RegExp): Promise<void> {
  const words = ["run", "--rm", "-r", box.rootfs, ...options, "true"];
  const { code, stdout, stderr } = await box.crate(words);
  assert.deepEqual([code, stdout], [125, ""], options.join(" "));
  assert.match(stderr, sentence);
}

test("-v makes a directory of the host the container's, to read and write", async (box) => {
  const data = box.mkdir("data");
  box.file("data/in", "from the host\n");
  const script = "cat /srv/data/in; echo from the container >/srv/data/out";
  assert.equal(await box.sh(script, ["-v", `${data}:/srv/data`]), "from the host");
  assert.equal(Deno.readTextFileSync(`${data}/out`), "from the container\n");
  // The mount point has been made in the root, and nothing of the data is there.
  assert.deepEqual([...Deno.readDirSync(`${box.rootfs}/srv/data`)], []);
});

test("-v with ro is read-only, also what is mounted below it", async (box) => {
  const data = box.mkdir("data/below");
  const script = `
    mount -t tmpfs tmpfs ${data} && cd / &&
    "$@" run --rm -r ${box.rootfs} -v ${box.path("data")}:/data:ro sh -c '
      (echo x >/data/x) 2>&1; (echo x >/data/below/x) 2>&1
      mount -o remount,rw,bind /data 2>/dev/null || echo refused'`;
  const { stdout } = await box.host(
    `unshare --mount bash -c '${script.replaceAll("'", "'\\''")}' bash "$@"`,
  );
  assert.match(stdout, /x: Read-only.*\n.*below\/x: Read-only.*\nrefused\n$/);
});

test("-v makes a single file the container's", async (box) => {
  const file = box.file("file", "one\n");
  const options = ["-v", `${file}:/etc/deep/er/file`, "-v", `${file}:/etc/passwd:ro`];
  const script = "cat /etc/deep/er/file /etc/passwd; echo two >/etc/deep/er/file; " +
    "(echo x >/etc/passwd) 2>/dev/null || echo read-only";
  assert.equal(await box.sh(script, options), "one\none\nread-only");
  assert.equal(Deno.readTextFileSync(file), "two\n");
});

test("-v takes sources relative to the working directory, and links", async (box) => {
  box.mkdir("data");
  box.file("data/name", "found");
  Deno.symlinkSync("data", box.path("link"));
  for (const source of ["./data", "../" + box.directory.split("/").at(-1) + "/data", "./link"]) {
    const words = ["run", "--rm", "-r", box.rootfs, "-v", `${source}:/d`, "cat", "/d/name"];
    assert.equal(await box.ok(words, { cwd: box.directory }), "found");
  }
});

test("a device or socket of the host can be bound like a file", async (box) => {
  const script = "stat -c %F /given; echo x >/given && echo written";
  assert.equal(await box.sh(script, ["-v", "/dev/null:/given"]), "character special file\nwritten");
});

test("a mount on the host reaches the container with rslave, and not without", async (box) => {
  const source = box.mkdir("source");
  box.mkdir("source/point");
  // A peer group of its own, in a mount namespace of its own: nothing of the machine's changes.
  const script = `
    mount --bind ${source} ${source} && mount --make-private ${source} && mount --make-shared ${source}
    for how in rslave rprivate; do
      "$@" run -d --name $how -r ${box.rootfs} -v ${source}:/source:$how sleep 100 >/dev/null
    done
    mount -t tmpfs tmpfs ${source}/point && echo new >${source}/point/file
    for how in rslave rprivate; do
      "$@" exec $how cat /source/point/file 2>/dev/null || echo not seen
    done
    "$@" delete --force rslave rprivate >/dev/null`;
  const { stdout, stderr } = await box.host(
    `unshare --mount --propagation private bash -c '${script}' bash "$@"`,
  );
  assert.deepEqual([stdout, stderr], ["new\nnot seen\n", ""]);
});

test("a mount of the container reaches the host with rshared only", async (box) => {
  const source = box.mkdir("source");
  box.mkdir("source/point");
  const script = `
    mount --bind ${source} ${source} && mount --make-private ${source} && mount --make-shared ${source}
    for how in rshared rslave rprivate; do
      "$@" run --rm --cap-add SYS_ADMIN -r ${box.rootfs} -v ${source}:/source:$how \\
        mount -t tmpfs $how /source/point || exit 1
      grep -o "$how.*" /proc/self/mountinfo | cut -d" " -f1
    done`;
  const { stdout, stderr } = await box.host(
    `unshare --mount --propagation private bash -c '${script}' bash "$@"`,
  );
  assert.deepEqual([stdout, stderr], ["rshared\n", ""]);
});

test("-v takes nosuid, nodev and noexec", async (box) => {
  const data = box.mkdir("data");
  const program = box.file("data/program", "#!/bin/sh\necho runs\n", 0o755);
  assert.equal(await box.sh("/d/program", ["-v", `${data}:/d`]), "runs");
  const script = `/d/program 2>/dev/null || echo not executed; ${mountOf("/d")}`;
  const [answer, options] = (await box.sh(script, ["-v", `${data}:/d:noexec,nosuid,nodev`])).split(
    "\n",
  );
  assert.equal(answer, "not executed");
  assert.match(options!, /^rw,nosuid,nodev,noexec/);
  assert.ok(program);
});

test("-v takes z and Z where there are no labels to set", async (box) => {
  const data = box.mkdir("data");
  box.file("data/name", "found");
  for (const options of ["z", "Z", "ro,z"]) {
    assert.equal(await box.sh("cat /d/name", ["-v", `${data}:/d:${options}`]), "found");
  }
}, { skip: exists("/sys/fs/selinux/enforce") && "this host has SELinux" });

test("mounts that lie in each other come in the right order", async (box) => {
  for (const name of ["outer", "inner"]) box.file(`${box.mkdir(name) && name}/name`, name);
  const options = ["-v", `${box.path("inner")}:/a/b/c`, "-v", `${box.path("outer")}:/a/b`];
  assert.equal(await box.sh("cat /a/b/name /a/b/c/name", options), "outerinner");
});

test("a mount may lie on what every container has, and takes its place", async (box) => {
  const data = box.mkdir("data");
  box.file("data/name", "mine");
  assert.equal(await box.sh("cat /dev/shm/name", ["-v", `${data}:/dev/shm`]), "mine");
  assert.equal(await box.sh("cat /sys/name", ["-v", `${data}:/sys`]), "mine");
});

test("--mount type=bind says the same by names", async (box) => {
  const data = box.mkdir("data, with a comma");
  Deno.writeTextFileSync(`${data}/name`, "mine");
  const mount = `type=bind,"src=${data}",dst=/d,readonly`;
  const script = "cat /d/name; (echo x >/d/x) 2>/dev/null || echo read-only";
  assert.equal(await box.sh(script, ["--mount", mount]), "mineread-only");
});

test("--mount type=tmpfs and --tmpfs mount an empty tmpfs with what they are told", async (box) => {
  Deno.mkdirSync(`${box.rootfs}/t`);
  Deno.writeTextFileSync(`${box.rootfs}/t/hidden`, "");
  const script =
    `ls -A /t | wc -l; echo x >/t/x && stat -c %a /t; df -k /t | awk 'END{print $2}'; ` +
    mountOf("/t");
  for (
    const [options, mode, size, flags] of [
      [["--tmpfs", "/t"], "1777", undefined, "rw,nosuid,nodev,noexec"],
      [["--tmpfs", "/t:size=2m,mode=700,exec"], "700", "2048", "rw,nosuid,nodev"],
      [
        ["--mount", "type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=755"],
        "755",
        "1024",
        "rw,nosuid,nodev,noexec",
      ],
    ] as const
  ) {
    const lines = (await box.sh(script, options)).split("\n");
    assert.deepEqual(lines.slice(0, 2), ["0", mode], options.join(" "));
    if (size !== undefined) assert.equal(lines[2], size);
    assert.equal(lines[3]!.split(" ")[0]!.replace(",relatime", ""), flags);
  }
});

test("a tmpfs has no more room than it was given", async (box) => {
  const script = "head -c 2000000 /dev/zero >/t/x 2>&1 || echo full";
  assert.match(await box.sh(script, ["--tmpfs", "/t:size=1m"]), /full$/);
});

test("a source that is not there is an error that names it, and is not made", async (box) => {
  const source = box.path("none");
  await refused(box, ["-v", `${source}:/d`], new RegExp(`^crate: .*${source}.*\n$`));
  await refused(
    box,
    ["--mount", `type=bind,src=${source},dst=/d`],
    new RegExp(`^crate: .*${source}.*\n$`),
  );
  assert.throws(() => Deno.statSync(source), Deno.errors.NotFound);
});

test("volumes that make no sense are refused, each in a sentence", async (box) => {
  const data = box.mkdir("data");
  for (
    const [options, sentence] of [
      [
        ["-v", data],
        /^crate: a volume without a name, at .*, is for an image, and none is named.*\n$/,
      ],
      [["-v", "data"], /^crate: --volume "data" is not HOST:PATH.*\n$/],
      [["-v", `${data}:relative`], /^crate: --volume ".*absolute path.*"relative"\n$/],
      [["-v", `${data}:/`], /^crate: --volume ".*container's root.*\n$/],
      [["-v", `${data}:/d:rx`], /^crate: --volume ".*"rx".*\n$/],
      [["-v", `${data}:/d:ro,rw`], /^crate: --volume ".*twice.*\n$/],
      [["-v", "na me:/d"], /^crate: "na me" is no name of a volume: .*\n$/],
      [["-v", "name:/"], /^crate: --volume ".*container's root.*\n$/],
      [
        ["--mount", "type=volume,dst=/d"],
        /^crate: a volume without a name, at \/d, is for an image, and none is named.*\n$/,
      ],
      [["--mount", "type=bind,src=name,dst=/d"], /^crate: --mount .* no path of the host.*\n$/],
      [["-v", `${data}:/d`, "-v", `${data}:/d`], /^crate: \/d is mounted twice.*\n$/],
      [
        ["--mount", "type=nfs,dst=/d"],
        /^crate: --mount ".*type=bind, type=tmpfs or type=volume\n$/,
      ],
      [["--mount", `type=bind,src=${data}`], /^crate: --mount ".*dst=PATH\n$/],
      [["--mount", `type=bind,src=${data},dst=/d,speed=9`], /^crate: --mount ".*"speed".*\n$/],
      [["--tmpfs", "/t:size=lots"], /^crate: --tmpfs ".*"size=lots".*\n$/],
      [["--tmpfs", "t"], /^crate: --tmpfs ".*absolute path.*"t"\n$/],
    ] as const
  ) await refused(box, options, sentence);
});

test("a directory cannot be mounted on a file, nor a file on a directory", async (box) => {
  const data = box.mkdir("data");
  const file = box.file("file");
  await refused(box, ["-v", `${data}:/etc/passwd`], /^crate: .*\/etc\/passwd.*\n$/);
  await refused(box, ["-v", `${file}:/etc`], /^crate: .*\/etc.*\n$/);
});
