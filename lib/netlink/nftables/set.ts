import { CrateError } from "../../errors.ts";
import { NLM_F_CREATE, NLM_F_EXCL } from "../constants.ts";
import { given } from "../given.ts";
import type { Message, Request } from "../message.ts";
import * as c from "./constants.ts";
import {
  checkName,
  nftRequest,
  readMessage,
  required,
  type SetName,
  type TableName,
} from "./request.ts";
import { byteOrder, type DataTypeName, fieldSizes, sizeOf, typeNumber, typesOf } from "./types.ts";
import * as userdata from "./userdata.ts";

/** What a set's elements, or a map's, are. */
export interface SetDefinition extends SetName {
  /** One type, or several for a concatenation. */
  readonly keyType: DataTypeName | readonly DataTypeName[];
  /** For a map: what it gives. */
  readonly dataType?: DataTypeName | readonly DataTypeName[];
  /** A map that gives verdicts. */
  readonly verdictMap?: boolean;
  /** Elements may be ranges. */
  readonly interval?: boolean;
}

/** A set to make. */
export interface NewSet extends SetDefinition {
  /** By which lookups of the same transaction find it, where two sets of it have one name: 1 when left out. */
  readonly id?: number;
  /** Milliseconds after which an element goes; 0: elements may have a time of their own. */
  readonly timeout?: number;
  readonly comment?: string;
  /** It is an error when it is there already. */
  readonly exclusive?: boolean;
}

/** A set, as the kernel tells of it. */
export interface SetEntry extends SetName {
  readonly handle: bigint;
  /** Undefined for types that have no name here. */
  readonly keyType?: readonly DataTypeName[];
  /** Bytes. */
  readonly keyLength: number;
  readonly isMap: boolean;
  readonly dataType?: readonly DataTypeName[];
  readonly verdictMap: boolean;
  readonly interval: boolean;
  /** The kernel's own, of one rule. */
  readonly anonymous: boolean;
  readonly constant: boolean;
  /** Milliseconds. */
  readonly timeout?: number;
  readonly comment?: string;
}

/** A list of one type or several. */
export function typeList(types: DataTypeName | readonly DataTypeName[]): readonly DataTypeName[] {
  return typeof types === "string" ? [types] : types;
}

/** The longest key or value, NFT_DATA_VALUE_MAXLEN: bytes. */
const MAX_VALUE = 64;

/**
 * Makes a set or a map, when it is not there.
 *
 * @throws {CrateError} `INVALID` for types that take more than 64 bytes, or a map of values and verdicts.
 *
 * @example
 * ```ts
 * import { addSet } from "./set.ts";
 * addSet({
 *   family: "inet",
 *   table: "web",
 *   set: "ports",
 *   keyType: ["inet_proto", "inet_service"],
 *   dataType: ["ipv4_addr", "inet_service"],
 * });
 * ```
 */
