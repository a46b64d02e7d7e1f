import assert from "node:assert/strict";
import { Container, type ContainerOptions } from "../mod.ts";
import { exists, LIBC_PATHS, ResidentProgram } from "../ffi/mod.ts";
import { EVERYWHERE_THE_SAME, Running, type Sandbox, stateIn, test, until } from "./support/mod.ts";
import { assertUnchanged, descriptorCount, scaled, takeQuietSnapshot } from "./support/snapshot.ts";

// What a script starts for the third time is started by a program that stays in its memory: the same as the others, and
// started otherwise wherever that cannot be.

const SHOW = `exec 2>&1
cat /proc/self/status | grep -E '^(Uid|Gid|Groups|Cap|NoNew|Seccomp|Sig[PBIC]|Shd|Umask)'
cat /proc/self/limits /proc/self/oom_score_adj /proc/self/cgroup /proc/self/mountinfo; umask
cut -d' ' -f4-8 /proc/self/stat; ls -l /proc/self/fd; pwd; env; id; hostname; ls -lR /dev /etc; grep _ses /proc/keys`;

/** What differs from one container to the next. */
const plain = (text: string, id: string) =>
  text.replaceAll(id, "ID").replaceAll(/\b\d{2}:\d{2}\b/g, "TIME").replaceAll(
    /(?<=^|\s)\d+ \d+ \d+:\d+ |master:\d+|(mnt|net|pid|uts|ipc):\[\d+\]|pipe:\[\d+\]/gm,
    "",
  ).replaceAll(/\b[0-9a-f]{8,}\b/g, "HEX");

/** Counts what is walked, and how long a container of each is in the list of those that were. */
function countWalks(): { readonly walks: number } & Disposable {
  const { run } = ResidentProgram.prototype;
  const counter = { walks: 0, [Symbol.dispose]: () => void (ResidentProgram.prototype.run = run) };
  ResidentProgram.prototype.run = function (prepare) {
    counter.walks++;
    return run.call(this, prepare);
  };
  return counter;
}

const optionsIn = (box: Sandbox, more: ContainerOptions = {}): ContainerOptions => ({
  rootfs: box.rootfs,
  stateRoot: box.root,
  ...more,
});

test("a script's third container is walked, and is the same", async (box) => {
  using counter = countWalks();
  box.mkdir("volume");
  const seen: string[] = [];
  for (let i = 0; i < 4; i++) {
    const id = `container-${i}`;
    const options = optionsIn(box, {
      id,
      args: ["-c", `${SHOW}; sleep 1; exit 7`],
      cgroupsPath: `${box.cgroupParent}/${id}`,
      memory: 64 << 20,
      pidsLimit: 100,
      env: [`NAME=${id}`, "A=b c"],
      oomScoreAdj: 100,
      mounts: [{
        destination: "/volume",
        type: "bind",
        source: box.path("volume"),
        options: ["bind"],
      }],
      stdin: "null",
      stdout: "piped",
    });
    const process = await new Container("/bin/sh", options).spawn();
    assert.equal(process.id, id);
    const files = ["container.json", "process.json"].map((name) =>
      Deno.readTextFileSync(`${box.root}/${id}/${name}`)
    );
    const { init, monitor } = JSON.parse(files[1]!);
    assert.equal(init.pid, process.pid);
    for (const { pid, startTime } of [init, monitor]) {
      const start = Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ")[1]!.split(" ")[19];
      assert.equal(String(startTime), start);
    }
    const texts = files.map((text) =>
      text.replaceAll(/"(pid|startTime)":\d+/g, "$1").replaceAll(/\b[-\d]+T[\d:.]+Z/g, "TIME")
    );
    const output = await new Response(process.stdout).text();
    assert.deepEqual(await process.status, { success: false, code: 7, signal: null });
    assert.match(output, new RegExp(`^${id}$`, "m"));
    seen.push(JSON.stringify([texts, output].flat().map((text) => plain(text, id)), null, 1));
  }
  assert.equal(counter.walks, 2);
  assert.deepEqual(seen, Array(4).fill(seen[0]));
  await until("all is cleared away", () => stateIn(box.root).length === 0);
});

test("what a script's walked container is given and what it is told goes to it", async (box) => {
  using counter = countWalks();
  const start = (script: string, more: ContainerOptions = {}) =>
    new Container("/bin/sh", optionsIn(box, { args: ["-c", script], ...more }));
  for (let i = 0; i < 4; i++) {
    const process = await start("cat; echo err >&2", {
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    })
      .spawn();
    const writer = process.stdin.getWriter();
    await writer.write(new TextEncoder().encode(`input ${i}`));
    await writer.close();
    assert.equal(await new Response(process.stdout).text(), `input ${i}`);
    assert.equal(await new Response(process.stderr).text(), "err\n");
    assert.equal((await process.status).code, 0);
  }
  assert.equal(counter.walks, 2);
  for (let i = 0; i < 4; i++) {
    const process = await start("trap 'exit 9' TERM; echo up; while :; do sleep 0.01; done", {
      stdout: "piped",
    }).spawn();
    const reader = process.stdout.getReader();
    await reader.read();
    process.kill();
    assert.equal((await process.status).code, 9);
    await reader.cancel();
  }
  assert.equal(counter.walks, 4);
  for (let i = 0; i < 4; i++) {
    await using process = await start("exec sleep 1000").spawn();
    assert(stateIn(box.root).includes(process.id));
  }
  assert.equal(counter.walks, 6);
}, EVERYWHERE_THE_SAME);

