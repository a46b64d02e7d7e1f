import { contains, parseAddress } from "../netlink/mod.ts";
import { CrateError } from "../errors.ts";
import { allocateAddresses, withoutPool } from "./allocate.ts";
import { SLOTS } from "./slots.ts";
import { lastOffset, readSubnet } from "./subnets.ts";
import type { NetworkDefinition, NetworkState, PooledAddress } from "./types.ts";

/** A smaller network needs all its addresses. */
const LEAST_ADDRESSES = 200n;
/** So many times as many are kept of a network that has plenty, so that one is somebody's again late. A power of two. */
const TURNS = 8;
const PLENTY = 4000n;
/** So many times as many are looked at until enough have texts of one length. */
const TRIES = 6;

/**
 * Addresses of a network that are kept for those whom programs put there: for each place one or several, as many for each,
 * in turn. Their texts are all as long: a program puts one in place of another.
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
  const smallest = ranges.map(lastOffset).reduce((a, b) => a < b ? a : b, PLENTY);
  const count = smallest < PLENTY ? SLOTS : SLOTS * TURNS;
  const known = state.pools?.[name];
  if (known?.length === count && known.every(({ ip, ip6 }) => fits(ip) && fits(ip6))) {
    return { pool: known, state };
  }
  if (smallest < LEAST_ADDRESSES) return { state };
  const bySize = new Map<string, PooledAddress[]>();
  let next = withoutPool(state, name);
  try {
    for (let tries = 0; tries < TRIES * count; tries++) {
      const { last, pools, ...address } = allocateAddresses(definition, { network: name }, next);
      next = { ...next, last, pools };
      const size = `${address.ip?.length} ${address.ip6?.length}`;
      const found = [...bySize.get(size) ?? [], address];
      bySize.set(size, found);
      if (found.length === count) {
        return { pool: found, state: { ...next, pools: { ...pools, [name]: found } } };
      }
    }
  } catch (error) {
    if (!(error instanceof CrateError) || error.code !== "FAILED") throw error;
  }
  return { state };
}
