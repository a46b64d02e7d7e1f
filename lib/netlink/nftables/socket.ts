import { EAGAIN, EINTR, ERESTART } from "../../../ffi/mod.ts";
import { NETLINK_NETFILTER, NLMSG_ERROR } from "../constants.ts";
import type { NetlinkError } from "../errors.ts";
import { decodeError, type Request } from "../message.ts";
import { failureOf, NetlinkSocket, type SocketOptions } from "../socket.ts";
import { type Chain, decodeChain, dumpChains } from "./chain.ts";
import * as c from "./constants.ts";
import { decodeElements, dumpElements, type ElementEntry, joinElements } from "./element.ts";
import { type Family, nftRequest, readMessage, type SetName, type TableName } from "./request.ts";
import { decodeRule, dumpRules, type Rule } from "./rule.ts";
import { decodeSet, dumpSets, type SetEntry } from "./set.ts";
import { decodeTable, dumpTables, type Table } from "./table.ts";
import { encodeTransaction } from "./transaction.ts";

const ATTEMPTS = 20;
/** Somebody else's transaction came between. */
const CLASHES: readonly number[] = [EAGAIN, EINTR, ERESTART];

/**
 * Tables, chains, sets and rules of one network namespace, nf_tables.
 *
 * Every method throws {@linkcode NetlinkError} when the kernel refuses.
 *
 * @example
 * ```ts ignore
 * import { addTable, NftablesSocket } from "./mod.ts";
 * using socket = NftablesSocket.open();
 * socket.transaction([addTable({ family: "inet", table: "web" })]);
 * ```
 */
export class NftablesSocket implements Disposable {
  readonly #socket: NetlinkSocket;

  private constructor(socket: NetlinkSocket) {
    this.#socket = socket;
  }

  /** Opens a socket in this process's network namespace or in another one. @throws {NetlinkError} */
  static open(options?: SocketOptions): NftablesSocket {
    return new NftablesSocket(NetlinkSocket.open(NETLINK_NETFILTER, options));
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
  }

  /**
   * Does all requests, or none.
   *
   * @throws {NetlinkError} the first that fails, of the order given. {CrateError} `INVALID` above half a mebibyte.
   */
  transaction(requests: readonly Request[]): void {
    if (requests.length === 0) return;
    for (let attempt = 1;; attempt++) {
      const failure = this.#transactionOnce(requests);
      if (failure === undefined) return;
      if (attempt === ATTEMPTS || !CLASHES.includes(failure.errno)) throw failure;
    }
  }

  #transactionOnce(requests: readonly Request[]): NetlinkError | undefined {
    const sequence = this.#socket.reserve(requests.length + 2);
    const label = requests.length === 1 ? requests[0]!.label : "change the tables of nftables";
    this.#socket.send(encodeTransaction(requests, { sequence }), label);
    // The kernel has done it, and answered, when the send returns. What fails later than another may do so because
    // of it.
    let first: [index: number, failure: NetlinkError] | undefined;
    for (const message of this.#socket.drain(label)) {
      const index = message.sequence - sequence - 1;
      if (message.type !== NLMSG_ERROR || index < -1 || index > requests.length) continue;
      const failure = failureOf(requests[index]?.label ?? label, decodeError(message));
      if (failure !== undefined && (first === undefined || index < first[0])) {
        first = [index, failure];
      }
    }
    return first?.[1];
  }

  /** All tables, or those of a family. */
  tables(family?: Family): Table[] {
    return this.#socket.dump(dumpTables(family), decodeTable);
  }

  /** The chains of all tables, or of one. */
  chains(of?: TableName): Chain[] {
    const all = this.#socket.dump(dumpChains(of?.family), decodeChain);
    return of === undefined ? all : all.filter(({ table }) => table === of.table);
  }

  /** The sets of a table. */
  sets(table: TableName): SetEntry[] {
    return this.#socket.dump(dumpSets(table), decodeSet);
  }

  /** The elements of a set; undefined when there is no such set. */
  elements(of: SetName): ElementEntry[] | undefined {
    const types = this.sets(of).find(({ set }) => set === of.set);
    if (types === undefined) return undefined;
    const raw = this.#socket.dump(dumpElements(of), (message) => decodeElements(message, types));
    return joinElements(raw.flat(), types);
  }

  /** The rules of a table, or of one of its chains, in order. */
  rules(of: TableName & { readonly chain?: string }): Rule[] {
    return this.#socket.dump(dumpRules(of), decodeRule);
  }

  /** A number that each transaction changes, of anybody's. */
  generation(): number {
    const request = nftRequest("get the generation", c.NFT_MSG_GETGEN, 0, undefined, () => {});
    return this.#socket.get(
      request,
      (message) => readMessage(message).attributes.u32be(c.NFTA_GEN_ID),
    ) ?? 0;
  }
}
