import { CrateError } from "../../errors.ts";
import { type ContainerState, readState, restoreContainer } from "../../lifecycle/mod.ts";
import { validateId } from "../../spec/mod.ts";
import { type Bundle, readBundle } from "../bundle.ts";
import { isSystemds } from "../group.ts";
import { readConfig } from "../globals.ts";
import type { RestoreCall } from "../words/mod.ts";

/** The bundle of a container that is new; undefined for crate run's own, which goes on as it was. */
function bundleFor(given: string | undefined, before: ContainerState | undefined) {
  if (given !== undefined) return readBundle(given);
  if (before === undefined) return readBundle(".");
  return before.record.engine ? readBundle(before.record.bundle) : undefined;
}

/** `crate restore`. */
export default async function restore(call: RestoreCall): Promise<number> {
  const { options, positionals, globals } = call;
  const root = (await readConfig(globals)).root.value;
  if (isSystemds(globals)) {
    throw new CrateError(
      "UNSUPPORTED",
      "--systemd-cgroup is not for restore: criu puts processes into groups of cgroupfs",
    );
  }
  const { imagePath = "checkpoint", bundle: given, noPivot, ...rest } = options;
  if (noPivot) {
    throw new CrateError(
      "UNSUPPORTED",
      "--no-pivot is not for restore: criu enters the root by pivot_root only",
    );
  }
  const id = validateId(positionals[0]!);
  const bundle: Bundle | undefined = bundleFor(given, readState(root, id));
  return await restoreContainer({
    ...rest,
    root,
    id,
    program: { criu: globals.criu ?? "criu", env: Deno.env.toObject() },
    imagePath,
    stdio: [0, 1, 2],
    ...bundle !== undefined && { bundle },
  });
}
