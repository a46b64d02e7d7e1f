import { readText, SyscallError } from "../../ffi/mod.ts";
import type { LinuxIDMapping } from "../spec/mod.ts";

// Ids that somebody may have besides his own: subuid(5), subgid(5).

const MAX_FILE = 4 << 20;

function textOf(path: string): string {
  try {
    return readText(path, MAX_FILE);
  } catch (error) {
    if (error instanceof SyscallError) return "";
    throw error;
  }
}

/** A user's name, by a password file. passwd(5) */
export function nameOf(uid: number, passwd: string): string | undefined {
  const line = passwd.split("\n").find((each) => each.split(":")[2] === String(uid));
  return line?.split(":")[0] || undefined;
}

/**
 * The map of a user namespace: root is the user, and the ids from 1 on are his subordinate ones.
 *
 * @param id the user's own, or his group's.
 * @param owners the user's name and number, as the file may have either.
 *
 * @example
 * ```ts
 * import { mapOf } from "./subordinate.ts";
 * const [own, others] = mapOf(1000, ["me", "1000"], "you:100000:65536\nme:165536:65536\n");
 * if (own?.hostID !== 1000 || others?.hostID !== 165536) throw new Error();
 * ```
 */
export function mapOf(
  id: number,
  owners: readonly (string | undefined)[],
  file: string,
): LinuxIDMapping[] {
  const maps: LinuxIDMapping[] = [{ containerID: 0, hostID: id, size: 1 }];
  let next = 1;
  for (const line of file.split("\n")) {
    const [owner, start, count] = line.split(":");
    if (!owners.includes(owner) || !/^\d+$/.test(start ?? "") || !/^\d+$/.test(count ?? "")) {
      continue;
    }
    const size = Number(count);
    if (size === 0) continue;
    maps.push({ containerID: next, hostID: Number(start), size });
    next += size;
  }
  return maps;
}

/** Who has which subordinate ids on this host. */
export function subordinateFiles(): { readonly user: string; readonly group: string } {
  return { user: textOf("/etc/subuid"), group: textOf("/etc/subgid") };
}

/** The maps of a user of this host. */
export function subordinateMaps(
  uid: number,
  gid: number,
): { uids: LinuxIDMapping[]; gids: LinuxIDMapping[] } {
  const owners = [nameOf(uid, textOf("/etc/passwd")), String(uid)];
  const { user, group } = subordinateFiles();
  return { uids: mapOf(uid, owners, user), gids: mapOf(gid, owners, group) };
}
