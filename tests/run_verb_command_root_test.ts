import assert from "node:assert/strict";
import { ANY_SLOTS, RUN_SLOTS } from "../lib/lifecycle/mod.ts";
import { EVERYWHERE_THE_SAME, test, until } from "./support/mod.ts";
import { nothingLeft, plain, ready, readyIn, walk, walked } from "./support/run_verb.ts";
import { DONE, itself } from "./support/verbs.ts";

// A `crate run` that the launcher walks though nobody has called it with that command before, only with those options.

/** Words of any kind, of which each is a command that prints them. */
const COMMANDS = [
  ["echo"],
  ["/bin/echo", "one", "", "three"],
  [
    "echo",
    'a "quoted" word',
    "back\\slash",
    "two\nlines\n",
    "a\ttab",
    "~ !#$%&'()*+,-./:;<=>?@[]^_`{|}",
  ],
  ["sh", "-c", 'for word in "$@"; do echo "$word"; done', "sh", '"', "\\", '\\"', '","', "\n"],
  ["./bin/echo", "a path"],
  ["bin/echo", "x".repeat(1900)],
  ["echo", ...Array.from({ length: 300 }, (_, i) => `${i}`)],
];

test("the command may be another one each time", async (box) => {
  const out = box.file("words");
  const options = ["--rm", "-d", "--name", "web", "-w", "/", "-v", `${out}:/words`];
  const before = ["run", ...options, "-r", box.rootfs];
  const script = '"$@" >/words; exec sleep 100';
  const remove = () => box.ok(["delete", "--force", "web"]);
  await ready(box, [...before, "sh", "-c", script, "sh", "true"], remove);
  for (const command of COMMANDS) {
    const words = [...before, "sh", "-c", script, "sh", ...command];
    const seen = [];
    for (const start of [() => walk(box, words).ended, () => itself(box, words)]) {
      assert.deepEqual(await start(), { ...DONE, stdout: "web\n" }, command.join(" "));
      const { spec } = JSON.parse(Deno.readTextFileSync(`${box.root}/web/container.json`));
      assert.deepEqual(spec.process.args, ["sh", "-c", script, "sh", ...command]);
      const pid = await box.running("web");
      const { monitor } = JSON.parse(Deno.readTextFileSync(`${box.root}/web/process.json`));
      assert.match(Deno.readTextFileSync(`/proc/${monitor.pid}/cmdline`), /^crate-monitor\0+$/);
      await until("sleep", () => Deno.readTextFileSync(`/proc/${pid}/cmdline`).startsWith("sleep"));
      const record = Deno.readTextFileSync(`${box.root}/web/container.json`);
      seen.push(plain(record), Deno.readTextFileSync(out));
      await remove();
    }
    assert.deepEqual(seen.slice(0, 2), seen.slice(2));
  }
  const foreground = ["run", "--rm", "-r", box.rootfs];
  await ready(box, [...foreground, "true"]);
  for (const command of COMMANDS) {
    const words = [...foreground, ...command];
    const { stdout } = await box.crate(words);
    assert.deepEqual(await walk(box, words).ended, { ...DONE, stdout }, command.join(" "));
  }
  assert.deepEqual(await walk(box, [...foreground, "sh", "-c", "exit 9"]).ended, {
    ...DONE,
    code: 9,
  });
  await nothingLeft(box);
}, EVERYWHERE_THE_SAME);

test("a walked command is seen in no process but its own", async (box) => {
  const before = ["run", "-d", "--rm", "--init", "--name", "web", "-r", box.rootfs];
  const remove = () => box.ok(["delete", "--force", "web"]);
  await ready(box, [...before, "sleep", "100"], remove);
  const words = [...before, "sh", "-c", "PASSWORD=horse; exec sleep 1234"];
  const seen = [];
  for (const start of [() => walk(box, words).ended, () => itself(box, words)]) {
    assert.deepEqual(await start(), { ...DONE, stdout: "web\n" });
    const lines = await until("sleep", async () => {
      const all = await box.ok([
        "exec",
        "web",
        "sh",
        "-c",
        "cat /proc/1/cmdline /proc/2/cmdline | tr '\\0' ' '",
      ]);
      return all.includes("sleep 1234") ? all : undefined;
    });
    assert(!lines.includes("horse"), lines);
    seen.push(lines.replaceAll(/ +/g, " "));
    const { monitor } = JSON.parse(Deno.readTextFileSync(`${box.root}/web/process.json`));
    assert.match(Deno.readTextFileSync(`/proc/${monitor.pid}/cmdline`), /^crate-monitor\0+$/);
    await remove();
  }
  assert.equal(seen[0], seen[1]);
}, EVERYWHERE_THE_SAME);

