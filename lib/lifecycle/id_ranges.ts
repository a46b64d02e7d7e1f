import {
  close,
  F_OFD_GETLK,
  F_OFD_SETLK,
  F_UNLCK,
  F_WRLCK,
  flock,
  isInitialUserNamespace,
  isMissing,
  O_CREAT,
  O_RDWR,
  open,
  readText,
  syscall,
  trySyscall,
} from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import { AUTO_SIZE, type IdMaps, type LinuxIDMapping, parseJson, type Spec } from "../spec/mod.ts";
import { listIds, prepareRoot, statePaths } from "./state.ts";
import { subordinateFiles } from "./subordinate.ts";

// Ids of the host for containers in user namespaces, no two of which have one in common. Who has which is in the
// containers' records. Until there is a record, whoever is making one holds a lock on that part of a file that the
// ids are the numbers of: both end with the process, and nothing has to be given back.

/** Whose subordinate ids are the containers', as podman has it. subuid(5) */
const OWNER = "containers";

/** Where nobody has said so: between what systemd has for containers, and what is negative in 32 bits. */
const DEFAULT: IdRange = { start: 0x70000000, size: 0x0fff0000 };

/** Group ids are locked this far behind user ids. */
const GROUPS = 2 ** 33;

const LOCK_FILE = ".ids";
const MAX_RECORD = 64 << 20;

/** Ids that follow each other. */
export interface IdRange {
  readonly start: number;
  readonly size: number;
}

/** Ids that are a new container's; disposing of it leaves that to the container's record. */
export interface ClaimedIds extends Disposable {
  readonly maps: IdMaps;
}

/**
 * The ranges of the containers by a file of subordinate ids. Where it has none of them, those are a default, and others'
 * ranges are told, which must not be taken of it.
 *
 * @example
 * ```ts
 * import { rangesOf } from "./id_ranges.ts";
 * const { own } = rangesOf("me:100000:65536\ncontainers:200000:131072\n");
 * if (own[0]?.start !== 200000) throw new Error();
 * ```
 */
