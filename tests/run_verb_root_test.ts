import assert from "node:assert/strict";
import { settingVariables } from "../lib/config/mod.ts";
import { ANY_SLOTS, RUN_SLOTS } from "../lib/lifecycle/mod.ts";
import {
  delay,
  EVERYWHERE_THE_SAME,
  groupDirectories,
  reapOrphans,
  stateIn,
  test,
  until,
} from "./support/mod.ts";
import { nothingLeft, plain, ready, walk, walked, wordsOf } from "./support/run_verb.ts";
import { ASKED, DONE, itself, makeLauncher, SCRIPT } from "./support/verbs.ts";

// What `crate run` was called with twice is ready for the third time, as the launcher walks it: the same as crate's own,
// and left to crate wherever it is not.

const SHOW =
  `cat /proc/self/status | grep -E '^(Uid|Gid|Groups|Cap|NoNew|Seccomp|Sig[PBIC]|Shd|Umask)'
cat /proc/self/limits /proc/self/oom_score_adj /proc/self/cgroup /proc/self/mountinfo; umask
cut -d' ' -f4-8 /proc/self/stat; ls -l /proc/self/fd; pwd; env; id; hostname; ls -lR /dev /etc; grep _ses /proc/keys
cat /proc/self/timerslack_ns /proc/self/personality`;

/** A container with much that is its own. */
const OPTIONS = [
  ...[
    "--memory",
    "64m",
    "--pids-limit",
    "100",
    "--cpu-shares",
    "512",
    "--ulimit",
    "nofile=100:200",
  ],
  ...[
    "--oom-score-adj",
    "100",
    "--cap-add",
    "NET_RAW",
    "--cap-drop",
    "CHOWN",
    "-e",
    "A=b c",
    "-w",
    "/tmp",
  ],
  ...[
    "--tmpfs",
    "/scratch",
    "--label",
    "a=b",
    "--stop-signal",
    "INT",
    "--sysctl",
    "net.ipv4.ip_forward=1",
  ],
];

test("a call for the third time is walked, and is the same", async (box) => {
  box.mkdir("volume");
  const options = ["--rm", ...OPTIONS, "-v", `${box.path("volume")}:/volume:ro`];
  const words = wordsOf(box, `exec 2>&1; ${SHOW}; sleep 0.3; exit 7`, options);
  await ready(box, words);
  const seen: string[] = [];
  for (const start of [() => walk(box, words).ended, () => itself(box, words)]) {
    const ended = start();
    const id = await until(
      "it runs",
      () => stateIn(box.root).find((name) => !name.startsWith(".")),
    );
    const directory = `${box.root}/${id}`;
    await until("it is recorded", () => {
      try {
        return Deno.statSync(`${directory}/process.json`);
      } catch {
        return undefined;
      }
    });
    const files = [...Deno.readDirSync(directory)].map(({ name }) => name).sort();
    const texts = ["container", "process"].map((name) =>
      Deno.readTextFileSync(`${directory}/${name}.json`)
    );
    const filter = Deno.readFileSync(`${directory}/filter`).toHex();
    const { init, monitor } = JSON.parse(texts[1]!);
    for (const { pid, startTime } of [init, monitor]) {
      const start = Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ")[1]!.split(" ")[19];
      assert.equal(String(startTime), start);
    }
    const { created } = JSON.parse(texts[0]!);
    const age = Date.now() - Date.parse(created);
    assert(age >= 0 && age < 20_000, created);
    const groups = groupDirectories(`${box.cgroupParent}/${id}`).flatMap((group) =>
      [
        "pids.max",
        "memory.max",
        "memory.limit_in_bytes",
        "cpu.shares",
        "cpu.weight",
        "devices.list",
      ]
        .flatMap((name) => {
          try {
            return [`${name} ${Deno.readTextFileSync(`${group}/${name}`)}`];
          } catch {
            return [];
          }
        })
    );
    const { code, stdout, stderr } = await ended;
    assert.deepEqual([code, stderr], [7, ""]);
    assert.match(stdout, new RegExp(`^${id!.slice(0, 12)}$`, "m"));
    const all = [files, texts.map(plain), filter, groups, plain(stdout)];
    seen.push(JSON.stringify(all, null, 1));
    await nothingLeft(box);
  }
  const [walkedOne, own] = seen as [string, string];
  const from = [...walkedOne].findIndex((letter, i) => letter !== own[i]);
  const near = (text: string) => text.slice(Math.max(0, from - 60), from + 60);
  assert(walkedOne === own, `${near(walkedOne)} / ${near(own)}`);
});

