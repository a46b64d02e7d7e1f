import { DEFAULT_DOMAIN } from "../names/mod.ts";

/** Docker Hub's registry, which is not at its name. */
const HUB = "registry-1.docker.io";
/** Where Docker keeps Docker Hub's credentials. */
const HUB_KEY = "https://index.docker.io/v1/";
const HUB_NAMES = new Set([DEFAULT_DOMAIN, "index.docker.io", HUB, "registry.hub.docker.com"]);

/** Where a registry is: `docker.io` is at `registry-1.docker.io`, every other one at its name. */
export function registryHost(domain: string): string {
  return HUB_NAMES.has(domain) ? HUB : domain;
}

/** What credential files and helpers call a registry: Docker Hub has a name of its own there. */
export function credentialKey(domain: string): string {
  return HUB_NAMES.has(domain) ? HUB_KEY : domain;
}

/**
 * The registry that a key of a credentials file means: `https://index.docker.io/v1/` is `docker.io`,
 * `https://quay.io/v2` is `quay.io`, and `quay.io/team` stays as it is.
 */
export function normalizeKey(key: string): string {
  const scheme = /^https?:\/\//i.exec(key);
  let name = scheme === null ? key : key.slice(scheme[0].length);
  // With a scheme it is an old key of Docker's, whose path is that of the protocol.
  if (scheme !== null || /\/v[12]\/?$/.test(name)) name = name.split("/", 1)[0]!;
  name = name.replace(/\/+$/, "");
  const [host, ...path] = name.split("/");
  const domain = HUB_NAMES.has(host!) ? DEFAULT_DOMAIN : host!;
  return [domain, ...path].join("/");
}

/** `[::1]:5000` without the port: `::1`. */
export function hostname(host: string): string {
  if (host.startsWith("[")) return host.slice(1, Math.max(1, host.indexOf("]")));
  const colon = host.indexOf(":");
  return colon < 0 ? host : host.slice(0, colon);
}

/** Whether a host (with or without a port) is this machine: 127.0.0.0/8, `::1`, `localhost`. */
export function isLoopback(host: string): boolean {
  const name = hostname(host).toLowerCase();
  return name === "localhost" || name === "::1" || /^127(?:\.\d{1,3}){3}$/.test(name);
}

/** Whether a host is one of a list's, which has names with a port or, for every port, without. */
export function isListed(host: string, list: readonly string[] = []): boolean {
  return list.some((entry) => entry === host || entry === hostname(host));
}

/** One place where an image can be asked for. */
export interface Place {
  /** The registry as a reference names it, for messages and credentials. */
  readonly domain: string;
  /** `host` or `host:port`. */
  readonly host: string;
  /** The repository there. */
  readonly path: string;
}

/** Where to ask for a repository: its registry's mirrors in their order, and the registry itself. */
export function placesOf(
  domain: string,
  path: string,
  mirrors: Readonly<Record<string, readonly string[]>> = {},
): Place[] {
  const places = (mirrors[domain] ?? []).map((mirror) => {
    const [host, ...prefix] = mirror.replace(/^https?:\/\//, "").replace(/\/+$/, "").split("/");
    return { domain: host!, host: registryHost(host!), path: [...prefix, path].join("/") };
  });
  return [...places, { domain, host: registryHost(domain), path }];
}
