import assert from "node:assert/strict";
import { LIBC_PATHS } from "../../../ffi/mod.ts";
import { assertWhole, imageOf, names, put, test } from "./_images.ts";
import { openStore, type Store } from "./mod.ts";

const WORKER = new URL("./_worker.ts", import.meta.url).pathname;
const there = (path: string) => {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
};
/** libc, and nothing else, is what the store needs of Deno. */
const FLAGS = ["--no-prompt", "--no-check", `--allow-ffi=${LIBC_PATHS.filter(there).join(",")}`];

function start(...args: string[]): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", ...FLAGS, WORKER, ...args],
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

async function outputOf(child: Deno.ChildProcess): Promise<string> {
  const { success, stdout, stderr } = await child.output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

/** What must be, by what was said: put or removed, or either when it was still being done. */
function replay(lines: readonly string[], expected: Map<string, "put" | "removed" | "either">) {
  for (const line of lines) {
    const [said, word] = line.split(" ") as [string, string];
    if (said === "put" || said === "removed") expected.set(word, said);
    if (said === "putting" || said === "removing") expected.set(word, "either");
  }
}

async function assertSound(store: Store): Promise<void> {
  await assertWhole(store);
  for (const image of store.list()) {
    for (const chainId of image.content!.chainIds) {
      const { path } = store.layer(chainId)!;
      assert.equal(names(`${path}/directory`).length, 20, `${image.names}: ${chainId}`);
    }
  }
}

test("killed fifty times in the middle of it, the store is whole and waits for nobody", async (first) => {
  const { root } = first;
  const expected = new Map<string, "put" | "removed" | "either">();
  let done = 0;
  for (let round = 0; round < 50; round++) {
    const child = start("loop", root);
    const decoder = new TextDecoder();
    let text = "";
    const reading = (async () => {
      for await (const bytes of child.stdout) text += decoder.decode(bytes, { stream: true });
    })();
    // Until it is at work, and then some.
    while (text === "") await new Promise((resolve) => setTimeout(resolve, 1));
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 60));
    child.kill("SIGKILL");
    const { signal } = await child.status;
    const errors = await new Response(child.stderr).text();
    assert.equal(signal, "SIGKILL", errors);
    await reading;
    // A line may be cut.
    const lines = text.split("\n").slice(0, -1);
    done += lines.length;
    replay(lines, expected);

    // Who only reads sees nothing half.
    const reader = await openStore(root, { clean: false });
    for (const { problem } of reader.list()) assert.equal(problem, undefined);
    const began = performance.now();
    const store = await openStore(root);
    await assertSound(store);
    for (const [word, what] of expected) {
      const found = store.tryFind(word) !== undefined;
      if (what !== "either") assert.equal(found, what === "put", `round ${round}: ${word}`);
    }
    // Nothing blocks: the blobs and layers it was at included.
    if (round % 10 === 0) {
      await put(store, "probe", imageOf([`${round}`]), { unpack: false });
      await store.remove("probe");
    }
    assert.ok(performance.now() - began < 5000, "nothing is waited for");
  }
  assert.ok(done > 100, `${done} lines were said`);
  await first.prune({ all: true });
  for (const folder of ["crate/l", "crate/layers", "crate/partial", "blobs/sha256"]) {
    assert.deepEqual(names(`${root}/${folder}`), [], folder);
  }
});

for (const count of [2, 8]) {
  test(`${count} that pull one image at once do the work once, and each gets its names`, async (store) => {
    const children = Array.from({ length: count }, (_, i) => start("race", store.root, `${i}`));
    const lines = (await Promise.all(children.map(outputOf))).join("").trim().split("\n");
    // Three blobs fetched once, three layers unpacked once.
    assert.equal(new Set(lines).size, 6, lines.join("\n"));
    assert.equal(lines.length, 6, lines.join("\n"));
    const [image, ...others] = store.list();
    assert.equal(others.length, 0);
    const expected = Array.from(
      { length: 5 * count },
      (_, i) => `docker.io/library/racer-${Math.floor(i / 5)}:${i % 5}`,
    );
    assert.deepEqual(image!.names, expected.sort());
    await assertSound(store);
  });
}

test("pulls, removals, containers and lists of four at once never hurt each other", async (store) => {
  const children = Array.from({ length: 4 }, () => start("mix", store.root, "3000"));
  await Promise.all(children.map(outputOf));
  await assertSound(await openStore(store.root));
});
