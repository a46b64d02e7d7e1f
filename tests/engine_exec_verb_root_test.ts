import assert from "node:assert/strict";
import { exists } from "../ffi/mod.ts";
import type { Process } from "../lib/spec/mod.ts";
import { launchBundle } from "./support/bundle.ts";
import {
  EVERYWHERE_THE_SAME,
  reapOrphans,
  Running,
  type Sandbox,
  stateIn,
  test,
  until,
} from "./support/mod.ts";
import { ASKED, at, DONE, itself, makeLauncher, walker } from "./support/verbs.ts";

// What an engine executes twice is ready for the third time, as the launcher walks it: the same as crate's own.

const PROCESS: Process = {
  args: ["/bin/sh", "-c", "echo healthy; exit 3"],
  cwd: "/tmp",
  env: ["PATH=/bin", "A=b c"],
  user: { uid: 12, gid: 34, additionalGids: [56], umask: 0o77 },
  capabilities: { bounding: ["CAP_KILL"], permitted: ["CAP_KILL"], effective: [] },
  rlimits: [{ type: "RLIMIT_NOFILE", soft: 100, hard: 200 }],
  noNewPrivileges: true,
};

/** A file with a process, as engines write it. */
function processFile(box: Sandbox, name: string, changes: Partial<Process> = {}): string {
  return box.file(name, JSON.stringify({ ...PROCESS, ...changes }));
}

/** The words of an exec as engines write them, and where the pid is then. */
function words(box: Sandbox, file: string, pidFile = box.path("pid")): string[] {
  return ["exec", "--process", file, "--pid-file", pidFile, "--detach", "e"];
}

/** A container in which the same was executed twice. */
async function ready(box: Sandbox, file: string): Promise<void> {
  await launchBundle(box, "e", "exec sleep 1000");
  for (const isReady of [false, true]) {
    const { code, stderr } = await itself(box, words(box, file));
    assert.deepEqual([code, stderr, exists(`${box.root}/e/engine-exec`)], [0, "", isReady]);
  }
}

/** How a process has ended that was left to this one, waitid(2): its exit code. */
async function endOf(pid: number): Promise<number> {
  const stat = await until("its end", () => {
    const fields = Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ")[1]!.split(" ");
    return fields[0] === "Z" ? fields : undefined;
  });
  reapOrphans();
  assert.equal(Number(stat[1]), Deno.pid, "it was given to the nearest subreaper");
  return Number(stat[49]) >> 8;
}

/** What a process of the file says and how it ends, executed by crate or by the launcher. */
async function said(box: Sandbox, file: string, walks: boolean): Promise<string> {
  const out = box.path("out");
  const path = box.path("pid");
  const script = '"$@" </dev/null >"$OUT" 2>&1';
  const line = box.commandLine(["--log-level", "warn", ...words(box, file)]);
  const command = walks ? [box.path("launcher"), ...at(box, ...words(box, file))] : line.words;
  const env = { ...line.env, OUT: out };
  assert.deepEqual(
    await new Running(["bash", "-c", script, "bash", ...command], { env }).ended,
    DONE,
  );
  const text = Deno.readTextFileSync(path);
  assert.match(text, /^[1-9]\d*$/);
  assert.equal(Deno.statSync(path).mode! & 0o777, 0o644);
  assert(!exists(`${path}.new`));
  const code = await endOf(Number(text));
  Deno.removeSync(path);
  return `${Deno.readTextFileSync(out)}exit ${code}`;
}

test("what an engine executes for the third time is walked, and is the same", async (box) => {
  makeLauncher(box);
  const script = `cat /proc/self/status | grep -E '^(Uid|Gid|Groups|Cap|NoNew|Seccomp|Sig|Shd)'
cat /proc/self/limits /proc/self/oom_score_adj /proc/self/cgroup /proc/self/mountinfo; umask
for name in ipc mnt net pid uts cgroup user; do readlink /proc/self/ns/$name; done
cut -d' ' -f5-8 /proc/self/stat | sed "s/\\<$$\\>/own/g"; ls /proc/self/fd; pwd; env; id; exit 3`;
  const file = processFile(box, "process", { args: ["/bin/sh", "-c", script] });
  await ready(box, file);
  const walked = await said(box, file, true);
  assert.equal(walked, await said(box, file, false));
  assert.match(walked, /^uid=12 gid=34\S* groups=56$/m);
  assert.match(walked, /exit 3$/);
  // It is what the file says that counts, and not where that is.
  assert.equal(
    await said(
      box,
      processFile(box, "another name", JSON.parse(Deno.readTextFileSync(file))),
      true,
    ),
    walked,
  );
  await box.ok(["delete", "--force", "e"]);
  assert.deepEqual(stateIn(box.root), []);
});

