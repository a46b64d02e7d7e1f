import { decodeText, encodeText } from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";

// What the kernel keeps and does not read: nft(8) has its comments there, as libnftnl's udata.h lays
// them out: a type and a length of a byte each, and the value.

/** nft's number of the comment of a table, a chain, a rule, or an element of a set. */
export const COMMENT = 0;
/** nft's numbers in the userdata of sets. */
export const SET_KEY_BYTE_ORDER = 0;
export const SET_DATA_BYTE_ORDER = 1;
export const SET_MERGE_ELEMENTS = 2;
export const SET_COMMENT = 7;

/** nft's own bound, NFTNL_UDATA_COMMENT_MAXLEN, with the NUL: bytes. */
const MAX_COMMENT = 128;

/** Something for userdata. */
export type Datum = readonly [type: number, value: Uint8Array];

/** Userdata as bytes. */
export function encodeUserdata(data: readonly Datum[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(data.reduce((sum, [, value]) => sum + 2 + value.length, 0));
  let at = 0;
  for (const [type, value] of data) {
    bytes.set([type, value.length], at);
    bytes.set(value, at + 2);
    at += 2 + value.length;
  }
  return bytes;
}

/** A number for userdata. */
export function number32(type: number, value: number): Datum {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return [type, bytes];
}

/** A comment for userdata. @throws {CrateError} `INVALID` for one that nft would not print. */
export function comment(text: string, type = COMMENT): Datum {
  const bytes = encodeText(`${text}\0`);
  if (bytes.length <= MAX_COMMENT && !text.includes("\0")) return [type, bytes];
  throw new CrateError(
    "INVALID",
    `nftables: a comment has up to ${MAX_COMMENT - 1} bytes and no NUL, got ${bytes.length - 1}`,
  );
}

/** The comment in userdata, which anybody may have written: undefined when there is none. */
export function readComment(
  bytes: Uint8Array<ArrayBuffer> | undefined,
  type = COMMENT,
): string | undefined {
  if (bytes === undefined) return undefined;
  for (let at = 0; at + 2 <= bytes.length; at += 2 + bytes[at + 1]!) {
    const end = at + 2 + bytes[at + 1]!;
    if (bytes[at] !== type) continue;
    if (end > bytes.length || bytes[end - 1] !== 0 || end === at + 2) return undefined;
    return decodeText(bytes.subarray(at + 2, end - 1));
  }
  return undefined;
}
