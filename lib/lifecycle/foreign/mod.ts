/**
 * Networks that other programs make: the CNI plugins of the host; pasta and slirp4netns for a user without
 * root. The container joins a network namespace that is ready when it is started.
 *
 * @module
 */
export { claimForeign, foreignFiles } from "./claim.ts";
export { makeNamespace, type Namespace } from "./namespace.ts";
export { foreignAttachment, reclaimForeign } from "./place.ts";
export type { ForeignEnvironment, ForeignRequest } from "./types.ts";
export { foreignNetwork } from "./words.ts";
