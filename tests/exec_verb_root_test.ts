import assert from "node:assert/strict";
import { exists } from "../ffi/mod.ts";
import { launchBundle } from "./support/bundle.ts";
import {
  EVERYWHERE_THE_SAME,
  reapOrphans,
  type Result,
  Running,
  type Sandbox,
  stateIn,
  test,
  until,
} from "./support/mod.ts";
import { ASKED, at, CRATE_IS_ASKED, DONE, itself, makeLauncher, walker } from "./support/verbs.ts";

// What a container's first exec makes ready for the next one, as the launcher walks it: the same as crate's own, and
// left to crate wherever it is not the usual case.

/** Starts a container, and executes something in it: the next exec is ready. */
async function ready(box: Sandbox, options: readonly string[] = []): Promise<string> {
  const id = await box.detached("exec sleep 1000", ["--name", "c", ...options]);
  await first(box, id);
  assert(exists(`${box.root}/${id}/exec`));
  return id;
}

async function first(box: Sandbox, id: string): Promise<void> {
  assert.deepEqual(await itself(box, ["exec", id, "true"]), DONE);
}

/** Both ways of an exec, which must come to the same. */
async function same(box: Sandbox, id: string, ...command: string[]): Promise<Result> {
  const words = ["exec", id, ...command];
  const walked = await walker(box)(at(box, ...words));
  assert.deepEqual(walked, await itself(box, words), command.join(" "));
  return walked;
}

/** What a process can see of itself, but for what no two have in common. */
const ITSELF =
  `cat /proc/self/status | grep -E '^(Uid|Gid|Groups|Cap|NoNew|Seccomp|Sig[BI]|Shd|Umask)'
cat /proc/self/limits /proc/self/oom_score_adj /proc/self/cgroup /proc/self/mountinfo
for name in ipc mnt net pid uts cgroup user; do readlink /proc/self/ns/$name; done
cut -d' ' -f5-8 /proc/self/stat | sed "s/\\<$$\\>/own/g"
ls /proc/self/fd; readlink /proc/self/fd/0
pwd; env; umask; id; tty`;

test("an exec that the launcher walks is the one of crate itself", async (box) => {
  const id = await ready(box);
  assert.equal((await same(box, id, "echo", "hello")).stdout, "hello\n");
  assert.match((await same(box, id, "/bin/sh", "-c", ITSELF)).stdout, /^not a tty$/m);
  const odd = ["", " ", "*", "ünïcode", 'a "quoted"\nline', "-n", "--root", "'"];
  assert.equal(
    (await same(box, id, "sh", "-c", 'printf "[%s]" "$0" "$#" "$@"', "zero", ...odd)).stdout,
    `[zero][${odd.length}]${odd.map((word) => `[${word}]`).join("")}`,
  );
  for (const code of [0, 1, 113, 125, 127, 255]) {
    assert.equal((await same(box, id, "sh", "-c", `exit ${code}`)).code, code);
  }
  assert.equal((await same(box, id, "sh", "-c", "kill -TERM $$")).code, 143);
  assert.deepEqual(await same(box, id, "sh", "-c", "echo out; echo err >&2; exit 3"), {
    code: 3,
    stdout: "out\n",
    stderr: "err\n",
  });
  const long = "x".repeat(100_000);
  assert.equal((await same(box, id, "sh", "-c", 'echo "${#1}"', "sh", long)).stdout, "100000\n");
  await box.ok([
    "exec",
    id,
    "sh",
    "-c",
    'printf "#!/bin/sh\\necho \\$0 \\$1" >/tmp/s; chmod 755 /tmp/s',
  ]);
  assert.equal((await same(box, id, "/tmp/s", "one")).stdout, "/tmp/s one\n");
  // It reads what is written to it, and the words may have the option that is so anyway.
  const cat = new Running([makeLauncher(box), ...at(box, "exec", "-i", id, "cat")], {
    input: "some input",
    env: { XDG_CONFIG_HOME: box.path("none") },
  });
  assert.deepEqual(await cat.ended, { code: 0, stdout: "some input", stderr: "" });
  await box.ok(["delete", "--force", id]);
});

