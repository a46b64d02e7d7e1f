import { LIBC_PATHS } from "../../ffi/mod.ts";

/**
 * What this room needs of Deno: libc, for the system calls by which it reads and writes the cgroup tree and talks to
 * systemd; and the environment, which says where a user's systemd listens.
 */
export const permissions = { env: true, ffi: LIBC_PATHS } as const;
