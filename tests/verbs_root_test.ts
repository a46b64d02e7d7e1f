import assert from "node:assert/strict";
import { exists, LOCK_EX, O_DIRECTORY, O_RDONLY, open, syscall } from "../ffi/mod.ts";
import { create, launchBundle, makeBundle } from "./support/bundle.ts";
import {
  EVERYWHERE_THE_SAME,
  type Result,
  type Sandbox,
  stateIn,
  test,
  until,
} from "./support/mod.ts";
import { ASKED, at, DONE, ended, itself, walker } from "./support/verbs.ts";

// What a created container has ready, as the launcher walks it: the same as crate's own verbs, and left to
// crate wherever it is not the usual case.

test("a container's verbs do and say what crate's own do", async (box) => {
  const walk = walker(box);
  const bundle = makeBundle(box, "v", "trap 'echo term; exit 3' TERM; echo up; sleep 100 & wait", {
    spec: { annotations: { "with é": 'and "quotes"\n' } },
  });
  const same = async (status: string) => {
    const walked = await walk(at(box, "state", "v"));
    assert.deepEqual(walked, await itself(box, ["state", "v"]));
    assert.deepEqual([walked.code, JSON.parse(walked.stdout).status], [0, status]);
  };
  const creation = await create(box, "v", bundle);
  assert.deepEqual([creation.code, creation.stderr], [0, ""]);
  await same("created");
  assert.deepEqual(await walk(at(box, "start", "v")), DONE);
  await until("it runs", () => creation.output() === "up\n");
  await same("running");
  await box.ok(["pause", "v"]);
  await same("paused");
  await box.ok(["resume", "v"]);
  assert.deepEqual(await walk(at(box, "delete", "v")), ASKED);
  await same("running");
  assert.deepEqual(await walk(at(box, "kill", "v", "TERM")), DONE);
  await until("it says so", () => creation.output() === "up\nterm\n");
  await ended(box, "v");
  await same("stopped");
  for (const words of [["start", "v"], ["kill", "v"], ["kill", "v", "15"]]) {
    assert.deepEqual(await walk(at(box, ...words)), ASKED);
  }
  assert.deepEqual(await walk(at(box, "delete", "v")), DONE);
  assert(!exists(`${box.root}/v`));
  assert.deepEqual(await walk(at(box, "delete", "v")), ASKED);
  assert.deepEqual(stateIn(box.root), []);
});

test("a paused container is killed, and goes on so that it can end", async (box) => {
  const walk = walker(box);
  await launchBundle(box, "f", "exec sleep 100");
  await box.ok(["pause", "f"]);
  assert.deepEqual(await walk(at(box, "kill", "f", "TERM")), DONE);
  assert.equal((await box.state("f")).status, "paused");
  assert.deepEqual(await walk(at(box, "kill", "f", "KILL")), DONE);
  await ended(box, "f");
  assert.deepEqual(await walk(at(box, "delete", "f")), DONE);
});

test("a signal is that of the words", async (box) => {
  const walk = walker(box);
  for (
    const [words, signal] of [
      [[], 9],
      [["9"], 9],
      [["KILL"], 9],
      [["SIGKILL"], 9],
      [["15"], 15],
      [["TERM"], 15],
      [["SIGTERM"], 15],
    ] as const
  ) {
    // It may not be the first of a pid namespace: that one takes no signal that it does not wait for.
    const namespaces = [{ type: "mount" }, { type: "uts" }] as const;
    const creation = await launchBundle(box, "s", "echo up; exec sleep 100", {
      linux: { namespaces: [...namespaces] },
    });
    await until("it runs", () => creation.output() === "up\n");
    const { pid } = await box.state("s");
    assert.deepEqual(await walk(at(box, "kill", "s", ...words)), DONE);
    const info = await until("its end", () => endOf(Number(pid)));
    assert.equal(info, signal, words.join());
    assert.deepEqual(await walk(at(box, "delete", "--force", "s")), DONE);
  }
}, EVERYWHERE_THE_SAME);

