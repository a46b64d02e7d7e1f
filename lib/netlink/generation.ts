import { Writer } from "./attributes.ts";
import { type Message, nlmsghdr, type Request, splitBody } from "./message.ts";
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

/**
 * What the answer for a generation begins with, behind the headers of netlink and nfnetlink: for those who compare it and
 * read nothing.
 *
 * @returns the bytes, and where in the message they are.
 */
export function generationAnswer(generation: number): { at: number; answer: Uint8Array } {
  const number = new Uint8Array(4);
  new DataView(number.buffer).setUint32(0, generation);
  const answer = new Writer().bytes(NFTA_GEN_ID, number).finish();
  return { at: nlmsghdr.size + nfgenmsg.size, answer };
}

/** Reads the answer. @throws {CrateError} `FAILED` for one that is malformed. */
export function decodeGeneration(message: Message): number | undefined {
  return splitBody(message, nfgenmsg.size).attributes.u32be(NFTA_GEN_ID);
}
