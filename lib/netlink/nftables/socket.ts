import { EAGAIN, EINTR, ENOENT, ERESTART } from "../../../ffi/mod.ts";
import { NETLINK_NETFILTER, NLMSG_ERROR } from "../constants.ts";
import { NetlinkError } from "../errors.ts";
import { decodeError, type Message, type Request } from "../message.ts";
import { failureOf, lostAnswer, NetlinkSocket, type SocketOptions, unsteady } from "../socket.ts";
import { type Chain, decodeChain, dumpChains } from "./chain.ts";
import {
  decodeElements,
  dumpElements,
  type ElementEntry,
  hasTwice,
  joinElements,
} from "./element.ts";
import { decodeGeneration, generationRequest } from "../generation.ts";
import type { Family, SetName, TableName } from "./request.ts";
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
 * import { addTable, NftablesSocket } from "jsr:@crate/cli/nftables";
 * using socket = NftablesSocket.open();
 * socket.transaction([addTable({ family: "inet", table: "web" })]);
 * ```
 */
export class NftablesSocket implements Disposable {
  readonly #socket: NetlinkSocket;

  /** Over a conversation of `NETLINK_NETFILTER`: {@linkcode open} makes one. */
  constructor(socket: NetlinkSocket) {
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
   * @throws {NetlinkError} the first that fails, of the order given. {CrateError} `INVALID` above 1,000,000 bytes.
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
    // The kernel has done it, and answered, when the send returns. What fails later than another may do so because
    // of it.
    const { messages, lost } = this.#socket.exchange(
      encodeTransaction(requests, { sequence }),
      label,
    );
    let first: [index: number, failure: NetlinkError] | undefined;
    for (const message of messages) {
      const index = message.sequence - sequence - 1;
      if (message.type !== NLMSG_ERROR || index < -1 || index > requests.length) continue;
      const failure = failureOf(requests[index]?.label ?? label, decodeError(message));
      if (failure !== undefined && (first === undefined || index < first[0])) {
        first = [index, failure];
      }
    }
    if (first === undefined && lost) return lostAnswer(label);
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

  /** The sets of a table; none when there is no such table. */
  sets(table: TableName): SetEntry[] {
    return this.#listIn(dumpSets(table), decodeSet);
  }

  /** The elements of a set; undefined when there is no such set. */
  elements(of: SetName): ElementEntry[] | undefined {
    const types = this.sets(of).find(({ set }) => set === of.set);
    if (types === undefined) return undefined;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const lists = this.#listIn(dumpElements(of), (message) => decodeElements(message, types));
      const raw = lists.flat();
      if (!hasTwice(raw)) return joinElements(raw, types);
    }
    throw unsteady(dumpElements(of).label);
  }

  /** The rules of a table, or of one of its chains, in order. */
  rules(of: TableName & { readonly chain?: string }): Rule[] {
    return this.#listIn(dumpRules(of), decodeRule);
  }

  /** A list of what is in something that may not be there. */
  #listIn<T>(request: Request, decode: (message: Message) => T | undefined): T[] {
    try {
      return this.#socket.dump(request, decode);
    } catch (error) {
      if (error instanceof NetlinkError && error.errno === ENOENT) return [];
      throw error;
    }
  }

  /** A number that each transaction changes, of anybody's. */
  generation(): number {
    return this.#socket.get(generationRequest(), decodeGeneration) ?? 0;
  }
}
