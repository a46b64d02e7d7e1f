import { CrateError } from "../errors.ts";
import {
  type Effective,
  isKey,
  isPath,
  type Key,
  keys,
  type KeyTable,
  type Setting,
} from "./keys.ts";

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
  /**
   * Says whether there is a file at a path. Without it the default files are simply opened, which
   * costs 0.3 ms when they are not there: Deno's errors are slow to make, `access` is not.
   */
  readonly exists?: (path: string) => boolean;
}

/**
 * Reads the configuration. What comes later wins: the defaults, `/etc/crate/config.toml`,
 * `$XDG_CONFIG_HOME/crate/config.toml` (`~/.config` without that variable), `--config`'s file,
 * the environment (`cgroup.memory_limit` is `CRATE_CGROUP_MEMORY_LIMIT`; an empty one counts as not
 * set), the command line. Paths of the last two may be relative to the working directory.
 *
 * @returns the configuration itself when there is nothing but what engines say on every call (`--root`,
 * `--log`, `--log-format`), a promise of it when there is more: only then is what reads other values
 * loaded, and for a file a TOML parser.
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
    if (sources.exists?.(path) === false) continue;
    const text = readFile(path, true);
    if (text !== undefined) files.push({ path, text });
  }
  if (sources.file !== undefined) {
    files.push({ path: sources.file, text: readFile(sources.file, false)! });
  }
  const names = ownVariables(sources.env);
  const unknown = names.find((name) => !keyOf(name));
  const given = givenTexts(names, sources);
  if (files.length > 0 || unknown !== undefined) {
    return import("./file.ts").then(({ readEntries, unknownName }) => {
      const entries = files.flatMap(({ path, text }) => readEntries(path, text));
      if (unknown !== undefined) {
        throw unknownName("environment variable", unknown, Object.keys(keys).map(variableOf));
      }
      return settleAll(entries, given);
    });
  }
  return given.every(isPlain) ? effective(given) : settleAll([], given);
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

/** A value as a text: from the environment or the command line. */
interface Given {
  readonly key: Key;
  readonly value: string;
  readonly origin: string;
}

/** The environment's, each of them known, and on top of them the command line's. */
function givenTexts(names: readonly string[], { env, overrides = [] }: Sources): Given[] {
  const variables = names.flatMap((origin) => {
    const key = keyOf(origin);
    const value = env[origin];
    return key && value ? [{ key, value, origin }] : [];
  });
  const options = overrides.flatMap(({ key, value, origin }) =>
    value === undefined ? [] : [{ key, value, origin }]
  );
  return [...variables, ...options];
}

/** Whether a text is the value that it stands for, with nothing to read in it. */
function isPlain({ key, value }: Given): boolean {
  const table: KeyTable = keys[key];
  if (table.kind === "path") return isPath(value);
  return table.kind === "choice" && table.choices.includes(value);
}

/** All layers on top of each other. @throws {CrateError} `INVALID` */
async function settleAll(entries: readonly Entry[], given: readonly Given[]): Promise<Effective> {
  const { checkValue, valueOfText } = await import("./values.ts");
  return effective([
    ...entries.map(({ key, value, origin }) => ({
      key,
      value: checkValue(key, value, `${origin}: ${key}`),
      origin,
    })),
    ...given.map(({ key, value, origin }) => ({
      key,
      value: checkValue(key, valueOfText(key, value), origin),
      origin,
    })),
  ]);
}

/** Values that their keys can hold, the last one of a key, on top of the defaults. */
function effective(settings: readonly (Setting & { readonly key: Key })[]): Effective {
  const found: Record<string, Setting> = {};
  for (const [key, { default: value }] of Object.entries(keys)) {
    found[key] = { value, origin: "default" };
  }
  for (const { key, value, origin } of settings) found[key] = { value, origin };
  // Every key has its default or a value that was checked against the same table.
  return found as unknown as Effective;
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

/** The names in the environment that are meant for crate: seldom any. */
function ownVariables(env: Sources["env"]): string[] {
  const names: string[] = [];
  for (const name in env) {
    if (name.startsWith("CRATE_")) names.push(name);
  }
  return names;
}

/** `CRATE_CGROUP_MEMORY_LIMIT` -> `cgroup.memory_limit`. */
function keyOf(variable: string): Key | undefined {
  return Object.keys(keys).filter(isKey).find((key) => variableOf(key) === variable);
}

/** The variables of what a command may be told of containers: all but where state is, and messages go. */
export function settingVariables(): string[] {
  return Object.keys(keys).filter((key) => key !== "root" && !key.startsWith("log.")).map(
    variableOf,
  );
}

/** `cgroup.memory_limit` -> `CRATE_CGROUP_MEMORY_LIMIT`. */
function variableOf(key: string): string {
  return `CRATE_${key.replace(".", "_").toUpperCase()}`;
}