/** The signal that has ended a child of this process. proc(5), field 52 */
function endOf(pid: number): number | undefined {
  const fields = Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ")[1]!.split(" ");
  return fields[0] === "Z" ? Number(fields[49]) : undefined;
}

test("a start that fails is told as crate tells it, and once", async (box) => {
  const walk = walker(box);
  Deno.writeTextFileSync(`${box.rootfs}/bin/data`, "no program", { mode: 0o755 });
  const bundle = makeBundle(box, "bad", "", { process: { args: ["/bin/data"] } });
  const start = async (how: () => Promise<Result>) => {
    await create(box, "bad", bundle);
    const result = await how();
    await ended(box, "bad");
    const { stderr } = await itself(box, ["start", "bad"]);
    assert.match(stderr, /container "bad" cannot be started: it has ended/);
    assert.deepEqual(await walk(at(box, "delete", "bad")), DONE);
    return result;
  };
  const expected = await start(() => itself(box, ["start", "bad"]));
  assert.match(expected.stderr, /\/bin\/data: cannot be executed: ENOEXEC/);
  const told = await start(async () => {
    assert.deepEqual(await walk(at(box, "start", "bad")), ASKED);
    return await itself(box, ["start", "bad"]);
  });
  assert.deepEqual(told, expected);
  assert.deepEqual(await start(() => box.crate(["start", "bad"])), expected, "the launcher");
}, EVERYWHERE_THE_SAME);

test("what is more than the usual is left to crate, and changes nothing", async (box) => {
  const walk = walker(box);
  const hook = { path: "/bin/sh", args: ["sh", "-c", `echo hook >>${box.path("hooked")}`] };
  const script = "exec sleep 100";
  await create(box, "a", makeBundle(box, "a", script, { hooks: { poststart: [hook] } }));
  assert.deepEqual(await walk(at(box, "start", "a")), ASKED);
  const inside = { path: "/bin/true" };
  await create(box, "b", makeBundle(box, "b", script, { hooks: { startContainer: [inside] } }));
  assert.deepEqual(await walk(at(box, "start", "b")), ASKED);
  await launchBundle(box, "c", "true", { hooks: { poststop: [hook] } });
  await ended(box, "c");
  assert.deepEqual(await walk(at(box, "delete", "c")), ASKED);
  await box.ok(["delete", "c"]);
  assert.equal(Deno.readTextFileSync(box.path("hooked")), "hook\n");

  await create(box, "d", makeBundle(box, "d", script));
  await box.ok(["pause", "d"]);
  assert.deepEqual(await walk(at(box, "start", "d")), ASKED, "it would not answer");
  await box.ok(["resume", "d"]);
  const lock = open(`${box.root}/d`, O_RDONLY | O_DIRECTORY);
  syscall("flock", lock, LOCK_EX);
  assert.deepEqual(await walk(at(box, "start", "d")), ASKED, "somebody changes it");
  syscall("close", lock);
  // What was made of an older container of this name.
  Deno.renameSync(`${box.root}/d`, `${box.root}/e`);
  assert.deepEqual(await walk(at(box, "start", "e")), ASKED, "it is another directory");
  Deno.renameSync(`${box.root}/e`, `${box.root}/d`);
  assert.deepEqual(await walk(at(box, "start", "d")), DONE);

  await launchBundle(box, "f", "true");
  await ended(box, "f");
  const group = groupsOf(box, "f")[0]!;
  Deno.mkdirSync(`${group}/left`);
  assert.deepEqual(await walk(at(box, "delete", "f")), ASKED, "something is in its group");
  assert.equal((await box.state("f")).status, "stopped");
  await box.ok(["delete", "f"]);
  assert(!exists(group));
  for (const id of ["a", "b", "d"]) await box.ok(["delete", "--force", id]);
}, EVERYWHERE_THE_SAME);

