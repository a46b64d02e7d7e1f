import { CrateError } from "../../errors.ts";
import { familiar, loadImages } from "../../image/mod.ts";
import { readConfig } from "../globals.ts";
import { interruptible, platformOf, storeOf } from "../images.ts";
import { print } from "../print.ts";
import { progressView } from "../progress.ts";
import type { LoadCall } from "../words/mod.ts";

/** `crate load`. */
export default async function command({ options, globals }: LoadCall) {
  const { input, quiet } = options;
  if (input === undefined && Deno.stdin.isTerminal()) {
    throw new CrateError("USAGE", "crate load reads an archive: give --input FILE, or pipe it in");
  }
  const platform = platformOf(options.platform);
  const store = await storeOf(await readConfig(globals));
  await interruptible("interrupted: what was said to be loaded is there", async (signal) => {
    using view = progressView(quiet);
    const choice = { signal, progress: view.show.bind(view), ...platform && { platform } };
    for await (const { names, found } of loadImages(store, input, choice)) {
      const told = names.length === 0 ? [found.image.id] : names.map(familiar);
      for (const name of told) print(`Loaded image: ${name}`);
    }
  });
  return 0;
}
