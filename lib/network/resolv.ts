import { readText, SyscallError } from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import { parseAddress } from "../netlink/mod.ts";
import type { NetworkRequest } from "./types.ts";

// resolv.conf(5)

const HOST_FILE = "/etc/resolv.conf";
/** What systemd-resolved asks itself, when the host's file names only its stub. systemd-resolved.service(8) */
const BEHIND_STUB = "/run/systemd/resolve/resolv.conf";
/** What a container's file depends on. */
export const RESOLVER_FILES = [HOST_FILE, BEHIND_STUB] as const;
const MAX_FILE = 1 << 20;
/** When the host has none that a container could reach: docker's and podman's choice. */
const PUBLIC = ["8.8.8.8", "8.8.4.4"];
/** The resolvers that glibc looks at, resolv.h, MAXNS; more are written and not read. */
const ROOT = ".";

/** What a resolver's file says. */
export interface Resolver {
  readonly servers: readonly string[];
  readonly search: readonly string[];
  readonly options: readonly string[];
}

/** Reads a resolver's file; of several lines with a search list the last counts. */
export function parseResolv(text: string): Resolver {
  const servers: string[] = [];
  let search: string[] = [];
  let options: string[] = [];
  for (const line of text.split("\n")) {
    const [word, ...values] = line.replace(/[#;].*$/, "").trim().split(/\s+/);
    if (word === "nameserver" && values[0] !== undefined) servers.push(values[0]);
    else if (word === "search" || word === "domain") search = values;
    else if (word === "options") options = [...options, ...values];
  }
  return { servers, search, options };
}

/** `fe80::1%eth0` names an interface of the host. */
function isReachable(server: string, hasSix: boolean): boolean {
  if (server.includes("%")) return false;
  const address = parseAddress(server);
  if (address === undefined) return false;
  if (address.length === 4) return address[0] !== 127;
  return hasSix && address.some((byte, i) => byte !== (i === 15 ? 1 : 0));
}

function readHost(path: string): Resolver | undefined {
  try {
    return parseResolv(readText(path, MAX_FILE));
  } catch (error) {
    if (error instanceof SyscallError) return undefined;
    throw error;
  }
}

/** `--dns` and its like, before anything is made. @throws {CrateError} `INVALID` */
export function validateResolver(
  { dns = [], dnsSearch = [], dnsOptions = [] }: NetworkRequest,
): void {
  for (const server of dns) {
    if (parseAddress(server) !== undefined) continue;
    throw new CrateError("INVALID", `--dns ${server}: it is an address such as 192.0.2.53`);
  }
  for (const domain of dnsSearch) {
    if (domain === ROOT || /^[a-zA-Z0-9_.-]+$/.test(domain)) continue;
    throw new CrateError("INVALID", `--dns-search ${domain}: it is a domain, or "." for none`);
  }
  for (const option of dnsOptions) {
    if (/^[a-z0-9-]+(:\d+)?$/.test(option)) continue;
    throw new CrateError("INVALID", `--dns-option ${option}: it is a word of resolv.conf(5)`);
  }
}

/** The resolvers that the host asks and that a container reaches, too; none when all are on the host's loopback. */
export function reachableServers(
  hasSix: boolean,
  read: (path: string) => Resolver | undefined = readHost,
  host = read(HOST_FILE),
): readonly string[] {
  const reachable = (found: Resolver | undefined) =>
    found?.servers.filter((server) => isReachable(server, hasSix)) ?? [];
  const servers = reachable(host);
  if (servers.length > 0 || !host?.servers.includes("127.0.0.53")) return servers;
  return reachable(read(BEHIND_STUB));
}

/**
 * A container's resolv.conf: what the user said, else what the host asks, but for resolvers on the host's
 * loopback, which a container does not reach.
 *
 * @param hasSix whether the container has an IPv6 address.
 */
export function resolvFile(
  { dns = [], dnsSearch = [], dnsOptions = [] }: NetworkRequest,
  hasSix: boolean,
  read: (path: string) => Resolver | undefined = readHost,
): string {
  const host = read(HOST_FILE);
  let servers: readonly string[] = dns;
  if (servers.length === 0) servers = reachableServers(hasSix, read, host);
  if (servers.length === 0) servers = PUBLIC;
  const search = dnsSearch.length > 0 ? dnsSearch : host?.search ?? [];
  const options = dnsOptions.length > 0 ? dnsOptions : host?.options ?? [];
  const lines = servers.map((server) => `nameserver ${server}`);
  const domains = search.filter((domain) => domain !== ROOT);
  if (domains.length > 0) lines.push(`search ${domains.join(" ")}`);
  if (options.length > 0) lines.push(`options ${options.join(" ")}`);
  return `${lines.join("\n")}\n`;
}
