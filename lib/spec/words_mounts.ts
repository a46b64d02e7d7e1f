/**
 * Mounts as fingers type them: `--volume`, `--mount`, `--tmpfs`.
 *
 * A read-only bind is read-only with all mounts below it (`rro`), as docker's has been since 25:
 * the kernels that crate runs on can all do it.
 *
 * @module
 */
import { CrateError } from "../errors.ts";
import type { Mount } from "./types.ts";
import { parseSize, wrongWord } from "./words_numbers.ts";

/** A bind and what was asked of its labels. */
export interface VolumeWord {
  readonly mount: Mount;
  /**
   * `z` and `Z`: relabel the source for all containers, or for this one. It means something on a
   * host with SELinux only; elsewhere there are no labels and nothing is to be done.
   */
  readonly relabel?: "shared" | "private";
}

const PROPAGATIONS = ["private", "rprivate", "slave", "rslave", "shared", "rshared"];
const ATTRIBUTES = ["nosuid", "suid", "nodev", "dev", "noexec", "exec"];

/**
 * A bind: `/host:/container[:OPTIONS]`, options `ro`, `rw`, `z`, `Z`, one propagation
 * (`rprivate` when none), `bind` (without the mounts below; else `rbind`), `nosuid`, `nodev`,
 * `noexec` and their opposites, and `idmap`: files have the ids of the container's user namespace, or those of
 * the maps that it has with it (`idmap=uids=0-1000-10;gids=0-1000-10`).
 *
 * @param cwd What a source that starts with `./` or `../` is relative to, absolute.
 * @param typed What a person typed, when the word was made of it: what errors quote.
 * @throws {CrateError} `INVALID`, for a volume's name as well.
 *
 * @example
 * ```ts
 * import { parseVolume } from "./mod.ts";
 * const { mount } = parseVolume("./data:/data:ro", "/srv");
 * if (mount.source !== "/srv/data" || mount.options?.join() !== "rbind,rro,rprivate") throw mount;
 * ```
 */
export function parseVolume(
  word: string,
  cwd: string,
  option = "--volume",
  typed = word,
): VolumeWord {
  const [source, target, options, ...rest] = word.split(":");
  if (!source || target === undefined || rest.length > 0) {
    wrongWord(option, typed, "is not HOST:PATH[:OPTIONS], such as /srv/www:/www:ro");
  }
  const chosen: BindChoices = {};
  let relabel: VolumeWord["relabel"];
  for (const name of options === undefined ? [] : options.split(",")) {
    if (name === "ro" || name === "rw") {
      chosen.readonly = choose(chosen.readonly, name === "ro" ? "rro" : "rw", name);
    } else if (name === "bind" || name === "rbind") {
      chosen.bind = choose(chosen.bind, name, name);
    } else if (name === "z" || name === "Z") {
      relabel = choose(relabel, name === "z" ? "shared" : "private", name);
    } else if (PROPAGATIONS.includes(name)) {
      chosen.propagation = choose(chosen.propagation, name, name);
    } else if (ATTRIBUTES.includes(name)) {
      (chosen.attributes ??= []).push(name);
    } else if (name === "idmap" || name.startsWith("idmap=")) {
      chosen.idmap = choose(chosen.idmap, name, "idmap");
    } else {
      wrongWord(option, typed, `has an option ${JSON.stringify(name)} that a bind does not know`);
    }
  }
  const mount = bind(hostPath(source, cwd, option, typed), target, chosen, option, typed);
  return relabel === undefined ? { mount } : { mount, relabel };

  function choose<T>(before: T | undefined, value: T, name: string): T {
    if (before !== undefined) wrongWord(option, typed, `says twice what ${name} says`);
    return value;
  }
}

/**
 * A mount by name: `type=bind,src=/data,dst=/data,ro` or `type=tmpfs,dst=/tmp,tmpfs-size=64m`.
 * Names and values are docker's; a part with a comma in it stands in double quotes.
 *
 * @param cwd, typed As for {@linkcode parseVolume}.
 * @throws {CrateError} `INVALID`
 */
