import { arch } from "../../ffi/mod.ts";
import { type SeccompFilter, seccompFilter } from "../security/mod.ts";
import type { LinuxSeccomp } from "../spec/mod.ts";

const filters = new WeakMap<LinuxSeccomp, SeccompFilter>();

/** The filter of a profile, compiled once for each profile object. */
export async function filterOf(profile: LinuxSeccomp): Promise<SeccompFilter> {
  let filter = filters.get(profile);
  if (filter === undefined) {
    filter = await seccompFilter(profile, arch);
    filters.set(profile, filter);
  }
  return filter;
}