export function rangesOf(file: string): { own: IdRange[]; others: IdRange[] } {
  const own: IdRange[] = [];
  const others: IdRange[] = [];
  for (const line of file.split("\n")) {
    const [, owner, start, size] = /^([^:#]+):(\d{1,10}):(\d{1,10})$/.exec(line.trim()) ?? [];
    if (owner === undefined || Number(size) === 0) continue;
    (owner === OWNER ? own : others).push({ start: Number(start), size: Number(size) });
  }
  // A range may be somebody's and the containers' as well: the file says so.
  return own.length > 0 ? { own, others: [] } : { own: [DEFAULT], others };
}

/** The first of so many ids that nobody has; undefined when there are none. */
export function firstFree(
  ranges: readonly IdRange[],
  used: readonly IdRange[],
  size: number,
): number | undefined {
  const sorted = [...used].sort((a, b) => a.start - b.start);
  for (const range of ranges) {
    let start = range.start;
    for (const other of sorted) {
      if (other.start + other.size <= start) continue;
      if (other.start >= start + size) break;
      start = other.start + other.size;
    }
    if (start + size <= range.start + range.size) return start;
  }
}

type Maps = "uidMappings" | "gidMappings";

/** The ids of the host that containers have, by their records. */
function recorded(root: string): Record<Maps, IdRange[]> {
  const found: Record<Maps, IdRange[]> = { uidMappings: [], gidMappings: [] };
  for (const id of listIds(root)) {
    const { container } = statePaths(root, id);
    let text: string;
    try {
      text = readText(container, MAX_RECORD);
    } catch (error) {
      // It is being removed, or is no container's.
      if (isMissing(error)) continue;
      throw error;
    }
    if (!text.includes('"uidMappings"')) continue;
    const { linux } = (parseJson(text, container) as { spec?: Spec }).spec ?? {};
    for (const name of ["uidMappings", "gidMappings"] as const) {
      const ranges = (linux?.[name] ?? []).map(({ hostID: start, size }) => ({ start, size }));
      found[name].push(...ranges);
    }
  }
  return found;
}

/** Locks ids in the file; otherwise tells who has some of them. */
function tryLock(fd: number, start: number, size: number): IdRange | undefined {
  const lock = flock.pack({ l_type: F_WRLCK, l_start: start, l_len: size });
  if (trySyscall("fcntl", fd, F_OFD_SETLK, lock) >= 0) return undefined;
  syscall("fcntl", fd, F_OFD_GETLK, lock);
  // It may have let go since.
  if (flock.get(lock, "l_type") === F_UNLCK) return tryLock(fd, start, size);
  return { start: flock.get(lock, "l_start"), size: flock.get(lock, "l_len") };
}

function full(size: number, kind: string): CrateError {
  return new CrateError(
    "FAILED",
    `--userns auto: no ${size} ${kind} ids are left for another container: ` +
      `give ${OWNER} more of them in /etc/sub${kind[0]}id, or take fewer (auto:size=N)`,
  );
}

/** Finds ids of one kind. @param fd the file of locks; absent: nothing is locked. */
function claimKind(
  fd: number | undefined,
  size: number,
  { kind, usedOf }: { kind: "user" | "group"; usedOf: () => readonly IdRange[] },
): LinuxIDMapping {
  const { own, others } = rangesOf(subordinateFiles()[kind]);
  const base = kind === "user" ? 0 : GROUPS;
  const held: IdRange[] = [];
  for (;;) {
    const start = firstFree(own, [...usedOf(), ...others, ...held], size);
    if (start === undefined) throw full(size, kind);
    const map = { containerID: 0, hostID: start, size };
    if (fd === undefined) return map;
    const other = tryLock(fd, base + start, size);
    if (other !== undefined) {
      held.push({ start: other.start - base, size: other.size });
      continue;
    }
    // A container may have got its record, and let go of the lock, since the records were read.
    if (firstFree([{ start, size }], usedOf(), size) !== undefined) return map;
    const unlock = flock.pack({ l_type: F_UNLCK, l_start: base + start, l_len: size });
    syscall("fcntl", fd, F_OFD_SETLK, unlock);
  }
}

/**
 * Takes ids for a new container that no other one in this state directory has.
 *
 * @param isTaken whether they are to be kept from others; otherwise it is only looked which there are.
 * @throws {CrateError} `FAILED` when there are none; `PERMISSION` when the state directory cannot be made.
 */
export function claimIds(root: string, size: number, isTaken = true): ClaimedIds {
  if (isTaken) prepareRoot(root);
  const fd = isTaken ? open(`${root}/${LOCK_FILE}`, O_RDWR | O_CREAT, 0o600) : undefined;
  const end = () => {
    if (fd !== undefined) close(fd);
  };
  try {
    const claim = (kind: "user" | "group", name: Maps) =>
      claimKind(fd, size, { kind, usedOf: () => recorded(root)[name] });
    const maps = { uids: [claim("user", "uidMappings")], gids: [claim("group", "gidMappings")] };
    return { maps, [Symbol.dispose]: end };
  } catch (error) {
    end();
    throw error;
  }
}

/** Whose users a container has: the host's, or its own: by maps, or by ids that nobody has, 65536 or as many as said. */
export type UserNamespace = "host" | "auto" | { readonly size: number } | IdMaps;

/** Refuses a user namespace of the container's own to a user without root. @throws {CrateError} `PERMISSION` */
export function requireUsers(): void {
  if (isInitialUserNamespace()) return;
  throw new CrateError(
    "PERMISSION",
    "a user namespace of the container's own needs root: the containers of a user without root are in one " +
      "already, that user's (leave --userns, --uidmap and --gidmap out)",
  );
}

/** What was made with a container's ids; disposing of it leaves those to the container's record. */
export interface MadeWithIds<T> extends Disposable {
  readonly made: T;
}

/**
 * Makes something with the maps of a container's user namespace. Ids are taken only when that can be made: what is
 * refused leaves nothing.
 *
 * @param make is called again when somebody else has taken the ids meanwhile.
 * @param isTaken whether they are to be kept from others; otherwise it is only looked which there are.
 * @throws {CrateError} as `make` and {@linkcode claimIds}; `PERMISSION` for a user without root.
 */
export function withIds<T>(
  root: string,
  userns: Exclude<UserNamespace, "host">,
  make: (maps: IdMaps) => T,
  isTaken = true,
): MadeWithIds<T> {
  requireUsers();
  if (typeof userns === "object" && "uids" in userns) {
    return { made: make(userns), [Symbol.dispose]() {} };
  }
  const size = userns === "auto" ? AUTO_SIZE : userns.size;
  const { maps } = claimIds(root, size, false);
  const made = make(maps);
  if (!isTaken) return { made, [Symbol.dispose]() {} };
  const claimed = claimIds(root, size);
  const dispose = () => claimed[Symbol.dispose]();
  const isSame = JSON.stringify(claimed.maps) === JSON.stringify(maps);
  try {
    return { made: isSame ? made : make(claimed.maps), [Symbol.dispose]: dispose };
  } catch (error) {
    dispose();
    throw error;
  }
}
