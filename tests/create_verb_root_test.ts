import assert from "node:assert/strict";
import { arch, exists, STEP_SIZE } from "../ffi/mod.ts";
import { syscallNumber } from "../ffi/syscalls.ts";
import type { Spec } from "../lib/spec/mod.ts";
import { type BundleChanges, engineSpec } from "./support/bundle.ts";
import {
  delay,
  EMULATED,
  EVERYWHERE_THE_SAME,
  groupDirectories,
  reapOrphans,
  type Result,
  Running,
  type Sandbox,
  stateIn,
  test,
  until,
} from "./support/mod.ts";
import { ASKED, at, CRATE_IS_ASKED, DONE, itself, makeLauncher } from "./support/verbs.ts";

// What an engine has created twice but for names is ready for the third time, as the launcher walks it: the same as
// crate's own, and left to crate wherever it is not.

/** An id as engines give them. */
const idOf = (letter: string) => letter.repeat(16);

/** A bundle whose config differs from others of its kind in names alone. */
function bundleOf(box: Sandbox, id: string, script: string, changes: BundleChanges = {}): string {
  const directory = box.mkdir(`bundles/${id}`);
  box.file(`bundles/${id}/hosts`, "127.0.0.1 localhost\n");
  const spec = engineSpec(box, id, script, changes);
  const whole: Spec = {
    ...spec,
    hostname: id.slice(0, 12),
    annotations: { "engine/id": id, "engine/name": "same" },
    mounts: [...spec.mounts ?? [], {
      destination: "/etc/hosts",
      type: "bind",
      source: `${directory}/hosts`,
      options: ["rbind", "ro"],
    }],
    process: { ...spec.process!, env: [...spec.process?.env ?? [], `HOSTNAME=${id.slice(0, 12)}`] },
    ...changes.spec,
  };
  box.file(`bundles/${id}/config.json`, JSON.stringify(whole));
  return directory;
}

const wordsOf = (box: Sandbox, id: string) => [
  ...["--log", box.path(`bundles/${id}/log`), "--log-format", "json"],
  ...["create", "--bundle", box.path(`bundles/${id}`)],
  ...["--pid-file", box.path(`bundles/${id}/pid`), id],
];

/** Creates a container by the launcher, or by crate; its own output goes to a file. */
async function created(box: Sandbox, id: string, walks: boolean): Promise<Result> {
  const out = box.path(`bundles/${id}/out`);
  const script = `"$@" </dev/null >${out} 2>&1; code=$?; cat ${out} >&2; exit $code`;
  const line = box.commandLine(["--log-level", "warn", ...wordsOf(box, id)]);
  const command = walks ? [box.path("launcher"), ...at(box, ...wordsOf(box, id))] : line.words;
  return await new Running(["bash", "-c", script, "bash", ...command], { env: line.env }).ended;
}

/** … of which the launcher knows nothing. */
async function createdFirst(box: Sandbox, id: string): Promise<Result> {
  const out = box.path(`bundles/${id}/out`);
  const script = `"$@" </dev/null >${out} 2>&1`;
  return await box.host(script, wordsOf(box, id));
}

/** Two containers of a kind were created by crate. */
async function ready(box: Sandbox, script: string, changes: BundleChanges = {}): Promise<void> {
  makeLauncher(box);
  for (const id of [idOf("a"), idOf("b")]) {
    bundleOf(box, id, script, changes);
    assert.deepEqual(await createdFirst(box, id), DONE);
    await box.ok(["delete", "--force", id]);
  }
  assert.equal(readyIn(box).length, 1);
}

/** The files of creations that are ready. */
function readyIn(box: Sandbox): string[] {
  return [...Deno.readDirSync(box.root)].map(({ name }) => name)
    .filter((name) => /^\.create-\w+-\d$/.test(name)).map((name) => `${box.root}/${name}`).sort();
}

const SHOW = `cat /proc/self/status | grep -E '^(Uid|Gid|Groups|Cap|NoNew|Seccomp|Sig|Shd)'
cat /proc/self/limits /proc/self/oom_score_adj /proc/self/cgroup /proc/self/mountinfo; umask
cut -d' ' -f4-8 /proc/self/stat; ls -l /proc/self/fd; pwd; env; id; hostname; ls -lR /dev /etc; grep _ses /proc/keys
cat /proc/self/timerslack_ns /proc/self/personality`;