test("what may be no command, or cannot be written, is crate's", async (box) => {
  const inDirectory = ["run", "--rm", "-r", box.rootfs];
  const inView = ["run", "--rm"];
  // Whose words the others' begin with.
  await ready(box, [...inView, "/bin/true"]);
  await ready(box, [...inDirectory, "true"]);
  assert(await walked(box, [...inDirectory, "true"]));
  assert(await walked(box, [...inView, "/bin/true"]));
  for (
    const words of [
      // Nothing, nothing in it, an option, what is none.
      ...[[], [""], ["--read-only", "true"], ["--read-nothing", "true"], ["--", "true"], ["-"]],
      // A file that is not there, or cannot be executed.
      ...[["nothing"], ["/nothing"], ["/etc"], ["/etc/passwd"], ["bin"], ["a/../true"]],
      // Letters that JSON has in other ways, or UTF-8 may not have.
      ...[["echo", "ä"], ["echo", "\x01"], ["echo", "\r"], ["echo", "\x7f"]],
      ...[["echo", "x".repeat(2048)], ["echo", ..."x".repeat(1100)]],
    ]
  ) {
    assert(!await walked(box, [...inDirectory, ...words]), words.join(" "));
  }
  // An image, or not from the root on.
  for (const words of [[], ["true"], ["bin/true"], ["./bin/true"], ["-r", "/", "/bin/true"]]) {
    assert(!await walked(box, [...inView, ...words]), words.join(" "));
  }
  assert(await walked(box, [...inView, "/bin/echo", "-r", "/", "true"]));
  assert(await walked(box, [...inDirectory, "true"]));
  await nothingLeft(box);
}, EVERYWHERE_THE_SAME);

test(
  "of calls with any command, those that were not for the longest time make room",
  async (box) => {
    const wordsFor = (i: number) => ["run", "--rm", "--label", `a=${i}`, "-r", box.rootfs, "true"];
    for (let i = 0; i < ANY_SLOTS; i++) await ready(box, wordsFor(i));
    assert.equal(readyIn(box).length, ANY_SLOTS);
    // Each goes on at the next ones.
    for (const i of [0, 3, ANY_SLOTS - 1]) assert(await walked(box, wordsFor(i)), `${i}`);
    await ready(box, wordsFor(ANY_SLOTS));
    assert(await walked(box, wordsFor(ANY_SLOTS)));
    assert(await walked(box, wordsFor(0)), "it was walked a moment before");
    assert(!await walked(box, wordsFor(1)), "nobody has asked for it since");
    // What is ready by all of its words comes first, and goes on at the others.
    const exact = ["run", "--rm", "-r", box.rootfs, "/bin/echo", "ä"];
    await ready(box, exact);
    assert(await walked(box, exact));
    const more = ["run", "--rm", "--label", "a=0", "-r", box.rootfs, "echo"];
    while (more.length % RUN_SLOTS !== exact.length % RUN_SLOTS) more.push("x");
    assert(await walked(box, more));
    // Where that has more words than the process's whole stack, too.
    const long = ["run", "--rm", "-r", box.rootfs, "/bin/echo", ..."x".repeat(2000)];
    while (long.length % RUN_SLOTS !== more.length % RUN_SLOTS) long.push("x");
    await ready(box, long);
    assert(await walked(box, long));
    for (let i = 0; i < 5; i++) assert(await walked(box, more));
    // Neither a directory nor a setting of another one is in the way.
    const words = ["run", "--rm", "-r", box.rootfs, "true"];
    const ways = [{}, { cwd: "/" }, { env: { CRATE_CGROUP_PIDS_MAX: "7" } }];
    for (const way of ways) {
      await ready(box, words, undefined, way);
    }
    for (const way of ways) assert(await walked(box, words, way), JSON.stringify(way));
    assert(!await walked(box, words, { env: { CRATE_CGROUP_PIDS_MAX: "8" } }));
    assert(!await walked(box, words, { env: { CRATE_IMAGE_ROOT: `/${"x".repeat(5000)}` } }));
    // What is ready stays, though crate itself runs one.
    const inodes = () => readyIn(box).map((file) => Deno.statSync(file).ino);
    const before = inodes();
    for (const words of [exact, wordsFor(0)]) {
      assert.equal((await box.crate(words, { env: { CRATE_LOG_LEVEL: "info" } })).code, 0);
    }
    assert.deepEqual(inodes(), before);
    await nothingLeft(box);
  },
  EVERYWHERE_THE_SAME,
);
