import { close } from "../../../ffi/mod.ts";
import { tarOf, walkTree } from "../../image/mod.ts";
import { isWithin, type OpenedRootfs, openRootfs, openRootView } from "../../lifecycle/mod.ts";
import { openMerged, openWritable } from "../../overlay/mod.ts";
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
  const stateRoot = config.root.value;
  const state = stateOf(stateRoot, positionals[0]!);
  const { record, status } = state;
  if (status === "stopped" && isWithin(record)) {
    const overlays = { openMerged, openWritable };
    using view = await openRootView(stateRoot, record.id, overlays, { writable: false });
    await pack(view, options.output);
    return 0;
  }
  const root = openRootfs(state, openMerged);
  try {
    await pack(root, options.output);
  } finally {
    close(root.fd);
  }
  return 0;
}

/** Writes the archive of a root filesystem, without what is mounted in it. */
async function pack(root: OpenedRootfs, output: string | undefined): Promise<void> {
  await withOutput(
    output,
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
}
