import { CrateError } from "../errors.ts";
import { type Effective, isKey, type Key, keys, type Setting } from "./keys.ts";
import { checkValue, valueOfText } from "./values.ts";

/** A value from the command line. */
export interface Override {
  readonly key: Key;
  /** As it was written; `undefined` when the option was not given. */
  readonly value: string | undefined;
  /** The option's name: `--root`. */
  readonly origin: string;
}

/** Where the configuration comes from, beside its two default files. */
export interface Sources {
  /** What `--config` names. */
  readonly file?: string;
  /** The whole environment: unknown names that begin with `CRATE_` are errors. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What stands on the command line; wins over everything. */
  readonly overrides?: readonly Override[];
  /** The file for all users of the machine. */
  readonly systemFile?: string;
}

/**
 * Reads the configuration. What comes later wins: the defaults, `/etc/crate/config.toml`,
 * `$XDG_CONFIG_HOME/crate/config.toml` (`~/.config` without that variable), `--config`'s file,
 * the environment (`cgroup.memory_limit` is `CRATE_CGROUP_MEMORY_LIMIT`; an empty one counts as not
 * set), the command line. Paths of the last two may be relative to the working directory.
 *
 * @returns the configuration itself when there is no file to read, a promise of it when there is:
 * only then is a TOML parser loaded.
 * @throws {CrateError} `INVALID` for an unknown key, a value that a key cannot hold or a file that
 * is no TOML, naming the place; `NOT_FOUND` when `file` does not exist; `PERMISSION` or `FAILED`
 * when a file cannot be read. Thrown or, behind a promise, rejected.
 *
 * @example
 * ```ts
 * import { loadConfig } from "./load.ts";
 * const config = await loadConfig({
 *   env: { CRATE_CGROUP_MEMORY_LIMIT: "512m" },
 *   overrides: [{ key: "root", value: "/tmp/crate", origin: "--root" }],
 *   systemFile: "/nonexistent",
 * });
 * if (config["cgroup.memory_limit"].value !== 512 * 1024 * 1024) throw new Error("wrong limit");
 * if (config.root.origin !== "--root") throw new Error("wrong origin");
 * ```
 */
export function loadConfig(sources: Sources): Effective | Promise<Effective> {
  const files: File[] = [];
  for (const path of defaultFiles(sources)) {
    const text = readFile(path, true);
    if (text !== undefined) files.push({ path, text });
  }
  if (sources.file !== undefined) {
    files.push({ path: sources.file, text: readFile(sources.file, false)! });
  }
  const unknown = unknownVariable(sources.env);
  if (files.length === 0 && unknown === undefined) return settle([], sources);
  return import("./file.ts").then(({ readEntries, unknownName }) => {
    const entries = files.flatMap(({ path, text }) => readEntries(path, text));
    if (unknown !== undefined) {
      throw unknownName("environment variable", unknown, Object.keys(keys).map(variableOf));
    }
    return settle(entries, sources);
  });
}

/** One `key = value` of a file. */
export interface Entry {
  readonly key: Key;
  /** As TOML gives it. */
  readonly value: unknown;
  /** `/etc/crate/config.toml:3`. */
  readonly origin: string;
}

interface File {
  readonly path: string;
  readonly text: string;
}

/** All layers on top of each other. */
function settle(entries: readonly Entry[], { env, overrides = [] }: Sources): Effective {
  const effective: Record<string, Setting> = {};
  for (const key in keys) {
    if (isKey(key)) effective[key] = { value: keys[key].default, origin: "default" };
  }
  for (const { key, value, origin } of entries) {
    effective[key] = { value: checkValue(key, value, `${origin}: ${key}`), origin };
  }
  for (const key in keys) {
    const name = variableOf(key);
    const text = env[name];
    if (text && isKey(key)) {
      effective[key] = { value: checkValue(key, valueOfText(key, text), name), origin: name };
    }
  }
  for (const { key, value: text, origin } of overrides) {
    if (text === undefined) continue;
    effective[key] = { value: checkValue(key, valueOfText(key, text), origin), origin };
  }
  // Every key has its default or a value that was checked against the same table.
  return effective as unknown as Effective;
}

function defaultFiles({ env, systemFile = "/etc/crate/config.toml" }: Sources): string[] {
  // The XDG base directory specification: a path that is not absolute is to be ignored.
  const { XDG_CONFIG_HOME: xdg, HOME: home } = env;
  const directory = xdg?.startsWith("/") ? xdg : home?.startsWith("/") ? `${home}/.config` : null;
  return directory === null ? [systemFile] : [systemFile, `${directory}/crate/config.toml`];
}

function readFile(path: string, optional: boolean): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
      if (optional) return undefined;
      throw new CrateError("NOT_FOUND", `the configuration file ${path} does not exist`);
    }
    const denied = error instanceof Deno.errors.PermissionDenied ||
      error instanceof Deno.errors.NotCapable;
    const reason = error instanceof Error ? error.message : String(error);
    throw new CrateError(
      denied ? "PERMISSION" : "FAILED",
      `the configuration file ${path} cannot be read: ${reason}`,
      { cause: error },
    );
  }
}

/** `cgroup.memory_limit` -> `CRATE_CGROUP_MEMORY_LIMIT`. */
function variableOf(key: string): string {
  return `CRATE_${key.replace(".", "_").toUpperCase()}`;
}

function unknownVariable(env: Sources["env"]): string | undefined {
  let known: Set<string> | undefined;
  for (const name in env) {
    if (!name.startsWith("CRATE_")) continue;
    known ??= new Set(Object.keys(keys).map(variableOf));
    if (!known.has(name)) return name;
  }
}
