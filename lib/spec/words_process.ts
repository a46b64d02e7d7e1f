/**
 * What a process is given, as fingers type it: limits, devices, its user, capabilities, kernel
 * parameters, the container's name.
 *
 * @module
 */
import { MAX_ID, MAX_UINT64 } from "./largest.ts";
import { sysctlPath } from "./sysctl.ts";
import type { POSIXRlimit, Uint64 } from "./types.ts";
import { wrongWord } from "./words_numbers.ts";

/** getrlimit(2), in ulimit's small letters. */
const ULIMITS =
  "as core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack";

/**
 * A resource limit: `nofile=1024:2048`, or one value for both; `-1` or `unlimited` is no limit.
 *
 * @throws {CrateError} `INVALID`.
 *
 * @example
 * ```ts
 * import { parseUlimit } from "./mod.ts";
 * const { type, soft, hard } = parseUlimit("nofile=1024:2048");
 * if (type !== "RLIMIT_NOFILE" || soft !== 1024 || hard !== 2048) throw new Error("nofile");
 * ```
 */
export function parseUlimit(word: string, option = "--ulimit"): POSIXRlimit {
  const match = /^([a-z]+)=([^:]+)(?::([^:]+))?$/.exec(word);
  if (match === null) wrongWord(option, word, "is not NAME=SOFT[:HARD], such as nofile=1024:2048");
  const name = match[1]!;
  if (!ULIMITS.split(" ").includes(name)) {
    wrongWord(option, word, `has no limit's name: one of ${ULIMITS.replaceAll(" ", ", ")}`);
  }
  const soft = limit(match[2]!);
  const hard = match[3] === undefined ? soft : limit(match[3]);
  if (soft > hard) wrongWord(option, word, "has a soft limit over the hard one");
  return { type: `RLIMIT_${name.toUpperCase()}`, soft, hard };

  function limit(text: string): Uint64 {
    if (text === "-1" || text === "unlimited") return MAX_UINT64;
    const value = /^\d{1,20}$/.test(text) ? BigInt(text) : MAX_UINT64 + 1n;
    if (value > MAX_UINT64) {
      wrongWord(option, word, "has a limit that is no number: 0 or more, or -1 for none");
    }
    return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
  }
}

/** A device of the host for the container; which one it is, the host's file says. */
export interface DeviceWord {
  /** On the host, absolute. */
  readonly source: string;
  /** In the container, absolute. */
  readonly destination: string;
  /** Of `r`, `w`, `m`. */
  readonly access: string;
}

/**
 * A device: `/dev/x`, `/dev/x:/dev/y`, `/dev/x:/dev/y:rw`, `/dev/x:rw`.
 *
 * @throws {CrateError} `INVALID`.
 */
export function parseDevice(word: string, option = "--device"): DeviceWord {
  const parts = word.split(":");
  const isAccess = (text: string) =>
    /^[rwm]{1,3}$/.test(text) && new Set(text).size === text.length;
  const access = parts.length > 1 && isAccess(parts.at(-1)!) ? parts.pop()! : "rwm";
  const [source = "", destination = source, ...rest] = parts;
  if (rest.length > 0) {
    wrongWord(option, word, "is not HOST[:PATH[:rwm]], such as /dev/fuse:/dev/fuse:rw");
  }
  for (const path of [source, destination]) {
    if (!path.startsWith("/") || path.endsWith("/") || path.includes("\0")) {
      wrongWord(option, word, `must name devices by absolute paths, got ${JSON.stringify(path)}`);
    }
  }
  return { source, destination, access };
}

/** A user and a group, each a number or a name to look up in the container's own files. */
export interface UserWord {
  readonly user: string | number;
  readonly group?: string | number;
}

/**
 * A user: `1000`, `1000:1000`, `www-data`, `www-data:www-data`. Digits are always a number, never
 * a name. A part beside the colon may be empty, as docker and podman have it: the user is root then,
 * and the group is not given.
 *
 * @throws {CrateError} `INVALID`, also for a number over 2^32-2.
 */
export function parseUserWord(word: string, option = "--user"): UserWord {
  const parts = word.split(":");
  if (parts.length > 2) wrongWord(option, word, "is not USER[:GROUP], such as 1000:1000");
  const [user, group] = parts.map((part) =>
    part === "" && parts.length === 2 ? undefined : parseIdWord(part, option, word)
  );
  return group === undefined ? { user: user ?? 0 } : { user: user ?? 0, group };
}

/**
 * One user's or group's name or number, as `--group-add` takes it.
 *
 * @throws {CrateError} `INVALID`.
 */
export function parseGroupWord(word: string, option = "--group-add"): string | number {
  return parseIdWord(word, option, word);
}

function parseIdWord(part: string, option: string, word: string): string | number {
  if (/^\d+$/.test(part)) {
    const id = Number(part);
    if (id > MAX_ID) wrongWord(option, word, `has an id over ${MAX_ID}, the last there is`);
    return id;
  }
  // deno-lint-ignore no-control-regex -- a name with one would break the line it stands on
  if (part === "" || /^[-+]|[\s:/\x00-\x1f\x7f]/.test(part)) {
    wrongWord(option, word, `must have a name or a number, got ${JSON.stringify(part)}`);
  }
  return part;
}

/**
 * A capability's name in full: `net_admin`, `NET_ADMIN` and `CAP_NET_ADMIN` are the same; `ALL`
 * stays `ALL`. Whether the kernel has one of that name is for others to say.
 *
 * @throws {CrateError} `INVALID`.
 */
export function parseCapability(word: string, option: string): string {
  const name = word.toUpperCase().replace(/^CAP_/, "");
  if (!/^[A-Z][A-Z0-9_]*$/.test(name)) {
    wrongWord(option, word, "is not a capability's name, such as NET_ADMIN, or ALL");
  }
  return name === "ALL" ? name : `CAP_${name}`;
}

/**
 * A kernel parameter: `net.core.somaxconn=1024` as its name and value.
 *
 * @throws {CrateError} `INVALID`.
 */
export function parseSysctl(word: string, option = "--sysctl"): [name: string, value: string] {
  const [name, value] = parsePair(word, option);
  if (sysctlPath(name) === undefined || !word.includes("=")) {
    wrongWord(option, word, "is not NAME=VALUE, such as net.core.somaxconn=1024");
  }
  return [name, value];
}

/**
 * A label or annotation: `NAME=VALUE`; the value may hold more `=` and may be left out.
 *
 * @throws {CrateError} `INVALID`.
 */
export function parsePair(word: string, option: string): [name: string, value: string] {
  const equals = word.indexOf("=");
  const name = equals === -1 ? word : word.slice(0, equals);
  if (name === "" || word.includes("\0")) wrongWord(option, word, "is not NAME=VALUE");
  return [name, equals === -1 ? "" : word.slice(equals + 1)];
}

/**
 * A container's id or name, returned as it is: letters, digits, `_`, `.` and `-`, a letter or
 * digit first, no `..`, 1 to 128 characters. It becomes a directory's name.
 *
 * @throws {CrateError} `INVALID`.
 */
export function validateId(id: string): string {
  if (id.length > 128) {
    wrongWord("the name", `${id.slice(0, 20)}...`, `has ${id.length} characters: 128 at most`);
  }
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(id) || id.includes("..")) {
    wrongWord(
      "the name",
      id,
      'is not a container\'s name: letters, digits, "_", "." and "-", a letter or digit first, no ".."',
    );
  }
  return id;
}