test("words, variables and files that may mean more are crate's", async (box) => {
  const walk = walker(box);
  await create(box, "w", makeBundle(box, "w", "exec sleep 100"));
  for (
    const words of [
      ["state"],
      ["state", "w", "w"],
      ["state", "--help"],
      ["state", ""],
      ["state", "."],
      ["state", "../state/w"],
      ["start", "w", "x"],
      ["start", "--", "w"],
      ["kill", "--all", "w"],
      ["kill", "w", "INT"],
      ["kill", "w", "KILL", "more"],
      ["delete"],
      ["delete", "--regex", "w"],
      ["delete", "w", "--force"],
      ["inspect", "w"],
      ["--debug", "state", "w"],
      ["--config", "/nonexistent", "state", "w"],
      ["--log", "syslog:x", "state", "w"],
      ["--log=journald:", "state", "w"],
      ["--log-format", "xml", "state", "w"],
      ["--log-format=xml", "state", "w"],
      ["--root", "relative", "state", "w"],
      ["--root", box.root],
      ["--log"],
    ]
  ) {
    assert.deepEqual(await walk(at(box, ...words)), ASKED, words.join(" "));
  }
  assert.deepEqual(await walk(["--root"]), ASKED);
  assert.deepEqual(await walk([]), ASKED);
  const state = await walk(at(box, "state", "w"));
  assert.equal(state.code, 0);
  for (
    const words of [
      [`--root=${box.root}`],
      ["--log-format", "json", "--root", box.root],
      ["--log-format=text", "--systemd-cgroup", `--root=${box.root}`],
    ]
  ) {
    assert.deepEqual(await walk([...words, "state", "w"]), state, words.join(" "));
  }
  // A state that cannot be written whole is told to the log; what the others cannot do, crate is asked for.
  for (const log of [["--log", box.path("log")], ["--log=/dev/null"]]) {
    const words = [...log, "--log-format", "json", "--root", box.root];
    assert.deepEqual(await walk([...words, "state", "w"]), ASKED);
    assert.deepEqual(await walk([...words, "kill", "w", "TERM"]), DONE);
  }
  for (const name of ["ROOT", "LOG_FILE", "LOG_FORMAT", "LOG_LEVEL"]) {
    assert.deepEqual(await walk(at(box, "state", "w"), { [`CRATE_${name}`]: "x" }), ASKED, name);
  }
  assert.deepEqual(await walk(at(box, "start", "w"), { NOTIFY_SOCKET: "/nonexistent" }), ASKED);
  const [config, home] = [box.mkdir("config/crate"), box.mkdir("home/.config/crate")];
  for (const folder of [config, home]) Deno.writeTextFileSync(`${folder}/config.toml`, "");
  for (const XDG_CONFIG_HOME of [box.path("config"), "", "relative"]) {
    const env = { XDG_CONFIG_HOME, HOME: box.path("home") };
    assert.deepEqual(await walk(at(box, "state", "w"), env), ASKED, XDG_CONFIG_HOME);
  }
  assert.deepEqual(await walk(at(box, "start", "w")), DONE);
  await box.ok(["delete", "--force", "w"]);
}, EVERYWHERE_THE_SAME);

test("where a socket's path is too long for an address, crate does without", async (box) => {
  const root = box.mkdir("x".repeat(100));
  const words = ["--root", root];
  const bundle = makeBundle(box, "l", "exec sleep 100");
  const out = box.path("out");
  const created = await box.host(`"$@" </dev/null >${out} 2>&1`, [
    ...words,
    "create",
    "--bundle",
    bundle,
    "l",
  ]);
  assert.equal(created.code, 0, Deno.readTextFileSync(out));
  assert(!exists(`${root}/l/verbs`));
  await box.ok([...words, "start", "l"]);
  assert.equal(JSON.parse(await box.ok([...words, "state", "l"])).status, "running");
  await box.ok([...words, "delete", "--force", "l"]);
});

/** The directories of a container's groups. */
function groupsOf(box: Sandbox, id: string): string[] {
  const mounts = Deno.readTextFileSync("/proc/mounts").matchAll(/^\S+ (\S+) cgroup2? /gm);
  return [...mounts].map(([, mount]) => `${mount}${box.cgroupParent}/${id}`).filter(exists);
}
