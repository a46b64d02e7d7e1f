import {
  close,
  exists,
  O_RDONLY,
  open,
  randomHex,
  readDirectory,
  SyscallError,
} from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import type {
  Attachment,
  NetworkClaim,
  NetworkDefaults,
  NetworkDefinition,
  NetworkRequest,
} from "../network/mod.ts";
import type { Mount, Spec } from "../spec/mod.ts";
import type { ClaimedNetwork } from "./claimed_network.ts";
import type { ForeignEnvironment, ForeignRequest, Namespace } from "./foreign/mod.ts";
import { isAlive } from "./process_id.ts";
import { type ContainerRecord, readState } from "./state.ts";

/** What is kept in a container's record of its networks, to have the same again. */
export type RecordedNetwork = {
  /** Networks of its own. */
  readonly kind: "networks";
  /** Where networks are defined. */
  readonly store: string;
  /** The name of the directory with its files. */
  readonly key: string;
  readonly request: NetworkRequest;
  readonly defaults: NetworkDefaults;
} | {
  /** One that other programs make. */
  readonly kind: "foreign";
  /** The name of the directory with its files. */
  readonly key: string;
  readonly request: ForeignRequest;
} | {
  /** Another container's. */
  readonly kind: "container";
  readonly id: string;
};

/** Networks that a container is going to have. */
export interface Requested {
  /** Its files below /etc. */
  readonly mounts: readonly Mount[];
  readonly recorded: RecordedNetwork;
  /** Takes what it needs, before it is started. */
  claim(): Promise<NetworkClaim>;
}

/**
 * What a container asks for of networks, with the places of its files. Nothing is taken before `claim`.
 *
 * @param store where networks are defined, `/var/lib/crate`.
 * @throws {CrateError} `INVALID` for what is asked for.
 */
export async function requested(
  id: string,
  store: string,
  request: NetworkRequest,
  defaults: NetworkDefaults,
): Promise<Requested> {
  const { claimNetworks, networkFiles, networkPlaces, validateRequest } = await import(
    "../network/mod.ts"
  );
  validateRequest(request);
  const places = networkPlaces(store);
  const key = `${id}-${randomHex(4)}`;
  return {
    mounts: bindMounts(networkFiles(places, key)),
    recorded: { kind: "networks", store, key, request, defaults },
    claim: () => claimNetworks({ places, id, key, request, defaults }),
  };
}

/** A network that other programs are going to make. */
export interface RequestedForeign extends Disposable {
  /** Its files below /etc. */
  readonly mounts: readonly Mount[];
  readonly recorded: RecordedNetwork;
  /** The network namespace that the container joins. */
  readonly path: string;
  /** Has it made, before the container is started. */
  claim(): Promise<ClaimedNetwork>;
}

/**
 * A network that other programs make, in a namespace that is there from now on. Nothing is run before `claim`.
 *
 * @param word `cni:NAME`, `pasta` or `slirp4netns`.
 * @throws {CrateError} `INVALID` for what is asked for.
 */
export async function requestedForeign(
  root: string,
  id: string,
  word: string,
  environment: ForeignEnvironment,
  request: NetworkRequest,
): Promise<RequestedForeign> {
  const [{ foreignFiles, foreignNetwork, makeNamespace }, { validateRequest }] = await Promise.all([
    import("./foreign/mod.ts"),
    import("../network/mod.ts"),
  ]);
  const whole = { ...request, network: foreignNetwork(word, environment) };
  validateRequest(request);
  const key = `${id}-${randomHex(4)}`;
  const namespace = makeNamespace(root);
  return {
    mounts: bindMounts(foreignFiles(root, key)),
    recorded: { kind: "foreign", key, request: whole },
    path: namespace.path,
    claim: () => claimIn(namespace, { root, id, key, request: whole }),
    [Symbol.dispose]: () => namespace[Symbol.dispose](),
  };
}

async function claimIn(
  namespace: Namespace,
  options: { root: string; id: string; key: string; request: ForeignRequest },
): Promise<ClaimedNetwork> {
  const { claimForeign } = await import("./foreign/mod.ts");
  return await claimForeign({ ...options, namespace });
}

