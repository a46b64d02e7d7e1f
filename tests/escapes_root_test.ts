// Not in the virtual machine: paths are resolved by the same calls there, and cgroups have no part in it
import assert from "node:assert/strict";
import { type Result, type Sandbox, test } from "./support/mod.ts";

// Images and containers that mean harm: the ways out that other runtimes have had.

async function run(box: Sandbox, options: readonly string[], script: string): Promise<Result> {
  return await box.crate(["run", "--rm", "-r", box.rootfs, ...options, "/bin/sh", "-c", script]);
}

test("an image whose /proc or /sys is a link is refused (CVE-2019-16884)", async (box) => {
  const outside = box.mkdir("outside");
  for (const name of ["proc", "sys"]) {
    for (const target of [outside, "/tmp", "tmp/elsewhere", "/", "."]) {
      Deno.symlinkSync(target, `${box.rootfs}/${name}`);
      const { code, stdout, stderr } = await run(box, [], "echo ran");
      assert.deepEqual([code, stdout], [125, ""], `${name} -> ${target}`);
      assert.match(stderr, new RegExp(`^crate: .*/${name}.*: ELOOP\n$`));
      Deno.removeSync(`${box.rootfs}/${name}`);
    }
  }
  assert.deepEqual([...Deno.readDirSync(outside)], []);
});

test("an image whose /dev is a link gets its devices in its own root", async (box) => {
  const outside = box.mkdir("outside");
  Deno.mkdirSync(`${box.rootfs}${outside}`, { recursive: true });
  Deno.symlinkSync(outside, `${box.rootfs}/dev`);
  const { code, stdout } = await run(box, [], `ls ${outside}; echo x >/dev/null && echo works`);
  if (code === 0) assert.match(stdout, /null\n(.*\n)*works\n$/);
  else assert.equal(code, 125);
  assert.deepEqual([...Deno.readDirSync(outside)], [], "nothing has come to be outside");
});

test("a volume on a link that leads out of the root stays in it", async (box) => {
  const outside = box.mkdir("outside");
  const data = box.mkdir("data");
  box.file("data/name", "data");
  // Absolute, and by more steps up than there are.
  for (const target of [outside, `../../../../../../../..${outside}`]) {
    Deno.symlinkSync(target, `${box.rootfs}/link`);
    const { code, stdout } = await run(box, ["-v", `${data}:/link`], "cat /link/name");
    if (code === 0) assert.equal(stdout, "data");
    assert.deepEqual([...Deno.readDirSync(outside)], [], target);
    Deno.removeSync(`${box.rootfs}/link`);
  }
  Deno.symlinkSync(`${outside}/sub`, `${box.rootfs}/link`);
  await run(box, ["-v", `${data}:/link/deep/er`], "true");
  assert.deepEqual([...Deno.readDirSync(outside)], [], "no mount point has been made outside");
});

test("a volume on a file that is a link out of the root leaves that file as it is", async (box) => {
  const outside = box.file("outside", "host");
  const data = box.file("data", "data");
  Deno.symlinkSync(outside, `${box.rootfs}/link`);
  await run(box, ["-v", `${data}:/link`], "echo changed >/link");
  assert.equal(Deno.readTextFileSync(outside), "host");
});

test("masked and read-only paths that are links mask nothing outside", async (box) => {
  // /proc is crate's own mount; what an image can do is to have links in the way of other mounts.
  const outside = box.mkdir("outside");
  box.file("outside/file", "host");
  Deno.mkdirSync(`${box.rootfs}/sys`);
  Deno.symlinkSync(outside, `${box.rootfs}/sys/firmware`);
  assert.equal((await run(box, [], "true")).code, 0);
  assert.equal(Deno.readTextFileSync(`${outside}/file`), "host");
});

test("a working directory that is a link out of the root stays in it", async (box) => {
  const outside = box.mkdir("outside");
  Deno.symlinkSync(outside, `${box.rootfs}/link`);
  const { code, stdout } = await run(box, ["-w", "/link"], "pwd -P; ls -a | wc -l");
  if (code === 0) assert.equal(stdout, `${outside}\n2\n`);
  assert.deepEqual([...Deno.readDirSync(outside)], []);
});

test("a working directory in /proc/self/fd leads nowhere (CVE-2024-21626)", async (box) => {
  for (let fd = 0; fd < 20; fd++) {
    const cwd = `/proc/self/fd/${fd}`;
    const { code, stdout } = await run(box, ["-w", cwd], "pwd; cat ../../../etc/shadow");
    assert.notEqual(code, 0, cwd);
    assert.equal(stdout, "", cwd);
  }
  // An image may bring the link itself.
  Deno.symlinkSync("/proc/self/fd/7", `${box.rootfs}/work`);
  const { code, stdout } = await run(box, ["-w", "/work"], "pwd");
  assert.deepEqual([code, stdout], [125, ""]);
});

