import { CrateError } from "../errors.ts";
import { parseAddress } from "../netlink/mod.ts";
import type { PortMapping, PortRequest, Protocol } from "./types.ts";

const PROTOCOLS = ["tcp", "udp", "sctp"] as const;
/** As many ports of the host as one container may ask for: each is held by a descriptor. */
const MOST = 1000;

interface Range {
  readonly first: number;
  readonly last: number;
}

function refuse(word: string, why: string): never {
  throw new CrateError("INVALID", `--publish ${word}: ${why}`);
}

function parseRange(text: string, word: string): Range {
  const [, first, last = first] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text) ?? [];
  if (first === undefined) refuse(word, `"${text}" is no port, and no range such as 8000-8010`);
  const range = { first: Number(first), last: Number(last) };
  if (range.first < 1 || range.last > 65535) refuse(word, `${text}: ports are 1 to 65535`);
  if (range.last < range.first) refuse(word, `${text}: the range ends before it begins`);
  return range;
}

function parseProtocol(text: string, word: string): Protocol {
  const found = PROTOCOLS.find((each) => each === text.toLowerCase());
  return found ?? refuse(word, `the protocol is tcp, udp or sctp, not "${text}"`);
}

/**
 * `[ADDRESS:][HOST]:CONTAINER[/PROTOCOL]` or `CONTAINER[/PROTOCOL]`, where HOST and CONTAINER may be ranges of
 * one length; as docker reads it. HOST may be 0, any free one, as when it is left out.
 *
 * @throws {CrateError} `INVALID`
 *
 * @example
 * ```ts
 * import { parsePublish } from "./ports.ts";
 * const [port] = parsePublish("127.0.0.1:8080:80/udp");
 * if (port?.hostAddress !== "127.0.0.1" || port.hostPort !== 8080 || port.containerPort !== 80) throw new Error();
 * ```
 */
export function parsePublish(word: string): PortRequest[] {
  const [ports = "", protocolWord, ...more] = word.split("/");
  if (more.length > 0) refuse(word, "it is [ADDRESS:][HOST:]CONTAINER[/PROTOCOL]");
  const protocol = parseProtocol(protocolWord ?? "tcp", word);
  const match = /^(?:(?:(\[[^\]]*\]|[^:]*):)?([^:]*):)?([^:]+)$/.exec(ports);
  if (match === null) refuse(word, "it is [ADDRESS:][HOST:]CONTAINER[/PROTOCOL]");
  const [, addressWord, hostWord, containerWord] = match;
  const container = parseRange(containerWord!, word);
  // Port 0 is any, as it is to bind(2).
  const host = hostWord && hostWord !== "0" ? parseRange(hostWord, word) : undefined;
  const hostAddress = addressWord ? readAddress(addressWord, word) : undefined;
  const count = container.last - container.first + 1;
  if (count > MOST) refuse(word, `${count} ports are more than ${MOST}`);
  const common = { protocol, ...hostAddress !== undefined && { hostAddress } };
  if (host === undefined) {
    return series(count, (i) => ({ ...common, containerPort: container.first + i }));
  }
  if (host.last - host.first + 1 !== count) {
    refuse(word, `the ranges ${hostWord} and ${containerWord} differ in length`);
  }
  return series(count, (i) => ({
    ...common,
    hostPort: host.first + i,
    containerPort: container.first + i,
  }));
}

function series<T>(count: number, make: (i: number) => T): T[] {
  return Array.from({ length: count }, (_, i) => make(i));
}

function readAddress(text: string, word: string): string | undefined {
  const bare = text.startsWith("[") ? text.slice(1, -1) : text;
  if (parseAddress(bare) === undefined) refuse(word, `"${text}" is no address`);
  // Every address of one family alone stays said.
  return bare;
}

/** What an image's `ExposedPorts`, or `--expose`, says: `80/tcp`, `8000-8010/udp`, `53`. @throws {CrateError} `INVALID` */
export function parseExposed(word: string): PortRequest[] {
  if (word.includes(":")) refuse(word, "it is PORT[-PORT][/PROTOCOL]");
  return parsePublish(word);
}

/**
 * All that is to be published, each once.
 *
 * @throws {CrateError} `INVALID` when one port of the host is to be two ports of the container.
 */
export function collectPorts(requests: readonly PortRequest[]): PortRequest[] {
  const found = new Map<string, PortRequest>();
  for (const request of requests) {
    const { protocol, hostAddress = "", hostPort, containerPort } = request;
    const key = `${protocol} ${hostAddress} ${hostPort ?? `any ${containerPort}`}`;
    const before = found.get(key);
    if (before !== undefined && before.containerPort !== containerPort) {
      throw new CrateError(
        "INVALID",
        `--publish: port ${hostPort}/${protocol} of the host cannot be both ` +
          `${before.containerPort} and ${containerPort} of the container`,
      );
    }
    found.set(key, request);
  }
  if (found.size > MOST) {
    throw new CrateError("INVALID", `--publish: ${found.size} ports are more than ${MOST}`);
  }
  return [...found.values()];
}

/** Whether an address of a port means all of this host's, of one family or both. */
export function isAny(
  hostAddress: string | undefined,
): hostAddress is undefined | "0.0.0.0" | "::" {
  return hostAddress === undefined || hostAddress === "0.0.0.0" || hostAddress === "::";
}

/** `0.0.0.0:8080`, `[::1]:53`. */
export function formatHost({ hostAddress, hostPort }: PortMapping): string {
  const address = hostAddress ?? "0.0.0.0";
  return address.includes(":") ? `[${address}]:${hostPort}` : `${address}:${hostPort}`;
}

/** `80/tcp -> 0.0.0.0:8080`, as `docker port` has it. */
export function formatPort(mapping: PortMapping): string {
  return `${mapping.containerPort}/${mapping.protocol} -> ${formatHost(mapping)}`;
}