export function parseMountFlag(
  word: string,
  cwd: string,
  option = "--mount",
  typed = word,
): Mount {
  const values = new Map<string, string>();
  for (const part of splitMount(word, option)) {
    const equals = part.indexOf("=");
    const key = (equals === -1 ? part : part.slice(0, equals)).toLowerCase();
    const name = MOUNT_KEYS[key];
    if (name === undefined) {
      wrongWord(option, typed, `has ${JSON.stringify(key)}, which it does not know`);
    }
    if (values.has(name)) wrongWord(option, typed, `says ${name} twice`);
    if (equals === -1 && !["readonly", "bind-nonrecursive", "idmap"].includes(name)) {
      wrongWord(option, typed, `must have a value for ${key}: ${key}=...`);
    }
    values.set(name, equals === -1 ? "true" : part.slice(equals + 1));
  }
  const type = values.get("type");
  const target = values.get("target");
  if (type !== "bind" && type !== "tmpfs") {
    wrongWord(option, typed, "must have type=bind, type=tmpfs or type=volume");
  }
  if (target === undefined) wrongWord(option, typed, "must have dst=PATH");
  for (const name of values.keys()) {
    if (
      name.startsWith(type === "bind" ? "tmpfs-" : "bind-") ||
      (type === "tmpfs" && (name === "source" || name === "idmap"))
    ) {
      wrongWord(option, typed, `has ${name}, which does not go with type=${type}`);
    }
  }
  return type === "bind"
    ? bindOf(values, target, cwd, option, typed)
    : tmpfsOf(values, target, option, typed);
}

const MOUNT_KEYS: Readonly<Record<string, string | undefined>> = {
  __proto__: null as never,
  type: "type",
  source: "source",
  src: "source",
  target: "target",
  dst: "target",
  destination: "target",
  readonly: "readonly",
  ro: "readonly",
  "bind-propagation": "bind-propagation",
  "bind-recursive": "bind-recursive",
  "bind-nonrecursive": "bind-nonrecursive",
  idmap: "idmap",
  "tmpfs-size": "tmpfs-size",
  "tmpfs-mode": "tmpfs-mode",
};

function bindOf(
  values: ReadonlyMap<string, string>,
  target: string,
  cwd: string,
  option: string,
  word: string,
): Mount {
  const source = values.get("source");
  if (!source) wrongWord(option, word, "must have src=PATH");
  const readonly = flag(values, "readonly", option, word);
  const propagation = values.get("bind-propagation");
  if (propagation !== undefined && !PROPAGATIONS.includes(propagation)) {
    wrongWord(option, word, `must have a bind-propagation of ${PROPAGATIONS.join(", ")}`);
  }
  if (values.has("bind-recursive") && values.has("bind-nonrecursive")) {
    wrongWord(option, word, "says twice how deep to bind: leave bind-nonrecursive out");
  }
  let recursive = values.get("bind-recursive") ?? "enabled";
  if (flag(values, "bind-nonrecursive", option, word)) recursive = "disabled";
  if (!["enabled", "disabled", "writable", "readonly"].includes(recursive)) {
    wrongWord(option, word, "must have a bind-recursive of enabled, disabled, writable, readonly");
  }
  if (recursive === "readonly" && !readonly) {
    wrongWord(option, word, "must have readonly for bind-recursive=readonly");
  }
  const chosen: BindChoices = {
    bind: recursive === "disabled" ? "bind" : "rbind",
    readonly: !readonly ? undefined : recursive === "writable" ? "ro" : "rro",
    propagation,
    idmap: idmapOf(values, option, word),
  };
  return bind(hostPath(source, cwd, option, word), target, chosen, option, word);
}

function tmpfsOf(
  values: ReadonlyMap<string, string>,
  target: string,
  option: string,
  word: string,
): Mount {
  const options: string[] = [];
  if (flag(values, "readonly", option, word)) options.push("ro");
  const size = values.get("tmpfs-size");
  if (size !== undefined) options.push(`size=${parseSize(size, `${option} tmpfs-size`)}`);
  const mode = values.get("tmpfs-mode");
  if (mode !== undefined) options.push(`mode=${mode}`);
  return tmpfs(target, options, option, word);
}

/**
 * An empty tmpfs: `/run`, `/tmp:size=64m,mode=1777`. It is `nosuid,nodev,noexec` unless it says
 * otherwise, as docker's is.
 *
 * @throws {CrateError} `INVALID`.
 */
export function parseTmpfs(word: string, option = "--tmpfs"): Mount {
  const colon = word.indexOf(":");
  const target = colon === -1 ? word : word.slice(0, colon);
  const options = colon === -1 ? "" : word.slice(colon + 1);
  return tmpfs(target, options === "" ? [] : options.split(","), option, word);
}

