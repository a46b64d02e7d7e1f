// A command at work on a store, for the tests to kill, to race and to starve: it needs no permission but
// libc's, and says on its standard output what it does and what it has done.
import { createFile, mkdir } from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import type { Digest } from "../types.ts";
import { imageOf, type TestImage } from "./_images.ts";
import { type Lease, openStore, type Store } from "./mod.ts";

function say(line: string): void {
  const bytes = new TextEncoder().encode(`${line}\n`);
  let at = 0;
  while (at < bytes.length) at += Deno.stdout.writeSync(bytes.subarray(at));
}

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Image `n` has a layer that all have, one that it shares with every third, and one of its own. */
function numbered(n: number): TestImage {
  return imageOf([
    "base ".repeat(30_000),
    `shared ${n % 3} `.repeat(5000),
    `own ${n} `.repeat(3000),
  ]);
}

async function unpack(store: Store, lease: Lease, chainId: Digest): Promise<void> {
  await using layer = await store.newLayer(lease, chainId);
  if (layer === undefined) return;
  mkdir(`${layer.path}/directory`);
  for (let i = 0; i < 20; i++) createFile(`${layer.path}/directory/${i}`, chainId);
  createFile(`${layer.path}/file`, chainId);
  await layer.commit({ size: 21 * chainId.length, entries: 22 });
  say(`unpacked ${chainId}`);
}

/** As a pull does: piece by piece, going on where another was. */
async function pull(store: Store, word: string, image: TestImage, slow = 0): Promise<void> {
  using sink = await store.sink(word);
  const tasks = image.layers.map(async ({ descriptor, bytes }, i) => {
    {
      using partial = await store.partial(sink.lease, descriptor);
      if (partial !== undefined) {
        for (let at = partial.have; at < bytes.length; at = partial.have) {
          partial.append(bytes.subarray(at, at + 20_000));
          await pause(slow);
        }
        await partial.commit(descriptor.digest);
        say(`fetched ${descriptor.digest}`);
      }
    }
    await unpack(store, sink.lease, image.chainIds[i]!);
  });
  const failed = (await Promise.allSettled(tasks)).find(({ status }) => status === "rejected");
  if (failed !== undefined) throw (failed as PromiseRejectedResult).reason;
  await sink.putDocument(image.config);
  await sink.putRoot(image.root);
}

const JOBS: Record<string, (root: string, argument: string) => Promise<void>> = {
  /** Puts, removes, tags and prunes until it is killed. */
  async loop(root) {
    const store = await openStore(root);
    for (;;) {
      const n = Math.floor(Math.random() * 6);
      const word = `image:${n}`;
      const dice = Math.random();
      if (dice < 0.6) {
        say(`putting ${word}`);
        await pull(store, word, numbered(n));
        say(`put ${word}`);
      } else if (dice < 0.9) {
        say(`removing ${word}`);
        try {
          await store.remove(word);
        } catch (error) {
          if (!(error instanceof CrateError) || error.code !== "NOT_FOUND") throw error;
        }
        say(`removed ${word}`);
      } else {
        await store.prune();
        await store.settle();
      }
    }
  },
  /** One of several that pull the same image, each under names of its own. */
  async race(root, argument) {
    const store = await openStore(root);
    await pull(store, `racer-${argument}:0`, numbered(0), 2);
    for (let i = 1; i < 5; i++) await store.tag(`racer-${argument}:0`, `racer-${argument}:${i}`);
  },
  /** One of several that put and remove the same few images, and find each whole that is listed. */
  async mix(root, argument) {
    const store = await openStore(root);
    const end = Date.now() + Number(argument);
    while (Date.now() < end) {
      const n = Math.floor(Math.random() * 3);
      const word = `image:${n}`;
      if (Math.random() < 0.5) {
        const directory = `${root}/../container-${Deno.pid}`;
        await pull(store, word, numbered(n));
        const found = store.tryFind(word);
        if (found === undefined) continue;
        try {
          using pin = await store.pin(found.image, { id: `${Deno.pid}`, directory });
          await pause(3);
          for (const chainId of found.image.content!.chainIds) {
            if (store.layer(chainId) === undefined) throw new Error(`pinned ${chainId} is gone`);
          }
          pin.remove();
        } catch (error) {
          // Another has removed it before it was pinned.
          if (!(error instanceof CrateError) || error.code !== "NOT_FOUND") throw error;
        }
      } else {
        try {
          await store.remove(word);
        } catch (error) {
          const fine = error instanceof CrateError && /NOT_FOUND|STATE/.test(error.code);
          if (!fine) throw error;
        }
      }
      for (const { problem } of store.list()) if (problem !== undefined) throw problem;
    }
  },
};

if (import.meta.main) {
  const [job, root, argument = ""] = Deno.args;
  await JOBS[job!]!(root!, argument);
}
