import {
  close,
  EAGAIN,
  EINTR,
  ENOENT,
  isAlive,
  LOCK_EX,
  LOCK_NB,
  mkdirAll,
  O_CREAT,
  O_RDWR,
  open,
  readText,
  replaceFile,
  SyscallError,
  trySyscall,
} from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import { pause } from "../timers.ts";
import { type NetworkPlaces, VERSION } from "./definitions.ts";
import { tellPrograms } from "./others.ts";
import { clearSlots, networksKnown, readSlots } from "./slots.ts";
import type { Attachment, NetworkState } from "./types.ts";

// `state.json`: which container has what; one lock for all of it, held for moments and never over a wait for
// anything but the kernel. Written whole (rename); a reboot clears it, so it is not fsynced.

const MAX_FILE = 64 << 20;
/** Milliseconds: so long, in all, others' turns may take. */
const PATIENCE = 20_000;

const EMPTY: NetworkState = { version: VERSION, last: {}, attachments: {} };

const fileOf = ({ state }: NetworkPlaces) => `${state}/state.json`;
const lockOf = ({ state }: NetworkPlaces) => `${state}/lock`;

/** The state as it is now. @throws {CrateError} `FAILED` for a broken file. */
export function readNetworkState(places: NetworkPlaces): NetworkState {
  const file = fileOf(places);
  let text: string;
  try {
    text = readText(file, MAX_FILE);
  } catch (error) {
    if (error instanceof SyscallError && error.errno === ENOENT) return withSlots(places, EMPTY);
    throw error;
  }
  let cause: unknown;
  try {
    const value: NetworkState | null = JSON.parse(text);
    if (value?.version === VERSION && typeof value.attachments === "object") {
      return withSlots(places, value);
    }
  } catch (error) {
    cause = error;
  }
  throw new CrateError("FAILED", `${file} is not whole, or of another version: remove it`, {
    cause,
  });
}

/** With those that programs have put on networks. */
function withSlots(places: NetworkPlaces, state: NetworkState): NetworkState {
  const walked = readSlots(places);
  if (walked.length === 0) return state;
  const attachments = { ...state.attachments };
  const known = new Set(Object.values(attachments).map(({ key }) => key));
  for (const each of walked) {
    if (known.has(each.key)) continue;
    // Of one name there is at most one that lives.
    const other = attachments[each.id];
    if (other === undefined || !isHeld(other)) attachments[each.id] = each;
  }
  return { ...state, attachments };
}

/** Replaces the state, whole. It was read under the same lock. */
export function writeNetworkState(places: NetworkPlaces, state: NetworkState): void {
  // First: an address that is no longer kept for programs may be somebody's as soon as the state says so.
  if (state.pools !== undefined || networksKnown(places).length > 0) {
    tellPrograms(places, state, isHeld);
  }
  replaceFile(fileOf(places), JSON.stringify(state), 0o600);
  clearSlots(places);
}

/** What locks the state. */
export const lockFile = lockOf;

/** Whether the process for which a container's addresses are kept still runs. */
export function isHeld({ holder }: Attachment): boolean {
  return isAlive(holder);
}

/**
 * Does something while nobody else changes anything about networks. What it does must not wait, so that no
 * other call of this process can come in between.
 *
 * @throws {CrateError} `PERMISSION`, `FAILED` when the state cannot be written; `STATE` when the lock stays held.
 */
export async function withNetworks<T>(places: NetworkPlaces, change: () => T): Promise<T> {
  const { state: directory } = places;
  let fd: number;
  try {
    mkdirAll(directory, 0o700);
    fd = open(lockOf(places), O_RDWR | O_CREAT, 0o600);
  } catch (cause) {
    if (!(cause instanceof SyscallError)) throw cause;
    throw new CrateError("FAILED", `cannot write the state of networks: ${cause.message}`, {
      cause,
    });
  }
  try {
    for (let end = performance.now() + PATIENCE, wait = 0.2;;) {
      const result = trySyscall("flock", fd, LOCK_EX | LOCK_NB);
      if (result === 0) break;
      if (result !== -EAGAIN && result !== -EINTR) throw new SyscallError("flock", -result);
      if (performance.now() > end) {
        throw new CrateError("STATE", `${directory}/lock stays held by another crate`);
      }
      await pause(wait);
      wait = Math.min(2 * wait, 5);
    }
    return change();
  } finally {
    close(fd);
  }
}
