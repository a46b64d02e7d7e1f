import { LIBC_PATHS } from "../../ffi/mod.ts";
import { permissions as registry } from "./registry/permissions.ts";

/** The files with credentials, and the directories of certificates, in this environment. */
export function registryFiles(env: (name: string) => string | undefined): readonly string[] {
  return registry(env).read;
}

/**
 * What this room needs of Deno: libc, for the store and all that is unpacked into it; to reach registries,
 * whose hosts only references and the servers themselves say; the files with credentials and
 * certificates, and the variables that name them. The programs that keep credentials for people have
 * the names that those files give: none is stated, and whoever has one lets it run (`--allow-run`).
 *
 * @param files With credentials, and directories of certificates.
 */
export function permissions(files: readonly string[]): {
  readonly read: readonly string[];
  readonly env: true;
  readonly net: true;
  readonly run: readonly string[];
  readonly ffi: readonly string[];
} {
  return { read: files, env: true, net: true, run: [], ffi: LIBC_PATHS };
}
