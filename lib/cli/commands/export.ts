import { close } from "../../../ffi/mod.ts";
import { tarOf, walkTree } from "../../image/mod.ts";
import { openRootfs } from "../../lifecycle/mod.ts";
import { openMerged } from "../../overlay/mod.ts";
import { stateOf } from "../each.ts";
import { readConfig } from "../globals.ts";
import { interruptible } from "../images.ts";
import { withOutput } from "../output.ts";
import type { ExportCall } from "../words/mod.ts";

/** So often a signal is looked for: pieces of an archive. */
const PIECES = 64;

/** `crate export`. */
export default async function command({ options, positionals, globals }: ExportCall) {
  const config = await readConfig(globals);
  const root = openRootfs(stateOf(config.root.value, positionals[0]!), openMerged);
  try {
    await withOutput(
      options.output,
      (write) =>
        interruptible("interrupted: the archive is not whole", async (signal) => {
          let count = 0;
          for (const bytes of tarOf(walkTree(root.fd, root))) {
            write(bytes);
            if (++count % PIECES !== 0) continue;
            await new Promise((resolve) => setTimeout(resolve));
            signal.throwIfAborted();
          }
        }),
    );
  } finally {
    close(root.fd);
  }
  return 0;
}