/** What differs from one container to the next. */
const plain = (text: string, id: string) =>
  text.replaceAll(id, "ID").replaceAll(id.slice(0, 12), "SHORT")
    .replaceAll(/\b[-\d]+T[\d:.]+Z|\b\d{2}:\d{2}\b/g, "TIME").replaceAll(
      /"(pid|startTime)": ?\d+/g,
      "$1",
    )
    .replaceAll(
      /(?<=^|\s)\d+ \d+ \d+:\d+ |master:\d+|(mnt|net|pid|uts|ipc):\[\d+\]|pipe:\[\d+\]/gm,
      "",
    )
    .replaceAll(/\b[0-9a-f]{8,}\b/g, "HEX").replaceAll(/\.retired-.*?-HEX/g, "RETIRED");

test("what an engine creates for the third time is walked, and is the same", async (box) => {
  await ready(box, SHOW, {
    linux: {
      resources: {
        pids: { limit: 100 },
        memory: { limit: 64 << 20 },
        cpu: { shares: 512 },
        devices: [{ allow: false, access: "rwm" }, {
          allow: true,
          type: "c",
          major: 1,
          minor: 7,
          access: "rwm",
        }],
      },
    },
    process: { rlimits: [{ type: "RLIMIT_NOFILE", soft: 100, hard: 200 }], oomScoreAdj: 100 },
  });
  const seen: string[] = [];
  for (const [id, walks] of [[idOf("c"), true], [idOf("d"), false]] as const) {
    bundleOf(
      box,
      id,
      SHOW,
      JSON.parse(Deno.readTextFileSync(box.path(`bundles/${idOf("a")}/config.json`))),
    );
    Deno.writeTextFileSync(
      box.path(`bundles/${id}/config.json`),
      Deno.readTextFileSync(box.path(`bundles/${idOf("a")}/config.json`))
        .replaceAll(idOf("a"), id).replaceAll(idOf("a").slice(0, 12), id.slice(0, 12)),
    );
    assert.deepEqual(await created(box, id, walks), DONE);
    const pid = Deno.readTextFileSync(box.path(`bundles/${id}/pid`));
    assert.equal(Deno.statSync(box.path(`bundles/${id}/pid`)).mode! & 0o777, 0o644);
    const directory = `${box.root}/${id}`;
    const files = [...Deno.readDirSync(directory)].map(({ name }) => name).sort();
    const contents = files.filter((name) => name !== "start" && name !== "verbs").map((name) =>
      Deno.readFileSync(`${directory}/${name}`).toHex()
    );
    const texts = ["container", "process"].map((name) =>
      plain(Deno.readTextFileSync(`${directory}/${name}.json`), id)
    );
    const { init } = JSON.parse(Deno.readTextFileSync(`${directory}/process.json`));
    assert.equal(String(init.pid), pid);
    const start = Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ")[1]!.split(" ")[19];
    assert.equal(String(init.startTime), start);
    const recorded = JSON.parse(Deno.readTextFileSync(`${directory}/container.json`));
    const age = Date.now() - Date.parse(recorded.created);
    assert(age >= 0 && age < 20_000, recorded.created);
    const state = await box.state(id);
    assert.deepEqual([state.status, state.pid, state.created], [
      "created",
      Number(pid),
      recorded.created,
    ]);
    const groups = groupDirectories(`${box.cgroupParent}/${id}`).flatMap((group) =>
      [
        "pids.max",
        "memory.max",
        "memory.limit_in_bytes",
        "cpu.shares",
        "cpu.weight",
        "devices.list",
        "cpuset.cpus",
      ]
        .map((name) => `${group}/${name}`).filter(exists)
        .map((file) => plain(`${file} ${Deno.readTextFileSync(file)}`, id))
    );
    // What the launcher walks of it is as crate's own.
    const walk = async (...words: string[]) =>
      await new Running([box.path("launcher"), ...at(box, ...words)], {
        env: { XDG_CONFIG_HOME: box.path("none") },
      }).ended;
    assert.deepEqual(await walk("state", id), await itself(box, ["state", id]));
    assert.deepEqual(await walk("start", id), DONE);
    await until("its end", async () => {
      reapOrphans();
      return (await box.state(id)).status === "stopped";
    });
    assert.deepEqual(await walk("state", id), await itself(box, ["state", id]));
    assert.deepEqual(await walk("delete", id), DONE);
    const output = plain(Deno.readTextFileSync(box.path(`bundles/${id}/out`)), id);
    seen.push(JSON.stringify([files, contents.length, texts, groups, output], null, 1));
  }
  const [walked, own] = seen as [string, string];
  const from = [...walked].findIndex((letter, i) => letter !== own[i]);
  assert(
    walked === own,
    `${walked.slice(from - 60, from + 60)} / ${own.slice(from - 60, from + 60)}`,
  );
  assert.match(walked, /SHORT/);
  assert.deepEqual(stateIn(box.root), []);
});

