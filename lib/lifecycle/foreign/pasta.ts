import { type PortMapping, reachableServers } from "../../network/mod.ts";
import { INTERFACE } from "./types.ts";
import type { UserProgram } from "./user.ts";

/** What a container asks when all of the host's resolvers are on the host's loopback: pasta asks them for it. */
const FORWARDER = "169.254.1.1";

/** `ADDRESS/8080:80`, pasta(1). */
function port({ hostAddress, hostPort, containerPort }: PortMapping): string {
  return `${hostAddress === undefined ? "" : `${hostAddress}/`}${hostPort}:${containerPort}`;
}

function ports(option: string, protocol: string, all: readonly PortMapping[]): string[] {
  const own = all.filter((each) => each.protocol === protocol);
  return own.length === 0 ? [option, "none"] : own.flatMap((each) => [option, port(each)]);
}

const hasServers = () => reachableServers(true).length > 0;

/**
 * The container has the host's own addresses and routes, and reaches whatever the host reaches, but for the host
 * itself. pasta(1)
 */
export const pasta: UserProgram = {
  name: "pasta",
  readyBy: "path",
  // It keeps no capability by which it could look at crate's descriptors: it is given paths.
  arguments: (options, namespace, ready) => [
    "--config-net",
    "--foreground",
    "--quiet",
    "--no-map-gw",
    "--no-netns-quit",
    ...["-I", INTERFACE],
    ...ports("-t", "tcp", options.ports),
    ...ports("-u", "udp", options.ports),
    ...["-T", "none", "-U", "none"],
    ...hasServers() ? [] : ["--dns-forward", FORWARDER],
    // Its pid is the last thing that it tells before it carries packets.
    ...["-P", ready],
    ...["--netns", namespace],
  ],
  dns: () => hasServers() ? undefined : [FORWARDER],
};
