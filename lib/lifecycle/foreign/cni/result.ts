import { CrateError } from "../../../errors.ts";
import { formatAddress, formatSubnet, maskAddress, parseSubnet } from "../../../netlink/mod.ts";
import { parseAddress } from "../../../netlink/mod.ts";
import type { Subnet } from "../../../network/mod.ts";
import type { Made } from "../types.ts";
import type { Fields } from "./configuration.ts";

// What a plugin answers: the specification, "Add Success", the same in all versions but for fields that are not read
// here.

const MAX_ADDRESSES = 64;

/** What of a result crate itself has a use for. */
export interface Result {
  readonly ip?: string;
  readonly ip6?: string;
  readonly mac?: string;
  readonly subnets: readonly Subnet[];
  readonly gateway?: string;
  readonly dns: NonNullable<Made["dns"]>;
}

const fieldsOf = (value: unknown): Fields =>
  typeof value === "object" && value !== null ? value as Fields : {};
const listOf = (value: unknown): readonly unknown[] => Array.isArray(value) ? value : [];

/**
 * Reads the result of the last plugin.
 *
 * @param name the interface in the container.
 * @throws {CrateError} `FAILED` for what is no result.
 */
export function parseResult(result: Fields, name: string, network: string): Result {
  const refuse = (field: string, value: unknown) =>
    new CrateError(
      "FAILED",
      `network ${network}: its plugins' result has ${JSON.stringify(value)} as ${field}`,
    );
  const interfaces = listOf(result.interfaces).map(fieldsOf);
  const own = interfaces.findIndex((each) => each.name === name && Boolean(each.sandbox));
  const ips = listOf(result.ips).map(fieldsOf);
  if (ips.length > MAX_ADDRESSES) throw refuse("the number of ips", ips.length);
  const found: { ip?: string; ip6?: string; gateway?: string } = {};
  const subnets: Subnet[] = [];
  ips.forEach(({ address, gateway, interface: of }, i) => {
    if (of !== undefined && own >= 0 && of !== own) return;
    const subnet = typeof address === "string" ? parseSubnet(address) : undefined;
    if (subnet === undefined) throw refuse(`ips[${i}].address`, address);
    const way = typeof gateway === "string" ? parseAddress(gateway) : undefined;
    if (gateway !== undefined && gateway !== "" && way === undefined) {
      throw refuse(`ips[${i}].gateway`, gateway);
    }
    const family = subnet.address.length === 4 ? "ip" : "ip6";
    if (found[family] !== undefined) return;
    found[family] = formatAddress(subnet.address);
    found.gateway ??= way && formatAddress(way);
    subnets.push({
      subnet: formatSubnet({ address: maskAddress(subnet), prefix: subnet.prefix }),
      gateway: way === undefined ? "" : formatAddress(way),
    });
  });
  const { mac } = interfaces[own] ?? {};
  return {
    ...found,
    ...typeof mac === "string" && { mac },
    subnets,
    dns: parseDns(fieldsOf(result.dns), refuse),
  };
}

function parseDns(
  { nameservers, domain, search, options }: Fields,
  refuse: (field: string, value: unknown) => CrateError,
): Result["dns"] {
  const words = (field: string, value: unknown, fits: (word: string) => boolean) =>
    listOf(value).map((word, i) => {
      if (typeof word === "string" && fits(word)) return word;
      throw refuse(`dns.${field}[${i}]`, word);
    });
  const isDomain = (word: string) => /^[a-zA-Z0-9_.-]+$/.test(word);
  const servers = words("nameservers", nameservers, (word) => parseAddress(word) !== undefined);
  const domains = words("search", search, isDomain);
  if (typeof domain === "string" && domain !== "" && !isDomain(domain)) {
    throw refuse("dns.domain", domain);
  }
  const first = typeof domain === "string" && domain !== "" ? [domain] : [];
  const some = (list: readonly string[]) => list.length > 0 ? list : undefined;
  return {
    dns: some(servers),
    dnsSearch: some([...new Set([...first, ...domains])]),
    dnsOptions: some(words("options", options, (word) => /^[a-z0-9-]+(:\d+)?$/.test(word))),
  };
}