test("a walked container in the background is as any other", async (box) => {
  const words = wordsOf(box, "echo up; exec sleep 100", ["-d", "--name", "web"]);
  await ready(box, words, () => box.ok(["delete", "--force", "web"]));
  assert.deepEqual(await walk(box, words).ended, { ...DONE, stdout: "web\n" });
  const pid = await box.running("web");
  assert.equal(await box.logged("web", "up"), "up\n");
  assert.equal(await box.ok(["exec", "web", "echo", "hello"]), "hello");
  // The name is taken, which crate tells.
  assert.deepEqual(await walk(box, words).ended, ASKED);
  assert.match((await box.crate(words)).stderr, /the name "web" is in use by a running container/);
  assert.equal(await box.running("web"), pid);
  await box.ok(["stop", "-t", "1", "web"]);
  assert.equal((await box.state("web")).status, "stopped");
  await box.ok(["start", "web"]);
  await box.running("web");
  await box.ok(["delete", "--force", "web"]);
  await nothingLeft(box);
  // Without a name it is called what nobody else is.
  const unnamed = wordsOf(box, "exec sleep 100", ["-d", "--rm"]);
  await ready(box, unnamed);
  const ids = await Promise.all(Array.from({ length: 5 }, async () => {
    const { code, stdout } = await walk(box, unnamed).ended;
    assert.equal(code, 0);
    return stdout.trim();
  }));
  assert.equal(new Set(ids).size, 5);
  assert.deepEqual(stateIn(box.root).filter((id) => ids.includes(id)).length, 5);
  for (const id of stateIn(box.root)) await box.ok(["delete", "--force", id]);
  await nothingLeft(box);
}, EVERYWHERE_THE_SAME);

test("a walked container has its caller's descriptors, and its signals", async (box) => {
  const cat = wordsOf(box, "cat; echo err >&2; exit 3");
  await ready(box, cat);
  const ended = await walk(box, cat, { input: "some input" }).ended;
  assert.deepEqual(ended, { code: 3, stdout: "some input", stderr: "err\n" });
  const closed = wordsOf(box, "cat; echo none", ["--rm", "-i=false"]);
  await ready(box, closed);
  const none = await walk(box, closed, { input: "some input" }).ended;
  assert.deepEqual(none, { ...DONE, stdout: "none\n" });
  for (const signal of ["TERM", "INT", "HUP", "USR1", "QUIT"] as const) {
    const script = `trap 'echo got it; exit 8' ${signal}; echo up; while :; do sleep 0.01; done`;
    const words = wordsOf(box, script);
    for (let i = 0; i < 2; i++) {
      const own = box.start(words);
      await own.printed("up");
      own.signal(`SIG${signal}`);
      assert.equal((await own.ended).code, 8);
    }
    const run = walk(box, words);
    await run.printed("up");
    run.signal(`SIG${signal}`);
    assert.deepEqual(await run.ended, { code: 8, stdout: "up\ngot it\n", stderr: "" }, signal);
  }
  // From the launcher's first moment on.
  // As the first process it would not heed it.
  const sleep = wordsOf(box, "exec sleep 100", ["--rm", "--init"]);
  for (let i = 0; i < 2; i++) {
    const own = box.start(sleep);
    await until("it runs", () => stateIn(box.root).find((name) => !name.startsWith(".")));
    await delay(100);
    own.signal("SIGTERM");
    assert.equal((await own.ended).code, 143);
    await nothingLeft(box);
  }
  for (let i = 0; i < 20; i++) {
    const run = walk(box, sleep);
    await delay(i / 2);
    run.signal("SIGTERM");
    assert.equal((await run.ended).code, 143);
    await nothingLeft(box);
  }
}, EVERYWHERE_THE_SAME);

test("a call that is not the same in all is crate's", async (box) => {
  const words = wordsOf(box, "true", ["--rm", "--entrypoint", ""]);
  await ready(box, words);
  assert(await walked(box, words));
  assert(!await walked(box, [...words, "more"]));
  assert(!await walked(box, words.slice(0, -1)));
  assert(!await walked(box, [...words.slice(0, -1), "tru3"]));
  // As long in all.
  assert(!await walked(box, [...words.slice(0, -2), "-c true"]));
  assert(!await walked(box, words, { cwd: "/" }));
  assert(!await walked(box, words, { env: { CRATE_CGROUP_PIDS_MAX: "7" } }));
  assert(!await walked(box, words, { env: { CRATE_IMAGE_ROOT: "" } }));
  for (const name of ["CRATE_ROOT", "CRATE_LOG_LEVEL", "LISTEN_FDS", "NOTIFY_SOCKET"]) {
    assert(!await walked(box, words, { env: { [name]: "/x" } }), name);
  }
  box.mkdir("none/crate");
  box.file("none/crate/config.toml", "");
  assert(!await walked(box, words));
  Deno.removeSync(box.path("none/crate/config.toml"));
  assert(await walked(box, words));
  Deno.renameSync(box.rootfs, `${box.rootfs}.away`);
  assert(!await walked(box, words));
  Deno.writeTextFileSync(box.rootfs, "");
  assert(!await walked(box, words));
  Deno.removeSync(box.rootfs);
  Deno.renameSync(`${box.rootfs}.away`, box.rootfs);
  assert(await walked(box, words));
  // Descriptors may be the caller's.
  assert(!await walked(box, [...words, "--preserve-fds"]));
  // What cannot be executed is crate's to tell, each time.
  const wrong = ["run", "--rm", "-r", box.rootfs, "/bin/sh", "-c", "exit 0"];
  await ready(box, wrong);
  Deno.renameSync(`${box.rootfs}/bin/sh`, `${box.rootfs}/bin/sh.away`);
  assert(!await walked(box, wrong));
  assert.equal((await box.crate(wrong)).code, 127);
  Deno.renameSync(`${box.rootfs}/bin/sh.away`, `${box.rootfs}/bin/sh`);
  assert(await walked(box, wrong));
  await nothingLeft(box);
}, EVERYWHERE_THE_SAME);

