/**
 * What a container's process may do: capabilities, seccomp filters, ids, resource limits; and reading
 * files that a stranger wrote.
 *
 * @module
 */
export {
  allCapabilities,
  availableCapabilities,
  capabilityBit,
  type CapabilityChoice,
  capabilityMask,
  DEFAULT_CAPABILITIES,
  lastCapability,
  resolveCapabilities,
  splitCapabilityMask,
} from "./capabilities.ts";
export { rlimitNumber } from "./rlimits.ts";
export { readInRoot } from "./safe_path.ts";
export type { SeccompFilter } from "./seccomp/compile.ts";
export { defaultSeccompProfile } from "./seccomp/default_profile.ts";
export { seccompFilter } from "./seccomp/filter.ts";
export { type ResolvedUser, resolveUser } from "./users.ts";
