import { LIBC_PATHS } from "../../ffi/mod.ts";

/**
 * What this room needs of Deno: libc, and no more. State, logs and processes are all reached by system
 * calls; the container is started by one too, so it is no program that `--allow-run` would count.
 */
export const permissions = { ffi: LIBC_PATHS } as const;