test("calls of which the words do not say all are never made ready", async (box) => {
  box.file("environment", "A=1\n");
  makeLauncher(box);
  const calls = [
    ["--env-file", box.path("environment")],
    ["-e", "HOME"],
    ["--user", "1"],
    ["-t"],
    ["--pid-file", box.path("pid")],
    ["--privileged"],
    ["--device", "/dev/null"],
    ["--cap-add", "ALL"],
    ["--cpuset-cpus", "0"],
    ["--userns", "auto"],
    [
      "--init",
      "--security-opt",
      `seccomp=${box.file("profile", '{"defaultAction":"SCMP_ACT_ALLOW"}')}`,
    ],
  ];
  for (const options of calls) {
    const words = wordsOf(box, "true", ["--rm", ...options]);
    for (let i = 0; i < 2; i++) assert.equal((await box.crate(words)).code, 0, options.join(" "));
    assert(!await walked(box, words), options.join(" "));
  }
  reapOrphans();
}, EVERYWHERE_THE_SAME);

test("of what is ready no note says what the words were", async (box) => {
  const words = wordsOf(box, "true", ["--rm", "-e", "PASSWORD=horse-battery-staple"]);
  assert.deepEqual(await box.crate(words), DONE);
  const files = [...Deno.readDirSync(box.root)].filter(({ isFile }) => isFile).map(({ name }) =>
    name
  );
  assert.equal(files.length, 1);
  const note = `${box.root}/${files[0]}`;
  assert(!Deno.readTextFileSync(note).includes("horse"));
  assert.equal(Deno.statSync(note).mode! & 0o777, 0o600);
  await ready(box, words);
  // What nobody can use any more goes with the next that is made ready.
  const old = new Date(Date.now() - 2 * 86400_000);
  for (const { name, isFile } of Deno.readDirSync(box.root)) {
    if (isFile) Deno.utimeSync(`${box.root}/${name}`, old, old);
  }
  const others = wordsOf(box, "exit 0", ["--rm", "--label", "a=b"]);
  for (let i = 0; i < 2; i++) assert.deepEqual(await box.crate(others), DONE);
  const left = [...Deno.readDirSync(box.root)].filter(({ isFile }) => isFile).map(({ name }) =>
    Deno.readTextFileSync(`${box.root}/${name}`)
  );
  assert(left.length > 0 && !left.some((text) => text.includes("horse")));
}, EVERYWHERE_THE_SAME);

test("two calls of as many words take turns in being ready", async (box) => {
  const [one, two] = ["true one", "true two"].map((script) =>
    wordsOf(box, script, ["--rm", "--entrypoint", ""])
  ) as [string[], string[]];
  await ready(box, one);
  assert.deepEqual(await box.crate(two), DONE);
  assert(await walked(box, one));
  assert(!await walked(box, two));
  assert.deepEqual(await box.crate(two), DONE);
  assert(await walked(box, two));
  assert(!await walked(box, one));
}, EVERYWHERE_THE_SAME);

test(
  "the launcher knows all settings that a container depends on, and how many slots there are",
  () => {
    const script = Deno.readTextFileSync(SCRIPT);
    const words = settingVariables().map((name) => `\${${name}+x$${name}}`);
    assert(script.includes(`\n${words.join("|")}\nSETTINGS\n`));
    const any = Array.from({ length: ANY_SLOTS }, (_, i) => ` any-${i}`).join("");
    assert(script.includes(`$(($# % ${RUN_SLOTS}))${any};`));
    return Promise.resolve();
  },
  EVERYWHERE_THE_SAME,
);
