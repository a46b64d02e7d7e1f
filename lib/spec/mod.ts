/**
 * The OCI runtime-spec's config: its types.
 *
 * @module
 */
export type * from "./types.ts";
export type * from "./types_resources.ts";
