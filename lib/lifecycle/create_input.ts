import {
  AT_FDCWD,
  type Cell,
  decodeText,
  encodeText,
  exists,
  mappedOffset,
  readText,
  STATX_BASIC_STATS,
  trySyscall,
  withAddress,
} from "../../ffi/mod.ts";
import { type CgroupPlan, detectLayout } from "../cgroup/mod.ts";
import type { SeccompFilter } from "../security/mod.ts";
import type { Spec } from "../spec/mod.ts";
import { formatRecord } from "./claim.ts";
import { isDirectory } from "./facts.ts";
import type { ProcessId } from "./process_id.ts";
import {
  CLOCK,
  type CreateGroups,
  type CreateHost,
  type CreateInput,
  type Filling,
  hasListener,
  hasUserNamespace,
  IDENTITY,
  isBind,
  isIdmapped,
  PID_DIGITS,
  PROCESS_TEXT,
  STATX_MNT_ID,
} from "./program/mod.ts";
import { type ContainerRecord, ENGINE_FILES, makingPath, statePaths, VERSION } from "./state.ts";
import { filterFile } from "./stored_filter.ts";
import { type Verbs, verbsOf } from "./verbs.ts";

// What the launcher walks when an engine creates another container of a kind; see program/create_verb.ts.

/** A container that was created just now. */
export interface Made {
  readonly root: string;
  readonly record: Omit<ContainerRecord, "version">;
  readonly init: ProcessId;
  readonly cgroup: CgroupPlan;
  readonly seccomp?: SeccompFilter;
  /** Its program, in an ELF file. */
  readonly program: Uint8Array<ArrayBuffer>;
  /** `process.json`. */
  readonly process: string;
  readonly pidFile?: string;
}

/** What the next one of its kind is created from, but for what an engine asks. */
export type Products = Omit<CreateInput, "request">;

/** Options of mounts with which more is looked up than what a path is. */
const LOOKED_UP = ["copy-symlink", "src-nofollow", "tmpcopyup"];

/** Whether a container's creation is no more than what the program does. */
function isPlain({ record, cgroup }: Made): boolean {
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

/**
 * All that a container's creation was: what its program is made of, and its files. What comes of an id or another word of
 * the request stands in it as it is.
 *
 * @returns undefined when there is more to it than the program can do.
 * @throws {SyscallError}
 */
export function productsOf(made: Made): Products | undefined {
  const { root, record, init, cgroup, seccomp, program, pidFile } = made;
  if (!root.startsWith("/") || !isPlain(made)) return undefined;
  const verbs = verbsOf(root, record, init);
  const host = hostOf(record.spec);
  if (verbs === undefined || host === undefined) return undefined;
  const { id, created } = record;
  const { directory, start } = statePaths(root, id);
  const seconds = Date.parse(created) / 1000;
  const text = formatRecord({ version: VERSION, ...record });
  const at = text.indexOf(`"created":"${created}"`) + `"created":"`.length;
  return {
    host,
    directory,
    making: makingPath(root, id),
    files: [...ENGINE_FILES, "verbs.new"].toSorted((a, b) =>
      Number(a === "container.json") - Number(b === "container.json")
    ),
    day: seconds - seconds % DAY,
    record: [
      encodeText(text.slice(0, at)),
      ...timeOf(created),
      encodeText(text.slice(at + created.length)),
    ],
    ...seccomp && { filter: filterFile(seccomp) },
    groups: groupsOf(cgroup),
    address: withAddress(start, (address) => address.slice()),
    program,
    process: processOf(made.process, init),
    verbs: fillings(verbs, init, created),
    pidFile,
  };
}

/** A time of creation, of the same day. */
function timeOf(created: string): Filling[] {
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
function hostOf(spec: Spec): CreateHost | undefined {
  const { v1, v2 } = detectLayout();
  const mounts = [...new Set([...v1.values(), ...v2 === undefined ? [] : [v2.mount]])];
  const directories = [spec.root!.path];
  const files: string[] = [];
  for (const { source, ...mount } of spec.mounts ?? []) {
    if (!isBind({ source, ...mount })) continue;
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
  };
}

function statusOf(path: string): Uint8Array | undefined {
  const status = new Uint8Array(256);
  const mask = STATX_BASIC_STATS | STATX_MNT_ID;
  return trySyscall("statx", AT_FDCWD, path, 0, mask, status) < 0 ? undefined : status;
}

/** `process.json`: `{"init":{"pid":1,"startTime":2},…`. */
function processOf(text: string, { pid, startTime }: ProcessId): Filling[] {
  const before = '{"init":{"pid":';
  const between = ',"startTime":';
  const known = `${before}${pid}${between}${startTime}`;
  if (!text.startsWith(known)) throw new Error("a process is recorded otherwise");
  return [
    encodeText(before),
    { own: "pid text" },
    encodeText(between),
    { own: "start text" },
    encodeText(text.slice(known.length)),
  ];
}

/** The file of the verbs, in which the process is another one. */
function fillings(
  { program, bytes, init: cells, texts }: Verbs,
  init: ProcessId,
  created: string,
): Filling[] {
  const digits = String(init.pid).length;
  const spots: { readonly cell: Cell; readonly fillings: readonly Filling[] }[] = [
    { cell: cells.pid, fillings: [{ own: "pid" }] },
    {
      cell: cells.stat,
      fillings: around("/proc/", "/stat", PROCESS_TEXT),
    },
    {
      cell: cells.startTime,
      fillings: [
        { own: "start text" },
        encodeText(" "),
        { own: "start padding", of: PROCESS_TEXT - 1 },
      ],
    },
    { cell: cells.length, fillings: [{ own: "start length", of: 1 }] },
  ];
  for (const { text: cell, length } of texts) {
    const content = cell.content as Uint8Array;
    const room = content.length + PID_DIGITS;
    const json = decodeText(content);
    const pidAt = json.indexOf(`"pid": ${init.pid},`) + `"pid": `.length;
    const createdAt = json.indexOf(`"created": "${created}"`) + `"created": "`.length;
    const rest = (from: number): Filling[] => [
      encodeText(json.slice(from, createdAt)),
      ...timeOf(created),
      encodeText(json.slice(createdAt + created.length)),
    ];
    if (!json.includes(`"pid": ${init.pid},`)) { // of a container that has ended
      spots.push({ cell, fillings: [...rest(0), new Uint8Array(PID_DIGITS)] });
      continue;
    }
    const padding = { own: "pid padding", of: room - content.length + digits } as const;
    const before = encodeText(json.slice(0, pidAt));
    spots.push({ cell, fillings: [before, { own: "pid text" }, ...rest(pidAt + digits), padding] });
    spots.push({ cell: length, fillings: [{ own: "pid length", of: content.length - digits }] });
  }
  const parts: Filling[] = [];
  let end = 0;
  for (const { cell, fillings } of spots.toSorted((a, b) => a.cell.offset - b.cell.offset)) {
    const at = mappedOffset(program, cell);
    parts.push(bytes.subarray(end, at), ...fillings);
    end = at + cell.size;
  }
  return [...parts, bytes.subarray(end)];
}

/** A pid between texts, with zeros behind them. */
function around(before: string, after: string, size: number): Filling[] {
  const [left, right] = [encodeText(before), encodeText(after)];
  return [
    left,
    { own: "pid text" },
    right,
    { own: "pid padding", of: size - left.length - right.length },
  ];
}