test(
  "a walked exec has the user, the rights, the directory and the variables of the container",
  async (box) => {
    const id = await ready(box, [
      ...["--user", "1234:5678", "--group-add", "77", "--workdir", "/tmp", "--env", "A=b c"],
      ...["--env", "PATH=/nowhere:/bin:", "--cap-add", "NET_RAW", "--ulimit", "nofile=200:300"],
      ...["--oom-score-adj", "100", "--memory", "100m", "--pids-limit", "50"],
      ...["--security-opt", "no-new-privileges=false"],
    ]);
    const { stdout } = await same(box, id, "sh", "-c", ITSELF);
    assert.match(stdout, /^uid=1234 gid=5678 groups=77,5678$/m);
    assert.match(stdout, /^A=b c$/m);
    assert.match(stdout, /^\/tmp$/m);
    await box.ok(["delete", "--force", id]);
  },
  EVERYWHERE_THE_SAME,
);

test("a created container's exec is made ready, too", async (box) => {
  await launchBundle(box, "b", "exec sleep 1000", {
    process: { user: { uid: 5, gid: 6, additionalGids: [7], umask: 0o27 } },
  });
  await first(box, "b");
  assert.match((await same(box, "b", "sh", "-c", ITSELF)).stdout, /^0027$/m);
  await box.ok(["delete", "--force", "b"]);
  assert.deepEqual(stateIn(box.root), []);
}, EVERYWHERE_THE_SAME);

test("signals go on to a walked exec, and whoever kills it kills what it runs", async (box) => {
  const id = await ready(box);
  const launcher = makeLauncher(box);
  const env = { XDG_CONFIG_HOME: box.path("none") };
  const start = (...command: string[]) =>
    new Running([launcher, ...at(box, "exec", id, ...command)], { env });
  for (const signal of ["TERM", "INT", "HUP", "USR1", "QUIT"] as const) {
    const script = `trap 'echo got it; exit 8' ${signal}; echo up; while :; do sleep 0.01; done`;
    const exec = start("sh", "-c", script);
    await exec.printed("up");
    exec.signal(`SIG${signal}`);
    assert.deepEqual(await exec.ended, { code: 8, stdout: "up\ngot it\n", stderr: "" }, signal);
  }
  // From the launcher's first moment on.
  for (let i = 0; i < 30; i++) {
    const exec = start("sh", "-c", "exec sleep 100");
    await new Promise((resolve) => setTimeout(resolve, i / 5));
    exec.signal("SIGTERM");
    assert.equal((await exec.ended).code, 143);
  }
  const killed = start("sh", "-c", "echo up; exec sleep 300");
  await killed.printed("up");
  killed.signal("SIGKILL");
  assert.equal((await killed.ended).code, 137);
  const left = async () => (await box.ok(["exec", id, "ps", "-o", "args"])).includes("sleep 300");
  await until("its end", async () => !(await left()));
  await box.ok(["delete", "--force", id]);
}, EVERYWHERE_THE_SAME);

test("whoever kills all at once leaves nothing of a walked exec", async (box) => {
  const id = await ready(box);
  const script = `import os,random,signal,subprocess,sys,time
for i in range(400):
    p = subprocess.Popen(sys.argv[1:], start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(random.random() * 0.005)
    os.killpg(p.pid, signal.SIGKILL)
    p.wait()`;
  const words = [makeLauncher(box), ...at(box, "exec", id, "sleep", "777")];
  const env = { XDG_CONFIG_HOME: box.path("none") };
  assert.deepEqual(await new Running(["python3", "-c", script, ...words], { env }).ended, DONE);
  await until("all is gone", async () => {
    reapOrphans();
    return !(await box.ok(["exec", id, "ps", "-o", "args"])).includes("777");
  });
  await box.ok(["delete", "--force", id]);
});

test("a walked exec's own processes have names of crate's, and none of its words", async (box) => {
  const id = await ready(box);
  const env = { XDG_CONFIG_HOME: box.path("none"), SECRET: "a secret" };
  const launcher = makeLauncher(box);
  const exec = new Running([
    launcher,
    ...at(box, "exec", id, "sh", "-c", "echo up; exec sleep 555"),
  ], { env });
  await exec.printed("up");
  const words = (pid: number) => Deno.readTextFileSync(`/proc/${pid}/cmdline`).replace(/\0+$/, "");
  const of = (pid: number) => Deno.readTextFileSync(`/proc/${pid}/task/${pid}/children`).trim();
  const monitor = Number(of(exec.pid));
  await until("the relay", () => words(exec.pid) === "crate-run");
  assert.equal(words(monitor), "crate-exec");
  await until("the command", () => words(Number(of(monitor))) === "sleep\x00555");
  assert(!Deno.readTextFileSync(`/proc/${exec.pid}/environ`).includes("a secret"));
  exec.signal("SIGTERM");
  assert.equal((await exec.ended).code, 143);
  await box.ok(["delete", "--force", id]);
}, EVERYWHERE_THE_SAME);

