import type { UsageRow } from "../../image/mod.ts";
import { readState } from "../../lifecycle/mod.ts";
import { formatSize, formatTable } from "../format.ts";
import { readConfig } from "../globals.ts";
import { storeOf } from "../images.ts";
import { print } from "../print.ts";
import type { DfCall } from "../words/mod.ts";

function row(name: string, { total, active, size, reclaimable }: UsageRow): string[] {
  const share = size === 0 ? "" : ` (${Math.round((100 * reclaimable) / size)}%)`;
  return [name, String(total), String(active), formatSize(size), formatSize(reclaimable) + share];
}

/** Whether a container is, by its state directory, which may be another `--root`'s. */
function isRunning(directory: string): boolean {
  const at = directory.lastIndexOf("/");
  return readState(directory.slice(0, at), directory.slice(at + 1))?.status === "running";
}

/** `crate df`. */
export default async function df({ globals }: DfCall): Promise<number> {
  const store = await storeOf(await readConfig(globals), { clean: false });
  const { images, layers, containers, volumes, partials } = store.diskUsage(isRunning);
  print(formatTable([
    ["TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"],
    row("Images", images),
    row("  of which layers", layers),
    row("Containers", containers),
    row("Volumes", volumes),
    row("Unfinished blobs", partials),
  ]));
  return 0;
}