test("something else is crate's to execute, and is ready when it comes again", async (box) => {
  const walk = walker(box);
  const [one, two] = [processFile(box, "one"), processFile(box, "two", { args: ["/bin/true"] })];
  await ready(box, one);
  const is = async (file: string, result: typeof DONE) =>
    assert.deepEqual({ ...await walk(at(box, ...words(box, file))), stdout: "" }, result);
  await is(one, DONE);
  for (const text of [`${Deno.readTextFileSync(one)} `, "", "{", Deno.readTextFileSync(two)]) {
    await is(box.file("else", text), ASKED);
  }
  await itself(box, words(box, two));
  await is(two, ASKED);
  await is(one, DONE);
  await itself(box, words(box, two));
  await is(two, DONE);
  await is(one, ASKED);
  reapOrphans();
  await box.ok(["delete", "--force", "e"]);
}, EVERYWHERE_THE_SAME);

test("a walked exec that fails leaves no pid, and crate says what is wrong", async (box) => {
  const walk = walker(box);
  const file = processFile(box, "process", { args: ["/bin/healthy"] });
  const link = `${box.rootfs}/bin/healthy`;
  Deno.writeTextFileSync(link, "#!/bin/sh\nexit 0\n", { mode: 0o755 });
  await ready(box, file);
  Deno.removeSync(link);
  Deno.removeSync(box.path("pid"));
  assert.deepEqual(await walk(at(box, ...words(box, file))), ASKED);
  assert(!exists(box.path("pid.new")));
  const { code, stderr } = await box.crate(words(box, file));
  assert.deepEqual([code, stderr], [
    127,
    "crate: /bin/healthy: no such file or directory in the container (nor, if it is a script, its interpreter)\n",
  ]);
  await box.ok(["pause", "e"]);
  assert.deepEqual(await walk(at(box, ...words(box, file))), ASKED);
  await box.ok(["resume", "e"]);
  reapOrphans();
  await box.ok(["delete", "--force", "e"]);
  assert.deepEqual(await walk(at(box, ...words(box, file))), ASKED);
}, EVERYWHERE_THE_SAME);

test("an engine's words are known in every form, and any others are crate's", async (box) => {
  const walk = walker(box);
  const file = processFile(box, "process", { args: ["/bin/true"] });
  await ready(box, file);
  const pid = box.path("a pid's file");
  const log = ["--log", box.path("log"), "--log-format", "json"];
  for (
    const known of [
      [...log, "exec", "-d", "-p", file, "--pid-file", pid, "e"],
      [
        `--log=${box.path("log")}`,
        "--log-format=json",
        "exec",
        `--process=${file}`,
        "--detach",
        `--pid-file=${pid}`,
        "e",
      ],
      ["--systemd-cgroup", "exec", "--pid-file", pid, "--process", file, "--detach", "e"],
    ]
  ) {
    assert.deepEqual(await walk(at(box, ...known)), DONE, known.join(" "));
    assert.match(Deno.readTextFileSync(pid), /^\d+$/);
    Deno.removeSync(pid);
    reapOrphans();
  }
  // The longest path that there is with the suffix under which it is written, and one that is longer.
  for (const [size, result] of [[4091, DONE], [4092, ASKED]] as const) {
    const parts = Math.floor((size - pid.length - 1) / 200) - 1;
    const folder = `${box.path("deep")}${`/${"d".repeat(199)}`.repeat(parts)}`;
    // Each step is short enough for the kernel, and so is what is left.
    Deno.mkdirSync(folder, { recursive: true });
    const left = size - folder.length - 1;
    const long = `${folder}/${
      left > 255 ? `${"e".repeat(100)}/${"f".repeat(left - 101)}` : "f".repeat(left)
    }`;
    Deno.mkdirSync(long.slice(0, long.lastIndexOf("/")), { recursive: true });
    assert.deepEqual([long.length, await walk(at(box, ...words(box, file, long)))], [size, result]);
  }
  for (
    const others of [
      ["exec", "--process", file, "--pid-file", pid, "e"],
      ["exec", "--process", file, "--detach", "e"],
      ["exec", "--detach", "--pid-file", pid, "e"],
      ["exec", "--process", "process", "--pid-file", pid, "--detach", "e"],
      ["exec", "--process", file, "--pid-file", "pid", "--detach", "e"],
      ["exec", "--process", file, "--pid-file", pid, "--detach", "e", "true"],
      ["exec", "--process", file, "--pid-file", pid, "--detach"],
      ["exec", "--process", file, "--pid-file", pid, "--detach", "--console-socket", "/x", "e"],
      ["exec", "--process", file, "--pid-file", pid, "--detach", "--preserve-fds", "1", "e"],
      ["exec", "--process", "/nonexistent", "--pid-file", pid, "--detach", "e"],
      ["exec", "--process", file, "--pid-file", "/nonexistent/pid", "--detach", "e"],
    ]
  ) {
    assert.deepEqual(await walk(at(box, ...others)), ASKED, others.join(" "));
    assert(!exists(pid));
  }
  reapOrphans();
  await box.ok(["delete", "--force", "e"]);
}, EVERYWHERE_THE_SAME);
