import { LIBC_PATHS } from "../../ffi/mod.ts";

/** What this room needs of Deno: libc, for the system calls by which it talks to the kernel. */
export const permissions = { ffi: LIBC_PATHS } as const;
