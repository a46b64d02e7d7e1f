import {
  AT_FDCWD,
  AT_REMOVEDIR,
  ENOENT,
  exists,
  isMissing,
  mkdirAll,
  MNT_DETACH,
  readDirectory,
  readText,
  replaceFile,
  SyscallError,
  trySyscall,
} from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import type { Attachment, NetworkDefinition } from "../../network/mod.ts";
import { isOwn, type Lock, tryLock } from "../claim.ts";
import { runTask } from "../task.ts";
import type { Deletion, ForeignRecord } from "./types.ts";

// `<root>/.networks/KEY/`: a container's files below /etc, and the record of what is to be undone. Its lock is
// held by crate, and then by the container's monitor until it ends: a directory that nobody has locked belongs to a
// container that is gone, by whatever death.

const VERSION = 1;
const MAX_FILE = 16 << 20;
/** Milliseconds that one plugin may take to give back what a dead container had. */
const PATIENCE = 30_000;
const RECORD = "record.json";

/** What is below /etc of the container. */
export const ETC = ["hosts", "resolv.conf", "hostname"] as const;
/** What is there while a network is made. */
export const NAMESPACE = "netns";
export const READY = "ready";
/** The socket on which slirp4netns takes ports. */
export const API = "api.sock";

const ALL = [...ETC, READY, API, `${RECORD}.new`, RECORD];

/** The directory of all. */
export function foreignDirectory(root: string): string {
  return `${root}/.networks`;
}

/** A container's directory. */
export function placeOf(root: string, key: string): string {
  return `${foreignDirectory(root)}/${key}`;
}

/** What is left of a container's directory when it has ended: the record last, by which all is found. */
export function leftOf(directory: string): { files: string[]; directory: string } {
  return { files: ALL.map((name) => `${directory}/${name}`), directory };
}

/** Makes a container's directory, locked. @throws {CrateError} when it cannot be written. */
export function makePlace(directory: string): Lock {
  try {
    for (let attempt = 0; attempt < 10; attempt++) {
      mkdirAll(directory, 0o711);
      const lock = tryLock(directory);
      // Who clears away may take it for a dead one's in between.
      if (lock !== undefined && isOwn(lock, directory)) return lock;
      lock?.[Symbol.dispose]();
    }
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    throw new CrateError("FAILED", `cannot make ${directory}: ${error.code}`, { cause: error });
  }
  throw new CrateError("STATE", `${directory} is being cleared by another crate`);
}

/** Replaces the record of a container, whole. @throws {SyscallError} */
export function writeRecord(directory: string, record: Omit<ForeignRecord, "version">): void {
  replaceFile(`${directory}/${RECORD}`, JSON.stringify({ version: VERSION, ...record }), 0o600);
}

/** Whether what is to be undone stands there still. */
export function hasRecord(directory: string): boolean {
  return exists(`${directory}/${RECORD}`);
}

/** A container's record; undefined when there is none, or none that this crate can read. */
function readRecord(directory: string): ForeignRecord | undefined {
  try {
    const value: ForeignRecord | null = JSON.parse(readText(`${directory}/${RECORD}`, MAX_FILE));
    if (value?.version === VERSION && Array.isArray(value.deletions)) return value;
  } catch (error) {
    if (!(error instanceof SyscallError || error instanceof SyntaxError)) throw error;
  }
}

/** Removes a container's directory with all that is in it. */
export function removePlace(directory: string): void {
  releaseNamespace(directory);
  for (const name of ALL) trySyscall("unlinkat", AT_FDCWD, `${directory}/${name}`, 0);
  trySyscall("unlinkat", AT_FDCWD, directory, AT_REMOVEDIR);
}

/** Takes away the place where a program finds the namespace: it has opened it by now. */
export function releaseNamespace(directory: string): void {
  const path = `${directory}/${NAMESPACE}`;
  if (trySyscall("faccessat", AT_FDCWD, path, 0) === -ENOENT) return;
  trySyscall("umount2", path, MNT_DETACH);
  trySyscall("unlinkat", AT_FDCWD, path, 0);
}

/**
 * Has programs give back what they have made, one after the other; that one of them cannot is no reason to keep the
 * rest.
 *
 * @param namespace the network namespace; empty when it is gone with its container.
 */
export async function deleteAll(
  deletions: readonly Deletion[],
  namespace: string,
  directory: string,
): Promise<void> {
  for (const { path, env, input } of deletions) {
    try {
      await runTask({
        name: "crate-cni",
        path,
        args: [path],
        env: [...env, `CNI_NETNS=${namespace}`],
        cwd: "/",
        input,
        timeout: PATIENCE,
        directory,
      });
    } catch (error) {
      if (!(error instanceof CrateError)) throw error;
    }
  }
}

/** Gives back what containers had that are gone without their monitors having done so. */
export async function reclaimForeign(root: string): Promise<void> {
  const all = foreignDirectory(root);
  let keys: string[];
  try {
    keys = readDirectory(all);
  } catch (error) {
    if (isMissing(error)) return;
    throw error;
  }
  for (const key of keys) {
    const directory = `${all}/${key}`;
    using lock = tryLock(directory);
    if (lock === undefined) continue;
    const record = readRecord(directory);
    if (record !== undefined && record.deletions.length > 0) {
      // The namespace is gone with its container.
      const { standIn } = await import("./cni/stand_in.ts");
      using namespace = standIn(root, record);
      await deleteAll(record.deletions, namespace?.path ?? "", root);
    }
    removePlace(directory);
  }
}

/** What a running container has of such a network, in the words of crate's own; undefined when it has none. */
export function foreignAttachment(
  root: string,
  key: string,
): { attachment: Attachment; networks: readonly NetworkDefinition[] } | undefined {
  const found = readRecord(placeOf(root, key));
  if (found?.made === undefined) return undefined;
  const { id, made: { endpoint, subnets, ports, hosts } } = found;
  return {
    attachment: { id, key, holder: { pid: 0, startTime: 0 }, endpoints: [endpoint], ports, hosts },
    networks: [{
      version: VERSION,
      name: endpoint.network,
      driver: "none",
      created: "",
      subnets,
      internal: false,
      labels: {},
    }],
  };
}
