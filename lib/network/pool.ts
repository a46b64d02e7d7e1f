import { contains, parseAddress } from "../netlink/mod.ts";
import { CrateError } from "../errors.ts";
import { allocateAddresses, withoutPool } from "./allocate.ts";
import { SLOTS } from "./slots.ts";
import { lastOffset, readSubnet } from "./subnets.ts";
import type { NetworkDefinition, NetworkState, PooledAddress } from "./types.ts";

/** A smaller network needs all its addresses. */
const LEAST_ADDRESSES = 200n;
/** So many are looked at until enough have texts of one length. */
const TRIES = 96;

/**
 * Addresses of a network that are kept for those whom programs put there, as many as there are places, and whose texts are
 * all as long: a program puts one in place of another.
 *
 * @returns the state with them; no addresses where the network is too small, or full.
 */
export function poolOf(
  definition: NetworkDefinition,
  state: NetworkState,
): { readonly pool?: readonly PooledAddress[]; readonly state: NetworkState } {
  const { name, subnets } = definition;
  const ranges = subnets.map(({ subnet }) => readSubnet(subnet, `network ${name}:`));
  const fits = (address: string | undefined) =>
    address === undefined || ranges.some((range) => contains(range, parseAddress(address)!));
  const known = state.pools?.[name];
  if (known?.length === SLOTS && known.every(({ ip, ip6 }) => fits(ip) && fits(ip6))) {
    return { pool: known, state };
  }
  if (ranges.some((range) => lastOffset(range) < LEAST_ADDRESSES)) return { state };
  const bySize = new Map<string, PooledAddress[]>();
  let next = withoutPool(state, name);
  try {
    for (let tries = 0; tries < TRIES; tries++) {
      const { last, pools, ...address } = allocateAddresses(definition, { network: name }, next);
      next = { ...next, last, pools };
      const size = `${address.ip?.length} ${address.ip6?.length}`;
      const found = [...bySize.get(size) ?? [], address];
      bySize.set(size, found);
      if (found.length === SLOTS) {
        return { pool: found, state: { ...next, pools: { ...pools, [name]: found } } };
      }
    }
  } catch (error) {
    if (!(error instanceof CrateError) || error.code !== "FAILED") throw error;
  }
  return { state };
}
