import { CrateError } from "../errors.ts";
import { addressAt, contains, formatAddress, parseAddress } from "../netlink/mod.ts";
import { isUsable, lastOffset, offsetOf, type Range, readSubnet } from "./subnets.ts";
import type { EndpointRequest, NetworkDefinition, NetworkState, Subnet } from "./types.ts";

/** The addresses of one family, in a network. */
interface Allocation {
  readonly address?: string;
  /** What to note as given last. */
  readonly last?: readonly [key: string, address: string];
}

/** Every address of a network that a container has, or one of those that are kept for programs. */
function givenOut(state: NetworkState, network: string): Set<string> {
  const given = new Set<string>();
  for (const { ip, ip6 } of state.pools?.[network] ?? []) {
    for (const each of [ip, ip6]) if (each !== undefined) given.add(each);
  }
  for (const { endpoints } of Object.values(state.attachments)) {
    for (const endpoint of endpoints) {
      if (endpoint.network !== network) continue;
      if (endpoint.ip !== undefined) given.add(endpoint.ip);
      if (endpoint.ip6 !== undefined) given.add(endpoint.ip6);
    }
  }
  return given;
}

function own(range: Range, word: string, option: string, given: ReadonlySet<string>, name: string) {
  const bytes = parseAddress(word);
  const fits = bytes !== undefined && contains(range, bytes) && isUsable(range, bytes);
  if (!fits) throw new CrateError("INVALID", `${option} ${word} is no address of network ${name}`);
  const address = formatAddress(bytes);
  if (!given.has(address)) return address;
  throw new CrateError("INVALID", `${option} ${word} is in use in network ${name}`);
}

function allocate(
  subnet: Subnet | undefined,
  wanted: string | undefined,
  option: "--ip" | "--ip6",
  definition: NetworkDefinition,
  state: NetworkState,
): Allocation {
  const { name } = definition;
  if (subnet === undefined) {
    if (wanted === undefined) return {};
    const family = option === "--ip" ? "IPv4" : "IPv6";
    throw new CrateError(
      "INVALID",
      `${option} ${wanted}: network ${name} has no ${family} addresses`,
    );
  }
  const range = readSubnet(subnet.subnet, `network ${name}:`);
  const given = givenOut(state, name).add(subnet.gateway);
  if (wanted !== undefined) return { address: own(range, wanted, option, given, name) };
  const key = `${name} ${option === "--ip" ? "4" : "6"}`;
  const most = lastOffset(range);
  const before = state.last[key];
  const lastBytes = before === undefined ? undefined : parseAddress(before);
  let offset = lastBytes !== undefined && contains(range, lastBytes)
    ? offsetOf(range, lastBytes)
    : 1n;
  // One more than are given out is enough to find one that is not.
  for (let tries = given.size; tries >= 0; tries--) {
    offset = offset >= most ? 1n : offset + 1n;
    const address = formatAddress(addressAt(range, offset)!);
    if (!given.has(address)) return { address, last: [key, address] };
  }
  throw new CrateError(
    "FAILED",
    `network ${name} has no address left: all of ${subnet.subnet} are in use`,
  );
}

/** Addresses for one endpoint. */
export interface Addresses {
  readonly ip?: string;
  readonly ip6?: string;
  readonly mac: string;
  /** The addresses given last, with these. */
  readonly last: NetworkState["last"];
  /** What is still kept for programs. */
  readonly pools?: NetworkState["pools"];
}

/** Without what is kept for programs on a network. */
export function withoutPool(state: NetworkState, network: string): NetworkState {
  if (state.pools?.[network] === undefined) return state;
  const { [network]: _, ...pools } = state.pools;
  return { ...state, pools };
}

/**
 * Gives out addresses of a network: of each family the next after the one that was given out last, so that
 * one that came back is somebody's again as late as can be. What is kept for programs is given out where it is asked for
 * by name, or there is none left.
 *
 * @throws {CrateError} `INVALID` for wishes that cannot be met; `FAILED` when there is none left.
 */
export function allocateAddresses(
  definition: NetworkDefinition,
  request: EndpointRequest,
  state: NetworkState,
): Addresses {
  const { name } = definition;
  const pool = state.pools?.[name];
  if (pool === undefined) return allocateFrom(definition, request, state);
  const wanted = [request.ip, request.ip6].flatMap((word) => parseAddress(word ?? "") ?? [])
    .map(formatAddress);
  const isKept = pool.some(({ ip, ip6 }) => [ip, ip6].some((each) => wanted.includes(each ?? "")));
  const rest = withoutPool(state, name);
  if (isKept) return allocateFrom(definition, request, rest);
  try {
    return allocateFrom(definition, request, state);
  } catch (error) {
    if (!(error instanceof CrateError) || error.code !== "FAILED") throw error;
    return allocateFrom(definition, request, rest);
  }
}

function allocateFrom(
  definition: NetworkDefinition,
  request: EndpointRequest,
  state: NetworkState,
): Addresses {
  const find = (isSix: boolean) =>
    definition.subnets.find(({ subnet }) => subnet.includes(":") === isSix);
  const four = allocate(find(false), request.ip, "--ip", definition, state);
  const six = allocate(find(true), request.ip6, "--ip6", definition, state);
  const noted = [four.last, six.last].filter((each) => each !== undefined);
  return {
    ...four.address !== undefined && { ip: four.address },
    ...six.address !== undefined && { ip6: six.address },
    mac: request.mac === undefined
      ? macOf(four.address ?? six.address)
      : formatMac(parseMac(request.mac)),
    last: { ...state.last, ...Object.fromEntries(noted) },
    ...state.pools !== undefined && { pools: state.pools },
  };
}

/** How the hardware addresses begin that crate chooses. */
const OWN_MAC = [0x02, 0xc7];

/**
 * A hardware address from the last four bytes of the network's: who has an address after another has the
 * same hardware address too, and no neighbour's table is wrong. Locally administered, as docker's.
 */
export function macOf(address: string | undefined): string {
  const bytes = address === undefined
    ? crypto.getRandomValues(new Uint8Array(4))
    : parseAddress(address)!.slice(-4);
  return formatMac(new Uint8Array([...OWN_MAC, ...bytes]));
}

/** Whether crate has chosen a hardware address. */
export function isOwnMac(address: Uint8Array | undefined): boolean {
  return address !== undefined && OWN_MAC.every((byte, i) => address[i] === byte);
}

export function formatMac(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}

/** @throws {CrateError} `INVALID` for what is no hardware address that one interface can have. */
export function parseMac(text: string): Uint8Array<ArrayBuffer> {
  if (/^[0-9a-f]{2}([:-][0-9a-f]{2}){5}$/i.test(text)) {
    const bytes = new Uint8Array(text.split(/[:-]/).map((byte) => parseInt(byte, 16)));
    // Multicast addresses are no interface's; IEEE 802.
    if ((bytes[0]! & 1) === 0 && bytes.some((byte) => byte !== 0)) return bytes;
  }
  throw new CrateError(
    "INVALID",
    `--mac-address ${text}: it is six bytes such as 02:42:ac:11:00:02, the first one even`,
  );
}
