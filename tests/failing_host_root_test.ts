// Not in the virtual machine: cgroups have no part in it
import assert from "node:assert/strict";
import { P_PID, rlimit64, syscall, SyscallError, trySyscall, WEXITED } from "../ffi/mod.ts";
import { CrateError } from "../lib/errors.ts";
import {
  killContainer,
  nullStdio,
  prepareContainer,
  type Prepared,
  readState,
  startContainer,
  type Started,
  waitForExit,
} from "../lib/lifecycle/mod.ts";
import { rlimitNumber } from "../lib/security/mod.ts";
import { type Result, type Sandbox, test } from "./support/mod.ts";
import { featuredView } from "./support/featured.ts";
import { assertUnchanged, descriptorCount, takeQuietSnapshot, warmUp } from "./support/snapshot.ts";

// What may fail on the host's side of a start: before, around and beside the container's program.

function prepare(
  box: Sandbox,
  none: number,
  id: string,
  args: readonly string[],
): Promise<Prepared> {
  return prepareContainer({
    id,
    root: box.root,
    spec: featuredView(box, args, "group", false),
    bundle: box.directory,
    detached: true,
    remove: true,
    stdio: [none, none, none],
  });
}

/** A container's exit code, when its monitor has cleared away. */
async function codeOf({ launched }: Started): Promise<number> {
  const { code } = await waitForExit(launched);
  trySyscall("waitid", P_PID, launched.monitor!.pid, null, WEXITED, null);
  return code;
}

/** crate's own failure, told in one sentence. */
function assertRefused({ code, stderr }: Result, ...words: string[]): void {
  assert.match(stderr, /^crate: [^\n]+\n$/);
  assert.equal(code, 125, stderr);
  for (const word of words) assert(stderr.includes(word), stderr);
}

test("a limit that the kernel refuses leaves nothing", async (box) => {
  const words = ["run", "--rm", "-r", box.rootfs];
  await box.ok([...words, "true"]);
  const before = await takeQuietSnapshot(box);
  assertRefused(await box.crate([...words, "--cpu-quota", "500", "true"]), "cpu.quota", "500");
  await assertUnchanged(box, before, "a refused limit", { all: true });
});

test("a container whose group another one has leaves that one alone", async (box) => {
  const none = nullStdio();
  await warmUp(box);
  const first = await startContainer(await prepare(box, none, "first", ["sleep", "1000"]));
  const before = await takeQuietSnapshot(box);
  await assert.rejects(
    startContainer(await prepare(box, none, "second", ["true"])),
    (error) => error instanceof CrateError && error.code === "EXISTS",
  );
  await assertUnchanged(box, before, "the second");
  assert.equal(readState(box.root, "first")?.status, "running");
  killContainer(box.root, "first", 9);
  assert.equal(await codeOf(first), 137);
  syscall("close", none);
});

/** With a limit of this many open descriptors. getrlimit(2) */
async function withDescriptors<T>(limit: number, body: () => Promise<T>): Promise<T> {
  const number = rlimitNumber("RLIMIT_NOFILE");
  const old = new Uint8Array(rlimit64.size);
  syscall("prlimit64", 0, number, null, old);
  const rlim_max = rlimit64.get(old, "rlim_max");
  syscall("prlimit64", 0, number, rlimit64.pack({ rlim_cur: limit, rlim_max }), null);
  try {
    return await body();
  } finally {
    syscall("prlimit64", 0, number, old, null);
  }
}

test("a start that runs out of descriptors, wherever it is, leaves nothing", async (box) => {
  const none = nullStdio();
  const prepared = await prepare(box, none, "few", ["true"]);
  assert.equal(await codeOf(await startContainer(prepared)), 0);
  await warmUp(box);
  const before = await takeQuietSnapshot(box);
  const told = new Set<string>();
  let started = false;
  for (let limit = descriptorCount(); !started && limit < 200; limit++) {
    try {
      const container = await withDescriptors(limit, () => startContainer(prepared));
      assert.equal(await codeOf(container), 0);
      started = true;
    } catch (error) {
      assert(error instanceof CrateError || error instanceof SyscallError, String(error));
      assert.match(error.message, /EMFILE|EBADF/);
      told.add(error.message);
    }
    await assertUnchanged(box, before, `a limit of ${limit} descriptors`);
  }
  assert(started);
  assert(told.size >= 5, [...told].join("\n"));
  syscall("close", none);
});

/** What is left in a state directory that is mounted in a namespace of its own, one a line. */
const LIST = `find "$root" -mindepth 1 ! -name .mount ! -name '.create-*' ! -name '.run-*' | sort`;

