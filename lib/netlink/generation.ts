import { Writer } from "./attributes.ts";
import { type Message, type Request, splitBody } from "./message.ts";
import { nfgenmsg } from "./nfnetlink.ts";
import { NFNL_SUBSYS_NFTABLES, NFT_MSG_GETGEN, NFTA_GEN_ID } from "./constants.ts";

/**
 * Asks for a number that each transaction on nf_tables changes, of anybody's: who knows it knows whether anything is
 * other than it was. It stands apart, for who wants to know no more.
 */
export function generationRequest(): Request {
  return {
    label: "get the generation",
    type: NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN,
    flags: 0,
    body: new Writer().struct(nfgenmsg, {}).finish(),
  };
}

/** Reads the answer. @throws {CrateError} `FAILED` for one that is malformed. */
export function decodeGeneration(message: Message): number | undefined {
  return splitBody(message, nfgenmsg.size).attributes.u32be(NFTA_GEN_ID);
}
