// Not in the virtual machine: words are read the same everywhere
import assert from "node:assert/strict";
import { exists } from "../ffi/mod.ts";
import { assertEnded, type Result, type Sandbox, test } from "./support/mod.ts";

// What is wrong is told in one sentence that names it; and nothing is left behind.

/** Asserts crate's own failure: one line that begins with its name. */
function assertRefused({ code, stdout, stderr }: Result, expected: number, sentence: RegExp): void {
  assert.deepEqual([code, stdout], [expected, ""], stderr);
  assert.match(stderr, /^crate[^\n]*: [^\n]+\n$/);
  assert.match(stderr, sentence);
}

async function refused(
  box: Sandbox,
  words: readonly string[],
  sentence: RegExp,
  code = 125,
): Promise<void> {
  assertRefused(await box.crate(words), code, sentence);
  // Not even the state directory's own parts count as containers.
  assert.equal(await box.ok(["list", "-q"]), "");
}

test("a root filesystem that is not there, or is a file", async (box) => {
  await refused(box, ["run", "--rm", "-r", box.path("none"), "sh"], /none does not exist/);
  await refused(
    box,
    ["run", "--rm", "-r", "/etc/passwd", "sh"],
    /\/etc\/passwd is not a directory/,
  );
});

test("a command that is not there, and one that would name an image", async (box) => {
  await refused(box, ["run", "-r", box.rootfs, "/none"], /\/none: no such file or directory/, 127);
  await refused(box, ["run", "--pull", "never", "alpine", "sh"], /image "alpine" is not in the/);
  await refused(box, ["run", "-r", box.rootfs], /what to run is missing/, 2);
  await refused(box, ["run", "-r", box.rootfs, ""], /"?"?/);
});

test("--memory 512q", async (box) => {
  await refused(box, ["run", "--memory", "512q", "/bin/true"], /--memory "512q" is not a size/);
});