/** What tmpfs(5) takes, and the mount's own attributes. */
const TMPFS_OPTION =
  /^(?:ro|rw|(?:no)?(?:suid|dev|exec)|noatime|relatime|strictatime|nodiratime|size=\d+(?:[kmgKMG]|%)?|nr_blocks=\d+[kmgKMG]?|nr_inodes=\d+[kmgKMG]?|mode=0?[0-7]{3,4}|uid=\d+|gid=\d+)$/;

function tmpfs(target: string, options: readonly string[], option: string, word: string): Mount {
  for (const name of options) {
    if (!TMPFS_OPTION.test(name)) {
      wrongWord(option, word, `has an option ${JSON.stringify(name)} that a tmpfs does not know`);
    }
  }
  const defaults = ["suid", "dev", "exec"]
    .filter((name) => !options.includes(name) && !options.includes(`no${name}`))
    .map((name) => `no${name}`);
  return {
    destination: containerPath(target, option, word),
    type: "tmpfs",
    source: "tmpfs",
    options: [...defaults, ...options],
  };
}

/** The option of an id-mapped bind: its value is a flag, or maps. */
function idmapOf(values: ReadonlyMap<string, string>, option: string, word: string) {
  const value = values.get("idmap");
  if (value?.includes("ids=")) return `idmap=${value}`;
  return flag(values, "idmap", option, word) ? "idmap" : undefined;
}

interface BindChoices {
  bind?: string;
  idmap?: string;
  readonly?: string;
  propagation?: string;
  attributes?: string[];
}

function bind(
  source: string,
  target: string,
  chosen: BindChoices,
  option: string,
  word: string,
): Mount {
  const options = [chosen.bind ?? "rbind", ...chosen.attributes ?? []];
  if (chosen.readonly !== undefined && chosen.readonly !== "rw") options.push(chosen.readonly);
  options.push(chosen.propagation ?? "rprivate");
  if (chosen.idmap !== undefined) options.push(chosen.idmap);
  return { destination: containerPath(target, option, word), type: "bind", source, options };
}

/** A flag's value as docker reads it; false when it is not there. */
function flag(
  values: ReadonlyMap<string, string>,
  name: string,
  option: string,
  word: string,
): boolean {
  const value = values.get(name)?.toLowerCase() ?? "false";
  if (["true", "t", "1"].includes(value)) return true;
  if (["false", "f", "0"].includes(value)) return false;
  wrongWord(option, word, `must have true or false for ${name}, got ${JSON.stringify(value)}`);
}

/** The source of a bind, absolute and without `.` and `..`. */
function hostPath(source: string, cwd: string, option: string, word: string): string {
  if (!/^(?:\/|\.\.?(?:\/|$))/.test(source)) {
    throw new CrateError(
      "INVALID",
      `${option} ${JSON.stringify(word)}: its source is no path of the host: ` +
        `that starts with /, ./ or ../`,
    );
  }
  if (source.includes("\0")) wrongWord(option, word, "has a NUL character in its source");
  return normalize(source.startsWith("/") ? source : `${cwd}/${source}`);
}

/** A destination: absolute, and not the root itself. */
function containerPath(target: string, option: string, word: string): string {
  if (!target.startsWith("/") || target.includes("\0")) {
    wrongWord(
      option,
      word,
      `must have an absolute path in the container, got ${JSON.stringify(target)}`,
    );
  }
  const path = normalize(target);
  if (path === "/") wrongWord(option, word, "must not be mounted over the container's root, /");
  return path;
}

/** An absolute path without `.`, `..`, double and trailing slashes. */
export function normalize(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}

/**
 * The parts of `--mount`, between commas; a part in double quotes may hold commas, and `""` for a quote.
 *
 * @throws {CrateError} `INVALID`
 */
export function splitMount(word: string, option = "--mount"): string[] {
  const parts: string[] = [];
  const part = /(?:"((?:[^"]|"")*)"|([^",]*))(?:,|$)/y;
  do {
    const match = part.exec(word);
    if (match === null) wrongWord(option, word, "has a double quote out of place");
    parts.push(match[1]?.replaceAll('""', '"') ?? match[2]!);
    if (!match[0].endsWith(",")) return parts;
  } while (true);
}