/** Whether the launcher creates a container; nothing may be there of one that it leaves to crate. */
async function walked(box: Sandbox, id: string): Promise<boolean> {
  const result = await created(box, id, true);
  if (result.code === CRATE_IS_ASKED) {
    assert.deepEqual(result, ASKED);
    nothingLeft(box, id);
    return false;
  }
  assert.deepEqual(result, DONE);
  assert.equal((await box.state(id)).status, "created");
  await box.ok(["delete", "--force", id]);
  reapOrphans();
  return true;
}

function nothingLeft(box: Sandbox, id: string): void {
  assert.deepEqual(stateIn(box.root), []);
  assert.deepEqual(groupDirectories(`${box.cgroupParent}/${id}`), []);
}

test("what is of another kind is crate's, and is ready when it comes again", async (box) => {
  await ready(box, "exec sleep 100");
  const others: Record<string, BundleChanges> = {
    argument: { process: { args: ["/bin/echo", "-c", "exec sleep 100"] } },
    limit: { linux: { resources: { pids: { limit: 11 } } } },
    variable: { process: { env: ["PATH=/bin", "B=1"] } },
    annotation: { spec: { annotations: { "run.oci.keep_original_groups": "1" } } },
  };
  const c = idOf("c");
  for (const [name, changes] of Object.entries(others)) {
    bundleOf(box, c, "exec sleep 100", changes);
    assert(!await walked(box, c), name);
  }
  // As long as one of the kind, and no other config by its fields.
  bundleOf(box, c, "exec sleep 100");
  const file = box.path(`bundles/${c}/config.json`);
  const text = Deno.readTextFileSync(file);
  for (
    const [from, to] of [['noNewPrivileges":true', 'noNewPrivileges":null'], [
      `"${c}"`,
      `"${c.slice(1)}\\"`,
    ]]
  ) {
    Deno.writeTextFileSync(file, text.replace(from!, to!));
    assert(!await walked(box, c), to);
  }
  Deno.writeTextFileSync(file, text);
  assert(await walked(box, c));
  const limited = { linux: { resources: { pids: { limit: 11 } } } };
  for (const id of [idOf("e"), idOf("f")]) {
    bundleOf(box, id, "exec sleep 100", limited);
    assert.deepEqual(await createdFirst(box, id), DONE);
    await box.ok(["delete", "--force", id]);
  }
  assert.equal(readyIn(box).length, 2);
  for (const changes of [{}, limited, {}, limited]) {
    bundleOf(box, c, "exec sleep 100", changes);
    assert(await walked(box, c));
  }
  // A shorter id.
  bundleOf(box, "short", "exec sleep 100");
  assert(!await walked(box, "short"));
}, EVERYWHERE_THE_SAME);