export function addSet(options: NewSet): Request {
  const { family, table, set, id = 1, interval, verdictMap, timeout, comment, exclusive } = options;
  const label = `add the set ${family} ${table} ${set}`;
  const key = typeList(options.keyType);
  const data = options.dataType === undefined ? undefined : typeList(options.dataType);
  if (data !== undefined && verdictMap) {
    throw new CrateError("INVALID", `${label}: a map gives values or verdicts, not both`);
  }
  for (const types of [key, data ?? ["mark"] as const]) {
    if (types.length === 0 || sizeOf(types) > MAX_VALUE) {
      throw new CrateError("INVALID", `${label}: ${types.join(" . ")} must have 1 to 64 bytes`);
    }
  }
  const isConcat = key.length > 1;
  if (interval) checkOrdered(label, key);
  const bits = (interval ? c.NFT_SET_INTERVAL : 0) |
    (interval && isConcat ? c.NFT_SET_CONCAT : 0) |
    (data !== undefined || verdictMap ? c.NFT_SET_MAP : 0) |
    (timeout !== undefined ? c.NFT_SET_TIMEOUT : 0);
  const flags = NLM_F_CREATE | (exclusive ? NLM_F_EXCL : 0);
  return nftRequest(label, c.NFT_MSG_NEWSET, flags, family, (w) => {
    w.text(c.NFTA_SET_TABLE, table).text(c.NFTA_SET_NAME, checkName("set", set));
    w.u32be(c.NFTA_SET_FLAGS, bits);
    w.u32be(c.NFTA_SET_KEY_TYPE, typeNumber(key)).u32be(c.NFTA_SET_KEY_LEN, sizeOf(key));
    if (verdictMap) w.u32be(c.NFTA_SET_DATA_TYPE, c.NFT_DATA_VERDICT);
    if (data !== undefined) {
      w.u32be(c.NFTA_SET_DATA_TYPE, typeNumber(data)).u32be(c.NFTA_SET_DATA_LEN, sizeOf(data));
    }
    w.u32be(c.NFTA_SET_ID, id);
    if (isConcat && interval) {
      w.nested(c.NFTA_SET_DESC, () => {
        w.nested(c.NFTA_SET_DESC_CONCAT, () => {
          for (const size of fieldSizes(key)) {
            w.nested(c.NFTA_LIST_ELEM, () => w.u32be(c.NFTA_SET_FIELD_LEN, size));
          }
        });
      });
    }
    if (timeout !== undefined && timeout > 0) w.u64be(c.NFTA_SET_TIMEOUT, timeout);
    w.bytes(
      c.NFTA_SET_USERDATA,
      userdata.encodeUserdata([
        userdata.number32(userdata.SET_KEY_BYTE_ORDER, byteOrder(key)),
        ...(data ? [userdata.number32(userdata.SET_DATA_BYTE_ORDER, byteOrder(data))] : []),
        userdata.number32(userdata.SET_MERGE_ELEMENTS, 0),
        ...(comment === undefined ? [] : [userdata.comment(comment, userdata.SET_COMMENT)]),
      ]),
    );
  });
}

/** The kernel compares bytes: numbers in the machine's order have no ranges. */
function checkOrdered(label: string, types: readonly DataTypeName[]): void {
  const unordered = types.find((name) => name !== "ifname" && byteOrder([name]) === 1);
  if (unordered === undefined) return;
  throw new CrateError("INVALID", `${label}: the type ${unordered} has no ranges`);
}

/** Removes a set, which no rule may use any more, with its elements. */
export function deleteSet({ family, table, set }: SetName): Request {
  return nftRequest(
    `delete the set ${family} ${table} ${set}`,
    c.NFT_MSG_DELSET,
    0,
    family,
    (w) => {
      w.text(c.NFTA_SET_TABLE, table).text(c.NFTA_SET_NAME, checkName("set", set));
    },
  );
}

/** Asks for the sets of a table. */
export function dumpSets({ family, table }: TableName): Request {
  return nftRequest(`list the sets of ${family} ${table}`, c.NFT_MSG_GETSET, 0, family, (w) => {
    w.text(c.NFTA_SET_TABLE, table);
  });
}

/** Reads a set; undefined for one of a family without a name here. @throws {CrateError} `FAILED` */
export function decodeSet(message: Message): SetEntry | undefined {
  const { family, attributes } = readMessage(message);
  if (family === undefined) return undefined;
  const flags = attributes.u32be(c.NFTA_SET_FLAGS) ?? 0;
  const data = attributes.u32be(c.NFTA_SET_DATA_TYPE);
  const timeout = attributes.u64be(c.NFTA_SET_TIMEOUT);
  const own = attributes.bytes(c.NFTA_SET_USERDATA);
  const verdictMap = data === c.NFT_DATA_VERDICT;
  return {
    family,
    table: required("a set's table", attributes.text(c.NFTA_SET_TABLE)),
    set: required("a set's name", attributes.text(c.NFTA_SET_NAME)),
    handle: attributes.u64be(c.NFTA_SET_HANDLE) ?? 0n,
    keyLength: attributes.u32be(c.NFTA_SET_KEY_LEN) ?? 0,
    isMap: (flags & c.NFT_SET_MAP) !== 0,
    verdictMap,
    interval: (flags & c.NFT_SET_INTERVAL) !== 0,
    anonymous: (flags & c.NFT_SET_ANONYMOUS) !== 0,
    constant: (flags & c.NFT_SET_CONSTANT) !== 0,
    ...given({
      keyType: typesOf(attributes.u32be(c.NFTA_SET_KEY_TYPE) ?? 0),
      dataType: data === undefined || verdictMap ? undefined : typesOf(data),
      timeout: timeout === undefined ? undefined : Number(timeout),
      comment: userdata.readComment(own, userdata.SET_COMMENT),
    }),
  };
}
