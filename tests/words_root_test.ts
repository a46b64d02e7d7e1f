// Not in the virtual machine: what words mean is the same on every kernel
import assert from "node:assert/strict";
import { CrateError } from "../lib/errors.ts";
import { Container } from "../mod.ts";
import { BUSYBOX, makeImage, type TestConfig } from "./support/image.ts";
import { type Sandbox, test } from "./support/mod.ts";
import { execute } from "./support/registry.ts";

// What docker's and podman's users type by habit: it means the same here, or one sentence says what to type.

/** An image `test:1` in the store. */
async function withImage(box: Sandbox, config: TestConfig): Promise<void> {
  const from = await makeImage(box.path("image"), [BUSYBOX], config);
  const archive = box.path("image.tar");
  await execute(["skopeo", "copy", "-q", from, `docker-archive:${archive}:example.test/test:1`]);
  await box.ok(["load", "-q", "-i", archive]);
  await box.ok(["tag", "example.test/test:1", "test:1"]);
}

async function refused(box: Sandbox, words: readonly string[], sentence: RegExp): Promise<void> {
  const { code, stderr } = await box.crate(words);
  assert.match(stderr, sentence, words.join(" "));
  assert.equal(stderr.trimEnd().split("\n").length, 1, stderr);
  assert([2, 125, 126, 127].includes(code), `${words.join(" ")}: ${code}`);
}

test("a part of a user that is empty is as if it were not given", async (box) => {
  await withImage(box, { user: "1000:", workingDir: "/bin" });
  const ids = ["/bin/sh", "-c", "echo $(id -u) $(id -g) $(pwd)"];
  const run = (...options: string[]) =>
    box.ok(["run", "--rm", "--network", "none", ...options, "test:1", ...ids]);
  assert.equal(await run(), "1000 1000 /bin");
  assert.equal(await run("-u", ":77"), "0 77 /bin");
  assert.equal(await run("-u", "", "-w", ""), "1000 1000 /bin");
  assert.equal(await box.sh("id -u; id -g", ["-u", "5:"]), "5\n0");
});

test("exec takes an empty user and directory for none", async (box) => {
  const id = await box.detached("sleep 100", ["-u", "7:8", "-w", "/bin"]);
  const exec = (...options: string[]) =>
    box.ok(["exec", ...options, id, "/bin/sh", "-c", "echo $(id -u) $(id -g) $(pwd)"]);
  assert.equal(await exec("-u", "", "-w", ""), "7 8 /bin");
  assert.equal(await exec("-u", ":9", "--cwd", ""), "0 9 /bin");
  await box.ok(["delete", "-f", id]);
});

test("a host name that is none is refused, whatever the network", async (box) => {
  for (const network of ["none", "host", "crate0"]) {
    const words = ["run", "--network", network, "-r", box.rootfs];
    const uts = network === "host" ? ["--uts", "private"] : [];
    for (const name of ["x\n9.9.9.9 evil", "a b", "-a", "a..b"]) {
      await refused(
        box,
        [...words, ...uts, `--hostname=${name}`, "true"],
        /--hostname: ".*" is no host name: /,
      );
    }
  }
  assert.equal(await box.sh("hostname", ["--name", "empty", "-h", ""]), "empty");
  const wrong = new Container("/bin/true", {
    rootfs: box.rootfs,
    hostname: "a\nb",
    stateRoot: box.root,
  });
  await assert.rejects(
    wrong.spawn(),
    (error) => error instanceof CrateError && error.code === "INVALID",
  );
});

test("memory that no container can start with is refused", async (box) => {
  for (const size of ["1", "100k", "6291455"]) {
    const words = ["run", "-m", size, "-r", box.rootfs, "true"];
    await refused(box, words, /--memory must be at least 6 MiB, got \d+ bytes$/m);
  }
  assert.equal(await box.sh("echo up", ["-m", "6m"]), "up");
});

test("podman's --net and --timeout are --network and --time", async (box) => {
  assert.equal(await box.sh("ls /sys/class/net", ["--net", "none"]), "lo");
  const id = await box.detached("trap '' TERM; while :; do sleep 0.1; done", []);
  await box.ok(["restart", "--timeout", "0", id]);
  await box.ok(["stop", "--timeout=0", id]);
  await refused(box, ["stop", "--timeout", "x", id], /--time "x" is not a whole number/);
  await box.ok(["delete", id]);
});

test("words for what holds anyway are taken, and those for what is not there refused", async (box) => {
  const fine = ["--restart", "no", "--userns", "host"];
  const security = ["--security-opt", "label=disable", "--security-opt", "apparmor=unconfined"];
  assert.equal(await box.sh("echo up", [...fine, ...security]), "up");
  for (
    const [option, value, sentence] of [
      ["--restart", "always", /--restart always: crate has no supervisor .*systemd unit/],
      ["--userns", "keep-id", /--userns "keep-id" is not host, auto or auto:size=N/],
      ["--security-opt", "label=type:x", /label=disable or apparmor=unconfined/],
      ["--security-opt", "apparmor=x", /label=disable or apparmor=unconfined/],
    ] as const
  ) await refused(box, ["run", option, value, "-r", box.rootfs, "true"], sentence);
});

