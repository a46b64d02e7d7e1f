// Not in the virtual machine: images know nothing of cgroups
import assert from "node:assert/strict";
import { close, LOCK_EX, O_RDWR, open, syscall } from "../ffi/mod.ts";
import { BUSYBOX, makeImage, type TestConfig, type TestLayer } from "./support/image.ts";
import { type Sandbox, stateIn, test, until } from "./support/mod.ts";
import { execute } from "./support/registry.ts";
import {
  deleteOthers,
  killedAfter,
  nothingLeft,
  plain,
  ready,
  readyIn,
  readyOfRunning,
  walk,
  walked,
} from "./support/run_verb.ts";
import { ASKED, breakSteps, CRATE_IS_ASKED, DONE, itself } from "./support/verbs.ts";

// A `crate run` of an image that the launcher walks: the same as crate's own, and what it needs of the store stays there.

/** What most images have: places for what is mounted. */
const PLACES = { "dev/.keep": "", "proc/.keep": "", "sys/.keep": "", "mark": "" };
const LINKS = Object.fromEntries(
  ["touch", "cut", "grep", "sort"].map((name) => [`bin/${name}`, "->busybox"]),
);

async function withImage(box: Sandbox, name: string, config: TestConfig = {}): Promise<void> {
  const layers: TestLayer[] = [{ ...BUSYBOX, ...PLACES, ...LINKS }, {
    "data/first": `of ${name}\n`,
  }];
  const from = await makeImage(box.path(`image-${name}`), layers, config);
  const archive = box.path(`${name}.tar`);
  await execute(["skopeo", "copy", "-q", from, `docker-archive:${archive}:example.test/${name}:1`]);
  await box.ok(["load", "-q", "-i", archive]);
  await box.ok(["tag", `example.test/${name}:1`, name]);
}

function namesIn(box: Sandbox, folder: "containers" | "pins" | "tmp"): string[] {
  try {
    return [...Deno.readDirSync(`${box.imageRoot}/crate/${folder}`)].map(({ name }) => name);
  } catch {
    return [];
  }
}

const SHOW = `exec 2>&1; id; pwd; env | sort; cat /proc/self/status | grep -E '^(Cap|NoNew|Seccomp)'
cat /proc/self/mountinfo | cut -d' ' -f4-; ls /; ls -lan /etc /dev; cat /data/first; ls /proc/self/fd; sleep 0.5`;

/** What comes of chance in the store's paths. */
const unnamed = (text: string) => text.replaceAll(/containers\/[0-9a-f]{16}/g, "containers/HEX");

test("a run of an image is walked for the third time, and is the same", async (box) => {
  await withImage(box, "plain");
  await withImage(box, "whole", {
    entrypoint: ["/bin/sh", "-c"],
    cmd: [SHOW],
    env: ["PATH=/bin", "A=b c"],
    workingDir: "/data",
    user: "app",
  });
  const calls = [
    ["run", "--name", "web", "-w", "/data", "--memory", "64m", "plain", "sh", "-c", SHOW],
    ["run", "--rm", "--read-only", "whole", `echo more; ${SHOW}`],
  ];
  for (const words of calls) {
    const isKept = words.includes("--name");
    const remove = async () => isKept && await box.ok(["delete", "web"]);
    await ready(box, words, remove);
    const seen: string[] = [];
    for (const start of [() => walk(box, words).ended, () => itself(box, words)]) {
      const before = namesIn(box, "containers");
      const ended = start();
      const id = await until("it runs", () => {
        const found = stateIn(box.root).find((name) => !name.startsWith("."));
        return found !== undefined &&
            namesIn(box, "pins").some((name) => name.endsWith(`-${found}`))
          ? found
          : undefined;
      });
      const record = Deno.readTextFileSync(`${box.root}/${id}/container.json`);
      const [own] = namesIn(box, "containers").filter((name) => !before.includes(name));
      assert(record.includes(`/containers/${own}/upper`), record);
      const directory = `${box.imageRoot}/crate/containers/${own}`;
      const [pin] = namesIn(box, "pins").filter((name) => name.endsWith(`-${id}`));
      const note = Deno.readTextFileSync(`${box.imageRoot}/crate/pins/${pin}`);
      const owner = Deno.readTextFileSync(`${directory}/owner`);
      const modes = ["", "owner", "upper", "work"].map((name) => {
        const { mode, uid, gid } = Deno.statSync(`${directory}/${name}`);
        return [name, mode, uid, gid];
      });
      const { code, stdout, stderr } = await ended;
      assert.deepEqual([code, stderr], [0, ""]);
      const all = [record, note, owner, stdout].map((text) => plain(unnamed(text)));
      seen.push(JSON.stringify([...all, modes], null, 1));
      await remove();
      await nothingLeft(box);
    }
    assert.deepEqual(seen[0]!.split("\\n"), seen[1]!.split("\\n"));
  }
  await until("nothing is left over", () => namesIn(box, "containers").length === 0);
});

test("the command of an image may be another one each time", async (box) => {
  await withImage(box, "plain");
  const run = ["run", "--rm", "plain"];
  await ready(box, [...run, "true"]);
  for (const command of [["echo", "one"], ["/bin/echo", "--rm", "two"], ["cat", "/data/first"]]) {
    const { stdout } = await box.crate([...run, ...command]);
    assert.deepEqual(await walk(box, [...run, ...command]).ended, { ...DONE, stdout });
  }
  assert.deepEqual(await walk(box, [...run, "nothing"]).ended, ASKED);
  assert.deepEqual(await walk(box, ["run", "--rm", "other", "true"]).ended, ASKED);
  assert.deepEqual(await walk(box, run).ended, ASKED);
});

