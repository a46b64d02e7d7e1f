import { CrateError } from "../../errors.ts";
import { Attributes, Writer } from "../attributes.ts";
import { NLM_F_CREATE } from "../constants.ts";
import { malformed } from "../errors.ts";
import { given } from "../given.ts";
import type { Message, Request } from "../message.ts";
import * as c from "./constants.ts";
import { readValue, readVerdict, type Verdict, writeValue, writeVerdict } from "./data.ts";
import { checkName, nftRequest, readMessage, type SetName } from "./request.ts";
import { type SetDefinition, typeList } from "./set.ts";
import { type DataTypeName, encodeValues, sizeOf, splitValues, type Value } from "./types.ts";
import { comment as commentDatum, encodeUserdata, readComment } from "./userdata.ts";

/** An element of a set: one value for each type of its key. */
export interface Element {
  readonly key: Value | readonly Value[];
  /** The last of a range, which belongs to it; in a concatenation the last of each. */
  readonly keyEnd?: Value | readonly Value[];
  /** For a map. */
  readonly data?: Value | readonly Value[];
  /** For a map of verdicts. */
  readonly verdict?: Verdict;
  /** Milliseconds after which it goes. */
  readonly timeout?: number;
  readonly comment?: string;
}

/** An element, as the kernel tells of it. */
export interface ElementEntry {
  readonly key: readonly Uint8Array<ArrayBuffer>[];
  readonly keyEnd?: readonly Uint8Array<ArrayBuffer>[];
  readonly data?: readonly Uint8Array<ArrayBuffer>[];
  readonly verdict?: Verdict;
  readonly timeout?: number;
  readonly comment?: string;
}

/** The elements of a message are one attribute, which has up to 65,535 bytes. */
const ELEMENTS_AT_ONCE = 60_000;

/** Adds elements to a set: as many requests as they need. @throws {CrateError} `INVALID` for values of other types. */
export function addElements(set: SetDefinition, elements: readonly Element[]): Request[] {
  return requests("add elements to", c.NFT_MSG_NEWSETELEM, NLM_F_CREATE, set, elements, true);
}

/** Removes elements from a set, by their keys. @throws {CrateError} `INVALID` for values of other types. */
export function deleteElements(set: SetDefinition, elements: readonly Element[]): Request[] {
  return requests("delete elements from", c.NFT_MSG_DELSETELEM, 0, set, elements, false);
}

/** Removes all elements of a set. */
export function flushSet({ family, table, set }: SetName): Request {
  const label = `flush the set ${family} ${table} ${set}`;
  return nftRequest(label, c.NFT_MSG_DELSETELEM, 0, family, (w) => {
    w.text(c.NFTA_SET_ELEM_LIST_TABLE, table);
    w.text(c.NFTA_SET_ELEM_LIST_SET, checkName("set", set));
  });
}

/** Asks for the elements of a set. */
export function dumpElements({ family, table, set }: SetName): Request {
  const label = `list the elements of ${family} ${table} ${set}`;
  return nftRequest(label, c.NFT_MSG_GETSETELEM, 0, family, (w) => {
    w.text(c.NFTA_SET_ELEM_LIST_TABLE, table);
    w.text(c.NFTA_SET_ELEM_LIST_SET, checkName("set", set));
  });
}

function requests(
  verb: string,
  message: number,
  flags: number,
  set: SetDefinition,
  elements: readonly Element[],
  whole: boolean,
): Request[] {
  const { family, table, set: name } = set;
  const label = `${verb} ${family} ${table} ${name}`;
  const groups: Uint8Array[][] = [];
  let size = ELEMENTS_AT_ONCE;
  for (const element of elements) {
    const bytes = encodeElement(label, set, element, whole);
    size += bytes.length;
    if (size > ELEMENTS_AT_ONCE) {
      groups.push([]);
      size = bytes.length;
    }
    groups.at(-1)!.push(bytes);
  }
  return groups.map((group) =>
    nftRequest(label, message, flags, family, (w) => {
      w.text(c.NFTA_SET_ELEM_LIST_TABLE, table);
      w.text(c.NFTA_SET_ELEM_LIST_SET, checkName("set", name));
      w.nested(c.NFTA_SET_ELEM_LIST_ELEMENTS, () => group.forEach((bytes) => w.raw(bytes)));
    })
  );
}

/** One element, or the two that a range is where the key is a single value. */
function encodeElement(
  label: string,
  set: SetDefinition,
  element: Element,
  whole: boolean,
): Uint8Array<ArrayBuffer> {
  const types = typeList(set.keyType);
  const key = encodeValues(types, element.key);
  const keyEnd = element.keyEnd === undefined ? key : encodeValues(types, element.keyEnd);
  if (element.keyEnd !== undefined && !set.interval) {
    throw new CrateError("INVALID", `${label}: it has no ranges: interval must be true`);
  }
  if (compare(key, keyEnd) > 0) {
    throw new CrateError("INVALID", `${label}: a range must begin before its end`);
  }
  const w = new Writer();
  w.nested(c.NFTA_LIST_ELEM, () => {
    writeValue(w, c.NFTA_SET_ELEM_KEY, key);
    if (set.interval && types.length > 1) writeValue(w, c.NFTA_SET_ELEM_KEY_END, keyEnd);
    if (whole) writeRest(w, label, set, element);
  });
  const next = set.interval && types.length === 1 ? increment(keyEnd) : undefined;
  if (next !== undefined) {
    w.nested(c.NFTA_LIST_ELEM, () => {
      w.u32be(c.NFTA_SET_ELEM_FLAGS, c.NFT_SET_ELEM_INTERVAL_END);
      writeValue(w, c.NFTA_SET_ELEM_KEY, next);
    });
  }
  return w.finish();
}

