import { decodeText, encodeText } from "../../ffi/mod.ts";
import { parseJson } from "../spec/mod.ts";
import { findWords, type Hole, latin1 } from "./program/mod.ts";

// What the containers have in common that an engine creates again and again: their requests are the same but for names,
// which are as long in each.

/** What an engine asks for. */
export interface Request {
  /** Its own words, each with a NUL behind it, and the config's text. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** How many of the bytes are the words. */
  readonly words: number;
}

/** A config's fields that are taken as they are: what differs in them alone makes no other container. */
const FREE = [
  /^root\.path$/,
  /^hostname$/,
  /^mounts\.\d+\.source$/,
  // Others than those that runtimes heed.
  /^annotations\.(?!org\.systemd|org\.criu|run\.oci|dev\.crate)/,
  /^process\.env\.\d+$/,
  // The first one is looked for.
  /^process\.args\.[1-9]\d*$/,
  /^linux\.cgroupsPath$/,
  /^linux\.namespaces\.\d+\.path$/,
];

/** How two requests of one kind differ: in these words of the second, in whose place the first has others. */
export interface Kind {
  readonly holes: readonly Hole[];
  readonly was: readonly string[];
}

/**
 * What two requests have that differs.
 *
 * @returns undefined when they are of two kinds.
 *
 * @example
 * ```ts
 * import { kindOf } from "./kind.ts";
 * const request = (id: string) => {
 *   const words = `create\0${id}\0`;
 *   const bytes = new TextEncoder().encode(`${words}{"hostname":"host-${id}"}`);
 *   return { bytes, words: words.length };
 * };
 * const kind = kindOf(request("a1"), request("b2"));
 * if (kind?.was[0] !== "a1" || kind.holes[0]?.places.length !== 2) throw new Error();
 * ```
 */
export function kindOf(last: Request, now: Request): Kind | undefined {
  if (last.bytes.length !== now.bytes.length || last.words !== now.words) return undefined;
  const [a, b] = [latin1(last.bytes), latin1(now.bytes)];
  const words = differences(a, b);
  if (words === undefined) return undefined;
  if (!isFree(configOf(last), configOf(now))) return undefined;
  const texts = [...words.keys()];
  const was = texts.map((text) => words.get(text)!.was);
  const holes = texts.map((text): Hole => {
    const { was, places } = words.get(text)!;
    // Either may be meant where both stand.
    const outer = texts.findIndex((other) => {
      const after = other === text ? -1 : other.indexOf(text);
      return after >= 0 && words.get(other)!.was.startsWith(was, after);
    });
    if (outer < 0) return { text, places };
    return { text, places, within: { hole: outer, after: texts[outer]!.indexOf(text) } };
  });
  return { holes, was };
}

interface Difference {
  /** What stands in the other text at its places. */
  readonly was: string;
  readonly places: number[];
}

/** The words that differ, of letters, digits, and what times have between them, by the second text's; undefined when anything else does, or a word stands for two. */
function differences(a: string, b: string): Map<string, Difference> | undefined {
  const found = new Map<string, Difference>();
  const others = new Set<string>();
  const letters = /[0-9A-Za-z.:]+/y;
  for (let at = 0; at < b.length; at++) {
    if (a[at] === b[at]) continue;
    let from = at;
    while (from > 0 && /[0-9A-Za-z.:]/.test(b[from - 1]!)) from--;
    letters.lastIndex = from;
    const [text] = letters.exec(b) ?? [];
    if (text === undefined) return undefined;
    const was = a.slice(from, from + text.length);
    const end = from + text.length;
    // It is the whole of a word there, too.
    // Behind a backslash JSON has something else.
    if (
      b[from - 1] === "\\" || !/^[0-9A-Za-z.:]+$/.test(was) || a[from - 1] !== b[from - 1] ||
      a[end] !== b[end]
    ) {
      return undefined;
    }
    const known = found.get(text);
    if (known === undefined) {
      if (others.has(was)) return undefined;
      others.add(was);
      found.set(text, { was, places: [from] });
    } else if (known.was !== was) return undefined;
    else known.places.push(from);
    at = end - 1;
  }
  return found;
}

function configOf({ bytes, words }: Request): unknown {
  return parseJson(decodeText(bytes.subarray(words)), "config.json");
}

/** Whether two configs differ in free fields alone. */
function isFree(a: unknown, b: unknown, path = ""): boolean {
  if (a === b) return true;
  if (typeof a === "string" && typeof b === "string") {
    if (!FREE.some((pattern) => pattern.test(path))) return false;
    // A variable's name may mean something.
    return !path.startsWith("process.env") || a.split("=", 1)[0] === b.split("=", 1)[0];
  }
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  const [keys, others] = [Object.keys(a), Object.keys(b)];
  const below = (key: string) => path === "" ? key : `${path}.${key}`;
  return keys.length === others.length && Array.isArray(a) === Array.isArray(b) &&
    keys.every((key, i) =>
      key === others[i] &&
      isFree((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key], below(key))
    );
}

/**
 * Whether two texts are the same but for the words of their requests, which stand at the same places in both.
 *
 * @example
 * ```ts
 * import { isSameBut } from "./kind.ts";
 * const kind = { holes: [{ text: "b2", places: [0] }], was: ["a1"] };
 * if (!isSameBut("/run/a1", "/run/b2", kind) || isSameBut("/run/a1", "/run/a1", kind)) throw new Error();
 * ```
 */
export function isSameBut(last: string, now: string, { holes, was }: Kind): boolean {
  const found = findWords(last, was);
  const places = findWords(now, holes.map(({ text }) => text));
  if (found.length !== places.length) return false;
  let end = 0;
  for (const [i, { at, word }] of found.entries()) {
    const place = places[i]!;
    if (place.at !== at || place.word !== word) return false;
    if (last.slice(end, at) !== now.slice(end, at)) return false;
    end = at + was[word]!.length;
  }
  return last.slice(end) === now.slice(end);
}

/**
 * What programs are compiled from, as bytes: what are equal but for words make programs that are.
 *
 * @param products JSON, in which there may be bytes.
 */
export function serialize(products: object): Uint8Array {
  const parts: Uint8Array[] = [];
  const text = JSON.stringify(products, (_key, value) => {
    if (typeof value === "bigint") return String(value);
    if (!(value instanceof Uint8Array)) return value;
    parts.push(value);
    return { bytes: value.length };
  });
  parts.push(encodeText(text));
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
