import { CrateError } from "../errors.ts";
import { nearest } from "./nearest.ts";

/** Whom a process runs as, in the container's own ids. */
export interface ResolvedUser {
  readonly uid: number;
  readonly gid: number;
  /** What setgroups(2) gets: the gid itself, then the others, none twice. */
  readonly additionalGids: number[];
  /** The home directory, `/` when no file says. */
  readonly home: string;
}

/** The last id there is: 2^32-1 is -1, which says "no change" to setresuid(2). */
const MAX_ID = 2 ** 32 - 2;

/** linux/limits.h: how many groups a process can be in. */
const NGROUPS_MAX = 65536;

/**
 * Looks a user up in the text of the container's own `/etc/passwd` and `/etc/group`, as Docker and runc do:
 *
 * - without a word it is uid 0; a number is an id, never a name, and need not be in a file;
 * - the first entry of a user gives its gid and home; without one the gid is 0;
 * - a user's supplementary groups are those that list its name, unless a group is given: then that one is
 *   the gid, and there are no others but `groupAdd`;
 * - lines that are no entries are passed over: these files are the image's, and anything may stand there.
 *
 * @param word as `--user` has it; digits in a string are a number too.
 * @param passwd the file's text; undefined when there is none.
 * @param groupAdd further supplementary groups.
 * @throws {CrateError} `INVALID`: a name that is not in the file, an id over 2^32-2.
 *
 * @example
 * ```ts
 * import { resolveUser } from "./users.ts";
 * const passwd = "www:x:33:33::/var/www:/bin/false\n";
 * const { uid, home } = resolveUser({ user: "www" }, passwd, undefined);
 * if (uid !== 33 || home !== "/var/www") throw new Error();
 * ```
 *
 * @see passwd(5), group(5)
 */
export function resolveUser(
  word: { readonly user: string | number; readonly group?: string | number } | undefined,
  passwd: string | undefined,
  group: string | undefined,
  groupAdd: readonly (string | number)[] = [],
): ResolvedUser {
  const wanted = idOrName(word?.user ?? 0, "user");
  const user = findUser(passwd ?? "", wanted);
  if (user === undefined && typeof wanted === "string") {
    throw missing("user", wanted, passwd, "/etc/passwd");
  }
  const uid = user?.uid ?? Number(wanted);
  let gid = user?.gid ?? 0;
  const supplementary: number[] = [];
  if (word?.group !== undefined) gid = findGroup(word.group, group);
  else if (user !== undefined) {
    for (const { gid, members } of entriesOfGroup(group ?? "")) {
      if (members.split(",").includes(user.name)) supplementary.push(gid);
    }
  }
  for (const added of groupAdd) supplementary.push(findGroup(added, group));
  // With the gid among them, a file whose mode shuts its group out stays shut after a change of gid.
  const additionalGids = [...new Set([gid, ...supplementary])];
  if (additionalGids.length > NGROUPS_MAX) {
    throw new CrateError(
      "INVALID",
      `user ${
        JSON.stringify(word?.user ?? 0)
      } is in ${additionalGids.length} groups by the image's ` +
        `/etc/group; a process can be in ${NGROUPS_MAX}`,
    );
  }
  return { uid, gid, additionalGids, home: user?.home ?? "/" };
}

function idOrName(word: string | number, what: string): string | number {
  if (typeof word === "string" && !/^\d+$/.test(word)) return word;
  const id = Number(word);
  if (Number.isInteger(id) && id >= 0 && id <= MAX_ID) return id;
  throw new CrateError("INVALID", `a ${what}'s id must be 0 to ${MAX_ID}, got ${word}`);
}

interface UserEntry {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

function findUser(passwd: string, wanted: string | number): UserEntry | undefined {
  for (const [name, , uidWord, gidWord, , directory] of entries(passwd)) {
    const uid = parseId(uidWord);
    const gid = parseId(gidWord);
    if (uid === undefined || gid === undefined || (name !== wanted && uid !== wanted)) continue;
    // It becomes HOME in the environment.
    const home = directory?.startsWith("/") && !directory.includes("\0") ? directory : "/";
    return { name: name!, uid, gid, home };
  }
}

function findGroup(word: string | number, text: string | undefined): number {
  const wanted = idOrName(word, "group");
  if (typeof wanted === "number") return wanted;
  for (const { name, gid } of entriesOfGroup(text ?? "")) if (name === wanted) return gid;
  throw missing("group", wanted, text, "/etc/group");
}

function* entriesOfGroup(text: string): Generator<{ name: string; gid: number; members: string }> {
  for (const [name, , gidWord, members = ""] of entries(text)) {
    const gid = parseId(gidWord);
    if (gid !== undefined) yield { name: name!, gid, members };
  }
}

/** The lines of a file that are entries, in fields. */
function* entries(text: string): Generator<string[]> {
  for (let start = 0; start < text.length;) {
    const newline = text.indexOf("\n", start);
    const end = newline < 0 ? text.length : newline;
    const line = text.slice(start, end).trim();
    start = end + 1;
    // A plus or minus would ask NIS, nsswitch.conf(5).
    if (line === "" || /^[#+:-]/.test(line)) continue;
    yield line.split(":", 8);
  }
}

function parseId(word: string | undefined): number | undefined {
  if (word === undefined || !/^\d{1,10}$/.test(word)) return undefined;
  const id = Number(word);
  return id <= MAX_ID ? id : undefined;
}

function missing(
  what: string,
  name: string,
  text: string | undefined,
  file: string,
): CrateError {
  const quoted = JSON.stringify(name);
  if (text === undefined) {
    return new CrateError(
      "INVALID",
      `${what} ${quoted} cannot be looked up: the image has no ${file}; give a number`,
    );
  }
  const names = function* () {
    for (const [name] of entries(text)) yield name!;
  };
  const near = nearest(name, names());
  return new CrateError(
    "INVALID",
    `${what} ${quoted} is not in the image's ${file}` +
      (near === undefined ? ": name one that is, or give a number" : `: did you mean ${near}?`),
  );
}
