import { close, createFile } from "../../../ffi/mod.ts";
import { ownerOf, ownHosts, reservePorts, resolvFile } from "../../network/mod.ts";
import type { Lock } from "../claim.ts";
import type { ClaimedNetwork } from "../claimed_network.ts";
import type { LeaveStep } from "../program/mod.ts";
import {
  ETC,
  hasRecord,
  leftOf,
  makePlace,
  placeOf,
  reclaimForeign,
  removePlace,
  writeRecord,
} from "./place.ts";
import type { Deletion, ForeignOptions, Made, MakeOptions } from "./types.ts";

/** The container's files come where these are; with the places that they have in it. */
export function foreignFiles(root: string, key: string) {
  const directory = placeOf(root, key);
  return ETC.map((name) => ({ source: `${directory}/${name}`, destination: `/etc/${name}` }));
}

async function make(options: MakeOptions, free: () => void): Promise<Made> {
  if (options.request.network.kind === "cni") {
    return await (await import("./cni/add.ts")).addToNetwork(options);
  }
  // They bind the ports themselves.
  free();
  return await (await import("./user.ts")).startUserNetwork(options);
}

/**
 * Has a network made in a namespace, before there is a container in it.
 *
 * @throws {CrateError} for what is asked for, or what the program says. Nothing is left then.
 */
export async function claimForeign(options: ForeignOptions): Promise<ClaimedNetwork> {
  const { root, id, key, request } = options;
  await reclaimForeign(root);
  const directory = placeOf(root, key);
  const lock = makePlace(directory);
  let bound: readonly number[] = [];
  const free = () => {
    bound.forEach(close);
    bound = [];
  };
  let made: Made | undefined;
  try {
    const reserved = reservePorts(request.ports ?? [], ownerOf);
    bound = reserved.descriptors;
    const { ports } = reserved;
    let deletions: readonly Deletion[] = [];
    writeRecord(directory, { id, deletions });
    made = await make({
      ...options,
      directory,
      ports,
      remember(next) {
        deletions = next;
        writeRecord(directory, { id, deletions });
      },
    }, free);
    const { endpoint, subnets, gateway, dns } = made;
    const hosts = ownHosts(id, request, [endpoint], gateway);
    const resolver = {
      dns: request.dns?.length ? request.dns : dns?.dns,
      dnsSearch: request.dnsSearch?.length ? request.dnsSearch : dns?.dnsSearch,
      dnsOptions: request.dnsOptions?.length ? request.dnsOptions : dns?.dnsOptions,
    };
    createFile(`${directory}/hosts`, hosts);
    createFile(
      `${directory}/resolv.conf`,
      resolvFile({ endpoints: [], ...resolver }, endpoint.ip6 !== undefined),
    );
    createFile(`${directory}/hostname`, `${request.hostname ?? id}\n`);
    writeRecord(directory, { id, deletions, made: { endpoint, subnets, ports, hosts } });
    return new ForeignClaim(options.namespace.fd, directory, lock, bound, made);
  } catch (error) {
    free();
    await made?.undo();
    made?.held.forEach(close);
    removePlace(directory);
    lock[Symbol.dispose]();
    throw error;
  }
}

/** The descriptors that every monitor of such a container holds first: the lock of its directory, the namespace. */
const NAMESPACE = 1;

class ForeignClaim implements ClaimedNetwork {
  readonly #directory: string;
  readonly #made: Made;
  readonly descriptors: readonly number[];
  /** The lock is the monitor's until nothing is left to be undone. */
  readonly lasting = 1;
  readonly atEnd = [];
  readonly steps: readonly LeaveStep[];
  readonly left: ClaimedNetwork["left"];
  #own: readonly number[];

  constructor(
    namespace: number,
    directory: string,
    lock: Lock,
    bound: readonly number[],
    made: Made,
  ) {
    this.#directory = directory;
    this.#made = made;
    this.descriptors = [lock.fd, namespace, ...bound, ...made.held];
    this.#own = [lock.fd, ...bound, ...made.held];
    this.steps = made.steps(2 + bound.length, NAMESPACE);
    this.left = leftOf(directory);
  }

  /** The namespace is the container's from its birth. */
  async attach(): Promise<void> {}

  letGo(): void {
    this.#own.forEach(close);
    this.#own = [];
  }

  async release(): Promise<void> {
    // A monitor that came as far as to remove the record has undone all.
    if (this.#own.length > 0 && hasRecord(this.#directory)) {
      await this.#made.undo();
      removePlace(this.#directory);
    }
    this.letGo();
  }
}
