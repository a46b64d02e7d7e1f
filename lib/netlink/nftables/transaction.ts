import { NLM_F_ACK, NLM_F_REQUEST } from "../constants.ts";
import { encodeMessages, type Request } from "../message.ts";
import * as c from "./constants.ts";
import { nfgenmsg } from "../nfnetlink.ts";

/** How a transaction is written. */
export interface TransactionOptions {
  /** The kernel answers to each request, not to those alone that fail. */
  readonly ack?: boolean;
  /** The number of the first message; each has one more than the one before it. */
  readonly sequence?: number;
}

/**
 * A transaction as one datagram, which anybody may send over a socket of `NETLINK_NETFILTER`: all of it is done, or
 * nothing. Its messages are the beginning, each request, and the end.
 *
 * @example
 * ```ts
 * import { addTable } from "./table.ts";
 * import { encodeTransaction } from "./transaction.ts";
 * const bytes = encodeTransaction([addTable({ family: "inet", table: "web" })]);
 * if (bytes.length !== 20 + 36 + 20) throw new Error();
 * ```
 */
export function encodeTransaction(
  requests: readonly Request[],
  { ack = false, sequence = 1 }: TransactionOptions = {},
): Uint8Array<ArrayBuffer> {
  // A batch says whose it is in the field that is in network byte order.
  const body = nfgenmsg.pack({ res_id: c.NFNL_SUBSYS_NFTABLES << 8 });
  const flags = NLM_F_REQUEST | (ack ? NLM_F_ACK : 0);
  return encodeMessages([
    { type: c.NFNL_MSG_BATCH_BEGIN, flags: NLM_F_REQUEST, sequence, body },
    ...requests.map((request, index) => ({
      type: request.type,
      flags: request.flags | flags,
      sequence: sequence + 1 + index,
      body: request.body,
    })),
    {
      type: c.NFNL_MSG_BATCH_END,
      flags: NLM_F_REQUEST,
      sequence: sequence + 1 + requests.length,
      body,
    },
  ]);
}
