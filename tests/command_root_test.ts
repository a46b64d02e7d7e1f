// Not in the virtual machine: what words mean is the same on every kernel
import assert from "node:assert/strict";
import { assertEnded, test, until } from "./support/mod.ts";

// The command around containers: configuration, messages, --explain, files it writes.

test("crate config prints each value and where it comes from", async (box) => {
  const file = box.file("c.toml", '[cgroup]\n\nmemory_limit = "64m"\n[log]\nlevel = "info"\n');
  const env = { CRATE_LOG_LEVEL: "error", CRATE_CGROUP_PIDS_MAX: "7" };
  const text = await box.ok(["--config", file, "config"], { env });
  for (
    const line of [
      `root = "${box.root}" # --root`,
      `memory_limit = 67108864 # ${file}:3`,
      'level = "error" # CRATE_LOG_LEVEL',
      "pids_max = 7 # CRATE_CGROUP_PIDS_MAX",
      "enable_seccomp = true # default",
      `parent = "${box.cgroupParent}" # CRATE_CGROUP_PARENT`,
    ]
  ) assert.ok(text.split("\n").includes(line), `${line} in\n${text}`);
  const json = JSON.parse(await box.ok(["--config", file, "config", "--format", "json"]));
  assert.deepEqual(json.log.level, { value: "info", origin: `${file}:5` });
  // What it prints is a configuration again.
  const again = box.file("again.toml", text);
  assert.match(await box.ok(["--config", again, "config"]), /^memory_limit = 67108864 # .*again/m);
});

test("the user's own configuration file is read, and --config goes over it", async (box) => {
  box.mkdir("xdg/crate");
  box.file("xdg/crate/config.toml", "[security]\nread_only_rootfs = true\n");
  const env = { XDG_CONFIG_HOME: box.path("xdg") };
  const words = [
    "run",
    "--rm",
    "-r",
    box.rootfs,
    "sh",
    "-c",
    "(echo x >/x) 2>/dev/null || echo ro",
  ];
  assert.equal(await box.ok(words, { env }), "ro");
  const file = box.file("c.toml", "[security]\nread_only_rootfs = false\n");
  assert.equal(await box.ok(["--config", file, ...words], { env }), "");
});

test("--explain prints the program and makes nothing", async (box) => {
  const words = ["run", "--explain", "--name", "none", "--memory", "64m", "-r", box.rootfs];
  const text = await box.ok([...words, "/bin/echo", "hello"]);
  for (
    const part of [
      "clone3",
      "pivot_root",
      "mount proc on /proc",
      '"/bin/echo"',
      "no_new_privs",
      "capset",
      "load the seccomp filter",
    ]
  ) assert.ok(text.includes(part), `${part} in the program`);
  assert.ok(text.split("\n").every((line) => line.length > 0), "a line a step");
  assert.ok(text.indexOf("seccomp") < text.lastIndexOf("execve"));
  assert.throws(() => Deno.statSync(box.root), Deno.errors.NotFound);
  assert.equal(await box.ok(["list", "-q"]), "");
  // Not the directories of --keep either.
  await box.ok(["run", "--explain", "--keep", box.path("keep"), "/bin/true"]);
  assert.throws(() => Deno.statSync(box.path("keep")), Deno.errors.NotFound);
});

test("--cidfile and --pid-file say who it is, on the host", async (box) => {
  const files = ["--cidfile", box.path("id"), "--pid-file", box.path("pid")];
  const id = await box.ok(["run", "-d", ...files, "-r", box.rootfs, "sleep", "100"]);
  assert.equal(Deno.readTextFileSync(box.path("id")), id);
  const pid = Deno.readTextFileSync(box.path("pid"));
  assert.equal(Number(pid), await box.running(id));
  assert.equal(Deno.readTextFileSync(`/proc/${pid}/comm`), "sleep\n");
  await box.ok(["delete", "--force", id]);

  const fresh = ["--cidfile", box.path("id2"), "--pid-file", box.path("pid2")];
  const running = box.start(["run", ...fresh, "-r", box.rootfs, "sh", "-c", "echo up; read x"], {
    input: { open: true },
  });
  await running.printed("up");
  const own = Deno.readTextFileSync(box.path("id2"));
  await until(
    "the pid",
    async () => Deno.readTextFileSync(box.path("pid2")) === String(await box.running(own)),
  );
  await running.closeInput();
  await running.ended;
  await box.ok(["delete", own]);
});

test("labels and annotations are in the state", async (box) => {
  const options = ["-l", "tier=front", "--label", "empty", "--annotation", "org.example=a=b"];
  const id = await box.detached("exit 0", options);
  assert.deepEqual((await box.state(id)).annotations, {
    tier: "front",
    empty: "",
    "org.example": "a=b",
  });
  await until("its end", async () => (await box.state(id)).status === "stopped");
  await box.ok(["delete", id]);
});

test("--log writes messages to a file, an error to standard error too", async (box) => {
  const log = box.path("log");
  const words = ["--log", log, "--debug", "run", "--rm", "-r", box.rootfs, "true"];
  assertEnded(await box.crate(words), {});
  assert.match(Deno.readTextFileSync(log), /^\d{4}-\d\d-\d\dT\S+Z debug .* runs as pid \d+\n$/);
  const json = ["--log", box.path("json"), "--log-format", "json", "run", "--rm", "-r", box.rootfs];
  const { code, stderr } = await box.crate([...json, "/none"]);
  assert.equal(code, 127);
  assert.match(stderr, /^crate: \/none: no such file.*\n$/);
  const record = JSON.parse(Deno.readTextFileSync(box.path("json")));
  assert.deepEqual([record.level, record.msg.slice(0, 19)], ["error", "/none: no such file"]);
  assert.ok(Math.abs(Date.parse(record.time) - Date.now()) < 60_000);
});

test("help goes to standard output, in 80 columns, with examples; so does the version", async (box) => {
  const commands = ["run", "exec", "list", "state", "logs", "stop", "kill", "delete", "config"];
  for (const words of [["--help"], ["help"], ...commands.map((name) => [name, "--help"])]) {
    const { code, stdout, stderr } = await box.crate(words);
    assert.deepEqual([code, stderr], [0, ""], words.join(" "));
    assert.match(stdout, /^Usage: crate/);
    assert.match(stdout, /\nExamples:\n/);
    for (const line of stdout.split("\n")) assert.ok(line.length <= 80, line);
  }
  assert.match(await box.ok(["--version"]), /^crate \d+\.\d+\.\d+/);
  assert.equal(await box.ok(["version"]), await box.ok(["--version"]));
});

test("a crate without a word prints its help to standard error and exits with 2", async (box) => {
  const { code, stdout, stderr } = await box.crate([]);
  assert.deepEqual([code, stdout], [2, ""]);
  assert.match(stderr, /^Usage: crate/);
});

test("crate is started from any directory, by a link, and by its name alone", async (box) => {
  const words = ["run", "--rm", "-r", box.rootfs, "echo", "here"];
  assert.equal((await box.host('cd / && "$@"', words)).stdout, "here\n");
  const link = box.path("crate");
  const script = `ln -s "$1" ${link}; shift; PATH=${box.directory}:$PATH crate "$@"`;
  assert.equal((await box.host(script, words)).stdout, "here\n");
});
