import { exists } from "../../ffi/mod.ts";
import { type Effective, loadConfig, type Override } from "../config/mod.ts";
import { isInitialUserNamespace } from "../lifecycle/mod.ts";
import { openLog } from "./log.ts";
import type { Globals } from "./words/mod.ts";

function overrides({ root, log, logFormat, debug }: Globals): Override[] {
  return [
    { key: "root", value: root, origin: "--root" },
    { key: "log.file", value: log, origin: "--log" },
    { key: "log.format", value: logFormat, origin: "--log-format" },
    { key: "log.level", value: debug ? "debug" : undefined, origin: "--debug" },
  ];
}

/**
 * For the root of a user namespace, whom a rootless engine calls crate as, state is in the user's runtime
 * directory when nobody says otherwise, as it is for runc.
 */
function withRuntimeDirectory(config: Effective): Effective {
  const directory = Deno.env.get("XDG_RUNTIME_DIR");
  if (config.root.origin !== "default" || !directory || isInitialUserNamespace()) return config;
  const root = { value: `${directory}/crate`, origin: "XDG_RUNTIME_DIR, in a user namespace" };
  return { ...config, root };
}

/**
 * The configuration of this call, from the files, the environment and the global options; messages
 * go where it says from now on.
 *
 * @throws {CrateError}
 */
export async function readConfig(globals: Globals): Promise<Effective> {
  const loaded = loadConfig({
    file: globals.config,
    env: Deno.env.toObject(),
    overrides: overrides(globals),
    // Deno's own look costs an error object for each file that is not there.
    exists,
  });
  const config = withRuntimeDirectory(loaded instanceof Promise ? await loaded : loaded);
  openLog(config);
  return config;
}
