import { close, identify, type ProcessId } from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import { RouteSocket } from "../netlink/mod.ts";
import { type Addresses, allocateAddresses } from "./allocate.ts";
import { ensureBridge, readyBridge } from "./bridge.ts";
import type { NetworkPlaces } from "./definitions.ts";
import { gatewaysAt, hostInterfaceName, parentOf, type Plug, plugIn, waysOut } from "./endpoint.ts";
import { leftFiles, makeFiles, type NetworkFile, networkFiles, removeFiles } from "./files.ts";
import { type Firewall, isAsItWas, loadFirewall } from "./firewall_mark.ts";
import { ownHosts } from "./hosts.ts";
import { inWords } from "./failure.ts";
import { findNetwork, type NetworkDefaults } from "./networks.ts";
import { ownerOf } from "./owner.ts";
import { isAny } from "./ports.ts";
import { reclaim, type Reclaimed, sharesNetwork } from "./reclaim.ts";
import type { ReadyNetwork } from "./ready_types.ts";
import { type Reserved, reservePorts } from "./reserve.ts";
import { resolvFile } from "./resolv.ts";
import { readNetworkState, withNetworks, writeNetworkState } from "./state.ts";
import { spreadHosts } from "./spread.ts";
import type {
  Attachment,
  Endpoint,
  EndpointRequest,
  NetworkDefinition,
  NetworkRequest,
  NetworkState,
  PortMapping,
} from "./types.ts";

/** What a container needs of networks, its own before it is started. */
export interface NetworkClaim {
  readonly attachment: Attachment;
  /** What it is to find below /etc. */
  readonly files: readonly NetworkFile[];
  /** Sockets that keep its ports of the host, to be held as long as it lives; the claim's own are closed by `release`. */
  readonly descriptors: readonly number[];
  /** Messages for nftables that take its ports out of the firewall when it has ended. */
  readonly atEnd: readonly Uint8Array<ArrayBuffer>[];
  /** What is left of its files when it has ended. */
  readonly left: { readonly files: readonly string[]; readonly directory: string };
  /**
   * Gives the container its interfaces: they are there and work when this returns.
   *
   * @param init its first process, by whose life all this lives from now on.
   * @throws {CrateError}
   */
  attach(init: ProcessId): Promise<void>;
  /**
   * What puts the next container of the kind there without crate, where this one is.
   *
   * @returns undefined where there is more to it than a program can do.
   * @throws {CrateError}
   */
  ready(): Promise<ReadyNetwork | undefined>;
  /** Closes the sockets here: the container's monitor has them. */
  letGo(): void;
  /** Gives all back: the container could not be started. */
  release(): Promise<void>;
}

/** Whose networks, and which. */
export interface ClaimOptions {
  readonly places: NetworkPlaces;
  readonly id: string;
  /** The name of the directory with its files: nobody else's, not even that of a container with the same name. */
  readonly key: string;
  readonly request: NetworkRequest;
  readonly defaults: NetworkDefaults;
}

/** Who has a port: another container, or a process. */
function whoHas(state: NetworkState): (port: PortMapping) => string | undefined {
  return (port) => {
    for (const { id, ports } of Object.values(state.attachments)) {
      const same = ports.some(({ protocol, hostPort, hostAddress }) =>
        protocol === port.protocol && hostPort === port.hostPort &&
        (hostAddress === port.hostAddress || isAny(port.hostAddress) || isAny(hostAddress))
      );
      if (same) return `container "${id}"`;
    }
    return ownerOf(port);
  };
}

/** Each network once; what cannot be had together is refused before anything is made. */
function definitionsOf(
  { places, request, defaults }: ClaimOptions,
  socket: RouteSocket,
): NetworkDefinition[] {
  const found = request.endpoints.map(({ network }) =>
    findNetwork(places, socket, network, defaults)
  );
  const twice = found.find((each, i) => found.findIndex(({ name }) => name === each.name) !== i);
  if (twice !== undefined) {
    throw new CrateError("INVALID", `--network ${twice.name} is given twice`);
  }
  return found;
}

/**
 * Takes all that a container needs of its networks but the interfaces, which come when it has a process: addresses,
 * ports of the host, its files. It is this process's until then: should it die, all is taken back.
 *
 * @throws {CrateError} `EXISTS` for a port or a name in use; `INVALID`, `NOT_FOUND` for what is asked for;
 *   `UNSUPPORTED`, `PERMISSION` for what this host does not do. Nothing is left then.
 */
export async function claimNetworks(options: ClaimOptions): Promise<NetworkClaim> {
  const { places, request } = options;
  const firewall = request.ports?.length ? await loadFirewall() : undefined;
  return await inWords(() => withNetworks(places, () => claimLocked(options, firewall)));
}

