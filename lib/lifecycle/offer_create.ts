import { close, trySyscall } from "../../ffi/mod.ts";
import { type Made, productsOf } from "./create_input.ts";
import { isSameBut, type Kind, kindOf, type Request, serialize } from "./kind.ts";
import { contentOf, forgetOld, isOfKind, put, timeOf } from "./offers.ts";
import { latin1 } from "./program/mod.ts";
import { openDirectory } from "./start.ts";

// The next creation of a container of a kind, ready for the launcher (scripts/verbs.sh) as a program in the state
// directory, `.create-CRATE-0` and so on, beside the notes of the last ones, `.create-CRATE-0-last`. What makes it,
// create_verb.ts, is loaded when there is something to make.

/** The kind of the files: another one when what is in them, or how programs are encoded, changes. */
export const CREATE_KIND = "crc1";

/** Of how many kinds the last creation is known: a pod has containers of two or three. */
const KINDS = 4;
/** More than engines say of a container. */
const MAX_REQUEST = 65536;
const MAX_NOTE = 1 << 20;

const NAME = ".create-";

/** A creation as the launcher has it; see scripts/verbs.sh. */
export interface CreateRequest extends Request {
  /** Which crate it is: another one may make containers otherwise. */
  readonly crate: string;
}

/** Notes a creation, and makes the next one of its kind ready. @throws {SyscallError} {CrateError} */
export async function offerCreate(
  { crate, ...request }: CreateRequest,
  made: Made,
): Promise<void> {
  const { root } = made;
  const products = request.bytes.length > MAX_REQUEST ? undefined : productsOf(made);
  if (products === undefined) return;
  const { day } = products;
  const prefix = `${NAME}${crate}-`;
  const fileOf = (slot: number) => `${root}/${prefix}${slot}`;
  const noteOf = (slot: number) => `${fileOf(slot)}-last`;
  const { slot, note, kind } = findKind(noteOf, request);
  const { day: _, ...rest } = products;
  const bytes = serialize(rest);
  let program: Uint8Array<ArrayBuffer> | undefined;
  const isSame = note !== undefined && kind !== undefined &&
    isSameBut(latin1(note.products), latin1(bytes), kind);
  if (isSame) {
    const { holes } = kind;
    // One that is there may not know of a word that was the same in the two before it.
    const isKnown = note.day === day && note.holes >= holes.length &&
      isOfKind(fileOf(slot), CREATE_KIND);
    if (isKnown) return;
    const others = Array.from({ length: KINDS - 1 - slot }, (_, i) => fileOf(slot + 1 + i));
    const { createVerb } = await import("./create_verb.ts");
    program = createVerb(products, { ...request, holes, others, note: noteOf(slot) });
  }
  const folder = openDirectory(root);
  try {
    if (note === undefined) forgetOld(root, folder, NAME, prefix);
    if (program !== undefined) put(folder, `${prefix}${slot}`, program);
    else trySyscall("unlinkat", folder, `${prefix}${slot}`, 0);
    const holes = program === undefined ? 0 : kind!.holes.length;
    const next = formatNote({ day, holes, request, products: bytes });
    if (next.length <= MAX_NOTE) put(folder, `${prefix}${slot}-last`, next);
  } finally {
    close(folder);
  }
}

interface Note {
  readonly day: number;
  /** How many words the program takes from the next request; 0: there is none. */
  readonly holes: number;
  readonly request: Request;
  readonly products: Uint8Array;
}

/** Four numbers; then the request, then the products. */
const HEADER = 16;

function formatNote({ day, holes, request, products }: Note): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(HEADER + request.bytes.length + products.length);
  new Uint32Array(bytes.buffer, 0, 4).set([day, holes, request.words, request.bytes.length]);
  bytes.set(request.bytes, HEADER);
  bytes.set(products, HEADER + request.bytes.length);
  return bytes;
}

function readNote(file: string, size: number): Note | undefined {
  const head = contentOf(file, HEADER);
  if (head === undefined || head.length < HEADER) return undefined;
  const [day, holes, words, length] = new Uint32Array(head.buffer, head.byteOffset, 4);
  if (length !== size) return undefined;
  const bytes = contentOf(file, MAX_NOTE);
  if (bytes === undefined || bytes.length < HEADER + size) return undefined;
  const request = { bytes: bytes.slice(HEADER, HEADER + size), words: words! };
  return { day: day!, holes: holes!, request, products: bytes.subarray(HEADER + size) };
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