test("exec in a working directory in /proc/self/fd leads nowhere either", async (box) => {
  const id = await box.detached("sleep 100");
  for (let fd = 0; fd < 12; fd++) {
    const words = ["exec", "-w", `/proc/self/fd/${fd}`, id, "sh", "-c", "pwd"];
    const { code, stdout } = await box.crate(words);
    assert.deepEqual([code, stdout], [125, ""], `${fd}`);
  }
  await box.ok(["delete", "--force", id]);
});

test("the executable of a container's process is never crate (CVE-2019-5736)", async (box) => {
  // While a container starts, and in exec, a process inside must find nothing of the host's to overwrite.
  const script = "#!/proc/self/exe\n";
  Deno.writeTextFileSync(`${box.rootfs}/bad`, script, { mode: 0o755 });
  const { code, stdout } = await box.crate(["run", "--rm", "-r", box.rootfs, "/bad"]);
  assert.notEqual(code, 0);
  assert.equal(stdout, "");

  const id = await box.detached(
    "while :; do for p in /proc/[0-9]*; do readlink $p/exe; done 2>/dev/null; done | grep -v busybox",
    ["--cap-add", "SYS_PTRACE"],
  );
  for (let i = 0; i < 10; i++) await box.ok(["exec", id, "true"]);
  // The last line may be half written.
  const seen = new Set((await box.crate(["logs", id])).stdout.split("\n").slice(0, -1));
  for (const exe of seen) assert.match(exe, /^\/(memfd:crate|tmp\/#\d+) \(deleted\)$/);
  await box.ok(["delete", "--force", id]);
});

test("crate's own init in a container is a sealed file that nobody can write", async (box) => {
  const words = ["--init", "--cap-add", "ALL", "--security-opt", "seccomp=unconfined"];
  const script = "(echo x >/proc/1/exe) 2>&1; true";
  assert.match(await box.sh(script, words), /Text file busy|Operation not permitted/);
  const id = await box.detached("exec sleep 100", ["--init"]);
  const pid = await box.running(id);
  assert.match(Deno.readLinkSync(`/proc/${pid}/exe`), /^\/(memfd:crate|.*\/#\d+) \(deleted\)$/);
  const maps = Deno.readTextFileSync(`/proc/${pid}/maps`);
  assert.ok(!maps.includes("deno"), maps);
  await box.ok(["delete", "--force", id]);
});

test("a process of a container cannot look into an exec that joins it (CVE-2016-9962)", async (box) => {
  const script =
    "while :; do for p in /proc/[0-9]*; do [ $p = /proc/1 ] || ls $p/fd/ 2>/dev/null; " +
    "for f in $p/fd/*; do readlink $f; done; done 2>/dev/null; done | grep -E 'crate|cgroup|tasks'";
  const id = await box.detached(script, ["--cap-add", "SYS_PTRACE"]);
  for (let i = 0; i < 10; i++) await box.ok(["exec", id, "true"]);
  assert.equal((await box.crate(["logs", id])).stdout, "");
  await box.ok(["delete", "--force", id]);
});

test("a container cannot change its limits or leave its groups", async (box) => {
  const script =
    "for f in $(find /sys/fs/cgroup -name 'memory.max' -o -name memory.limit_in_bytes " +
    "-o -name cgroup.procs -o -name devices.allow -o -name release_agent); do " +
    "(echo 0 >$f) 2>/dev/null && echo wrote $f; done; " +
    "mkdir /tmp/c; mount -t cgroup2 none /tmp/c 2>/dev/null && echo mounted; " +
    "mount -t cgroup -o memory none /tmp/c 2>/dev/null && echo mounted; " +
    "unshare -m true 2>/dev/null && echo unshared; true";
  assert.equal(await box.sh(script, ["--memory", "64m"]), "");
});

test("a container cannot set the host's core pattern, modprobe or hostname by /proc/sys", async (box) => {
  const script = "for f in /proc/sys/kernel/core_pattern /proc/sys/kernel/modprobe " +
    "/proc/sys/kernel/hostname /proc/sys/vm/panic_on_oom /proc/sys/fs/binfmt_misc/register; do " +
    "(echo x >$f) 2>/dev/null && echo wrote $f; done; true";
  for (const options of [[], ["--cap-add", "ALL"]]) assert.equal(await box.sh(script, options), "");
});

test("a container with all capabilities cannot see the host's disk in /proc or /sys", async (box) => {
  const script = "(echo b >/proc/sysrq-trigger) 2>/dev/null && echo reboot; " +
    "(echo 1 >/sys/class/block/$(ls /sys/class/block | head -n 1)/uevent) 2>/dev/null && echo wrote; " +
    "ls /proc/self/root/.. | tr '\\n' ' '";
  assert.equal(await box.sh(script, ["--cap-add", "ALL"]), "bin dev etc proc root sys tmp");
});

test("what a log line says is printed as it was written, and run by nobody", async (box) => {
  const id = await box.detached("printf '\\033]0;title\\007\\000$(touch /tmp/x)\\n'; echo end");
  assert.equal(await box.logged(id, "end"), "\x1b]0;title\x07\0$(touch /tmp/x)\nend\n");
  await box.ok(["stop", id]);
  await box.ok(["delete", id]);
});