/** Runs a script on a small tmpfs as the state directory: `"$@"` is crate. */
async function onDisk(
  box: Sandbox,
  limits: string,
  script: string,
  words: readonly string[],
): Promise<Result> {
  box.mkdir("state");
  const inside = `root=${box.root}
    mount -t tmpfs -o ${limits} tmpfs "$root" || exit 99
    ${script}`;
  const quoted = `'${inside.replaceAll("'", `'\\''`)}'`;
  const own = "exec unshare --mount --propagation private";
  return await box.host(`${own} bash -c ${quoted} bash "$@"`, words);
}

test("a state directory that cannot be written is refused with a remedy", async (box) => {
  const words = ["run", "-r", box.rootfs, "true"];
  const script = `"$@" && exit 98; mount -o remount,ro "$root"; "$@"`;
  const before = await takeQuietSnapshot(box);
  const result = await onDisk(box, "nr_inodes=2", script, words);
  const [first, second, rest] = result.stderr.split("\n");
  assert.match(first!, /^crate: .*ENOSPC/);
  assert.match(second!, /^crate: .*EROFS; --root names another directory$/);
  assert.equal(rest, "");
  assert.equal(result.code, 125);
  await assertUnchanged(box, before, "a read-only directory", { all: true });
});

test("a container that ends when the disk is full has ended", async (box) => {
  const words = ["run", "-d", "--name", "full", "-r", box.rootfs, "sh", "-c", "sleep 0.2; exit 3"];
  const before = await takeQuietSnapshot(box);
  const script = `crate=("\${@:1:3}")
    "$@" || exit
    while : > "$root/filler\$((i++))"; do :; done 2>/dev/null
    for ((j = 0; j < 100; j++)); do
      "\${crate[@]}" list | grep -q stopped && break
    done
    "\${crate[@]}" list; "\${crate[@]}" delete full; "\${crate[@]}" list -q`;
  const { code, stdout, stderr } = await onDisk(box, "nr_inodes=9", script, words);
  assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
  assert.match(stdout, /^full\nID [^\n]*\nfull +stopped \(3\) +-[^\n]*\nfull\n$/);
  await assertUnchanged(box, before, "a full disk", { all: true });
});

/** Whether this kernel can forbid executable memfds in a pid namespace: Linux 6.3. */
function forbidsMemfds(): boolean {
  try {
    return Deno.statSync("/proc/sys/vm/memfd_noexec").isFile;
  } catch {
    return false;
  }
}

test("where memory files cannot be executed, a file without a name serves", async (box) => {
  const words = ["run", "--rm", "-r", box.rootfs, "echo", "hello"];
  const script = `unshare --pid --fork --mount-proc bash -c '
    echo 2 > /proc/sys/vm/memfd_noexec || exit 99
    "$@"; code=$?
    # The monitor still clears away, and would die with this namespace.
    for ((i = 0; i < 500; i++)); do compgen -G "$0/.retired-*" > /dev/null || break; sleep 0.01; done
    exit $code' "$root" "$@"; code=$?; ${LIST}; exit $code`;
  const before = await takeQuietSnapshot(box);
  const fine = await onDisk(box, "nr_inodes=100", script, words);
  assert.deepEqual(fine, { code: 0, stdout: "hello\n", stderr: "" });
  const forbidden = await onDisk(box, "noexec", script, words);
  assertRefused(forbidden, "start the program: EACCES");
  assert.equal(forbidden.stdout, "");
  await assertUnchanged(box, before, "forbidden memory files", { all: true });
}, { skip: !forbidsMemfds() && "it needs vm.memfd_noexec (Linux 6.3)" });

/** Lets the disk grow until a detached container starts; what comes before is refused. */
async function growDisk(box: Sandbox, most: number, limits: (step: number) => string) {
  const words = ["run", "-d", "--name", "full", "-r", box.rootfs, "true"];
  for (let step = 1; step <= most; step++) {
    const script = `"$@"; code=$?; ${LIST}; exit $code`;
    const result = await onDisk(box, limits(step), script, words);
    if (result.code === 0) return step;
    assertRefused(result, "ENOSPC");
    assert.equal(result.stdout, "", `left with ${limits(step)}`);
  }
  assert.fail(`nothing starts with ${limits(most)}`);
}

test("a disk that is full, at whatever file, refuses the container and keeps nothing of it", async (box) => {
  const before = await takeQuietSnapshot(box);
  const step = await growDisk(box, 12, (files) => `nr_inodes=${files}`);
  assert(step > 5, `${step} files were enough`);
  await growDisk(box, 12, (pages) => `nr_inodes=100,size=${4 * pages}k`);
  await assertUnchanged(box, before, "full disks", { all: true });
});
