import { authFiles } from "./auth_file.ts";
import { CERTIFICATE_DIRECTORIES } from "./client_options.ts";

/**
 * What this room needs of Deno: the files with credentials and the certificates are read (and written by `login`), the environment
 * names the files and the proxies. Which hosts it reaches, only the reference and the servers say. Credential helpers are
 * programs: whoever has some lets them run.
 */
export function permissions(env: (name: string) => string | undefined): {
  readonly read: readonly string[];
  readonly write: readonly string[];
  readonly env: readonly string[];
} {
  const files = authFiles({ env });
  return {
    read: [...files, ...CERTIFICATE_DIRECTORIES],
    write: files,
    env: [
      "REGISTRY_AUTH_FILE",
      "DOCKER_CONFIG",
      "HOME",
      "XDG_CONFIG_HOME",
      "XDG_RUNTIME_DIR",
      ...["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"].flatMap((
        n,
      ) => [n, n.toLowerCase()]),
    ],
  };
}
