import { CrateError } from "../../errors.ts";
import {
  contentOf,
  type Descriptor,
  familiar,
  formatPlatform,
  type Found,
  parseReference,
  pushImage,
  type Reference,
  registrySink,
  type Store,
  withDefaultTag,
} from "../../image/mod.ts";
import { readConfig } from "../globals.ts";
import { interruptible, platformOf, registryOptions, storeOf } from "../images.ts";
import { log } from "../log.ts";
import { print } from "../print.ts";
import { progressView } from "../progress.ts";
import type { PushCall } from "../words/mod.ts";

/** `crate push`. */
export default async function command({ options, positionals, globals }: PushCall) {
  const [word, to] = positionals as [string, string?];
  const platform = platformOf(options.platform);
  const config = await readConfig(globals);
  const registry = registryOptions(config, options.insecureRegistry);
  const store = await storeOf(config);
  const found = store.find(word, platform && { platform });
  const target = withDefaultTag(parseReference(to ?? targetOf(found, word)));
  const manifest = manifestToPush(store, found, word, platform !== undefined);
  const { digest, size } = await interruptible(
    "interrupted: the name leads to what it led to before",
    async (signal) => {
      using lease = await store.lease(signal);
      await lease.hold(store.digests(found.image));
      using view = progressView(options.quiet);
      const from = otherRepository(found, target);
      using sink = registrySink(target, { ...registry, signal, mountFrom: () => from });
      const source = store.source(found.image.descriptor.digest);
      const progress = view.show.bind(view);
      return await pushImage(source, sink, { ...manifest && { manifest }, progress, signal });
    },
  );
  print(options.quiet ? digest : `${target.tag ?? ""}: digest: ${digest} size: ${size}`);
  return 0;
}

/** An image by its id has no name that says where to push it. */
function targetOf({ name }: Found, word: string): string {
  if (name !== undefined) return name;
  throw new CrateError(
    "INVALID",
    `${word} is an image's id: say what it is called in the registry (crate push IMAGE NAME)`,
  );
}

/**
 * The one manifest that can be pushed of an index whose others are not in the store, as after a pull.
 *
 * @returns undefined: all of the image.
 */
function manifestToPush(
  store: Store,
  { image }: Found,
  word: string,
  isChosen: boolean,
): Descriptor | undefined {
  const { manifest, config } = contentOf(image);
  if (manifest.digest === image.descriptor.digest) return undefined;
  if (isChosen) return manifest;
  if (store.isWhole(image)) return undefined;
  const { os, architecture, variant } = config;
  const only = formatPlatform({ os, architecture, ...variant && { variant } });
  log("warn", `of ${familiar(word)} only ${only} is in the store: that is what is pushed`);
  return manifest;
}

/** Where in the target's registry the image's blobs are likely to be already. */
function otherRepository({ image }: Found, target: Reference): string | undefined {
  return image.names.map((name) => parseReference(name))
    .find(({ domain, path }) => domain === target.domain && path !== target.path)?.path;
}