function writeRest(w: Writer, label: string, set: SetDefinition, element: Element): void {
  const { data, verdict, timeout, comment } = element;
  if ((data !== undefined) !== (set.dataType !== undefined)) {
    throw new CrateError(
      "INVALID",
      `${label}: data is for a map, and each element of a map has it`,
    );
  }
  if ((verdict !== undefined) !== Boolean(set.verdictMap)) {
    throw new CrateError("INVALID", `${label}: each element of a map of verdicts has a verdict`);
  }
  if (data !== undefined) {
    writeValue(w, c.NFTA_SET_ELEM_DATA, encodeValues(typeList(set.dataType!), data));
  }
  if (verdict !== undefined) writeVerdict(w, c.NFTA_SET_ELEM_DATA, verdict);
  if (timeout !== undefined) w.u64be(c.NFTA_SET_ELEM_TIMEOUT, timeout);
  if (comment !== undefined) {
    w.bytes(c.NFTA_SET_ELEM_USERDATA, encodeUserdata([commentDatum(comment)]));
  }
}

/** By their bytes, the first the most significant. */
function compare(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return 0;
}

/** The next value; undefined after the last. */
function increment(bytes: Uint8Array): Uint8Array<ArrayBuffer> | undefined {
  const next = bytes.slice();
  // The number before it is cut to a byte.
  for (let i = next.length - 1; i >= 0; i--) if (++next[i]! <= 255) return next;
  return undefined;
}

function decrement(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const previous = bytes.slice();
  for (let i = previous.length - 1; i >= 0; i--) {
    if (previous[i] !== 0) {
      previous[i]!--;
      break;
    }
    previous[i] = 255;
  }
  return previous;
}

/** What a set's elements are, so that they can be read. */
export interface ElementTypes {
  readonly keyType?: readonly DataTypeName[];
  readonly dataType?: readonly DataTypeName[];
  readonly interval: boolean;
}

interface RawElement extends Omit<ElementEntry, "key" | "keyEnd"> {
  readonly key: Uint8Array<ArrayBuffer>;
  readonly keyEnd?: Uint8Array<ArrayBuffer>;
  readonly isEnd: boolean;
}

/** Reads the elements that a message has, as they are. @throws {CrateError} `FAILED` */
export function decodeElements(message: Message, types: ElementTypes): RawElement[] {
  const { attributes } = readMessage(message);
  return attributes.list(c.NFTA_SET_ELEM_LIST_ELEMENTS).map(({ value }) => {
    const element = new Attributes(value);
    // An interval set's first element may be the end of what is before all: it has no key then.
    const key = readValue(element, c.NFTA_SET_ELEM_KEY);
    if (key === undefined) throw malformed("an element without a key");
    const data = readValue(element, c.NFTA_SET_ELEM_DATA);
    const timeout = element.u64be(c.NFTA_SET_ELEM_TIMEOUT);
    const flags = element.u32be(c.NFTA_SET_ELEM_FLAGS) ?? 0;
    return {
      key,
      isEnd: (flags & c.NFT_SET_ELEM_INTERVAL_END) !== 0,
      ...given({
        keyEnd: readValue(element, c.NFTA_SET_ELEM_KEY_END),
        data: data && split(types.dataType, data),
        verdict: data === undefined ? readVerdict(element, c.NFTA_SET_ELEM_DATA) : undefined,
        timeout: timeout === undefined ? undefined : Number(timeout),
        comment: readComment(element.bytes(c.NFTA_SET_ELEM_USERDATA)),
      }),
    };
  });
}

/**
 * Whether an element is told twice: the kernel's hash table grew while it went through it, which no flag says, and others
 * may not be told at all.
 */
export function hasTwice(raw: readonly RawElement[]): boolean {
  const seen = new Set(raw.map(({ key, keyEnd, isEnd }) => `${key} ${keyEnd} ${isEnd}`));
  return seen.size < raw.length;
}

/** Elements as they were given: a range of single values is one again. The order is that of the keys. */
export function joinElements(raw: readonly RawElement[], types: ElementTypes): ElementEntry[] {
  // An end comes before a beginning at the same place.
  const sorted = [...raw].sort((a, b) =>
    compare(a.key, b.key) || Number(b.isEnd) - Number(a.isEnd)
  );
  const single = types.interval && (types.keyType?.length ?? 1) === 1;
  return sorted.flatMap(({ isEnd, key, keyEnd, ...rest }, index) => {
    if (isEnd) return [];
    const next = sorted[index + 1];
    const last = !single
      ? keyEnd
      : next === undefined
      ? new Uint8Array(key.length).fill(255)
      : decrement(next.key);
    return [{
      key: split(types.keyType, key),
      ...(last && compare(last, key) !== 0 ? { keyEnd: split(types.keyType, last) } : {}),
      ...rest,
    }];
  });
}

/** One value of each type; the whole where the types are not known, or are of another length. */
function split(
  types: readonly DataTypeName[] | undefined,
  bytes: Uint8Array<ArrayBuffer>,
): Uint8Array<ArrayBuffer>[] {
  return types === undefined || sizeOf(types) !== bytes.length
    ? [bytes]
    : splitValues(types, bytes);
}
