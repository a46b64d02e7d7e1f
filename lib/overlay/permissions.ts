import { LIBC_PATHS } from "../../ffi/mod.ts";

/** What this room needs of Deno: libc, for the mount by which layers are looked at together. */
export const permissions = { ffi: LIBC_PATHS } as const;
