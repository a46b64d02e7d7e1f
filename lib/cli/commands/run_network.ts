import { isInitialUserNamespace } from "../../../ffi/mod.ts";
import type { Effective } from "../../config/mod.ts";
import { CrateError } from "../../errors.ts";
import {
  type ClaimedNetwork,
  findId,
  openNetworkOf,
  readState,
  reclaimNetworks,
  type RecordedNetwork,
  requested,
  requestedForeign,
} from "../../lifecycle/mod.ts";
import {
  collectPorts,
  DEFAULT_NETWORK,
  type NetworkRequest,
  parseExposed,
  parsePublish,
  type PortRequest,
} from "../../network/mod.ts";
import type { Mount, RunOptions } from "../../spec/mod.ts";
import type { ExecutionConfig } from "../../image/mod.ts";
import { networkDefaults } from "../networks.ts";
import type { RunCall } from "../words/mod.ts";
import { alone, defaultMode, refuseFor } from "./run_mode.ts";

type Options = RunCall["options"];

/** What a container has of networks, as a command line and the configuration mean it. */
export interface RunNetwork extends Disposable {
  readonly namespace: RunOptions["network"];
  /** Its files below /etc. */
  readonly mounts: readonly Mount[];
  readonly recorded?: RecordedNetwork;
  /** Takes what it needs; undefined for one that shares another's. */
  claim(): Promise<ClaimedNetwork> | undefined;
}

function join(path: string, mounts: readonly Mount[], close: () => void): RunNetwork {
  return { namespace: { path }, mounts, claim: () => undefined, [Symbol.dispose]: close };
}

/** Another container's network: its namespace, and its files. */
function joinContainer(root: string, word: string): RunNetwork {
  const id = findId(root, word);
  const namespace = openNetworkOf(root, id);
  const files =
    readState(root, id)?.record.spec.mounts?.filter(({ destination }) =>
      ["/etc/hosts", "/etc/resolv.conf"].includes(destination)
    ) ?? [];
  return {
    ...join(namespace.path, files, () => namespace[Symbol.dispose]()),
    recorded: { kind: "container", id },
  };
}

/**
 * A container's networks.
 *
 * @param image what its config says, for its `ExposedPorts`.
 * @throws {CrateError}
 */
export async function runNetwork(
  call: RunCall,
  config: Effective,
  id: string,
  image: ExecutionConfig | undefined,
): Promise<RunNetwork> {
  const { options } = call;
  const words = options.network.length > 0
    ? options.network
    : [defaultMode(config) ?? DEFAULT_NETWORK];
  const foreign = words.find((word) => /^(cni:.*|pasta|slirp4netns)$/s.test(word));
  if (foreign !== undefined) {
    if (words.length > 1) throw alone(foreign);
    if (options.networkAlias.length > 0) {
      throw new CrateError(
        "INVALID",
        `--network-alias is for a network of crate's, and the network is ${foreign} (--network)`,
      );
    }
    const request = requestOf(call, words, image);
    const environment = {
      PATH: Deno.env.get("PATH"),
      NETCONFPATH: Deno.env.get("NETCONFPATH"),
      CNI_PATH: Deno.env.get("CNI_PATH"),
      CNI_ARGS: Deno.env.get("CNI_ARGS"),
    };
    const made = await requestedForeign(config.root.value, id, foreign, environment, request);
    return { ...made, namespace: { path: made.path } };
  }
  for (const word of words) {
    const [, kind, rest] = /^(container|ns):(.*)$/s.exec(word) ?? [];
    if (kind === undefined) {
      if (["host", "none"].includes(word)) throw alone(word);
      continue;
    }
    if (words.length > 1) throw alone(word);
    refuseFor(word, options);
    if (kind === "container") return joinContainer(config.root.value, rest!);
    if (!rest!.startsWith("/")) {
      throw new CrateError("INVALID", `--network ${word}: it is ns: and an absolute path`);
    }
    return join(rest!, [], () => {});
  }
  if (!isInitialUserNamespace()) {
    throw new CrateError(
      "PERMISSION",
      `--network ${
        words[0]
      } needs root: it changes this host's network (--network pasta is what a user has)`,
    );
  }
  await reclaimNetworks(config.root.value);
  const request = requestOf(call, words, image);
  const made = await requested(id, config.image_root.value, request, networkDefaults(config));
  return { namespace: "none", ...made, [Symbol.dispose]() {} };
}

function requestOf(
  { options }: RunCall,
  networks: readonly string[],
  image: ExecutionConfig | undefined,
): NetworkRequest {
  const { ip, ip6, macAddress: mac, networkAlias: aliases } = options;
  if (networks.length > 1 && (ip ?? ip6 ?? mac) !== undefined) {
    throw new CrateError(
      "INVALID",
      "--ip, --ip6 and --mac-address are for one network: connect the others with crate network connect",
    );
  }
  return {
    endpoints: networks.map((network) => ({ network, ip, ip6, mac, aliases })),
    ports: portsOf(options, image),
    hostname: options.hostname || undefined,
    addHosts: options.addHost,
    dns: options.dns,
    dnsSearch: options.dnsSearch,
    dnsOptions: options.dnsOption,
  };
}

/** What is published: by name, and with --publish-all what is exposed and not published by name. */
function portsOf(options: Options, image: ExecutionConfig | undefined): PortRequest[] {
  const named = options.publish.flatMap(parsePublish);
  const exposed = [...Object.keys(image?.ExposedPorts ?? {}), ...options.expose]
    .flatMap(parseExposed);
  if (!options.publishAll) return collectPorts(named);
  const key = ({ containerPort, protocol }: PortRequest) => `${containerPort}/${protocol}`;
  const taken = new Set(named.map(key));
  return collectPorts([...named, ...exposed.filter((port) => !taken.has(key(port)))]);
}
