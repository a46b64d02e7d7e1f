/**
 * Tables, chains, sets, maps and rules of nf_tables: requests as values, one transaction for all of them, answers as
 * plain objects, and a socket that carries both. nft(8) prints what is made here in its own words.
 *
 * @module
 */
export type { ChainName, Family, SetName, TableName } from "./request.ts";
export {
  addTable,
  decodeTable,
  deleteTable,
  destroyTable,
  dumpTables,
  type NewTable,
  type Table,
} from "./table.ts";
export {
  addChain,
  type Chain,
  decodeChain,
  deleteChain,
  dumpChains,
  flushChain,
  type Hook,
  type NewChain,
} from "./chain.ts";
export {
  addSet,
  decodeSet,
  deleteSet,
  dumpSets,
  type NewSet,
  type SetDefinition,
  type SetEntry,
} from "./set.ts";
export {
  addElements,
  deleteElements,
  dumpElements,
  type Element,
  type ElementEntry,
  flushSet,
} from "./element.ts";
export { addRule, decodeRule, deleteRule, dumpRules, type NewRule, type Rule } from "./rule.ts";
export type {
  Comparison,
  Conntrack,
  Expression,
  Fib,
  Load,
  Meta,
  NatFlag,
  Payload,
  Register,
  RejectWith,
} from "./expression.ts";
export type { CtKey, FibFlag, FibResult, MetaKey } from "./keys.ts";
export type { Verdict } from "./data.ts";
export { type DataTypeName, encodeValue, encodeValues, type Value } from "./types.ts";
export * from "./match.ts";
export { encodeTransaction, type TransactionOptions } from "./transaction.ts";
export { NftablesSocket } from "./socket.ts";
