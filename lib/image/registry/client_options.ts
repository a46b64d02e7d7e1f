import { ENOENT, ENOTDIR, readDirectory, readText, SyscallError } from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import { hostname, isLoopback } from "./hosts.ts";

/** What Deno makes a client of. */
export type CertifiedClient =
  & Deno.CreateHttpClientOptions
  & Partial<Deno.TlsCertifiedKeyPem>;

/** Where Docker and podman have the certificates of registries, one directory each. */
export const CERTIFICATE_DIRECTORIES = ["/etc/containers/certs.d", "/etc/docker/certs.d"];

const MAX_CERTIFICATE = 1 << 20;

/**
 * What connections to an origin need: its authorities (`*.crt`) and our certificate (`*.cert` with its `*.key`) of
 * `certs.d/HOST:PORT` or `certs.d/HOST`, on top of the system's. Deno takes proxies from the environment; this machine itself
 * is never asked through one.
 *
 * @param host `host` or `host:port`
 * @throws {CrateError} `FAILED`, `INVALID`: certificates that are there and cannot be used.
 * @see containers-certs.d(5)
 */
export function clientOptions(
  origin: URL,
  env: (name: string) => string | undefined,
  directories: readonly string[] = CERTIFICATE_DIRECTORIES,
): CertifiedClient {
  return {
    ...(origin.protocol === "https:" ? certificates(origin, directories) : {}),
    ...(isLoopback(origin.host) && hasProxy(env) ? { proxy: straight(origin) } : {}),
  };
}

function hasProxy(env: (name: string) => string | undefined): boolean {
  return ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"].some((name) =>
    env(name) || env(name.toLowerCase())
  );
}

/** A proxy that is the server itself. */
function straight(origin: URL): Deno.Proxy {
  const port = Number(origin.port || (origin.protocol === "https:" ? 443 : 80));
  return { transport: "tcp", hostname: hostname(origin.host), port };
}

function certificates(origin: URL, directories: readonly string[]): CertifiedClient {
  const caCerts: string[] = [];
  let pair: Deno.TlsCertifiedKeyPem | undefined;
  const withPort = `${hostname(origin.host)}:${origin.port || "443"}`;
  for (const host of new Set([origin.host, withPort, hostname(origin.host)])) {
    for (const directory of directories.map((d) => `${d}/${host}`)) {
      for (const name of namesIn(directory)) {
        if (name.endsWith(".crt")) caCerts.push(pem(`${directory}/${name}`));
        if (!name.endsWith(".cert")) continue;
        const key = `${name.slice(0, -".cert".length)}.key`;
        pair ??= { cert: pem(`${directory}/${name}`), key: pem(`${directory}/${key}`) };
      }
    }
  }
  return { ...(caCerts.length > 0 ? { caCerts } : {}), ...pair };
}

function namesIn(directory: string): string[] {
  try {
    return readDirectory(directory).sort();
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    if (error.errno === ENOENT || error.errno === ENOTDIR) return [];
    throw new CrateError(
      "FAILED",
      `cannot read the certificates in ${directory}: ${error.message}`,
    );
  }
}

function pem(path: string): string {
  let text: string;
  try {
    text = readText(path, MAX_CERTIFICATE);
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    throw new CrateError("FAILED", `cannot read the certificate ${path}: ${error.message}`);
  }
  if (!text.includes("-----BEGIN ")) {
    throw new CrateError("INVALID", `the certificate ${path} is not in PEM form`);
  }
  return text;
}