test("a word is a word of the request, and nothing else that looks like it", async (box) => {
  makeLauncher(box);
  const run = async (words: readonly string[], first: string) => {
    const ids = words.map((_, i) => idOf(first + i).slice(0, 16));
    let last = true;
    for (const [i, word] of words.entries()) {
      const id = ids[i]!;
      bundleOf(box, id, "exec sleep 100");
      const file = box.path(`bundles/${id}/config.json`);
      const spec = JSON.parse(Deno.readTextFileSync(file));
      spec.process.args.push(word);
      spec.annotations.word = word;
      Deno.writeTextFileSync(file, JSON.stringify(spec));
      const result = i < 2 ? await createdFirst(box, id) : await created(box, id, true);
      last = result.code === 0;
      if (!last) assert.deepEqual(result, ASKED, word);
      if (!last) assert.equal((await createdFirst(box, id)).code, 0);
      const state = await box.state(id);
      assert.deepEqual([state.id, state.status], [id, "created"], word);
      const text = Deno.readTextFileSync(`${box.root}/${id}/container.json`);
      const { version, created: time } = JSON.parse(text);
      assert.equal(version, 1);
      assert(Math.abs(Date.now() - Date.parse(time)) < 20_000, time);
      const walk = async (...words: string[]) =>
        await new Running([box.path("launcher"), ...at(box, ...words)], {
          env: { XDG_CONFIG_HOME: box.path("none") },
        }).ended;
      assert.deepEqual(await walk("state", id), await itself(box, ["state", id]), word);
      assert.deepEqual(await walk("delete", "--force", id), ASKED);
      await box.ok(["delete", "--force", id]);
      reapOrphans();
      assert.deepEqual(stateIn(box.root), [], word);
    }
    return last;
  };
  assert(await run(["abcdef", "ghijkl", "mnopqr"], "x"));
  const hour = (of: number) =>
    `${new Date().toISOString().slice(0, 11)}${String(of).padStart(2, "0")}:07:09Z`;
  const now = new Date().getUTCHours();
  for (
    const [i, words] of [
      ["migrate", "version", "upgrade"],
      ["running", "created", "stopped"],
      ["abcdef", "status", "abcdeg"],
      ["text", "json", "yaml"],
      ["making", "exited", "verbsx"],
      ["2025", String(new Date().getFullYear()), "2027"],
      [hour((now + 1) % 24), hour(now), hour((now + 2) % 24)],
      ["8R", "II", "zz"],
    ].entries()
  ) await run(words, String.fromCharCode(97 + i));
}, EVERYWHERE_THE_SAME);

test("what is the same by chance is learned when it is another", async (box) => {
  makeLauncher(box);
  const [a, c, d] = [idOf("a"), idOf("c"), idOf("d")];
  for (const id of [a, a, c]) {
    bundleOf(box, id, "exec sleep 100");
    assert.deepEqual(await createdFirst(box, id), DONE);
    await box.ok(["delete", "--force", id]);
  }
  bundleOf(box, d, "exec sleep 100");
  assert(await walked(box, d));
  assert(await walked(box, a));
}, EVERYWHERE_THE_SAME);

test("what stands in a creation's way is left to crate, which tells it", async (box) => {
  await ready(box, "exec sleep 100");
  const id = idOf("c");
  bundleOf(box, id, "exec sleep 100");
  const told = async (pattern: RegExp) => {
    assert(!await walked(box, id));
    const { code } = await createdFirst(box, id);
    assert.equal(code, 125);
    assert.match(Deno.readTextFileSync(box.path(`bundles/${id}/out`)), pattern);
    nothingLeft(box, id);
  };
  const hosts = box.path(`bundles/${id}/hosts`);
  Deno.removeSync(hosts);
  await told(/source of the mount on \/etc\/hosts is not there/);
  Deno.mkdirSync(hosts);
  assert(!await walked(box, id));
  Deno.removeSync(hosts);
  Deno.writeTextFileSync(hosts, "");
  Deno.renameSync(box.rootfs, `${box.rootfs}.away`);
  await told(/root/);
  Deno.renameSync(`${box.rootfs}.away`, box.rootfs);
  // Somebody has the group, or the name, already.
  const groups = groupDirectories(box.cgroupParent).map((parent) => `${parent}/${id}`);
  for (const group of groups) {
    Deno.mkdirSync(group);
    assert.deepEqual(await created(box, id, true), ASKED);
    assert.deepEqual(stateIn(box.root), []);
    assert.deepEqual(groups.filter(exists), [group]);
    Deno.removeSync(group);
  }
  assert.deepEqual(await created(box, id, true), DONE);
  assert.deepEqual(await created(box, id, true), ASKED);
  assert.equal((await box.state(id)).status, "created");
  await box.ok(["delete", "--force", id]);
  reapOrphans();
}, EVERYWHERE_THE_SAME);

