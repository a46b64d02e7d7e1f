import {
  AT_FDCWD,
  encodeText,
  exists,
  readText,
  STATX_BASIC_STATS,
  trySyscall,
} from "../../ffi/mod.ts";
import { type CgroupPlan, detectLayout } from "../cgroup/mod.ts";
import type { SeccompFilter } from "../security/mod.ts";
import type { Spec } from "../spec/mod.ts";
import { formatRecord } from "./claim.ts";
import { hasSwap, isDirectory } from "./facts.ts";
import {
  CLOCK,
  type CreateGroups,
  type Filling,
  hasListener,
  hasUserNamespace,
  IDENTITY,
  isBind,
  isIdmapped,
  type RecordFilling,
  STATX_MNT_ID,
  type WalkedContainer,
  type WalkedHost,
} from "./program/mod.ts";
import { type ContainerRecord, statePaths, VERSION } from "./state.ts";
import { filterFile } from "./stored_filter.ts";

// What a walked creation of a container is made from: one that was made just now. program/walked_container.ts

/** A container that was made just now. */
export interface MadeContainer {
  readonly root: string;
  readonly record: Omit<ContainerRecord, "version">;
  readonly cgroup: CgroupPlan;
  readonly seccomp?: SeccompFilter;
  /** Its program, in an ELF file. */
  readonly program: Uint8Array<ArrayBuffer>;
  /** Its command is another one each time, which the program is executed with. */
  readonly anyCommand?: boolean;
  /** Files of the host that are made for it alone. */
  readonly own?: readonly string[];
}

/** Options of mounts with which more is looked up than what a path is. */
const LOOKED_UP = ["copy-symlink", "src-nofollow", "tmpcopyup"];

/** Whether a container's creation is no more than what the program does. */
function isPlain({ record, cgroup }: MadeContainer): boolean {
  const { spec, resctrl, systemd } = record;
  const { hooks = {}, mounts = [], linux, process } = spec;
  return resctrl === undefined && systemd === undefined && cgroup.directories.length > 0 &&
    !hasUserNamespace(spec) && !hasListener(spec) &&
    Object.values(hooks).every((each) => each === undefined || each.length === 0) &&
    Object.keys(linux?.netDevices ?? {}).length === 0 && process?.terminal !== true &&
    mounts.every((mount) =>
      !isIdmapped(mount) && !mount.options?.some((option) => LOOKED_UP.includes(option))
    );
}

const DAY = 24 * 60 * 60;

/** What is not to be told from a container. */
interface Names {
  /** What its directory is called until it has its record. */
  readonly making: string;
  /** The names of the files in it that a failure removes. */
  readonly files: readonly string[];
}

/**
 * What a container's making was, but for who runs in it. What comes of its id stands in it as it is.
 *
 * @returns undefined when there is more to it than a program can do.
 * @throws {SyscallError}
 */
export function walkedOf(
  made: MadeContainer,
  { making, files }: Names,
): Omit<WalkedContainer, "process"> | undefined {
  const { root, record, cgroup, seccomp, program, anyCommand = false, own = [] } = made;
  if (!root.startsWith("/") || !isPlain(made)) return undefined;
  const host = hostOf(record.spec, own);
  if (host === undefined) return undefined;
  const { id, created } = record;
  const seconds = Date.parse(created) / 1000;
  return {
    host,
    directory: statePaths(root, id).directory,
    making,
    // The record last.
    files: files.toSorted((a, b) =>
      Number(a === "container.json") - Number(b === "container.json")
    ),
    day: seconds - seconds % DAY,
    record: recordOf(record, anyCommand),
    ...seccomp && { filter: filterFile(seccomp) },
    groups: groupsOf(cgroup),
    program,
  };
}

/** Stands nowhere else in a record. */
const ANY = "\0any\0";

/** `container.json`. */
function recordOf(record: MadeContainer["record"], anyCommand: boolean): RecordFilling[] {
  const { created, spec } = record;
  const process = { ...spec.process!, ...anyCommand && { args: [ANY] } };
  const text = formatRecord({ version: VERSION, ...record, spec: { ...spec, process } });
  const at = text.indexOf(`"created":"${created}"`) + `"created":"`.length;
  const [before, after] = text.slice(at + created.length).split(
    `${JSON.stringify([ANY]).slice(0, -1)}`,
  );
  return [
    encodeText(text.slice(0, at)),
    ...timeOf(created),
    encodeText(before!),
    ...after === undefined ? [] : [{ own: "command" } as const, encodeText(after)],
  ];
}

/** A time of creation, of the same day. */
export function timeOf(created: string): Filling[] {
  const at = created.length - CLOCK.length - 1;
  const date = encodeText(created.slice(0, at));
  return [{ raw: date }, { own: "clock" }, { raw: encodeText(created.slice(at + CLOCK.length)) }];
}

/** What is made of a plan where the groups above are there. */
function groupsOf(plan: CgroupPlan): CreateGroups {
  const { directories, v1, v2, enable, writes, deviceProgram, joinDirectory } = plan;
  const own = v1.get("cpuset");
  const file = `${v2}/cgroup.controllers`;
  const wants = enable !== undefined && enable.required.length + enable.wanted.length > 0;
  return {
    directories,
    ...own !== undefined && { cpuset: { own, above: own.slice(0, own.lastIndexOf("/")) } },
    ...v2 !== undefined && wants && { controllers: { file, text: readText(file) } },
    writes: writes.map(({ file, value, otherwise }) =>
      otherwise !== undefined && !exists(file) ? otherwise : { file, value }
    ),
    ...v2 !== undefined && deviceProgram && { devices: { group: v2, program: deviceProgram } },
    ...joinDirectory !== undefined && { join: joinDirectory },
  };
}

/** What of the host a config was compiled for; undefined where it is not to be had. */
function hostOf(spec: Spec, own: readonly string[]): WalkedHost | undefined {
  const { v1, v2 } = detectLayout();
  const mounts = [...new Set([...v1.values(), ...v2 === undefined ? [] : [v2.mount]])];
  const directories = [spec.root!.path];
  const files: string[] = [];
  for (const { source, ...mount } of spec.mounts ?? []) {
    if (!isBind({ source, ...mount }) || own.includes(source!)) continue;
    (isDirectory(source!) ? directories : files).push(source!);
  }
  const found: { path: string; identity: Uint8Array[] }[] = [];
  for (const path of mounts) {
    const status = statusOf(path);
    if (status === undefined) return undefined;
    found.push({
      path,
      identity: IDENTITY.map(({ from, size }) => status.slice(from, from + size)),
    });
  }
  return {
    mounts: found,
    directories: [...new Set(directories)],
    files: [...new Set(files)],
    null: Boolean(spec.linux?.maskedPaths?.length),
    // Where nobody has said so, it has decided whether a limit of memory is one of swap, too.
    ...spec.linux?.resources?.memory?.limit !== undefined && { swap: hasSwap() },
  };
}

function statusOf(path: string): Uint8Array | undefined {
  const status = new Uint8Array(256);
  const mask = STATX_BASIC_STATS | STATX_MNT_ID;
  return trySyscall("statx", AT_FDCWD, path, 0, mask, status) < 0 ? undefined : status;
}
