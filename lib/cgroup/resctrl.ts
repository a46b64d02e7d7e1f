import {
  EEXIST,
  ENOENT,
  ENOTDIR,
  exists,
  mkdir as makeDirectory,
  readText,
  rmdir,
  SyscallError,
  writeFile,
} from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import type { LinuxIntelRdt } from "../spec/mod.ts";

// Intel RDT, AMD QoS: shares of caches and of memory bandwidth, as files below /sys/fs/resctrl. config-linux.md,
// "IntelRdt"; https://docs.kernel.org/arch/x86/resctrl.html

const RESCTRL = "/sys/fs/resctrl";
/** What `info/last_cmd_status` may say. */
const MAX_STATUS = 512;
const MAX_FILE = 1 << 20;

/** The resctrl group of a container, as its record has it. */
export interface ResctrlGroup {
  /** Absolute. */
  readonly directory: string;
  /** It was not there before the container. */
  readonly made: boolean;
  /** The container's own monitoring group in it, absolute. */
  readonly monitor?: string;
}

/** What is to be made of a config's `linux.intelRdt`. */
export interface ResctrlPlan extends ResctrlGroup {
  /** Lines for the group's schemata file; empty: it keeps those that it has. */
  readonly schemata: readonly string[];
}

/** The lines of a config for the schemata file. */
export function schemataOf({ schemata, l3CacheSchema, memBwSchema }: LinuxIntelRdt): string[] {
  if (schemata !== undefined && schemata.length > 0) return [...schemata];
  const cache = (l3CacheSchema ?? "").split("\n").filter((line) => line !== "");
  if (!memBwSchema) return cache;
  return [...cache.filter((line) => !line.startsWith("MB:")), memBwSchema];
}

/**
 * What a container's `linux.intelRdt` asks of this host. Makes nothing.
 *
 * @param root where resctrl is mounted.
 * @throws {CrateError} `UNSUPPORTED` when it is not; `INVALID` for a `closID` without schemata that is not there.
 */
export function planResctrl(rdt: LinuxIntelRdt, id: string, root = RESCTRL): ResctrlPlan {
  if (!exists(`${root}/schemata`)) {
    throw new CrateError(
      "UNSUPPORTED",
      `linux.intelRdt needs resctrl, and this host has none mounted on ${root}`,
    );
  }
  const directory = `${root}/${rdt.closID || id}`;
  const made = !exists(directory);
  const schemata = schemataOf(rdt);
  if (made && rdt.closID && schemata.length === 0) {
    throw new CrateError(
      "INVALID",
      `linux.intelRdt.closID "${rdt.closID}": there is no such group in ${root}, and no schemata to make it of`,
    );
  }
  const monitored = rdt.enableMonitoring || rdt.enableCMT || rdt.enableMBM;
  return {
    directory,
    made,
    schemata,
    ...monitored && { monitor: `${directory}/mon_groups/${id}` },
  };
}

/**
 * Makes the group, or checks that the one that is there has the schemata of the config.
 *
 * @param mkdir what makes a group.
 * @throws {CrateError} `INVALID` for schemata that the kernel refuses, or that the group does not have; `FAILED`
 *   when there are no more groups. Nothing is left then.
 */
export function makeResctrl(plan: ResctrlPlan, root = RESCTRL, mkdir = makeDirectory): void {
  const { directory, made, monitor, schemata } = plan;
  const done: string[] = [];
  const make = (path: string) => {
    try {
      mkdir(path, 0o755);
      done.push(path);
    } catch (cause) {
      if (!(cause instanceof SyscallError)) throw cause;
      if (cause.errno === EEXIST && path === directory) return;
      throw new CrateError(
        "FAILED",
        `linux.intelRdt: the group ${path} cannot be made: ${cause.code}${status(root)}`,
        { cause },
      );
    }
  };
  try {
    if (made) {
      make(directory);
      if (schemata.length > 0) writeSchemata(directory, schemata, root);
    } else requireSchemata(directory, schemata);
    if (monitor !== undefined) make(monitor);
  } catch (error) {
    for (const path of done.reverse()) rmdir(path);
    throw error;
  }
}

/** Writes schemata into a group's file. @throws {CrateError} `INVALID` with what the kernel says. */
export function writeSchemata(
  directory: string,
  schemata: readonly string[],
  root = RESCTRL,
): void {
  try {
    writeFile(`${directory}/schemata`, schemata.map((line) => `${line}\n`).join(""));
  } catch (cause) {
    if (!(cause instanceof SyscallError)) throw cause;
    throw new CrateError(
      "INVALID",
      `linux.intelRdt: the kernel refuses the schemata "${schemata.join('", "')}": ` +
        `${cause.code}${status(root)}`,
      { cause },
    );
  }
}

/** What the kernel has to say of the last failure, in words. */
function status(root: string): string {
  try {
    const text = readText(`${root}/info/last_cmd_status`, MAX_STATUS).trim();
    return text === "" || text === "ok" ? "" : `: ${text.replaceAll("\n", "; ")}`;
  } catch (error) {
    if (error instanceof SyscallError) return "";
    throw error;
  }
}

/** A line of a schemata file without what the kernel adds to it: spaces, and zeros before a mask. */
function normal(line: string): string {
  return line.replaceAll(/\s/g, "").replaceAll(/=0+(?=[0-9a-fA-F])/g, "=").toLowerCase();
}

function requireSchemata(directory: string, schemata: readonly string[]): void {
  if (schemata.length === 0) return;
  const present = new Set(
    readText(`${directory}/schemata`, MAX_FILE).split("\n").map(normal),
  );
  const missing = schemata.find((line) => !present.has(normal(line)));
  if (missing === undefined) return;
  throw new CrateError(
    "INVALID",
    `linux.intelRdt: the group ${directory} is there already, and has not the schemata "${missing}"`,
  );
}

/** Moves a process, of one thread, into a group. @throws {CrateError} `FAILED` */
export function joinResctrl({ directory, monitor }: ResctrlGroup, pid: number): void {
  for (const group of [directory, monitor]) {
    if (group === undefined) continue;
    try {
      writeFile(`${group}/tasks`, String(pid));
    } catch (cause) {
      if (!(cause instanceof SyscallError)) throw cause;
      throw new CrateError(
        "FAILED",
        `linux.intelRdt: the process cannot join ${group}: ${cause.code}`,
        { cause },
      );
    }
  }
}

/**
 * Removes what was made for a container that has ended: its monitoring group, and the group itself when it was
 * made for it and nobody else has joined it.
 *
 * @throws {SyscallError}
 */
export function removeResctrl({ directory, made, monitor }: ResctrlGroup): void {
  if (monitor !== undefined) removeGroup(monitor);
  if (made && isEmpty(directory)) removeGroup(directory);
}

function isEmpty(directory: string): boolean {
  try {
    return readText(`${directory}/tasks`, MAX_FILE).trim() === "";
  } catch (error) {
    if (isGone(error)) return true;
    throw error;
  }
}

function removeGroup(directory: string): void {
  try {
    rmdir(directory);
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}

function isGone(error: unknown): boolean {
  return error instanceof SyscallError && (error.errno === ENOENT || error.errno === ENOTDIR);
}