test("whatever step fails, the container is created or nothing of it is left", async (box) => {
  await ready(box, "exec sleep 100");
  const id = idOf("c");
  bundleOf(box, id, "exec sleep 100");
  const [file] = readyIn(box);
  const whole = Deno.readFileSync(file!);
  const view = new DataView(whole.buffer);
  let [done, left] = [0, 0];
  // Where a step's number is no system call's, it is one of the interpreter's own.
  const HEADER = 8;
  const count = (() => {
    for (let i = 0;; i++) {
      const number = view.getInt32(HEADER + i * STEP_SIZE, true);
      if (number > 500 || number < -3) return i;
    }
  })();
  // Waiting is done again when it was interrupted, which is how it looks when it fails.
  const waiting = syscallNumber("ppoll", arch);
  const calls = Array.from({ length: count }, (_, i) => i).filter((i) => {
    const number = view.getInt32(HEADER + i * STEP_SIZE, true);
    return number >= 0 && number !== waiting;
  });
  // Others in each run.
  const every = Math.ceil(calls.length / (EMULATED ? 8 : 80));
  const first = Math.floor(Math.random() * every);
  for (const i of calls.filter((_, at) => at % every === first)) {
    const broken = whole.slice();
    new DataView(broken.buffer).setInt32(HEADER + i * STEP_SIZE, 9999, true);
    Deno.removeSync(file!);
    Deno.writeFileSync(file!, broken, { mode: 0o600 });
    const result = await created(box, id, true);
    reapOrphans();
    if (result.code === 0) {
      done++;
      await box.ok(["delete", "--force", id]);
    } else {
      left++;
      assert.deepEqual(result, ASKED, `step ${i}`);
    }
    assert.deepEqual(stateIn(box.root), [], `step ${i}`);
    const groups = groupDirectories(`${box.cgroupParent}/${id}`);
    for (const group of groups) Deno.removeSync(group);
    assert(groups.length <= 1, `step ${i}: ${groups}`);
  }
  assert(done > 0 && left > 0, `${done} created, ${left} left to crate`);
});

test("a creation that is killed at any moment is cleared away by the next", async (box) => {
  await ready(box, "exec sleep 100");
  const id = idOf("c");
  bundleOf(box, id, "exec sleep 100");
  const rounds = EMULATED ? 4 : 20;
  for (let i = 0; i < rounds; i++) {
    const command = [box.path("launcher"), ...at(box, ...wordsOf(box, id))];
    const script =
      '"$@" </dev/null >/dev/null 2>&1 & sleep "$TIME"; kill -9 $! 2>/dev/null; wait $! 2>/dev/null; true';
    const env = {
      TIME: String((i / rounds) * (EMULATED ? 0.3 : 0.012)),
      XDG_CONFIG_HOME: box.path("none"),
    };
    await new Running(["bash", "-c", script, "bash", ...command], { env }).ended;
    await delay(1);
    reapOrphans();
    await box.ok(["delete", "--force", id]).catch(() => undefined);
    await box.ok(["list"]);
    await until("nothing is left", () => {
      reapOrphans();
      return stateIn(box.root).length === 0;
    });
    assert.deepEqual((await createdFirst(box, id)).code, 0, `after ${env.TIME} s`);
    await box.ok(["delete", "--force", id]);
    reapOrphans();
  }
});

test("many at once are created, and one of a name", async (box) => {
  await ready(box, "exec sleep 100");
  const ids = [..."cdefghij"].map(idOf);
  for (const id of ids) bundleOf(box, id, "exec sleep 100");
  const results = await Promise.all(ids.map((id) => created(box, id, true)));
  assert.deepEqual(results, ids.map(() => DONE));
  const one = idOf("z");
  bundleOf(box, one, "exec sleep 100");
  const same = await Promise.all(ids.map(() => created(box, one, true)));
  assert.equal(same.filter(({ code }) => code === 0).length, 1);
  assert.equal(same.filter(({ code }) => code === CRATE_IS_ASKED).length, ids.length - 1);
  for (const id of [...ids, one]) {
    assert.equal((await box.state(id)).status, "created");
    await box.ok(["delete", "--force", id]);
  }
  reapOrphans();
}, EVERYWHERE_THE_SAME);
