import assert from "node:assert/strict";
import { controllerVersion, probe, type Sandbox, test } from "./support/mod.ts";

// What is mounted in every container.

interface Mount {
  readonly options: string[];
  readonly type: string;
  readonly superOptions: string[];
}

/** The container's mounts by their mount points, the uppermost each. */
async function mounts(box: Sandbox, options: readonly string[] = []): Promise<Map<string, Mount>> {
  const found = new Map<string, Mount>();
  for (const line of (await box.sh("cat /proc/self/mountinfo", options)).split("\n")) {
    const [before, after] = line.split(" - ");
    const words = before!.split(" ");
    const [type, , superOptions] = after!.split(" ");
    found.set(words[4]!, {
      options: words[5]!.split(","),
      type: type!,
      superOptions: superOptions!.split(","),
    });
  }
  return found;
}

test("/proc, /dev, /sys and what belongs in them are mounted, with the usual options", async (box) => {
  const found = await mounts(box);
  const quiet = ["nosuid", "nodev", "noexec"];
  for (
    const [path, type, options] of [
      ["/proc", "proc", ["rw", ...quiet]],
      ["/dev", "tmpfs", ["rw", "nosuid"]],
      ["/dev/pts", "devpts", ["rw", "nosuid", "noexec"]],
      ["/dev/shm", "tmpfs", ["rw", ...quiet]],
      ["/dev/mqueue", "mqueue", ["rw", ...quiet]],
      ["/sys", "sysfs", ["ro", ...quiet]],
    ] as const
  ) {
    const mount = found.get(path);
    assert.equal(mount?.type, type, path);
    for (const option of options) {
      assert.ok(mount.options.includes(option), `${path}: ${option} in ${mount.options}`);
    }
  }
  assert.ok(found.get("/dev/shm")!.superOptions.includes("size=65536k"));
});

test("the container's own groups are mounted read-only below /sys/fs/cgroup", async (box) => {
  const found = await mounts(box);
  if (controllerVersion("memory") === 2) {
    const mount = found.get("/sys/fs/cgroup");
    assert.equal(mount?.type, "cgroup2");
    assert.ok(mount.options.includes("ro"));
    assert.match(await box.sh("cat /sys/fs/cgroup/cgroup.procs"), /^1(\n|$)/);
  } else {
    const mount = found.get("/sys/fs/cgroup/memory");
    assert.equal(mount?.type, "cgroup");
    assert.ok(mount.options.includes("ro") && found.get("/sys/fs/cgroup")!.options.includes("ro"));
    assert.match(await box.sh("cat /sys/fs/cgroup/memory/cgroup.procs"), /^1(\n|$)/);
  }
  assert.notEqual(
    (await box.crate([
      "run",
      "--rm",
      "-r",
      box.rootfs,
      "sh",
      "-c",
      "mkdir $(dirname $(find /sys/fs/cgroup -name cgroup.procs | head -n 1))/mine",
    ])).code,
    0,
  );
});

test("/dev has the default nodes, open to all, and the links", async (box) => {
  const nodes = ["null", "zero", "full", "random", "urandom", "tty"];
  const script = `cd /dev; stat -c '%n %F %t:%T %a' ${nodes.join(" ")}; ` +
    "for l in fd stdin stdout stderr ptmx; do echo $l $(readlink $l); done; ls";
  const lines = (await box.sh(script)).split("\n");
  const device = (name: string, number: string) => `${name} character special file ${number} 666`;
  assert.deepEqual(lines.slice(0, 11), [
    device("null", "1:3"),
    device("zero", "1:5"),
    device("full", "1:7"),
    device("random", "1:8"),
    device("urandom", "1:9"),
    device("tty", "5:0"),
    "fd /proc/self/fd",
    "stdin /proc/self/fd/0",
    "stdout /proc/self/fd/1",
    "stderr /proc/self/fd/2",
    "ptmx pts/ptmx",
  ]);
  const links = ["fd", "stdin", "stdout", "stderr", "ptmx", "mqueue", "pts", "shm"];
  assert.deepEqual(lines.slice(11).sort(), [...nodes, ...links].sort());
});

test("the devices work", async (box) => {
  const script = "echo x >/dev/null && head -c 3 /dev/zero | od -An -tx1 && " +
    "head -c 8 /dev/urandom | wc -c && (echo x >/dev/full) 2>&1 | grep -o 'No space.*'; " +
    "echo through >/dev/stdout";
  assert.equal(await box.sh(script), " 00 00 00\n8\nNo space left on device\nthrough");
});

