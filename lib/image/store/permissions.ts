import { LIBC_PATHS } from "../../../ffi/mod.ts";

/** What this room needs of Deno: libc, and no more. Files, locks and directories are reached by system calls. */
export const permissions = { ffi: LIBC_PATHS } as const;