test("what cannot be walked any more is told as ever, and starts as ever", async (box) => {
  using counter = countWalks();
  const run = () => new Container("/bin/true", optionsIn(box, { stdin: "null" })).output();
  for (let i = 0; i < 3; i++) assert.equal((await run()).code, 0);
  assert.equal(counter.walks, 1);
  const before = await takeQuietSnapshot(box);
  const count = descriptorCount();
  Deno.renameSync(`${box.rootfs}/bin/true`, `${box.rootfs}/bin/true.away`);
  // Walked once in vain; then the kind is as new.
  for (let i = 0; i < 3; i++) await assert.rejects(run, /\/bin\/true/);
  assert.equal(counter.walks, 2);
  Deno.renameSync(`${box.rootfs}/bin/true.away`, `${box.rootfs}/bin/true`);
  for (let i = 0; i < 4; i++) assert.equal((await run()).code, 0);
  assert(counter.walks >= 4);
  Deno.renameSync(box.rootfs, `${box.rootfs}.away`);
  await assert.rejects(run, /rootfs/);
  Deno.renameSync(`${box.rootfs}.away`, box.rootfs);
  // An id that is taken.
  const named = (id: string) =>
    new Container("/bin/sleep", optionsIn(box, { id, args: ["100"], stdin: "null" })).spawn();
  for (let i = 0; i < 3; i++) {
    await using process = await named(`name-${i}`);
    assert.equal(process.id, `name-${i}`);
  }
  {
    await using process = await named("name-5");
    await assert.rejects(
      () => named("name-5"),
      /the name "name-5" is in use by a running container/,
    );
    assert(stateIn(box.root).includes(process.id));
  }
  await assertUnchanged(box, before, "all of it", { all: true });
  assert.equal(descriptorCount(), count);
}, EVERYWHERE_THE_SAME);

test("a script that may use libc alone has its containers walked, too", async (box) => {
  const [library, ffi] = ["../mod.ts", "../ffi/mod.ts"].map((path) =>
    new URL(path, import.meta.url)
  );
  const script = box.file(
    "script.ts",
    `import { Container } from "${library}";
import { ResidentProgram } from "${ffi}";
let walks = 0;
const { run } = ResidentProgram.prototype;
ResidentProgram.prototype.run = function (prepare) {
  walks++;
  return run.call(this, prepare);
};
const options = ${JSON.stringify(optionsIn(box, { stdin: "null" }))};
for (let i = 0; i < 4; i++) await new Container("/bin/true", options).output();
console.log(walks);
`,
  );
  const libc = LIBC_PATHS.find(exists)!;
  const config = new URL("../deno.json", import.meta.url).pathname;
  const words = ["run", "--quiet", "--no-prompt", "--no-check", "--config", config];
  const { code, stdout, stderr } = await new Running([
    Deno.execPath(),
    ...words,
    `--allow-ffi=${libc}`,
    script,
  ]).ended;
  assert.deepEqual([code, stdout, stderr], [0, "2\n", ""]);
}, EVERYWHERE_THE_SAME);

test("an id that is part of something else is no id of a kind", async (box) => {
  using counter = countWalks();
  for (const id of ["dev", "etc", "bin", "lib", "tmp"]) {
    const options = optionsIn(box, { id, args: ["-c", "test -c /dev/null && hostname"] });
    const { code, stdout } = await new Container("/bin/sh", options).output();
    assert.deepEqual([code, new TextDecoder().decode(stdout)], [0, `${id}\n`]);
  }
  assert.equal(counter.walks, 0);
}, EVERYWHERE_THE_SAME);

test("an id that is a word of the record's own is no id of a kind", async (box) => {
  using counter = countWalks();
  // As long as each other: the second is looked at.
  for (const id of ["machine", "version", "created", "builder"]) {
    const { code } = await new Container("/bin/true", optionsIn(box, { id, stdin: "null" }))
      .output();
    assert.equal(code, 0);
  }
  assert.equal(counter.walks, 0);
  // Nor do the numbers of the options change with it.
  for (let i = 0; i < 4; i++) {
    const options = optionsIn(
      box,
      { id: "1", pidsLimit: 100, readOnly: true, stdin: "null" } as ContainerOptions,
    );
    assert.equal((await new Container("/bin/true", options).output()).code, 0);
  }
}, EVERYWHERE_THE_SAME);

test("many of a kind at once, and many in a row, leave nothing", async (box) => {
  const run = () => new Container("/bin/true", optionsIn(box, { stdin: "null" })).output();
  for (let i = 0; i < 3; i++) await run();
  const before = await takeQuietSnapshot(box);
  for (let i = 0; i < 5; i++) {
    const ended = await Promise.all(Array.from({ length: scaled(20) }, run));
    assert(ended.every(({ code }) => code === 0));
  }
  for (let i = 0; i < scaled(50); i++) assert.equal((await run()).code, 0);
  await assertUnchanged(box, before, "the last", { all: true });
});

test("kinds that were not used for long are forgotten", async (box) => {
  using counter = countWalks();
  const run = (arg: number) =>
    new Container("/bin/true", optionsIn(box, { args: [`${arg}`], stdin: "null" })).output();
  for (let arg = 0; arg < 10; arg++) for (let i = 0; i < 3; i++) await run(arg);
  assert.equal(counter.walks, 10);
  await run(9);
  assert.equal(counter.walks, 11);
  await run(0);
  assert.equal(counter.walks, 11);
}, EVERYWHERE_THE_SAME);
