import { readdirSync, statSync } from "node:fs";
import { Hasher } from "../../lib/image/documents/mod.ts";
import { inflate } from "../../lib/image/unpack/mod.ts";
import type { Puller } from "./pullers.ts";
import type { Timer } from "./timer.ts";

/** Bytes that come at once. */
const PIECE = 1 << 18;

/** The largest blob in a registry's directory. */
function largest(storage: string): string {
  const blobs = `${storage}/docker/registry/v2/blobs/sha256`;
  let found = "";
  let size = -1;
  for (const folder of readdirSync(blobs)) {
    for (const digest of readdirSync(`${blobs}/${folder}`)) {
      const file = `${blobs}/${folder}/${digest}/data`;
      if (statSync(file).size > size) [found, size] = [file, statSync(file).size];
    }
  }
  return found;
}

const elapsed = async (act: () => Promise<void>) => {
  const started = performance.now();
  await act();
  return performance.now() - started;
};

/**
 * Where the time of one pull goes: what the largest layer, gzip, takes to inflate and to hash as a pull does it, each alone,
 * beside the whole pull's time on the clock, in the kernel and outside.
 */
export async function profilePull(
  puller: Puller,
  timer: Timer,
  image: string,
  storage: string,
): Promise<string> {
  const file = largest(storage);
  const packed = Deno.readFileSync(file);
  const pieces = async function* () {
    for (let at = 0; at < packed.length; at += PIECE) yield packed.subarray(at, at + PIECE);
  };
  let size = 0;
  const inflating = await elapsed(async () => {
    for await (const chunk of inflate(pieces(), "gzip", { hasDigest: true })) size += chunk.length;
  });
  const hashing = await elapsed(async () => {
    const hasher = new Hasher("sha256", Infinity);
    for await (const piece of pieces()) hasher.update(piece);
    // What the bytes are makes no difference.
    for (let at = 0; at < size; at += PIECE) hasher.update(packed.subarray(0, PIECE));
    await hasher.digest();
  });
  await puller.fresh();
  const { time, cpu = 0, system = 0 } = timer.run(puller.command(image));
  const share = (ms: number) =>
    `${(ms / 1000).toFixed(2)} s, ${Math.round(100 * ms / time)} % of it`;
  return [
    `One pull of ${image.replace(/.*\//, "")}: ${(time / 1000).toFixed(2)} s on the clock;`,
    `inflating alone ${share(inflating)};`,
    `hashing what is inflated and what is not ${share(hashing)};`,
    `the kernel's time, on all threads ${share(system)};`,
    `the rest of the processors' time ${share(Math.max(0, cpu - system - inflating - hashing))}.`,
  ].join("\n");
}