test("/dev/shm has the size that --shm-size says, 64 MB without", async (box) => {
  const size = "df -k /dev/shm | tail -n 1 | awk '{print $2}'; echo x >/dev/shm/x && rm /dev/shm/x";
  assert.equal(await box.sh(size), "65536");
  assert.equal(await box.sh(size, ["--shm-size", "1m"]), "1024");
});

test("masked paths are empty, and stay so", async (box) => {
  const files = ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/interrupts"];
  const folders = ["/proc/acpi", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap"];
  // Which of them there are depends on the machine.
  const script = `
    for f in ${files.join(" ")}; do
      [ ! -e $f ] || echo "$f: $(cat $f)$(umount $f 2>&1 && echo unmounted) $(stat -c %t:%T $f)"
    done
    for d in ${folders.join(" ")}; do
      [ ! -e $d ] || echo "$d: $(ls -A $d)$( (echo x >$d/x) 2>&1)"
    done`;
  const lines = (await box.sh(script)).split("\n");
  assert.ok(lines.length > 1, "something is there to be masked");
  for (const line of lines) {
    assert.match(line, /^\/proc\/\w+: umount: .*not permitted 1:3$|^\S+: .*Read-only file system$/);
  }
});

test("read-only paths can be read and not written, by root with all capabilities neither", async (box) => {
  const script = "cat /proc/sys/kernel/hostname >/dev/null || echo unreadable; " +
    "for f in /proc/sys/kernel/hostname /proc/sysrq-trigger /proc/irq/default_smp_affinity; do " +
    "[ ! -e $f ] || (echo 0 >$f) 2>&1; done; true";
  for (const options of [[], ["--cap-add", "ALL"]]) {
    for (const line of (await box.sh(script, options)).split("\n")) {
      assert.match(line, /Read-only file system/);
    }
  }
});

test("nothing read-only can be mounted again to be written", async (box) => {
  const remount = "for m in /proc/sys /sys /proc/kcore; do " +
    "mount -o remount,rw,bind $m 2>&1 || echo refused; done";
  assert.equal(
    (await box.sh(remount)).split("\n").filter((line) => line === "refused").length,
    3,
  );
  // By the kernel's newer calls too, which need the same capability.
  const MOUNT_SETATTR = ["mount_setattr", -100, "/proc/sys", 0, 0, 32] as const;
  const [result] = await probe(box, [MOUNT_SETATTR]);
  assert.equal(result, -1, "EPERM");
});

test("/proc shows the container's own processes and cannot be mounted again bare", async (box) => {
  const script = "mkdir /tmp/proc; mount -t proc proc /tmp/proc 2>/dev/null || echo refused";
  assert.equal(await box.sh(script), "refused");
});

test("nothing of the host's mounts is left in view", async (box) => {
  const found = await mounts(box);
  for (const path of found.keys()) {
    assert.match(path, /^\/$|^\/(proc|sys|dev)(\/|$)/);
  }
});

test("a container's mounts do not reach the host", async (box) => {
  const before = Deno.readTextFileSync("/proc/self/mountinfo");
  const script = "mount -t tmpfs tmpfs /tmp && echo mounted";
  const options = ["--cap-add", "SYS_ADMIN"];
  assert.equal(await box.sh(script, options), "mounted");
  const lines = (text: string) => text.split("\n").filter((line) => line.includes(box.directory));
  assert.deepEqual(lines(Deno.readTextFileSync("/proc/self/mountinfo")), lines(before));
});

test("--privileged: nothing is masked or read-only, and the host's devices are there", async (box) => {
  const found = await mounts(box, ["--privileged"]);
  assert.ok(found.get("/sys")!.options.includes("rw"));
  assert.equal(found.has("/proc/sys"), false);
  const script = "ls /dev | sort; mkdir /tmp/m && mount -t tmpfs tmpfs /tmp/m && echo mounted";
  const lines = (await box.sh(script, ["--privileged"])).split("\n");
  assert.equal(lines.at(-1), "mounted");
  for (const { name } of Deno.readDirSync("/dev")) {
    const info = Deno.lstatSync(`/dev/${name}`);
    if (info.isBlockDevice) assert.ok(lines.includes(name), `${name} in ${lines}`);
  }
});
