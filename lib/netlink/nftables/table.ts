import { NLM_F_CREATE, NLM_F_EXCL } from "../constants.ts";
import type { Message, Request } from "../message.ts";
import { given } from "../given.ts";
import * as c from "./constants.ts";
import {
  checkName,
  type Family,
  nftRequest,
  readMessage,
  required,
  type TableName,
} from "./request.ts";
import { comment as commentDatum, encodeUserdata, readComment } from "./userdata.ts";

/** A table to make. */
export interface NewTable extends TableName {
  readonly comment?: string;
  /** It is an error when it is there already. */
  readonly exclusive?: boolean;
}

/** A table, as the kernel tells of it. */
export interface Table extends TableName {
  readonly handle: bigint;
  readonly comment?: string;
  /** How many chains, sets and objects are in it. */
  readonly use: number;
}

/** Makes a table, when it is not there. @throws {CrateError} `INVALID` for a name that the kernel would refuse. */
export function addTable({ family, table, comment, exclusive }: NewTable): Request {
  const flags = NLM_F_CREATE | (exclusive ? NLM_F_EXCL : 0);
  return nftRequest(`add the table ${family} ${table}`, c.NFT_MSG_NEWTABLE, flags, family, (w) => {
    w.text(c.NFTA_TABLE_NAME, checkName("table", table)).u32be(c.NFTA_TABLE_FLAGS, 0);
    if (comment !== undefined) {
      w.bytes(c.NFTA_TABLE_USERDATA, encodeUserdata([commentDatum(comment)]));
    }
  });
}

/** Removes a table with all that is in it. */
export function deleteTable({ family, table }: TableName): Request {
  const label = `delete the table ${family} ${table}`;
  return nftRequest(label, c.NFT_MSG_DELTABLE, 0, family, (w) => {
    w.text(c.NFTA_TABLE_NAME, checkName("table", table));
  });
}

/** Removes a table if there is one: it is made first, in the same transaction. */
export function destroyTable(table: TableName): Request[] {
  return [addTable({ family: table.family, table: table.table }), deleteTable(table)];
}

/** Asks for all tables, or those of a family. */
export function dumpTables(family?: Family): Request {
  return nftRequest("list the tables", c.NFT_MSG_GETTABLE, 0, family, () => {});
}

/** Reads a table; undefined for one of a family without a name here. @throws {CrateError} `FAILED` */
export function decodeTable(message: Message): Table | undefined {
  const { family, attributes } = readMessage(message);
  if (family === undefined) return undefined;
  return {
    family,
    table: required("a table's name", attributes.text(c.NFTA_TABLE_NAME)),
    handle: attributes.u64be(c.NFTA_TABLE_HANDLE) ?? 0n,
    use: attributes.u32be(c.NFTA_TABLE_USE) ?? 0,
    ...given({ comment: readComment(attributes.bytes(c.NFTA_TABLE_USERDATA)) }),
  };
}
