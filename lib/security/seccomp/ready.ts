import type { LinuxSeccomp } from "../../spec/mod.ts";
import type { Machine } from "./abi.ts";
import { DEFAULT_RULES, defaultSeccompProfile } from "./default_profile.ts";
import { READY_FILTERS } from "./ready_filters.ts";

/**
 * The capability sets whose default profile's filter is compiled already, by
 * scripts/seccomp_filters.ts: Docker's default, of which one opens calls, and those that open none.
 */
export const READY_CAPABILITIES: readonly (readonly string[])[] = [["CAP_SYS_CHROOT"], []];

/** `SECCOMP_FILTER_FLAG_SPEC_ALLOW`, linux/seccomp.h: what a profile without flags has. */
const FLAGS = 4;

/** The filter of a default profile, without compiling it (2 ms of a new process); undefined for others. */
export function readyFilter(
  profile: LinuxSeccomp,
  arch: Machine,
): { filter: Uint8Array<ArrayBuffer>; flags: number } | undefined {
  const rules = profile.syscalls;
  if (rules?.length !== DEFAULT_RULES) return undefined;
  for (let i = 0; i < READY_CAPABILITIES.length; i++) {
    const ready = defaultSeccompProfile({ capabilities: READY_CAPABILITIES[i]!, arch });
    // Not the same one, but it may be the same: it may have been in a file meanwhile.
    if (profile !== ready) {
      if (rules[0]!.names.length !== ready.syscalls![0]!.names.length) continue;
      if (JSON.stringify(profile, plain) !== JSON.stringify(ready)) continue;
    }
    return { filter: Uint8Array.fromBase64(READY_FILTERS[arch][i]!), flags: FLAGS };
  }
}

/** JSON has no bigints, and the default profile has none. */
function plain(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? `${value}n` : value;
}
