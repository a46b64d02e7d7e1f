import { CrateError } from "../errors.ts";
import { parseAddress } from "../netlink/mod.ts";
import { validateHost } from "./names.ts";
import type { Attachment, Endpoint, NetworkRequest, NetworkState } from "./types.ts";

const LOCAL = [
  "127.0.0.1\tlocalhost",
  "::1\tlocalhost ip6-localhost ip6-loopback",
  "fe00::\tip6-localnet",
  "ff00::\tip6-mcastprefix",
  "ff02::1\tip6-allnodes",
  "ff02::2\tip6-allrouters",
].join("\n");

/** What `--add-host` writes in place of the host's address as the container sees it. */
const GATEWAY = "host-gateway";

/** `NAME:ADDRESS`, also with `=`; the address may be in brackets. @throws {CrateError} `INVALID` */
export function parseAddHost(word: string): { name: string; address: string } {
  const [, name, rest] = /^([^:=]+)[:=](.+)$/s.exec(word) ?? [];
  const address = rest?.replace(/^\[(.*)\]$/, "$1");
  const fits = name !== undefined && address !== undefined &&
    (address === GATEWAY || parseAddress(address) !== undefined);
  if (!fits) {
    throw new CrateError(
      "INVALID",
      `--add-host ${word}: it is NAME:ADDRESS, or NAME:${GATEWAY} for this host`,
    );
  }
  return { name: validateHost(name, "--add-host"), address };
}

/**
 * The lines of a container's hosts file that are its own: where it is, what the user added.
 *
 * @param gateway the host's address in the container's first network.
 * @throws {CrateError} `INVALID` for `host-gateway` where there is none.
 */
export function ownHosts(
  id: string,
  request: Pick<NetworkRequest, "hostname" | "domainname" | "addHosts">,
  endpoints: readonly Endpoint[],
  gateway: string | undefined,
): string {
  const { hostname = id, domainname, addHosts = [] } = request;
  const full = domainname === undefined ? [] : [`${hostname}.${domainname}`];
  const names = [...new Set([...full, hostname, id])].join(" ");
  const addresses = endpoints.flatMap(({ ip, ip6 }) => [ip, ip6]).filter((each) =>
    each !== undefined
  );
  // A host without an address has its name all the same.
  const own = (addresses.length > 0 ? addresses : ["127.0.1.1"]).map((each) => `${each}\t${names}`);
  const added = addHosts.map((word) => {
    const { name, address } = parseAddHost(word);
    if (address !== GATEWAY) return `${address}\t${name}`;
    if (gateway !== undefined) return `${gateway}\t${name}`;
    throw new CrateError("INVALID", `--add-host ${word}: none of its networks has this host in it`);
  });
  return `${[LOCAL, ...own, ...added].join("\n")}\n`;
}

/** What a container's own lines become when it is renamed: its addresses have the new name, and keep its host name. */
export function renamedHosts(
  { id, hosts, endpoints }: Attachment,
  to: string,
  hostname: string,
): string {
  const own = new Set(["127.0.1.1", ...endpoints.flatMap(({ ip, ip6 }) => [ip, ip6])]);
  return hosts.split("\n").map((line) => {
    const [address = "", names = ""] = line.split("\t");
    const words = names.split(" ");
    if (!own.has(address) || words.at(-1) !== id) return line;
    const kept = id === hostname ? words : words.slice(0, -1);
    return `${address}\t${[...new Set([...kept, to])].join(" ")}`;
  }).join("\n");
}

/** The names by which others on a network find a container. */
function namesOn(id: string, { aliases }: Endpoint): string {
  return [...new Set([id, ...aliases])].join(" ");
}

/** The lines by which a container finds another on some networks. */
export function linesOn(networks: readonly string[], other: Attachment): string {
  let lines = "";
  for (const endpoint of other.endpoints) {
    if (!networks.includes(endpoint.network)) continue;
    for (const address of [endpoint.ip, endpoint.ip6]) {
      if (address !== undefined) lines += `${address}\t${namesOn(other.id, endpoint)}\n`;
    }
  }
  return lines;
}

const networksOf = ({ endpoints }: Attachment) => endpoints.map(({ network }) => network).sort();

/** The lines by which one container finds another on the networks that they share. */
export function linesFor(attachment: Attachment, other: Attachment): string {
  return linesOn(networksOf(attachment), other);
}

/** Everybody's lines on the same networks, and where each one's stand. */
interface Common {
  readonly text: string;
  readonly places: ReadonlyMap<string, readonly [start: number, end: number]>;
}

function commonOn(networks: readonly string[], { attachments }: NetworkState): Common {
  const places = new Map<string, [number, number]>();
  let text = "";
  for (const attachment of Object.values(attachments)) {
    const start = text.length;
    text += linesOn(networks, attachment);
    places.set(attachment.id, [start, text.length]);
  }
  return { text, places };
}

/**
 * The hosts files of containers: their own lines, then those with whom they share a network, by name and aliases.
 * What many of them have in common is put together once.
 */
export function hostsFiles(state: NetworkState): (attachment: Attachment) => string {
  const known = new Map<string, Common>();
  return (attachment) => {
    let text = attachment.hosts;
    // Its own aliases are names of its own too.
    for (const { aliases, ip, ip6 } of attachment.endpoints) {
      const address = ip ?? ip6;
      if (aliases.length > 0 && address !== undefined) text += `${address}\t${aliases.join(" ")}\n`;
    }
    const networks = networksOf(attachment);
    const key = networks.join(" ");
    const common = known.get(key) ?? commonOn(networks, state);
    known.set(key, common);
    const [start, end] = common.places.get(attachment.id) ?? [0, 0];
    return text + common.text.slice(0, start) + common.text.slice(end);
  };
}