function bindMounts(files: readonly { source: string; destination: string }[]): Mount[] {
  return files.map(({ source, destination }) => ({
    destination,
    type: "bind",
    source,
    options: ["rbind", "rprivate"],
  }));
}

/** Networks, or another container's network namespace, as they are for one start. */
export interface Claimed extends Disposable {
  readonly claim?: ClaimedNetwork;
  /** The config with the namespace to join in it. */
  joined(spec: Spec): Spec;
}

/**
 * The network namespace of a running container, to be joined. The path leads by a descriptor of this process: it is
 * that container's, whoever has its pid by then.
 *
 * @returns what closes the descriptor, when the namespace has been joined.
 * @throws {CrateError} `NOT_FOUND`; `STATE` when it does not run.
 */
export function openNetworkOf(root: string, id: string): { path: string } & Disposable {
  const state = readState(root, id);
  if (state === undefined) {
    throw new CrateError("NOT_FOUND", `--network container:${id}: there is no such container`);
  }
  const { process } = state;
  const refuse = () =>
    new CrateError("STATE", `--network container:${id}: container "${id}" is not running`);
  if (process === undefined) throw refuse();
  let fd: number;
  try {
    fd = open(`/proc/${process.init.pid}/ns/net`, O_RDONLY);
  } catch (error) {
    throw error instanceof SyscallError ? refuse() : error;
  }
  if (!isAlive(process.init)) {
    close(fd);
    throw refuse();
  }
  return { path: `/proc/${Deno.pid}/fd/${fd}`, [Symbol.dispose]: () => close(fd) };
}

/** Claims what a container's record says, for another start of it. @throws {CrateError} */
export async function claimAgain(
  root: string,
  id: string,
  { network }: { readonly network?: RecordedNetwork },
): Promise<Claimed> {
  const asItIs = (spec: Spec) => spec;
  if (network === undefined) return { joined: asItIs, [Symbol.dispose]() {} };
  if (network.kind === "container") {
    const namespace = openNetworkOf(root, network.id);
    return {
      joined: (spec) => joinNetwork(spec, namespace.path),
      [Symbol.dispose]: () => namespace[Symbol.dispose](),
    };
  }
  if (network.kind === "foreign") {
    const namespace = (await import("./foreign/mod.ts")).makeNamespace(root);
    try {
      const { key, request } = network;
      const claim = await claimIn(namespace, { root, id, key, request });
      return {
        claim,
        joined: (spec) => joinNetwork(spec, namespace.path),
        [Symbol.dispose]() {
          claim.letGo();
          namespace[Symbol.dispose]();
        },
      };
    } catch (error) {
      namespace[Symbol.dispose]();
      throw error;
    }
  }
  const { claimNetworks, networkPlaces } = await import("../network/mod.ts");
  const { store, ...rest } = network;
  const claim = await claimNetworks({ ...rest, id, places: networkPlaces(store) });
  return { claim, joined: asItIs, [Symbol.dispose]: () => claim.letGo() };
}

function joinNetwork(spec: Spec, path: string): Spec {
  const namespaces = spec.linux?.namespaces?.map((each) =>
    each.type === "network" ? { ...each, path } : each
  );
  return { ...spec, linux: { ...spec.linux, namespaces } };
}

/** Gives back what programs have made for containers that are gone without their monitors having done so. */
export async function reclaimNetworks(root: string): Promise<void> {
  // Where there is none, nothing is loaded. What begins with "%" is lib/network's own, below the default root.
  const directory = `${root}/.networks`;
  if (!exists(directory)) return;
  if (readDirectory(directory).every((name) => name.startsWith("%"))) return;
  const { reclaimForeign } = await import("./foreign/mod.ts");
  await reclaimForeign(root);
}

/** What a running container has of a network that other programs have made. */
export async function foreignOf(
  root: string,
  { network }: Pick<ContainerRecord, "network">,
): Promise<{ attachment: Attachment; networks: readonly NetworkDefinition[] } | undefined> {
  if (network?.kind !== "foreign") return undefined;
  const { foreignAttachment } = await import("./foreign/mod.ts");
  return foreignAttachment(root, network.key);
}
