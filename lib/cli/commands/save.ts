import { saveImages } from "../../image/mod.ts";
import { readConfig } from "../globals.ts";
import { interruptible, platformOf, storeOf } from "../images.ts";
import { withOutput } from "../output.ts";
import type { SaveCall } from "../words/mod.ts";

/** `crate save`. */
export default async function command({ options, positionals, globals }: SaveCall) {
  const { output, format = "docker-archive" } = options;
  const platform = platformOf(options.platform);
  const store = await storeOf(await readConfig(globals));
  // Before anything is made: whether they are there.
  for (const word of positionals) store.find(word, platform && { platform });
  await withOutput(
    output,
    (write) =>
      interruptible(
        "interrupted: the archive is not whole",
        (signal) =>
          saveImages(store, positionals, { format, write, signal, ...platform && { platform } }),
      ),
  );
  return 0;
}
