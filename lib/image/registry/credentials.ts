import type { AuthFile } from "./auth_file.ts";
import { authFiles, readAuthFile } from "./auth_file.ts";
import { helperGet } from "./credential_helper.ts";
import { credentialKey, normalizeKey } from "./hosts.ts";

/** Who asks: a name with its password, or a token that stands for both. */
export type Credentials =
  | { readonly username: string; readonly password: string }
  | { readonly identityToken: string };

/** What finding credentials needs to know of its surroundings. */
export interface CredentialOptions {
  /** The one file that counts. */
  readonly authFile?: string;
  readonly env: (name: string) => string | undefined;
  readonly signal?: AbortSignal;
}

/**
 * The credentials for a repository, from the files that podman and Docker have, in that order:
 * `$REGISTRY_AUTH_FILE` alone where it is set; `containers/auth.json` in `$XDG_RUNTIME_DIR` and the user's configuration;
 * `config.json` in `$DOCKER_CONFIG` or `~/.docker`. Within a file the registry's own helper (`credHelpers`) comes first,
 * then the helper for all (`credsStore`), then `auths`: the longest key that the repository begins with.
 *
 * @param domain as references have it: `docker.io`, `localhost:5000`.
 * @returns undefined: nobody in particular.
 * @throws {CrateError} a file that is there and cannot be read, a helper that fails.
 *
 * @see containers-auth.json(5)
 */
export async function findCredentials(
  domain: string,
  path: string,
  options: CredentialOptions,
): Promise<Credentials | undefined> {
  for (const name of authFiles(options)) {
    const file = readAuthFile(name);
    if (file === undefined) continue;
    const found = await inFile(file, domain, path, options);
    if (found !== undefined) return found;
  }
  return undefined;
}

async function inFile(
  file: AuthFile,
  domain: string,
  path: string,
  options: CredentialOptions,
): Promise<Credentials | undefined> {
  const helper = helperFor(file, domain);
  if (helper !== undefined) {
    const found = await helperGet(helper, credentialKey(domain), options);
    if (found !== undefined) return found;
  }
  const byKey = new Map<string, Credentials>();
  for (const [key, credentials] of file.credentials) {
    const normal = normalizeKey(key);
    // The key that is written the plain way counts before an old one for the same registry.
    if (key === normal || !byKey.has(normal)) byKey.set(normal, credentials);
  }
  const parts = path === "" ? [] : path.split("/");
  for (let count = parts.length; count >= 0; count--) {
    const found = byKey.get([normalizeKey(domain), ...parts.slice(0, count)].join("/"));
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The helper that a file names for a registry. */
export function helperFor(file: AuthFile, domain: string): string | undefined {
  for (const [key, helper] of file.helpers) {
    if (normalizeKey(key) === normalizeKey(domain)) return helper;
  }
  return file.store;
}
