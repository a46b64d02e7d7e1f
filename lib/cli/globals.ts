import { exists, isInitialUserNamespace } from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import { type Effective, loadConfig, type Override, type Setting } from "../config/mod.ts";
import { openLog } from "./log.ts";
import type { Globals } from "./words/mod.ts";

/** crun's `--log`, which may name where it goes before the path. @throws {CrateError} `UNSUPPORTED` */
function logFile(log: string | undefined): string | undefined {
  const backend = /^(file|journald|syslog):/.exec(log ?? "")?.[1];
  if (backend === undefined) return log;
  if (backend === "file") return log!.slice("file:".length);
  throw new CrateError(
    "UNSUPPORTED",
    `--log ${log}: messages go to standard error or to a file, and not to ${backend}`,
  );
}

function overrides({ root, log, logFormat, logLevel, debug }: Globals): Override[] {
  const level = logLevel === "warning" ? "warn" : logLevel;
  return [
    { key: "root", value: root, origin: "--root" },
    { key: "log.file", value: logFile(log), origin: "--log" },
    { key: "log.format", value: logFormat, origin: "--log-format" },
    { key: "log.level", value: level, origin: "--log-level" },
    { key: "log.level", value: debug ? "debug" : undefined, origin: "--debug" },
  ];
}

/**
 * For the root of a user namespace, as whom a rootless engine or an ordinary user calls crate, state is in the user's
 * runtime directory when nobody says otherwise, as it is for runc, and images are in his home.
 */
function withUsersDirectories(config: Effective): Effective {
  const isSaid = config.root.origin !== "default" && config.image_root.origin !== "default";
  if (isSaid || isInitialUserNamespace()) return config;
  const own = (setting: Setting<string>, directory: string | undefined, variable: string) =>
    setting.origin !== "default" || !directory
      ? setting
      : { value: `${directory}/crate`, origin: `${variable}, in a user namespace` };
  const [home, data] = [Deno.env.get("HOME"), Deno.env.get("XDG_DATA_HOME")];
  return {
    ...config,
    root: own(config.root, Deno.env.get("XDG_RUNTIME_DIR"), "XDG_RUNTIME_DIR"),
    image_root: data
      ? own(config.image_root, data, "XDG_DATA_HOME")
      : own(config.image_root, home && `${home}/.local/share`, "HOME"),
  };
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
  const config = withUsersDirectories(loaded instanceof Promise ? await loaded : loaded);
  openLog(config);
  return config;
}