test("what is executed has as many files whoever executes it, and job control stays the caller's", async (box) => {
  const id = await ready(box);
  makeLauncher(box);
  const limits = async (command: readonly string[]) => {
    const script = 'ulimit -Sn 200; trap "" TSTP CHLD; exec "$@"';
    const words = ["exec", id, "sh", "-c", "ulimit -Sn; grep -E Sig[BIC] /proc/self/status"];
    const { env } = box.commandLine([]);
    return await new Running(["bash", "-c", script, "bash", ...command, ...words], { env }).ended;
  };
  const { words } = box.commandLine(["--log-level", "warn"]);
  const walked = await limits([box.path("launcher"), "--root", box.root]);
  assert.deepEqual([walked, walked.code], [await limits(words), 0]);
  await box.ok(["delete", "--force", id]);
});

test("a container that is started again has its exec made ready again", async (box) => {
  const id = await ready(box);
  const walk = walker(box);
  await box.ok(["stop", "-t", "0", id]);
  await box.ok(["start", id]);
  assert.deepEqual(await walk(at(box, "exec", id, "true")), ASKED);
  assert(!exists(`${box.root}/${id}/exec`));
  await first(box, id);
  assert.deepEqual(await walk(at(box, "exec", id, "true")), DONE);
  await box.ok(["delete", "--force", id]);
}, EVERYWHERE_THE_SAME);

test("a command that is not there, or cannot be executed, is crate's to tell", async (box) => {
  const id = await ready(box);
  const walk = walker(box);
  const commands = [
    "none",
    "/none",
    "/etc/passwd",
    "./sh",
    "x".repeat(300),
    "/".repeat(5000),
  ];
  for (const command of [...commands, `/bin/${"y".repeat(256)}`, "bin/"]) {
    assert.deepEqual(await walk(at(box, "exec", id, command)), ASKED, command);
  }
  // What crate is asked with is what the launcher was.
  const told = await box.crate(["exec", id, "none", "*", ""]);
  assert.deepEqual(told, await itself(box, ["exec", id, "none", "*", ""]));
  assert.deepEqual([told.code, told.stdout], [127, ""]);
  assert.equal((await same(box, id, "./bin/echo", "relative")).stdout, "relative\n");
  await box.ok(["delete", "--force", id]);
}, EVERYWHERE_THE_SAME);

test(
  "what is more than the usual is left to crate, and so is a container that cannot",
  async (box) => {
    const id = await ready(box);
    const walk = walker(box);
    for (
      const words of [
        ["exec"],
        ["exec", id],
        ["exec", id, ""],
        ["exec", id, "-x"],
        ["exec", "-i", id],
        ["exec", "-t", id, "true"],
        ["exec", "-d", id, "true"],
        ["exec", "-e", "A=b", id, "true"],
        ["exec", "-i", "-u", "0", id, "true"],
        ["exec", "--", id, "true"],
        ["exec", "other", "true"],
        ["exec", `../state/${id}`, "true"],
        ["--systemd-cgroup", "exec", id, "true"],
        ["--log-format", "json", "exec", id, "true"],
        ["--log", "/dev/null", "exec", id, "true"],
      ]
    ) {
      assert.deepEqual(await walk(at(box, ...words)), ASKED, words.join(" "));
    }
    for (const name of ["LISTEN_FDS", "NODE_CHANNEL_FD", "CRATE_ROOT"]) {
      assert.deepEqual(await walk(at(box, "exec", id, "true"), { [name]: "1" }), ASKED, name);
    }
    await box.ok(["pause", id]);
    assert.deepEqual(await walk(at(box, "exec", id, "true")), ASKED);
    await box.ok(["resume", id]);
    assert.deepEqual(await walk(at(box, "exec", id, "true")), DONE);
    // Each of the three descriptors is the caller's.
    const closed = `import os,subprocess,sys
for fd in (0, 1, 2):
    code = subprocess.call(sys.argv[1:], preexec_fn=lambda: os.close(fd))
    assert code == ${CRATE_IS_ASKED}, (fd, code)
read, write = os.pipe()
os.set_inheritable(write, True)
os.dup2(write, 9)
assert subprocess.call(sys.argv[1:-2] + ["ls", "/proc/self/fd/9"], pass_fds=[9, write], stderr=subprocess.DEVNULL) == 1`;
    const env = { XDG_CONFIG_HOME: box.path("none") };
    const words = [makeLauncher(box), ...at(box, "exec", id, "true", "true")];
    assert.deepEqual(await new Running(["python3", "-c", closed, ...words], { env }).ended, DONE);
    await box.ok(["kill", id]);
    await until("its end", async () => (await box.state(id)).status === "stopped");
    assert.deepEqual(await walk(at(box, "exec", id, "true")), ASKED);
    await box.ok(["delete", id]);
    // A container of this name is another one.
    await box.detached("exec sleep 1000", ["--name", id]);
    assert.deepEqual(await walk(at(box, "exec", id, "true")), ASKED);
    await box.ok(["delete", "--force", id]);
  },
  EVERYWHERE_THE_SAME,
);

