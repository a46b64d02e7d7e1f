import { CrateError } from "../../errors.ts";
import { authFiles, dockerFile, encodeAuth, readAuthFile, writeAuthFile } from "./auth_file.ts";
import { RegistryClient } from "./client.ts";
import { isObject } from "./json.ts";
import { helperErase, helperStore } from "./credential_helper.ts";
import { type Credentials, helperFor } from "./credentials.ts";
import { refusal } from "./errors.ts";
import { credentialKey, normalizeKey, placesOf } from "./hosts.ts";
import { type RegistryOptions, settings } from "./options.ts";
import { Connections } from "./transport.ts";

/**
 * Asks a registry whether it accepts credentials, and keeps them if so: in the file that has some for it already, otherwise in
 * Docker's, which podman reads too; by that file's helper if it names one.
 *
 * @param domain as references have it: `docker.io`, `localhost:5000`.
 * @returns where they are kept: a file's path, or `docker-credential-NAME`.
 * @throws {CrateError} `PERMISSION`: the registry does not accept them. Nothing is kept then.
 */
export async function login(
  domain: string,
  credentials: Credentials,
  options: RegistryOptions = {},
): Promise<string> {
  const all = settings(options);
  if (
    "username" in credentials && (credentials.username === "" || credentials.username.includes(":"))
  ) {
    throw new CrateError("INVALID", "a user's name must not be empty, and has no colon");
  }
  using connections = new Connections(all);
  const [place] = placesOf(domain, "");
  const client = new RegistryClient(place!, connections, all, credentials);
  const answer = await client.request({ method: "GET", path: "/v2/" });
  if (answer.status === 401 || answer.status === 403) {
    answer.cancel();
    throw new CrateError("PERMISSION", `${domain} does not accept these credentials`);
  }
  if (answer.status !== 200) {
    throw await refusal(answer, {
      domain,
      doing: "log in",
      what: "the protocol of registries (/v2/)",
    });
  }
  answer.cancel();

  const path = fileFor(domain, all);
  const file = readAuthFile(path);
  const key = credentialKey(domain);
  const auths = without(file?.content.auths, domain);
  const helper = file === undefined ? undefined : helperFor(file, domain);
  if (helper !== undefined) {
    await helperStore(helper, key, credentials, all);
    // Docker marks that the helper has something, without telling what.
    writeAuthFile(path, { ...file!.content, auths: { ...auths, [key]: {} } });
    return `docker-credential-${helper}`;
  }
  const entry = "identityToken" in credentials
    ? {
      auth: encodeAuth("00000000-0000-0000-0000-000000000000", ""),
      identitytoken: credentials.identityToken,
    }
    : { auth: encodeAuth(credentials.username, credentials.password) };
  writeAuthFile(path, { ...file?.content, auths: { ...auths, [key]: entry } });
  return path;
}

/**
 * Forgets a registry's credentials, in every file and by every helper that has them.
 *
 * @returns whether there were any.
 * @throws {CrateError} a file that cannot be read or written, a helper that fails.
 */
export async function logout(domain: string, options: RegistryOptions = {}): Promise<boolean> {
  const all = settings(options);
  let found = false;
  for (const path of authFiles(all)) {
    const file = readAuthFile(path);
    if (file === undefined) continue;
    const helper = helperFor(file, domain);
    if (helper !== undefined && await helperErase(helper, credentialKey(domain), all)) found = true;
    const before = isObject(file.content.auths) ? file.content.auths : {};
    const auths = without(before, domain);
    if (Object.keys(auths).length === Object.keys(before).length) continue;
    found = true;
    writeAuthFile(path, { ...file.content, auths });
  }
  return found;
}

/** The file that has credentials for a registry, since the first one that has some counts; otherwise Docker's. */
function fileFor(
  domain: string,
  options: { readonly authFile?: string; readonly env: (name: string) => string | undefined },
): string {
  const files = authFiles(options);
  if (files.length === 1) return files[0]!;
  const found = files.find((path) => {
    const keys = readAuthFile(path)?.credentials.keys() ?? [];
    return [...keys].some((key) => normalizeKey(key) === normalizeKey(domain));
  });
  return found ?? dockerFile(options.env);
}

function without(auths: unknown, domain: string): Record<string, unknown> {
  if (!isObject(auths)) return {};
  return Object.fromEntries(
    Object.entries(auths).filter(([key]) => normalizeKey(key) !== normalizeKey(domain)),
  );
}