test("an id with a slash, with dots, too long, empty, or with a character that is none", async (box) => {
  for (
    const name of ["a/b", "..", "a..b", ".hidden", "-a", "", "a b", "a\nb", "č", "a".repeat(129)]
  ) {
    const result = await box.crate(["run", `--name=${name}`, "-r", box.rootfs, "true"]);
    assertRefused(result, 125, /the name ".*" (is not a container's name|has 129 characters)/);
  }
  const longest = "a".repeat(128);
  await box.ok(["run", "--name", longest, "-r", box.rootfs, "true"]);
  await box.ok(["delete", longest]);
});

test("an unknown user", async (box) => {
  await refused(box, ["run", "-r", box.rootfs, "-u", "none", "id"], /user "none"/);
});

test("a volume whose source is missing", async (box) => {
  const words = ["run", "-r", box.rootfs, "-v", `${box.path("none")}:/d`, "true"];
  await refused(box, words, /none/);
});

test("a configuration file with a wrong key, a wrong type, no TOML, or that is not there", async (box) => {
  const with_ = async (text: string, sentence: RegExp) =>
    assertRefused(
      await box.crate(["--config", box.file("c.toml", text), "run", "/bin/true"]),
      125,
      sentence,
    );
  await with_(
    '[cgroup]\nmemory_limt = "1g"\n',
    /c\.toml:2: unknown key "cgroup.memory_limt".*memory_limit/,
  );
  await with_(
    "[security]\n\nenable_seccomp = 1\n",
    /c\.toml:3: security.enable_seccomp must be true or false/,
  );
  await with_("[cgroup\n", /c\.toml:1: not valid TOML/);
  const missing = ["--config", box.path("none.toml"), "run", "/bin/true"];
  await refused(box, missing, /none\.toml does not exist/);
});

test("an environment variable of crate's that there is not", async (box) => {
  const env = { CRATE_LOG_LEVLE: "debug" };
  const result = await box.crate(["run", "/bin/true"], { env });
  assertRefused(result, 125, /"CRATE_LOG_LEVLE".*CRATE_LOG_LEVEL/);
});

test("a usage error exits with 2 and says what was meant", async (box) => {
  for (
    const [words, sentence] of [
      [["run", "--memroy", "1g", "/bin/true"], /unknown option '--memroy'.*--memory/],
      [["rnu", "/bin/true"], /unknown command 'rnu'.*run/],
      [["run", "--memory"], /option '.*--memory BYTES' needs a value/],
      [["run", "--pid", "bridge", "/bin/true"], /'--pid' takes private or host, got 'bridge'/],
      [["run", "--root", "/x", "/bin/true"], /'--root'.*before the command/],
      [["stop"], /CONTAINER is missing/],
      [["list", "extra"], /unexpected word 'extra'/],
      [["run", "--rm=perhaps", "/bin/true"], /'--rm' takes true or false, got 'perhaps'/],
    ] as const
  ) await refused(box, words, sentence, 2);
});

test("an ordinary user who names a state directory that is not his is told so", async (box) => {
  // A directory that anybody may enter, as the sandbox's own is not.
  Deno.chmodSync(box.directory, 0o755);
  const own = box.mkdir("run");
  Deno.chownSync(own, 65534, 65534);
  const words = ["run", "--rm", "-r", box.rootfs, "true"];
  const asNobody = `export XDG_RUNTIME_DIR=${own}
setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
code=$?
kill $(sed 's/.*"pid":\\([0-9]*\\).*/\\1/' ${own}/crate/userns.json)
exit $code`;
  assertRefused(await box.host(asNobody, words), 125, /cannot make the state directory .*--root/);
});

test("a state directory that is somebody's home: nothing in it is touched", async (box) => {
  const home = box.mkdir("home");
  for (const folder of ["documents", "work/src", "empty"]) box.mkdir(`home/${folder}`);
  for (const file of ["documents/thesis", "work/notes", "work/src/a.c"]) box.file(`home/${file}`);
  const tree = () => [...Deno.readDirSync(home)].map(({ name }) => name).sort();
  const before = tree();
  assert.equal(await box.ok(["--root", home, "list", "-q"]), "");
  assert.deepEqual(tree(), before);
  const run = (id: string) =>
    box.crate(["--root", home, "run", "-d", "-r", box.rootfs, "--name", id, "sleep", "100"]);
  const { code, stderr } = await run("documents");
  assert.deepEqual([code, stderr], [
    125,
    `crate: the name "documents" is not free: ${home}/documents is there, and not a container's: choose another name or another --root\n`,
  ]);
  assert.equal((await run("mine")).code, 0);
  assert.equal(await box.ok(["--root", home, "list", "-q"]), "mine");
  await box.ok(["--root", home, "delete", "--force", "mine"]);
  for (const file of ["documents/thesis", "work/notes", "work/src/a.c"]) {
    assert(exists(`${home}/${file}`), file);
  }
  for (const words of [["--root", ""], ["--root="]]) {
    assertEnded(await box.crate([...words, "list"]), {
      code: 125,
      stderr: 'crate: --root must be an absolute path, got ""\n',
    });
  }
});

test("a state directory that cannot be made", async (box) => {
  const file = box.file("file");
  for (const root of [`${file}/state`, "/proc/no/such"]) {
    const words = ["--root", root, "run", "-r", box.rootfs, "true"];
    assertRefused(await box.crate(words), 125, new RegExp(`${root}.*--root`));
  }
});

test("no cgroup hierarchy: a sentence with the remedy", async (box) => {
  // In a mount namespace of its own nothing of the machine's changes.
  const script = `umount -R /sys/fs/cgroup && exec "$@"`;
  const words = ["run", "--rm", "-r", box.rootfs, "true"];
  const result = await box.host(
    `unshare --mount --propagation private bash -c '${script}' bash "$@"`,
    words,
  );
  assertRefused(result, 125, /no cgroup hierarchy is mounted; mount one/);
});

test("a controller that the host has not, for a limit that needs it", async (box) => {
  const script = `
    if mountpoint -q /sys/fs/cgroup/memory; then umount /sys/fs/cgroup/memory
    else mount -t tmpfs tmpfs /sys/fs/cgroup && mkdir /sys/fs/cgroup/x &&
      mount -t cgroup -o none,name=crate-test none /sys/fs/cgroup/x; fi || exit 99
    exec "$@"`;
  const words = ["run", "--rm", "--memory", "64m", "-r", box.rootfs, "true"];
  const result = await box.host(
    `unshare --mount --propagation private bash -c '${script}' bash "$@"`,
    words,
  );
  assertRefused(result, 125, /memory/);
});

test("files that crate is to write and cannot", async (box) => {
  const taken = box.file("taken");
  const folder = box.path("none");
  for (const detach of [[], ["-d"]]) {
    const run = ["run", ...detach, "-r", box.rootfs];
    await refused(box, [...run, "--cidfile", taken, "sleep", "100"], /--cidfile .*taken/);
    await refused(box, [...run, "--cidfile", `${folder}/id`, "sleep", "100"], /--cidfile .*none/);
    await refused(
      box,
      [...run, "--pid-file", `${folder}/pid`, "sleep", "100"],
      /--pid-file .*none/,
    );
  }
  assert.equal(Deno.readTextFileSync(taken), "");
});

test("a directory for --keep that cannot be made", async (box) => {
  const file = box.file("file");
  for (const keep of [file, `${file}/keep`, "/proc/keep"]) {
    await refused(box, ["run", "--keep", keep, "/bin/true"], new RegExp(`--keep ${keep} cannot`));
  }
});

test("a start that fails leaves no file of --cidfile and --pid-file", async (box) => {
  const files = ["--cidfile", box.path("id"), "--pid-file", box.path("pid")];
  await refused(box, ["run", ...files, "-r", box.rootfs, "/none"], /\/none/, 127);
  for (const name of ["id", "pid"]) {
    assert.throws(() => Deno.statSync(box.path(name)), Deno.errors.NotFound);
  }
});

test("an option that says what makes no sense together", async (box) => {
  for (
    const [options, sentence] of [
      [["--uts", "host", "-h", "name"], /--hostname needs a host name of the container's own/],
      [["--ipc", "host", "--shm-size", "1m"], /--shm-size needs a \/dev\/shm/],
      [["--stop-signal", "NOPE"], /"NOPE" is not a signal/],
      [["--stop-timeout", "soon"], /--stop-timeout "soon"/],
      [["--security-opt", "apparmor=x"], /--security-opt apparmor=x/],
      [["--label", "=value"], /--label "=value"/],
      [["-h", "a".repeat(65)], /hostname/],
    ] as const
  ) await refused(box, ["run", "-r", box.rootfs, ...options, "true"], sentence);
});

test("a group that is no slice's is refused where systemd is to make it", async (box) => {
  const words = ["--systemd-cgroup", "run", "-r", box.rootfs, "true"];
  await refused(box, words, /cgroup\.parent must be a slice with --systemd-cgroup/);
});
