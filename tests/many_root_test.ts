// Not in the virtual machine: what is repeated often is repeated on the host
import assert from "node:assert/strict";
import v8 from "node:v8";
import vm from "node:vm";
import { AT_FDCWD, AT_REMOVEDIR, trySyscall } from "../ffi/mod.ts";
import { Container, type ContainerOptions, listContainers } from "../mod.ts";
import { assertEnded, groupDirectories, type Sandbox, test, until } from "./support/mod.ts";
import {
  assertUnchanged,
  descendants,
  SCALE,
  scaled,
  takeQuietSnapshot,
  warmUp,
} from "./support/snapshot.ts";

// Many containers, one after the other and at once: each does what it should, and the script that
// starts them does not grow.

// What a script may grow by between its 100th and its 1,000th container. Seen: 0.4 MiB of JavaScript's,
// all of it V8's own notes about code that has become hot (from the 1,000th to the 3,000th it is 0.04);
// and 12 MiB resident, mostly V8's spare room. A single program that were kept for each container, some
// 45 KiB, would be 40 MiB of both. A run of fewer containers is hot for less of its time.
const HELD_SLACK = (1 << 20) / SCALE;
const RESIDENT_SLACK = (24 << 20) / SCALE;
/** Monitors that have told the end and that nobody has waited for yet: the next start does. */
const UNREAPED = 3;

const decoder = new TextDecoder();
const encoder = new TextEncoder();

function container(box: Sandbox, script: string, options: ContainerOptions = {}): Container {
  return new Container("/bin/sh", {
    args: ["-c", script],
    rootfs: box.rootfs,
    stateRoot: box.root,
    cgroupsPath: `${box.cgroupParent}/${crypto.randomUUID()}`,
    ...options,
  });
}

/** Runs a container that prints what it is given; it must. */
async function echo(box: Sandbox, text: string): Promise<void> {
  const { code, stdout, stderr } = await container(box, `echo ${text}; echo errors >&2`).output();
  const result = { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
  assert.deepEqual(result, { code: 0, stdout: `${text}\n`, stderr: "errors\n" });
}

v8.setFlagsFromString("--expose-gc");
const collectGarbage: () => void = vm.runInNewContext("gc");

interface Memory {
  /** What JavaScript holds: its heap, and the buffers outside of it. */
  readonly held: number;
  readonly resident: number;
}

async function memory(): Promise<Memory> {
  // Buffers are freed some time after what held them.
  for (let i = 0; i < 3; i++) {
    collectGarbage();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const { heapUsed, external, rss } = Deno.memoryUsage();
  return { held: heapUsed + external, resident: rss };
}

function zombies(): number {
  return descendants().filter(({ state }) => state === "Z").length;
}

test("a thousand containers in a row leave a script as it was", async (box) => {
  const warm = scaled(100);
  const count = scaled(1_000);
  let before: string[] = [];
  let begin: Memory | undefined;
  await warmUp(box);
  for (let i = 1; i <= count; i++) {
    await echo(box, `container ${i}`);
    if (i % warm === 0) assert(zombies() <= UNREAPED, `${zombies()} zombies`);
    if (i === warm) {
      before = await takeQuietSnapshot(box);
      begin = await memory();
    }
  }
  const end = await memory();
  await assertUnchanged(box, before, `${count} containers`, { all: true });
  const held = end.held - begin!.held;
  const resident = end.resident - begin!.resident;
  const kib = (bytes: number) => `${Math.round(bytes / 1024)} KiB`;
  const grown = `${kib(held)} more are held, ${kib(resident)} more are resident`;
  console.log(`from container ${warm} to ${count}: ${grown}`);
  assert(held < HELD_SLACK && resident < RESIDENT_SLACK, grown);
});

test("a hundred containers at once each get their input and give their output", async (box) => {
  const count = scaled(100);
  await warmUp(box);
  const before = await takeQuietSnapshot(box);
  // More than a pipe holds: a container whose output nobody reads would not end.
  const script = "read line; head -c 200000 /dev/zero; echo $line; exit 3";
  const processes = await Promise.all(
    Array.from(
      { length: count },
      () => container(box, script, { stdin: "piped", stdout: "piped" }).spawn(),
    ),
  );
  const running = await listContainers(box.root);
  assert.equal(running.filter(({ status }) => status === "running").length, count);
  await Promise.all(processes.map(async (process, i) => {
    const writer = process.stdin.getWriter();
    await writer.write(encoder.encode(`number ${i}\n`));
    await writer.close();
    const output = await new Response(process.stdout).bytes();
    assert.equal(output.length, 200_000 + `number ${i}\n`.length);
    assert.equal(decoder.decode(output.subarray(200_000)), `number ${i}\n`);
    assert.equal((await process.status).code, 3);
  }));
  await until("their monitors end", () => descendants().every(({ state }) => state === "Z"));
  await echo(box, "one more");
  assert(zombies() <= UNREAPED, `${zombies()} zombies`);
  await assertUnchanged(box, before, `${count} containers at once`, { all: true });
});

test("a name can be used again as soon as its container has ended", async (box) => {
  await warmUp(box);
  const before = await takeQuietSnapshot(box);
  for (let i = 0; i < scaled(50); i++) {
    const again = new Container("/bin/true", { id: "again", stateRoot: box.root });
    assert.equal((await again.output()).code, 0);
  }
  await until("they are gone", async () => (await listContainers(box.root)).length === 0);
  await assertUnchanged(box, before, "one name", { all: true });
  // Its default groups are below this one, which stays, unless it is empty now.
  for (const directory of groupDirectories("/crate")) {
    trySyscall("unlinkat", AT_FDCWD, directory, AT_REMOVEDIR);
  }
});

test("a disposed container keeps no descriptor, whatever was read of it", async (box) => {
  await warmUp(box);
  const before = await takeQuietSnapshot(box);
  const piped = { stdin: "piped", stdout: "piped", stderr: "piped" } as const;
  {
    await using process = await container(box, "echo ready; sleep 1000", piped).spawn();
    const reader = process.stdout.getReader();
    assert.equal(decoder.decode((await reader.read()).value), "ready\n");
    reader.releaseLock();
  }
  await assertUnchanged(box, before, "its disposal", { all: true });
});

test("thirty commands at once each print their own", async (box) => {
  await box.ok(["run", "--rm", "-r", box.rootfs, "true"]);
  const before = await takeQuietSnapshot(box);
  const words = ["run", "--rm", "-r", box.rootfs, "echo"];
  const results = await Promise.all(
    Array.from({ length: scaled(30) }, (_, i) => box.crate([...words, `number ${i}`])),
  );
  results.forEach((result, i) => assertEnded(result, { stdout: `number ${i}\n` }));
  await assertUnchanged(box, before, "thirty commands", { all: true });
});