/** @param firewall for a container with ports. */
function claimLocked(options: ClaimOptions, firewall: Firewall | undefined): NetworkClaim {
  const { places, id, key, request } = options;
  using socket = RouteSocket.open();
  const definitions = definitionsOf(options, socket);
  const cleared = reclaim(places, readNetworkState(places), standsInTheWay(id, request));
  const { state } = cleared;
  const gone = [...cleared.gone];
  if (state.attachments[id] !== undefined) {
    throw new CrateError("EXISTS", `the name "${id}" is in use by a container on these networks`);
  }
  requirePublishable(request, definitions);
  const reserved = reservePorts(request.ports ?? [], whoHas(state));
  let undo = () => {};
  try {
    let known: NetworkState = state;
    const endpoints: Endpoint[] = [];
    definitions.forEach((definition, i) => {
      const { addresses: { last, pools, ...addresses }, after } = allocate(
        places,
        definition,
        request.endpoints[i]!,
        known,
      );
      known = { ...after.state, last, pools };
      gone.push(...after.gone);
      endpoints.push({
        network: definition.name,
        interface: `eth${i}`,
        ...definition.driver === "bridge" && { hostInterface: hostInterfaceName() },
        ...addresses,
        aliases: request.endpoints[i]!.aliases ?? [],
      });
    });
    const links = findLinks(socket, definitions, known);
    const gateway = definitions.find(({ driver }) => driver === "bridge")?.subnets[0]?.gateway;
    const attachment: Attachment = {
      id,
      key,
      holder: identify(Deno.pid)!,
      endpoints,
      ports: reserved.ports,
      hosts: ownHosts(id, request, endpoints, gateway),
    };
    const files = {
      // Others' names come when it has a process.
      "hosts": attachment.hosts,
      "resolv.conf": resolvFile(request, endpoints.some(({ ip6 }) => ip6 !== undefined)),
      "hostname": `${request.hostname ?? id}\n`,
    };
    // First that it is there, by which all else is found when this process is killed.
    writeNetworkState(places, {
      ...known,
      attachments: { ...known.attachments, [id]: attachment },
    });
    undo = () => writeNetworkState(places, known);
    makeFiles(places, key, files);
    if (gone.length > 0) spreadHosts(places, known, { gone });
    const atEnd = firewall?.endOfPorts(places.table, attachment.ports) ?? [];
    return new Claim(options, attachment, links, reserved, atEnd);
  } catch (error) {
    reserved.descriptors.forEach(close);
    removeFiles(places, key);
    undo();
    throw error;
  }
}

/** The networks of a container, and by what it gets to them. */
interface Links {
  readonly definitions: readonly NetworkDefinition[];
  /** The numbers of the host's interfaces, by the networks' names. */
  readonly indices: ReadonlyMap<string, number>;
  /** All of them were there, just as they were made. */
  readonly areReady: boolean;
}

function findLinks(
  socket: RouteSocket,
  definitions: readonly NetworkDefinition[],
  state: NetworkState,
): Links {
  const indices = new Map<string, number>();
  let areReady = true;
  for (const each of definitions) {
    const { driver, name } = each;
    if (driver === "macvlan") indices.set(name, parentOf(each));
    if (driver !== "bridge") continue;
    const ready = state.firewall?.networks.includes(name) ? readyBridge(each) : undefined;
    areReady &&= ready !== undefined;
    indices.set(name, ready ?? ensureBridge(socket, each, state));
  }
  return { definitions, indices, areReady };
}

/** Has the name, a port or an address that this one is to have: if it is gone, they are free. */
function standsInTheWay(
  id: string,
  { ports = [], endpoints }: NetworkRequest,
): (attachment: Attachment) => boolean {
  const wantedPorts = new Set(ports.map(({ hostPort }) => hostPort));
  const wanted = new Set(endpoints.flatMap(({ ip, ip6 }) => [ip, ip6]));
  wanted.delete(undefined);
  return (other) =>
    other.id === id || other.ports.some(({ hostPort }) => wantedPorts.has(hostPort)) ||
    other.endpoints.some(({ ip, ip6 }) => wanted.has(ip) || wanted.has(ip6));
}

/** Addresses; where none is left, those of containers that are gone are taken back first, which is the state `after`. */
function allocate(
  places: NetworkPlaces,
  definition: NetworkDefinition,
  request: EndpointRequest,
  state: NetworkState,
): { addresses: Addresses; after: Reclaimed } {
  try {
    const addresses = allocateAddresses(definition, request, state);
    return { addresses, after: { state, gone: [] } };
  } catch (error) {
    if (!(error instanceof CrateError) || error.code !== "FAILED") throw error;
    const network = new Set([definition.name]);
    const after = reclaim(places, state, (each) => sharesNetwork(network, each));
    if (after.gone.length === 0) throw error;
    return { addresses: allocateAddresses(definition, request, after.state), after };
  }
}

/** @throws {CrateError} `INVALID` for ports of a container that nobody outside could reach. */
function requirePublishable(
  { ports = [] }: NetworkRequest,
  definitions: readonly NetworkDefinition[],
): void {
  if (ports.length === 0) return;
  if (definitions.some(({ driver, internal }) => driver === "bridge" && !internal)) return;
  const names = definitions.map(({ name }) => name).join(", ");
  throw new CrateError(
    "INVALID",
    `--publish needs a bridge network with a way out, which ${names} is not`,
  );
}

