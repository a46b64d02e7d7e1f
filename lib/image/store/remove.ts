import { CrateError } from "../../errors.ts";
import { digestHex, familiarName, parseReference, quote } from "../names/mod.ts";
import type { Digest } from "../types.ts";
import { clearDead, collect, type Collected } from "./garbage.ts";
import { type Image, readImages } from "./images.ts";
import { changeIndex, type Entry, withoutNames } from "./index.ts";
import type { Paths } from "./layout.ts";
import { familiar, findImage } from "./lookup.ts";
import { clearPins, type PinRecord, readPins } from "./pins.ts";

/** What was removed of images. */
export interface Removed extends Collected {
  /** Names that are no more, canonical. */
  readonly untagged: readonly string[];
  /** IDs of images that are no more. */
  readonly deleted: readonly Digest[];
}

interface Plan {
  readonly names: ReadonlySet<string>;
  /** The documents whose entries go altogether. */
  readonly images: readonly Image[];
}

/**
 * Removes a name, and with its last name the image; or an image by its ID, with all its names. What other
 * images, containers and commands at work need stays.
 *
 * @param options.force removes the names of an image that has several, or that a container uses; that one
 *   stays without a name until the container is gone.
 * @throws {CrateError} `NOT_FOUND`; `STATE` when it takes force.
 */
export async function removeImage(
  paths: Paths,
  word: string,
  { force = false }: { readonly force?: boolean } = {},
): Promise<Removed> {
  let plan: Plan | undefined;
  const collected = await collect(paths, () => {
    clearPins(paths);
    plan = planOf(paths, word, readPins(paths), force);
    carryOut(paths, plan);
  });
  return told(plan!, collected);
}

function planOf(paths: Paths, word: string, pins: readonly PinRecord[], force: boolean): Plan {
  const { image, name } = findImage(paths, word);
  if (name !== undefined && image.names.length > 1) return { names: new Set([name]), images: [] };
  const user = pins.find((pin) => uses(pin, image));
  if (user !== undefined && !force) {
    const id = digestHex(image.id).slice(0, 12);
    throw new CrateError(
      "STATE",
      `image ${quote(word)} (${id}) is used by container "${user.container}": ` +
        `remove that first (crate delete ${user.container}), or --force to take the image's names`,
    );
  }
  const repositories = new Set(image.names.map(repositoryOf));
  if (name === undefined && repositories.size > 1 && !force) {
    throw new CrateError(
      "STATE",
      `image ${quote(word)} has names in several repositories ` +
        `(${image.names.map(familiar).join(", ")}): remove them by name, or all with --force`,
    );
  }
  return { names: new Set(image.names), images: user === undefined ? [image] : [] };
}

function uses(pin: PinRecord, image: Image): boolean {
  return pin.image === image.id || pin.digests.includes(image.descriptor.digest);
}

function repositoryOf(name: string): string {
  try {
    return familiarName(parseReference(name));
  } catch (error) {
    if (error instanceof CrateError) return name;
    throw error;
  }
}

function carryOut(paths: Paths, { names, images }: Plan): void {
  const gone = new Set(images.map(({ descriptor }) => descriptor.digest));
  const stays = ({ descriptor }: Entry) => !gone.has(descriptor.digest);
  changeIndex(paths, (entries) => withoutNames(entries, names).filter(stays));
}

function told({ names, images }: Plan, collected: Collected): Removed {
  return { untagged: [...names].sort(), deleted: images.map(({ id }) => id), ...collected };
}

/** Takes a name away; an image whose last one it was stays, without any. @throws {CrateError} */
export async function removeName(paths: Paths, name: string): Promise<void> {
  await collect(paths, () => carryOut(paths, { names: new Set([name]), images: [] }));
}

/**
 * Removes the images that have no name (with `all`: those that no container uses), blobs that came in
 * part and that nobody is fetching, and what else nothing needs.
 *
 * @throws {CrateError}
 */
export async function pruneImages(
  paths: Paths,
  { all = false }: { readonly all?: boolean } = {},
): Promise<Removed> {
  let plan: Plan = { names: new Set(), images: [] };
  const collected = await collect(paths, () => {
    clearPins(paths);
    const pins = readPins(paths);
    const images = readImages(paths).filter((image) =>
      (all || image.names.length === 0) && !pins.some((pin) => uses(pin, image))
    );
    plan = { names: new Set(images.flatMap(({ names }) => names)), images };
    carryOut(paths, plan);
  }, { partials: true });
  await clearDead(paths);
  return told(plan, collected);
}
