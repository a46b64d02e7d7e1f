import assert from "node:assert/strict";
import { exists } from "../ffi/mod.ts";
import type { BundleChanges } from "./support/bundle.ts";
import {
  bundleOf,
  created,
  createdFirst,
  idOf,
  ready,
  readyIn,
  walked,
} from "./support/create_verb.ts";
import {
  EVERYWHERE_THE_SAME,
  groupDirectories,
  reapOrphans,
  Running,
  stateIn,
  test,
  until,
} from "./support/mod.ts";
import { ASKED, at, DONE, itself, makeLauncher } from "./support/verbs.ts";

// What an engine has created twice but for names is ready for the third time, as the launcher walks it: the same as
// crate's own, and left to crate wherever it is not.

const SHOW = `cat /proc/self/status | grep -E '^(Uid|Gid|Groups|Cap|NoNew|Seccomp|Sig[PBIC]|Shd)'
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
