import { CrateError } from "../../errors.ts";
import { commitImage } from "../../image/mod.ts";
import { IMAGE_ANNOTATION, overlayOf, statePaths, whilePaused } from "../../lifecycle/mod.ts";
import { stateOf } from "../each.ts";
import { readConfig } from "../globals.ts";
import { interruptible, storeOf } from "../images.ts";
import { print } from "../print.ts";
import { progressView } from "../progress.ts";
import type { CommitCall } from "../words/mod.ts";

/** `crate commit`. */
export default async function command({ options, positionals, globals }: CommitCall) {
  const [word, name] = positionals as [string, string?];
  const { change, author, message, pause, quiet } = options;
  const config = await readConfig(globals);
  const root = config.root.value;
  const state = stateOf(root, word);
  const { id, spec } = state.record;
  const upper = overlayOf(state.record)?.upper;
  if (spec.annotations?.[IMAGE_ANNOTATION] === undefined || upper === undefined) {
    throw new CrateError(
      "UNSUPPORTED",
      `container "${id}" is not of an image: crate export ${id} | crate import - NAME makes one of it`,
    );
  }
  const store = await storeOf(config, { clean: false });
  const { found } = await interruptible("interrupted: no image was made", async (signal) => {
    using view = progressView(quiet);
    const make = () =>
      commitImage(store, name, {
        directory: statePaths(root, id).directory,
        upper,
        command: (spec.process?.args ?? []).join(" "),
        changes: change,
        ...author !== undefined && { author },
        ...message !== undefined && { message },
        progress: view.show.bind(view),
        signal,
      });
    return await (pause ? whilePaused(state, make) : make());
  });
  print(found.image.id);
  return 0;
}