test("what a walked container needs of the store stays, and what it wrote", async (box) => {
  await withImage(box, "plain");
  const words = ["run", "-d", "--name", "web", "plain", "sh", "-c", "echo kept >>/kept; sleep 100"];
  await ready(box, words, () => box.ok(["delete", "--force", "web"]));
  assert.deepEqual(await walk(box, words).ended, { ...DONE, stdout: "web\n" });
  const { stderr } = await box.crate(["rmi", "plain", "example.test/plain:1"]);
  assert.match(stderr, /web/);
  await box.ok(["prune"]);
  await until("it writes", async () => (await box.ok(["diff", "web"])).includes("A /kept"));
  await box.ok(["stop", "-t", "0", "web"]);
  await box.ok(["prune"]);
  await box.ok(["start", "web"]);
  await until(
    "it is started again",
    async () => (await box.crate(["exec", "web", "cat", "/kept"])).stdout === "kept\nkept\n",
  );
  await box.ok(["rename", "web", "other"]);
  await box.ok(["commit", "-q", "other", "made"]);
  assert.equal(await box.ok(["run", "--rm", "made", "cat", "/kept"]), "kept\nkept");
  await box.ok(["delete", "--force", "other"]);
  await until("all is given back", async () => {
    await box.ok(["prune"]);
    return namesIn(box, "containers").length + namesIn(box, "pins").length === 0;
  });
});

test("where the store is not as it was, crate is asked", async (box) => {
  await withImage(box, "plain");
  const words = ["run", "--rm", "plain", "true"];
  const store = `${box.imageRoot}/crate`;
  const again = async () => {
    await box.ok(words);
    assert(await walked(box, words));
  };
  const changes = [
    () => box.ok(["tag", "plain", "more"]),
    () => box.ok(["rmi", "more"]),
    () => Promise.resolve(Deno.writeTextFileSync(`${store}/version`, "1\n")),
  ];
  await ready(box, words);
  for (const [i, change] of changes.entries()) {
    await change();
    assert(!await walked(box, words), `change ${i}`);
    await again();
  }
  // Somebody changes the store just now.
  const lock = open(`${store}/lock`, O_RDWR);
  syscall("flock", lock, LOCK_EX);
  assert(!await walked(box, words));
  close(lock);
  assert(await walked(box, words));
  await box.ok(["rmi", "--force", "plain"]);
  assert(!await walked(box, words));
});

test("of what walked containers leave there is never much", async (box) => {
  await withImage(box, "plain");
  const words = ["run", "--rm", "plain", "touch", "/written"];
  await ready(box, words);
  let [asked, most] = [0, 0];
  for (let i = 0; i < 40; i++) {
    const { code } = await walk(box, words).ended;
    if (code === CRATE_IS_ASKED) {
      asked++;
      assert.deepEqual(await box.crate(words), DONE);
    } else assert.equal(code, 0);
    most = Math.max(most, namesIn(box, "containers").length);
  }
  assert(asked > 0 && asked < 10, `${asked} times`);
  assert(most < 40, `${most} were left`);
  await nothingLeft(box);
  await box.ok(["prune"]);
  assert.deepEqual(namesIn(box, "containers"), []);
});

test("whatever step of a walked run of an image fails, nothing of it is left", async (box) => {
  await withImage(box, "plain");
  const mark = box.file("mark", "");
  const words = ["run", "--rm", "-v", `${mark}:/mark`, "plain", "sh", "-c", "echo ran >>/mark"];
  await ready(box, words);
  const [file] = readyIn(box);
  let [done, left] = [0, 0];
  for (const i of breakSteps(file!)) {
    Deno.writeTextFileSync(mark, "");
    const { code, stdout, stderr } = await walk(box, words).ended;
    await nothingLeft(box);
    assert.deepEqual([stdout, stderr], ["", ""], `step ${i}`);
    const ran = Deno.readTextFileSync(mark);
    if (code === CRATE_IS_ASKED) {
      left++;
      assert.equal(ran, "", `step ${i}`);
      assert.deepEqual([namesIn(box, "pins"), namesIn(box, "tmp")], [[], []], `step ${i}`);
    } else {
      done++;
      assert(code === 137 || code === 0 && ran === "ran\n", `step ${i}: ${code}, ${ran}`);
    }
  }
  assert(done > 0 && left > 0, `${done} have run, ${left} were left to crate`);
  await box.ok(["prune"]);
  assert.deepEqual(namesIn(box, "containers"), []);
});

test("a walked run of an image that is killed at any moment gives all back", async (box) => {
  await withImage(box, "plain");
  const words = ["run", "--rm", "plain", "sleep", "100"];
  await readyOfRunning(box, words);
  const rounds = 12;
  for (let i = 0; i < rounds; i++) {
    await killedAfter(box, words, (i / rounds) * 0.02);
  }
  await deleteOthers(box);
  await nothingLeft(box);
  await box.ok(["prune"]);
  for (const folder of ["containers", "pins", "tmp"] as const) {
    assert.deepEqual(namesIn(box, folder), [], folder);
  }
});
