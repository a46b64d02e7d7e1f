import { importImage } from "../../image/mod.ts";
import { readConfig } from "../globals.ts";
import { interruptible, platformOf, storeOf } from "../images.ts";
import { print } from "../print.ts";
import { progressView } from "../progress.ts";
import type { ImportCall } from "../words/mod.ts";

/** `crate import`. */
export default async function command({ options, positionals, globals }: ImportCall) {
  const [file, name] = positionals as [string, string?];
  const { change, message, quiet } = options;
  const platform = platformOf(options.platform);
  const store = await storeOf(await readConfig(globals));
  const { found } = await interruptible("interrupted: nothing was imported", (signal) => {
    using view = progressView(quiet);
    return importImage(store, file === "-" ? undefined : file, name, {
      changes: change,
      ...message !== undefined && { message },
      ...platform && { platform },
      progress: view.show.bind(view),
      signal,
    });
  });
  print(found.image.id);
  return 0;
}