class Claim implements NetworkClaim {
  readonly #options: ClaimOptions;
  readonly #links: Links;
  #descriptors: readonly number[];
  readonly files: readonly NetworkFile[];
  readonly left: NetworkClaim["left"];

  constructor(
    options: ClaimOptions,
    readonly attachment: Attachment,
    links: Links,
    { descriptors }: Reserved,
    readonly atEnd: readonly Uint8Array<ArrayBuffer>[],
  ) {
    const { places, key } = options;
    this.#options = options;
    this.#links = links;
    this.#descriptors = descriptors;
    this.files = networkFiles(places, key);
    this.left = leftFiles(places, key);
  }

  get descriptors(): readonly number[] {
    return this.#descriptors;
  }

  async attach(init: ProcessId): Promise<void> {
    const { places } = this.#options;
    const { indices, areReady } = this.#links;
    await inWords(async () => {
      using socket = RouteSocket.open();
      plugIn(socket, init.pid, this.#plugs(), ({ name }) => indices.get(name)!);
      const isNew = !areReady || this.attachment.ports.length > 0;
      const firewall = isNew ? await loadFirewall() : undefined;
      if (await withNetworks(places, () => this.#enter(socket, init, firewall))) return;
      const loaded = await loadFirewall();
      await withNetworks(places, () => this.#enter(socket, init, loaded));
    });
  }

  async ready(): Promise<ReadyNetwork | undefined> {
    const { readyNetwork } = await import("./ready.ts");
    const [definition] = this.#links.definitions;
    if (definition === undefined) return undefined;
    const ready = () => readyNetwork(this.#options, this.attachment, definition);
    return await inWords(() => withNetworks(this.#options.places, ready));
  }

  #plugs(): Plug[] {
    const { endpoints, ports } = this.attachment;
    const { definitions } = this.#links;
    const ways = waysOut(endpoints, definitions);
    return definitions
      .map((definition, i) => ({
        definition,
        endpoint: endpoints[i]!,
        gateways: gatewaysAt(endpoints[i]!, ways),
        isPublished: ports.length > 0,
      }))
      .filter(({ definition }) => definition.driver !== "none");
  }

  /**
   * From now on it is the container's own, others know it, and its ports are open.
   *
   * @param firewall when it is known that it is to be changed.
   * @returns whether that is done: not when the firewall turns out to be not as it is to be.
   */
  #enter(socket: RouteSocket, holder: ProcessId, firewall: Firewall | undefined): boolean {
    const { places } = this.#options;
    const attachment = { ...this.attachment, holder };
    const { definitions, areReady } = this.#links;
    const names = new Set(definitions.map(({ name }) => name));
    const before = readNetworkState(places);
    const { state: living, gone } = reclaim(places, {
      ...before,
      attachments: { ...before.attachments, [attachment.id]: attachment },
    }, (each) => each.ports.length > 0 || sharesNetwork(names, each));
    const bridges = definitions.filter(({ driver }) => driver === "bridge");
    const same = areReady && attachment.ports.length === 0;
    const isRight = bridges.length === 0 || same && isAsItWas(living.firewall, bridges);
    if (!isRight && firewall === undefined) return false;
    // First that it is there, by which all else is found when this process is killed.
    writeNetworkState(places, living);
    if (!isRight && firewall !== undefined) {
      const mark = firewall.syncFirewall(places, living);
      writeNetworkState(places, { ...living, firewall: mark });
      firewall.redirectFlows(socket, attachment.ports);
    }
    spreadHosts(places, living, { came: attachment, gone });
    return true;
  }

  letGo(): void {
    this.#descriptors.forEach(close);
    this.#descriptors = [];
  }

  async release(): Promise<void> {
    const { places, id } = this.#options;
    this.letGo();
    const firewall = this.attachment.ports.length > 0 ? await loadFirewall() : undefined;
    await inWords(() =>
      withNetworks(places, () => {
        const state = readNetworkState(places);
        const found = state.attachments[id];
        if (found === undefined) return;
        // Another container of this name may have taken the place of a dead one.
        if (found.key === this.attachment.key) takeOut(places, state, found, firewall);
      })
    );
  }
}

/** Takes a container off its networks: what it had is free, and others no longer know it. */
function takeOut(
  places: NetworkPlaces,
  state: NetworkState,
  gone: Attachment,
  firewall: Firewall | undefined,
): void {
  const attachments = { ...state.attachments };
  delete attachments[gone.id];
  removeFiles(places, gone.key);
  const after = { ...state, attachments };
  const mark = firewall === undefined ? after.firewall : firewall.syncFirewall(places, after);
  writeNetworkState(places, { ...after, firewall: mark });
  spreadHosts(places, after, { gone: [gone] });
}
