import { ENOENT, ENOTDIR, readDirectory, readText, SyscallError } from "../../../../ffi/mod.ts";
import { CrateError } from "../../../errors.ts";
import { isNetworkName } from "./places.ts";

// Network configurations: lists of plugins, and single ones, which are lists of one.

const MAX_FILE = 1 << 20;
/** As many plugins may a list have. */
const MAX_PLUGINS = 64;
const ENDINGS = [".conflist", ".conf", ".json"];

/** The versions of the specification that crate speaks. */
export const VERSIONS = ["0.3.1", "0.4.0", "1.0.0"] as const;

/** A JSON object. */
export type Fields = Readonly<Record<string, unknown>>;

/** A plugin's part of a configuration, as it is handed to it. */
export interface PluginConfiguration extends Fields {
  readonly type: string;
}

/** A network, as its file has it. */
export interface NetworkConfiguration {
  readonly name: string;
  readonly cniVersion: typeof VERSIONS[number];
  readonly plugins: readonly PluginConfiguration[];
  readonly file: string;
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Reads a configuration from its file's text.
 *
 * @throws {CrateError} `INVALID` for one that is malformed; `UNSUPPORTED` for another version of the specification.
 */
export function parseConfiguration(text: string, file: string): NetworkConfiguration {
  const refuse = (why: string) => new CrateError("INVALID", `${file}: ${why}`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new CrateError("INVALID", `${file} is no JSON: ${(cause as Error).message}`, { cause });
  }
  if (!isFields(value)) throw refuse("it must be a JSON object");
  const { name, cniVersion, plugins = [value] } = value;
  if (typeof name !== "string" || !isNetworkName(name)) {
    throw refuse(`"name" must be a network's name, got ${JSON.stringify(name)}`);
  }
  const version = VERSIONS.find((each) => each === cniVersion);
  if (version === undefined) {
    throw new CrateError(
      "UNSUPPORTED",
      `${file}: "cniVersion" is ${JSON.stringify(cniVersion) ?? "not there"}, crate knows ${
        VERSIONS.join(", ")
      }`,
    );
  }
  if (file.endsWith(".conflist") && value.plugins === undefined) {
    throw refuse('"plugins" must be there, the list of plugins');
  }
  if (!Array.isArray(plugins) || plugins.length < 1 || plugins.length > MAX_PLUGINS) {
    throw refuse(`"plugins" must be an array of 1 to ${MAX_PLUGINS} plugins`);
  }
  plugins.forEach((plugin: unknown, i) => {
    const field = value.plugins === undefined ? "" : `plugins[${i}].`;
    if (!isFields(plugin)) throw refuse(`plugins[${i}] must be a JSON object`);
    const { type, capabilities = {} } = plugin;
    // A name and no path: it is looked up where plugins are, and nowhere else.
    if (typeof type !== "string" || !/^[^/\0]+$/.test(type) || /^\.+$/.test(type)) {
      throw refuse(`"${field}type" must be a plugin's name, got ${JSON.stringify(type)}`);
    }
    if (!isFields(capabilities)) throw refuse(`"${field}capabilities" must be a JSON object`);
  });
  return { name, cniVersion: version, plugins: plugins as PluginConfiguration[], file };
}

/**
 * The configuration of a network, from the first file, in the order of their names, that has it.
 *
 * @throws {CrateError} `NOT_FOUND`; as `parseConfiguration` for the network's own file, and for any other when there is
 *   none that has the name: it may be in that one.
 */
export function findConfiguration(directory: string, name: string): NetworkConfiguration {
  let files: string[];
  try {
    files = readDirectory(directory);
  } catch (cause) {
    if (!(cause instanceof SyscallError)) throw cause;
    const isMissing = cause.errno === ENOENT || cause.errno === ENOTDIR;
    throw new CrateError(
      "NOT_FOUND",
      `--network cni:${name}: ${directory} ${
        isMissing ? "is not there" : `cannot be read: ${cause.code}`
      }, where CNI networks are configured ($NETCONFPATH names another)`,
      { cause },
    );
  }
  const names: string[] = [];
  let broken: CrateError | undefined;
  for (const each of files.filter((file) => ENDINGS.some((end) => file.endsWith(end))).sort()) {
    const file = `${directory}/${each}`;
    let text: string;
    try {
      text = readText(file, MAX_FILE + 1);
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
      broken ??= new CrateError("INVALID", `${file} cannot be read: ${error.code}`);
      continue;
    }
    try {
      if (text.length > MAX_FILE) {
        throw new CrateError("INVALID", `${file} is larger than ${MAX_FILE} bytes`);
      }
      const found = parseConfiguration(text, file);
      if (found.name === name) return found;
      names.push(found.name);
    } catch (error) {
      if (!(error instanceof CrateError)) throw error;
      if (nameIn(text) === name) throw error;
      broken ??= error;
    }
  }
  if (broken !== undefined) throw broken;
  throw new CrateError(
    "NOT_FOUND",
    `--network cni:${name}: no file in ${directory} has a network of this name${
      names.length === 0 ? "" : `, but ${names.join(", ")}`
    }`,
  );
}

/** The name in a file that has something else wrong. */
function nameIn(text: string): unknown {
  try {
    return JSON.parse(text)?.name;
  } catch {
    return undefined;
  }
}
