/**
 * User namespaces as fingers type them: `--userns`, `--uidmap`, `--gidmap`.
 *
 * @module
 */
import { MAX_ID } from "./largest.ts";
import type { LinuxIDMapping } from "./types.ts";
import type { IdMaps } from "./user_namespace.ts";
import { wrongWord } from "./words_numbers.ts";

/** How many ids `auto` takes when nothing is said: as many as a user's subordinate ones. subuid(5) */
export const AUTO_SIZE = 65536;

/** Whose users a container has: the host's, or its own, as many of them as there are. */
export type UserNamespaceWord = "host" | { readonly size: number };

/**
 * `host`, `auto`, or `auto:size=N`.
 *
 * @throws {CrateError} `INVALID`
 *
 * @example
 * ```ts
 * import { parseUserNamespace } from "./mod.ts";
 * const word = parseUserNamespace("auto:size=1000");
 * if (word === "host" || word.size !== 1000) throw new Error();
 * ```
 */
export function parseUserNamespace(word: string, option = "--userns"): UserNamespaceWord {
  if (word === "host") return "host";
  if (word === "auto") return { size: AUTO_SIZE };
  const [, digits] = /^auto:size=(\d{1,10})$/.exec(word) ?? [];
  if (digits === undefined) {
    wrongWord(option, word, "is not host, auto or auto:size=N; other maps are --uidmap's");
  }
  const size = Number(digits);
  if (size < 1 || size > MAX_ID) wrongWord(option, word, `has no size from 1 to ${MAX_ID}`);
  return { size };
}

/** `CONTAINER:HOST[:SIZE]`, of one id without a size. @throws {CrateError} `INVALID` */
function parseIdMap(word: string, option: string): LinuxIDMapping {
  const match = /^(\d{1,10}):(\d{1,10})(?::(\d{1,10}))?$/.exec(word);
  if (match === null) wrongWord(option, word, "is not CONTAINER:HOST:SIZE, such as 0:100000:65536");
  const [containerID, hostID, size] = [match[1], match[2], match[3] ?? "1"].map(Number) as [
    number,
    number,
    number,
  ];
  if (size < 1) wrongWord(option, word, "has a size of 0: it is 1 or more");
  if (Math.max(containerID, hostID) + size - 1 > MAX_ID) {
    wrongWord(option, word, `goes over ${MAX_ID}, the last id there is`);
  }
  return { containerID, hostID, size };
}

/**
 * `--uidmap` and `--gidmap`. One of them alone is for both, as podman has it.
 *
 * @returns undefined when neither is given.
 * @throws {CrateError} `INVALID`
 */
export function parseIdMaps(uids: readonly string[], gids: readonly string[]): IdMaps | undefined {
  if (uids.length === 0 && gids.length === 0) return undefined;
  const users = uids.map((word) => parseIdMap(word, "--uidmap"));
  const groups = gids.map((word) => parseIdMap(word, "--gidmap"));
  return {
    uids: users.length === 0 ? groups : users,
    gids: groups.length === 0 ? users : groups,
  };
}
