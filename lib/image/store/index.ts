import { isMissing, readFile } from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import { isDigest } from "../names/mod.ts";
import type { Descriptor } from "../types.ts";
import { explained, explainedAsync, syncDirectory, writeContent, writeWhole } from "./disk.ts";
import { CONTAINERD_NAME, type Paths, REF_NAME } from "./layout.ts";

// index.json: which images there are, and by which names. An image without a name is one all the same
// (docker's `<none>`), until it is removed. The file is only ever replaced as a whole, by one writer at a
// time, under the store's exclusive lock; a field that crate does not know stays.

/** Tens of thousands of images. */
const MAX_INDEX = 64 << 20;

/** One image in index.json, by one name or none. */
export interface Entry {
  readonly descriptor: Descriptor;
  /** The canonical reference, `docker.io/library/alpine:latest`. */
  readonly name?: string;
}

interface Top extends Record<string, unknown> {
  readonly schemaVersion: 2;
  readonly manifests: readonly Descriptor[];
}

/** What an empty store's index.json has. */
export const EMPTY_INDEX = JSON.stringify({ schemaVersion: 2, manifests: [] });

function isDescriptor(value: unknown): value is Descriptor {
  if (typeof value !== "object" || value === null) return false;
  const { digest, size, mediaType, annotations } = value as Record<string, unknown>;
  return isDigest(digest) && typeof mediaType === "string" &&
    Number.isSafeInteger(size) && (size as number) >= 0 &&
    (annotations === undefined || typeof annotations === "object" && annotations !== null &&
        Object.values(annotations).every((value) => typeof value === "string"));
}

function notWhole(path: string, how: string, cause?: unknown): CrateError {
  return new CrateError(
    "FAILED",
    `${path} is not whole (${how}): put it right, or remove it and pull the images again`,
    { cause },
  );
}

function readTop(paths: Paths): Top {
  const path = paths.index;
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = explained(paths, "read the list of images", () => readFile(path, MAX_INDEX + 1));
  } catch (error) {
    if (!(error instanceof CrateError) || !isMissing(error.cause)) throw error;
    throw notWhole(path, "it is gone", error);
  }
  if (bytes.length > MAX_INDEX) throw notWhole(path, `it has more than ${MAX_INDEX} bytes`);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw notWhole(path, "it is no JSON", error);
  }
  const { schemaVersion, manifests } = (value ?? {}) as Record<string, unknown>;
  if (schemaVersion !== 2) throw notWhole(path, "schemaVersion is not 2");
  if (!Array.isArray(manifests)) throw notWhole(path, "manifests is no list");
  const wrong = manifests.findIndex((manifest) => !isDescriptor(manifest));
  if (wrong >= 0) throw notWhole(path, `manifests[${wrong}] is no descriptor`);
  return value as Top;
}

function entryOf(descriptor: Descriptor): Entry {
  const name = descriptor.annotations?.[REF_NAME];
  return name === undefined || name === "" ? { descriptor } : { descriptor, name };
}

/** The images and their names. @throws {CrateError} `FAILED` when index.json is not whole. */
export function readIndex(paths: Paths): Entry[] {
  return readTop(paths).manifests.map(entryOf);
}

/** The list of images after a change; undefined when it is as it was. */
function changed(paths: Paths, change: (entries: Entry[]) => Entry[]): string | undefined {
  const top = readTop(paths);
  const before = top.manifests.map(entryOf);
  const manifests = change(before).map(({ descriptor }) => descriptor);
  const text = JSON.stringify({ ...top, manifests });
  if (text === JSON.stringify(top)) return undefined;
  if (text.length > MAX_INDEX) {
    throw new CrateError("FAILED", `${paths.index} would be longer than ${MAX_INDEX} bytes`);
  }
  return text;
}

const WRITE = "write the list of images";

/**
 * Replaces the list of images by what is made of it. Under the exclusive lock.
 *
 * @throws {CrateError} nothing has changed then.
 */
export function changeIndex(paths: Paths, change: (entries: Entry[]) => Entry[]): void {
  const text = changed(paths, change);
  if (text !== undefined) explained(paths, WRITE, () => writeWhole(paths, paths.index, text));
}

/**
 * The same, as soon as something else has reached the disk.
 *
 * @throws {CrateError} nothing has changed then.
 */
export async function changeIndexAfter(
  paths: Paths,
  others: Promise<void>,
  change: (entries: Entry[]) => Entry[],
): Promise<void> {
  others.catch(() => {}); // it is told below, unless something else is
  const text = changed(paths, change);
  if (text === undefined) return await others;
  await explainedAsync(paths, WRITE, async () => {
    await writeContent(paths, paths.index, text, others);
    syncDirectory(paths.root);
  });
}

/** An entry of the same image by another name, or by none. */
export function named({ descriptor }: Entry, name: string | undefined): Entry {
  const { annotations: { [REF_NAME]: _, [CONTAINERD_NAME]: __, ...others } = {}, ...rest } =
    descriptor;
  const annotations = name === undefined
    ? others
    : { ...others, [REF_NAME]: name, [CONTAINERD_NAME]: name };
  return entryOf({ ...rest, ...Object.keys(annotations).length > 0 && { annotations } });
}

/** Gives an image a name, which the image that had it loses; that one stays, without it. */
export function withName(entries: readonly Entry[], name: string, descriptor: Descriptor): Entry[] {
  const { digest } = descriptor;
  const has = (entry: Entry) => entry.name === name && entry.descriptor.digest === digest;
  if (entries.some(has) && entries.filter((entry) => entry.name === name).length === 1) {
    return [...entries];
  }
  const rest = withoutNames(entries, new Set([name]));
  // With a name of its own, the image needs no entry without one.
  const others = rest.filter((entry) =>
    entry.name !== undefined || entry.descriptor.digest !== digest
  );
  return [...others, named({ descriptor }, name)];
}

/** Takes names away; an image whose last one it was stays, without any. */
export function withoutNames(entries: readonly Entry[], names: ReadonlySet<string>): Entry[] {
  const kept = entries.filter(({ name }) => name === undefined || !names.has(name));
  const there = new Set(kept.map(({ descriptor }) => descriptor.digest));
  for (const entry of entries) {
    if (there.has(entry.descriptor.digest)) continue;
    there.add(entry.descriptor.digest);
    kept.push(named(entry, undefined));
  }
  return kept;
}
