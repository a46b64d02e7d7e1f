import { CrateError } from "../../errors.ts";
import { NLM_F_APPEND, NLM_F_CREATE } from "../constants.ts";
import { given } from "../given.ts";
import type { Message, Request } from "../message.ts";
import * as c from "./constants.ts";
import type { Expression } from "./expression.ts";
import { readExpression } from "./expression_decode.ts";
import { writeExpression } from "./expression_encode.ts";
import {
  type ChainName,
  checkName,
  nftRequest,
  readMessage,
  required,
  type TableName,
} from "./request.ts";
import { comment as commentDatum, encodeUserdata, readComment } from "./userdata.ts";

/** The kernel's own bound, NFT_RULE_MAXEXPRS. */
const MAX_EXPRESSIONS = 128;

/** A rule to make. */
export interface NewRule extends ChainName {
  readonly expressions: readonly Expression[];
  readonly comment?: string;
  /** The handle of the rule that it comes after; before it with `insert`. Without: at the chain's end, or beginning. */
  readonly position?: bigint;
  readonly insert?: boolean;
}

/** A rule, as the kernel tells of it. */
export interface Rule extends ChainName {
  readonly handle: bigint;
  readonly expressions: readonly Expression[];
  readonly comment?: string;
}

/** Adds a rule to a chain. @throws {CrateError} `INVALID` for expressions that cannot be. */
export function addRule(options: NewRule): Request {
  const { family, table, chain, expressions, comment, position, insert } = options;
  const label = `add a rule to ${family} ${table} ${chain}${comment ? ` (${comment})` : ""}`;
  if (expressions.length > MAX_EXPRESSIONS) {
    throw new CrateError(
      "INVALID",
      `${label}: at most ${MAX_EXPRESSIONS} expressions, got ${expressions.length}`,
    );
  }
  const flags = NLM_F_CREATE | (insert ? 0 : NLM_F_APPEND);
  return nftRequest(label, c.NFT_MSG_NEWRULE, flags, family, (w) => {
    w.text(c.NFTA_RULE_TABLE, table).text(c.NFTA_RULE_CHAIN, checkName("chain", chain));
    if (position !== undefined) w.u64be(c.NFTA_RULE_POSITION, position);
    w.nested(c.NFTA_RULE_EXPRESSIONS, () => {
      expressions.forEach((expression) => writeExpression(w, expression));
    });
    if (comment !== undefined) {
      w.bytes(c.NFTA_RULE_USERDATA, encodeUserdata([commentDatum(comment)]));
    }
  });
}

/** Removes the rule of a handle. */
export function deleteRule(
  { family, table, chain, handle }: ChainName & { handle: bigint },
): Request {
  const label = `delete the rule ${handle} of ${family} ${table} ${chain}`;
  return nftRequest(label, c.NFT_MSG_DELRULE, 0, family, (w) => {
    w.text(c.NFTA_RULE_TABLE, table).text(c.NFTA_RULE_CHAIN, chain);
    w.u64be(c.NFTA_RULE_HANDLE, handle);
  });
}

/** Asks for the rules of a table, or those of one of its chains. */
export function dumpRules(
  { family, table, chain }: TableName & { readonly chain?: string },
): Request {
  const label = `list the rules of ${family} ${table}${chain === undefined ? "" : ` ${chain}`}`;
  return nftRequest(label, c.NFT_MSG_GETRULE, 0, family, (w) => {
    w.text(c.NFTA_RULE_TABLE, table);
    if (chain !== undefined) w.text(c.NFTA_RULE_CHAIN, chain);
  });
}

/** Reads a rule; undefined for one of a family without a name here. @throws {CrateError} `FAILED` */
export function decodeRule(message: Message): Rule | undefined {
  const { family, attributes } = readMessage(message);
  if (family === undefined) return undefined;
  return {
    family,
    table: required("a rule's table", attributes.text(c.NFTA_RULE_TABLE)),
    chain: required("a rule's chain", attributes.text(c.NFTA_RULE_CHAIN)),
    handle: attributes.u64be(c.NFTA_RULE_HANDLE) ?? 0n,
    expressions: attributes.list(c.NFTA_RULE_EXPRESSIONS).map(readExpression),
    ...given({ comment: readComment(attributes.bytes(c.NFTA_RULE_USERDATA)) }),
  };
}
