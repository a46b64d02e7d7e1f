import { CrateError } from "../../errors.ts";
import { familiar } from "../../image/mod.ts";
import { readConfig } from "../globals.ts";
import { forEachImage, platformOf, pull, registryOptions, storeOf } from "../images.ts";
import { print } from "../print.ts";
import { progressView } from "../progress.ts";
import type { PullCall } from "../words/mod.ts";

export { pullTable as table } from "../words/mod.ts";

/** `crate pull`. */
export default async function command({ options, positionals, globals }: PullCall) {
  const { quiet, insecureRegistry } = options;
  const platform = platformOf(options.platform);
  const config = await readConfig(globals);
  const store = await storeOf(config);
  const registry = registryOptions(config, insecureRegistry);
  return await forEachImage(positionals, async (word) => {
    if (/^sha256:|^[0-9a-f]{64}$/.test(word)) {
      throw new CrateError("INVALID", `${word} is an image's id: pull it by its name`);
    }
    const before = quiet ? undefined : store.tryFind(word)?.image.descriptor.digest;
    let result;
    {
      using view = progressView(quiet);
      result = await pull(store, word, { ...(platform && { platform }), registry, view });
    }
    const { digest } = result;
    if (quiet) print(digest);
    else {
      const name = familiar(result.found.name ?? word);
      print(`${name}: ${digest === before ? "is up to date" : "pulled"}, ${digest}`);
    }
  });
}
