import { LIBC_PATHS } from "../../ffi/mod.ts";

/**
 * What this room needs of Deno: libc. Netlink, /proc/sys and the files of networks are all reached by
 * system calls; no program is run.
 */
export const permissions = { ffi: LIBC_PATHS } as const;
