import { imagesOf, openArchive } from "./archive/mod.ts";
import { pullImage, type PullOptions } from "./pull.ts";
import type { Found, Store } from "./store/mod.ts";

/** An image that was loaded. */
export interface Loaded {
  /** Canonical references that it has now; none for one that had none in the archive. */
  readonly names: readonly string[];
  readonly found: Found;
}

/**
 * Brings the images of an archive into the store: checked, unpacked, each there as a whole or not at all.
 *
 * @param path undefined: standard input.
 * @throws {CrateError} @throws the signal's reason
 */
export async function* loadImages(
  store: Store,
  path: string | undefined,
  options: PullOptions = {},
): AsyncGenerator<Loaded> {
  const { signal } = options;
  const temporary = () => store.temporary();
  using archive = await openArchive(path, { temporary, ...signal && { signal } });
  for (const { names, source } of imagesOf(archive.files)) {
    const [first, ...others] = names;
    const { digest, found } = await pullImage(store, source, first, options);
    for (const name of others) await store.tag(first ?? digest, name);
    yield { names, found };
  }
}