test("an older crate's file is replaced, and one that others can write is not for anybody", async (box) => {
  const id = await ready(box);
  const walk = walker(box);
  const file = `${box.root}/${id}/exec`;
  const whole = Deno.readFileSync(file);
  Deno.writeTextFileSync(file, "crx0");
  assert.deepEqual(await walk(at(box, "exec", id, "true")), ASKED);
  await first(box, id);
  assert.deepEqual(Deno.readFileSync(file), whole);
  assert.deepEqual(await walk(at(box, "exec", id, "true")), DONE);
  Deno.chmodSync(file, 0o666);
  assert.deepEqual(await walk(at(box, "exec", id, "true")), ASKED);
  await box.ok(["delete", "--force", id]);
});

test("many execs at once are as one, and the first ones, too", async (box) => {
  const id = await box.detached("exec sleep 1000", ["--name", "m"]);
  await Promise.all(Array.from({ length: 8 }, () => first(box, id)));
  const walk = walker(box);
  const numbers = Array.from({ length: 100 }, (_, i) => `${i}`);
  const results = await Promise.all(numbers.map((i) => walk(at(box, "exec", id, "echo", i))));
  assert.deepEqual(results.map(({ stdout }) => stdout.trim()), numbers);
  assert.deepEqual(new Set(results.map(({ code }) => code)), new Set([0]));
  await box.ok(["delete", "--force", id]);
}, EVERYWHERE_THE_SAME);

test("an init that goes into a group of its own takes the next exec with it", async (box) => {
  const id = await ready(box);
  const pid = Number((await box.state(id)).pid);
  const [, own] = Deno.readTextFileSync(`/proc/${pid}/cgroup`).match(/^0::(.+)$/m)!;
  const mount = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"]
    .find((path) => exists(`${path}${own}/cgroup.procs`))!;
  Deno.mkdirSync(`${mount}${own}/below`);
  Deno.writeTextFileSync(`${mount}${own}/below/cgroup.procs`, `${pid}`);
  const walk = walker(box);
  assert.deepEqual(await walk(at(box, "exec", id, "true")), ASKED);
  assert(!exists(`${box.root}/${id}/exec`));
  await first(box, id);
  const { stdout } = await same(
    box,
    id,
    "sh",
    "-c",
    "read -r _ </proc/1/cgroup; cat /proc/self/cgroup",
  );
  assert.match(stdout, /^0::.*\/below$/m);
  await box.ok(["delete", "--force", id]);
});

test("the exec of a container in a user namespace is crate's", async (box) => {
  Deno.chmodSync(box.directory, 0o755);
  for (const name of ["proc", "dev"]) Deno.mkdirSync(`${box.rootfs}/${name}`);
  const mapping = { containerID: 0, hostID: 100_000, size: 65536 };
  await launchBundle(box, "u", "exec sleep 1000", {
    linux: {
      namespaces: [{ type: "user" }, { type: "mount" }, { type: "pid" }, { type: "uts" }],
      uidMappings: [mapping],
      gidMappings: [mapping],
    },
  });
  await first(box, "u");
  assert(!exists(`${box.root}/u/exec`));
  assert.deepEqual(await walker(box)(at(box, "exec", "u", "true")), ASKED);
  await box.ok(["delete", "--force", "u"]);
});
