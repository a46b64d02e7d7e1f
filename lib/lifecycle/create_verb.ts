import {
  arch,
  AT_FDCWD,
  type Cell,
  encodeMapped,
  encodeText,
  exists,
  isInitialUserNamespace,
  mappedOffset,
  readText,
  STATX_BASIC_STATS,
  trySyscall,
  withAddress,
} from "../../ffi/mod.ts";
import { type CgroupPlan, detectLayout } from "../cgroup/mod.ts";
import type { Spec } from "../spec/mod.ts";
import { isDirectory } from "./facts.ts";
import type { Kind, Request } from "./kind.ts";
import { dayOf, type Made } from "./offer_create.ts";
import type { ProcessId } from "./process_id.ts";
import {
  CLOCK,
  compileCreateVerb,
  CREATE_KIND,
  type CreateGroups,
  type CreateHost,
  type Filling,
  hasListener,
  hasUserNamespace,
  isBind,
  isIdmapped,
  PID_DIGITS,
  PROCESS_TEXT,
  STATX_MNT_ID,
} from "./program/mod.ts";
import { ENGINE_FILES, makingPath, statePaths, VERSION } from "./state.ts";
import { filterFile } from "./stored_filter.ts";
import { formatRecord } from "./claim.ts";
import { type Verbs, verbsOf } from "./verbs.ts";

// What the launcher walks when an engine creates another container of a kind; see program/create_verb.ts.

/** Options of mounts with which more is looked up than what a path is. */
const LOOKED_UP = ["copy-symlink", "src-nofollow", "tmpcopyup"];

/** Whether a container's creation is no more than what the program does. */
function isPlain({ record }: Made): boolean {
  const { spec, resctrl, systemd } = record;
  const { hooks = {}, mounts = [], linux, process } = spec;
  return resctrl === undefined && systemd === undefined && isInitialUserNamespace() &&
    !hasUserNamespace(spec) && !hasListener(spec) &&
    Object.values(hooks).every((each) => each === undefined || each.length === 0) &&
    Object.keys(linux?.netDevices ?? {}).length === 0 && process?.terminal !== true &&
    mounts.every((mount) =>
      !isIdmapped(mount) && !mount.options?.some((option) => LOOKED_UP.includes(option))
    );
}

/**
 * The file of a program that creates the next container of a kind; undefined when there is more to it.
 *
 * @param others the files of those for other kinds.
 */
export function createVerb(
  made: Made,
  request: Request,
  { holes }: Kind,
  others: readonly string[],
): Uint8Array<ArrayBuffer> | undefined {
  const { root, record, init, cgroup, seccomp, program, pidFile } = made;
  const { id, created } = record;
  const verbs = verbsOf(root, record, init);
  if (!isPlain(made) || verbs === undefined || cgroup.directories.length === 0) return undefined;
  const groups = groupsOf(cgroup);
  const host = hostOf(record.spec, cgroup);
  if (host === undefined) return undefined;
  const { directory, start } = statePaths(root, id);
  const clock = created.slice(-CLOCK.length - 1, -1);
  return encodeMapped(
    compileCreateVerb({
      request: { ...request, holes, others },
      host,
      directory,
      making: makingPath(root, id),
      files: [...ENGINE_FILES, "verbs.new"].toSorted((a, b) =>
        Number(a === "container.json") - Number(b === "container.json")
      ),
      day: dayOf(record),
      clock,
      record: encodeText(formatRecord({ version: VERSION, ...record })),
      ...seccomp && { filter: filterFile(seccomp) },
      groups,
      address: withAddress(start, (address) => address.slice()),
      program,
      process: processOf(made.process, init),
      verbs: fillings(verbs, init),
      pidFile,
    }),
    arch,
    CREATE_KIND,
  );
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
function hostOf(spec: Spec, { path }: CgroupPlan): CreateHost | undefined {
  const { v1, v2 } = detectLayout();
  const mounts = [...new Set([...v1.values(), ...v2 === undefined ? [] : [v2.mount]])];
  const directories = [spec.root!.path];
  const files: string[] = [];
  for (const { source, ...mount } of spec.mounts ?? []) {
    if (!isBind({ source, ...mount })) continue;
    (isDirectory(source!) ? directories : files).push(source!);
  }
  const found = mounts.map((path) => ({ path, status: statusOf(path) }));
  if (path === "" || !found.every(({ status }) => status !== undefined)) return undefined;
  return {
    mounts: found as CreateHost["mounts"],
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
function fillings({ program, bytes, init: cells, texts }: Verbs, init: ProcessId): Filling[] {
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
  const text = (cell: Cell) => cell.content as Uint8Array;
  for (const { text: cell, length } of texts) {
    const json = new TextDecoder().decode(text(cell));
    const key = `"pid": `;
    const at = json.indexOf(`${key}${init.pid},`);
    if (at < 0) continue; // of a container that has ended
    const [before, after] = [json.slice(0, at + key.length), json.slice(at + key.length + digits)];
    spots.push({ cell, fillings: around(before, after, text(cell).length + PID_DIGITS) });
    spots.push({
      cell: length,
      fillings: [{ own: "pid length", of: text(cell).length - digits }],
    });
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