test("--mount without a type is a volume, and without a source one of the container's own", async (box) => {
  await withImage(box, {});
  const run = (mount: string, script: string) =>
    box.ok(["run", "--rm", "--net", "none", "--mount", mount, "test:1", "/bin/sh", "-c", script]);
  await run("src=mine,dst=/srv", "echo kept > /srv/file");
  assert.equal(await run("type=volume,src=mine,dst=/srv,ro", "cat /srv/file"), "kept");
  for (const mount of ["dst=/data", "type=volume,target=/data"]) {
    const mounted = await run(mount, "echo 1 > /data/a; grep -c ' /data ' /proc/mounts");
    assert.equal(mounted, "1");
  }
  assert.equal(await box.ok(["volume", "ls", "-q"]), "mine");
  const here = box.mkdir("a,b");
  box.file("a,b/file", "quoted\n");
  for (const type of ["type=bind", '"type=bind"']) {
    assert.equal(await run(`${type},"src=${here}",dst=/here`, "cat /here/file"), "quoted");
  }
  assert.equal(await run('"dst=/a,b",src=mine', "cat /a,b/file"), "kept");
  await box.ok(["volume", "rm", "mine"]);
  for (
    const [word, sentence] of [
      ["src=/data,dst=/x", /a path of the host is a type=bind/],
      ["dst=/data,ro", /a volume without a name has a path alone: give it a name/],
      ["type=volume,src=a", /"type=volume,src=a" must have dst=PATH/],
      ["src=a,dst=x", /"src=a,dst=x" must have an absolute path in the container, got "x"/],
      ["dst=/", /--mount "dst=\/" must not be mounted over the container's root/],
      ["src=a,dst=/x,tmpfs-size=1", /tmpfs-size does not go with type=volume/],
    ] as const
  ) await refused(box, ["run", "--mount", word, "test:1", "true"], sentence);
  await refused(
    box,
    ["run", "--mount", "dst=/x", "-r", box.rootfs, "true"],
    /a volume without a name, at \/x, is for an image/,
  );
});

test("what is wrong with a volume is told of the word that was typed", async (box) => {
  for (
    const [word, sentence] of [
      ["v2:x", /--volume "v2:x" must have an absolute path in the container, got "x"/],
      ["v2:", /--volume "v2:" must have an absolute path in the container, got ""/],
      ["v2:/", /--volume "v2:\/" must not be mounted over the container's root/],
      ["v2:/x:no", /--volume "v2:\/x:no" has an option "no"/],
      ["/", /--volume "\/" must not be mounted over the container's root/],
    ] as const
  ) await refused(box, ["run", "-v", word, "-r", box.rootfs, "true"], sentence);
});

test("a sentence says what is wrong with a directory, a mount, a limit, a parameter", async (box) => {
  const file = box.file("file");
  const directory = box.mkdir("directory");
  const mixed =
    /: it is a file in the container, or below one, and is to be a directory \(ENOTDIR\)$/m;
  for (
    const [words, sentence] of [
      [["-w", "relative"], /^crate: --workdir must be absolute, got "relative"$/m],
      [["-w", "/bin/busybox"], mixed],
      [["-v", `${directory}:/bin/busybox`], mixed],
      [
        ["-v", `${file}:/bin`],
        /: the one is a file, and the other a directory of the container \(E\w+\)$/m,
      ],
      [["--memory-swap", "10m"], /--memory-swap counts --memory and swap together: give --memory/],
      [
        ["-m", "10m", "--memory-swap", "5m"],
        /--memory-swap 5242880 counts --memory, too: it is at least/,
      ],
      [["--cpuset-cpus", "4711"], /--cpuset-cpus 4711: this host has the processors 0/],
      [["--cpuset-cpus", "x"], /--cpuset-cpus must be a list such as 0-2,4, got "x"$/m],
      [
        ["--ulimit", "nofile=-1"],
        /set RLIMIT_NOFILE to unlimited:unlimited: the kernel lets nobody have more than \d+/,
      ],
      [["--sysctl", "net.nope=1"], /set net\.nope to 1: the kernel has no such parameter/],
      [["--env-file", directory], /--env-file .*directory cannot be read: it is a directory$/m],
      [["--env-file", `${file}/x`], /cannot be read: it lies below a file$/m],
      [["--security-opt", `seccomp=${directory}`], /cannot be read: it is a directory$/m],
      [["-h", "a".repeat(65)], /^crate: the options: hostname must be at most 64 bytes long/m],
    ] as const
  ) await refused(box, ["run", "--net", "none", "-r", box.rootfs, ...words, "true"], sentence);
  const empty = /^crate: the command is empty: name a program$/m;
  await refused(box, ["run", "-r", box.rootfs, ""], empty);
  const id = await box.detached("sleep 100", []);
  await refused(box, ["exec", id, ""], empty);
  await refused(
    box,
    ["exec", "-w", "/nope", id, "true"],
    /^crate: enter \/nope: no such directory \(ENOENT\)$/m,
  );
  await refused(box, ["exec", "-w", "/bin/busybox", id, "true"], /: it is, or lies below, a file/);
  await box.ok(["delete", "-f", id]);
});

test("a state directory that is a file is told by the option's name", async (box) => {
  for (const words of [["list"], ["state", "x"], ["run", "-r", box.rootfs, "true"]]) {
    await refused(box, ["--root", box.file("file"), ...words], /file.*; --root names another$/m);
  }
});
