import { AT_FDCWD, close, encodeText, STATX_BASIC_STATS, trySyscall } from "../../ffi/mod.ts";
import type { CgroupPlan } from "../cgroup/mod.ts";
import type { SeccompFilter } from "../security/mod.ts";
import { isSameBut, type Kind, kindOf, type Request } from "./kind.ts";
import { contentOf, isOfKind, put } from "./offers.ts";
import type { ProcessId } from "./process_id.ts";
import { CREATE_KIND, latin1 } from "./program/mod.ts";
import { openDirectory } from "./start.ts";
import type { ContainerRecord } from "./state.ts";

// The next creation of a container of a kind, ready for the launcher (scripts/verbs.sh) as a program in the state
// directory, `.create-CRATE-0` and so on, beside the notes of the last ones, `.create-CRATE-0-last`. What makes it, create_verb.ts,
// is loaded when there is something to make.

/** Of how many kinds the last creation is known: a pod has containers of two or three. */
export const KINDS = 4;
/** More than engines say of a container. */
const MAX_REQUEST = 65536;
const MAX_NOTE = 1 << 20;

/** A note: its state, the day, the sizes of the words and of the request; then the request, then what was made. */
const HEADER = 16;
/** It was created; there is a program; there is more to one of this kind than the program does. */
const [SEEN, READY, REFUSED] = [1, 2, 3] as const;

const DAY = 24 * 60 * 60;

/** A container that was created just now. */
export interface Made {
  readonly root: string;
  /** Which crate it is: another one may make containers otherwise. */
  readonly crate: string;
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

/** When the day began in which a container was created, in seconds since 1970. */
export function dayOf({ created }: Pick<ContainerRecord, "created">): number {
  const seconds = Date.parse(created) / 1000;
  return seconds - seconds % DAY;
}

/** Notes a creation, and makes the next one of its kind ready. @throws {SyscallError} {CrateError} */
export async function offerCreate(request: Request, made: Made): Promise<void> {
  const { root, crate } = made;
  const nameOf = (slot: number) => `.create-${crate}-${slot}`;
  if (request.bytes.length > MAX_REQUEST || !root.startsWith("/")) return;
  const day = dayOf(made.record);
  const products = productsOf(made);
  const { slot, note, kind } = findKind((slot) => `${root}/${nameOf(slot)}-last`, request);
  const file = `${root}/${nameOf(slot)}`;
  let state: number = SEEN;
  let program: Uint8Array<ArrayBuffer> | undefined;
  if (note !== undefined && kind !== undefined) {
    const isOfToday = note.day === day;
    if (note.state === REFUSED) return;
    if (note.state === READY && isOfToday && isOfKind(file, CREATE_KIND)) return;
    if (isSameBut(latin1(note.products), latin1(products), kind)) {
      const { createVerb } = await import("./create_verb.ts");
      program = createVerb(
        made,
        request,
        kind,
        Array.from({ length: KINDS - 1 - slot }, (_, i) => `${root}/${nameOf(slot + 1 + i)}`),
      );
      state = program === undefined ? REFUSED : READY;
    }
  }
  const folder = openDirectory(root);
  try {
    if (program !== undefined) put(folder, nameOf(slot), program);
    else trySyscall("unlinkat", folder, nameOf(slot), 0);
    put(folder, `${nameOf(slot)}-last`, formatNote({ state, day, request, products }));
  } finally {
    close(folder);
  }
}

/** Everything that was made for it but what is its own: equal ones are made for those of one kind. */
function productsOf({ program, record, cgroup, seccomp, pidFile }: Made): Uint8Array {
  const { directories, parents, enable, writes, deviceProgram, joinDirectory } = cgroup;
  const { created: _, ...rest } = record;
  const groups = { directories, parents, enable, writes, joinDirectory };
  const text = encodeText(JSON.stringify([rest, groups, pidFile, seccomp?.flags], plain));
  const parts = [program, text, seccomp?.filter, deviceProgram].filter((part) =>
    part !== undefined
  );
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** JSON for what a config may have that JSON has not. */
function plain(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? `${value}n` : value;
}

interface Note {
  readonly state: number;
  readonly day: number;
  readonly request: Request;
  readonly products: Uint8Array;
}

function formatNote({ state, day, request, products }: Note): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(HEADER + request.bytes.length + products.length);
  new Uint32Array(bytes.buffer, 0, 4).set([state, day, request.words, request.bytes.length]);
  bytes.set(request.bytes, HEADER);
  bytes.set(products, HEADER + request.bytes.length);
  return bytes;
}

function readNote(file: string, size: number): Note | undefined {
  const head = contentOf(file, HEADER);
  if (head === undefined || head.length < HEADER) return undefined;
  const [state, day, words, length] = new Uint32Array(head.buffer, head.byteOffset, 4);
  if (length !== size) return undefined;
  const bytes = contentOf(file, MAX_NOTE);
  if (bytes === undefined || bytes.length < HEADER + size) return undefined;
  const request = { bytes: bytes.slice(HEADER, HEADER + size), words: words! };
  return { state: state!, day: day!, request, products: bytes.subarray(HEADER + size) };
}

/** Where a request's kind is noted; or, where it is not, which note is the oldest. */
function findKind(
  noteOf: (slot: number) => string,
  request: Request,
): { readonly slot: number; readonly note?: Note; readonly kind?: Kind } {
  let oldest = { slot: 0, time: Infinity };
  for (let slot = 0; slot < KINDS; slot++) {
    const file = noteOf(slot);
    const note = readNote(file, request.bytes.length);
    const kind = note && kindOf(note.request, request);
    if (note !== undefined && kind !== undefined) return { slot, note, kind };
    const time = timeOf(file);
    if (time < oldest.time) oldest = { slot, time };
  }
  return { slot: oldest.slot };
}

/** `stx_mtime`, statx(2). */
const MTIME = 0x70;

/** When a file was last changed; one that is not there comes before all. */
function timeOf(file: string): number {
  const status = new Uint8Array(256);
  if (trySyscall("statx", AT_FDCWD, file, 0, STATX_BASIC_STATS, status) < 0) return 0;
  const view = new DataView(status.buffer);
  return Number(view.getBigInt64(MTIME, true)) + view.getUint32(MTIME + 8, true) / 1e9;
}
