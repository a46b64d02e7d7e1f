import { CrateError } from "../../errors.ts";
import { encodeAuth } from "./auth_file.ts";
import type { Authority, Scheme, Token } from "./authorize.ts";
import { readAnswer } from "./bounded.ts";
import { parseChallenges } from "./challenge.ts";
import { isListed, isLoopback } from "./hosts.ts";
import { isObject } from "./json.ts";
import type { Settings } from "./options.ts";
import type { Answer, Request, Transport } from "./transport.ts";

// What is needed once a registry wants to know who asks, and loads then.

const MAX_TOKEN_ANSWER = 1 << 20;
/** How long a token is good that does not say: token.md. */
const DEFAULT_LIFE = 60_000;

/** The value of `Authorization` for a name and its password. */
export function basic(username: string, password: string): string {
  return `Basic ${encodeAuth(username, password)}`;
}

/** What a registry that has answered 401 wants; undefined when it is nothing that we know. @throws {CrateError} */
export function chooseScheme(
  answer: Answer,
  request: Request,
  domain: string,
  settings: Settings,
): { scheme: Scheme; scopes: string[] } | undefined {
  const challenges = parseChallenges(answer.headers.get("www-authenticate") ?? "");
  const bearer = challenges.find((c) => c.scheme === "bearer" && c.parameters.has("realm"));
  if (bearer !== undefined) {
    const realm = URL.parse(bearer.parameters.get("realm")!);
    if (realm === null || !/^https?:$/.test(realm.protocol)) {
      throw new CrateError(
        "FAILED",
        `${domain} names a token server that is not an http or https address`,
      );
    }
    if (realm.protocol === "http:" && !isPlainRealm(realm, request.url, settings)) {
      throw new CrateError(
        "FAILED",
        `${domain} names a token server on plain http: ${realm.host} is not an insecure registry`,
      );
    }
    const scopes = (bearer.parameters.get("scope") ?? "").split(" ").filter((s) => s !== "");
    return {
      scheme: { type: "bearer", realm, service: bearer.parameters.get("service") },
      scopes,
    };
  }
  if (challenges.some((c) => c.scheme === "basic")) {
    return { scheme: { type: "basic" }, scopes: [] };
  }
  return undefined;
}

/**
 * Whether a token server may be told a password over plain HTTP: where the user allows it; on this machine for a registry that
 * is here too; on the host of a registry that speaks nothing better.
 */
function isPlainRealm(realm: URL, registry: URL, settings: Settings): boolean {
  if (isListed(realm.host, settings.insecureRegistries)) return true;
  if (isLoopback(registry.host)) return isLoopback(realm.host);
  return registry.protocol === "http:" && realm.hostname === registry.hostname;
}

/** Asks the token server: for everybody's token, for a user's, or for one in exchange for another. */
export async function askToken(
  send: Transport,
  { realm, service }: Scheme & { type: "bearer" },
  scopes: readonly string[],
  authority: Authority,
  settings: Settings,
): Promise<Token> {
  const known = await authority.credentials();
  const request = known !== undefined && "identityToken" in known
    ? exchange(realm, service, scopes, known.identityToken)
    : plain(realm, service, scopes, known);
  // Whoever waits for this token may be several, so nobody's signal ends it but that of all.
  const answer = await send(request);
  if (answer.status !== 200) {
    answer.cancel();
    throw tokenRefused(answer, authority.domain, known !== undefined);
  }
  const invalid = (why: string) =>
    new CrateError("FAILED", `the token server ${realm.host} of ${authority.domain} ${why}`);
  const bytes = await readAnswer(answer, MAX_TOKEN_ANSWER, () => invalid("answers too much"));
  let body: unknown;
  try {
    body = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    throw invalid("answers something that is not JSON");
  }
  const value = isObject(body) ? body.token || body.access_token : undefined;
  // What goes into a header must not end it.
  if (typeof value !== "string" || !/^[\x21-\x7e]+$/.test(value)) throw invalid("gives no token");
  const seconds = isObject(body) && typeof body.expires_in === "number" ? body.expires_in : 0;
  const life = Math.max(seconds * 1000, DEFAULT_LIFE);
  return { value, until: settings.now() + life };
}

function plain(
  realm: URL,
  service: string | undefined,
  scopes: readonly string[],
  known: { readonly username: string; readonly password: string } | undefined,
): Request {
  const url = new URL(realm);
  if (service !== undefined) url.searchParams.set("service", service);
  for (const scope of scopes) url.searchParams.append("scope", scope);
  if (known === undefined) return { method: "GET", url };
  url.searchParams.set("account", known.username);
  const authorization = basic(known.username, known.password);
  return { method: "GET", url, headers: { authorization } };
}

/** https://distribution.github.io/distribution/spec/auth/oauth/ */
function exchange(
  realm: URL,
  service: string | undefined,
  scopes: readonly string[],
  identityToken: string,
): Request {
  const form = new URLSearchParams({
    grant_type: "refresh_token",
    client_id: "crate",
    refresh_token: identityToken,
  });
  if (service !== undefined) form.set("service", service);
  if (scopes.length > 0) form.set("scope", scopes.join(" "));
  return {
    method: "POST",
    url: realm,
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: new TextEncoder().encode(form.toString()),
  };
}

function tokenRefused(answer: Answer, domain: string, known: boolean): CrateError {
  if (answer.status === 401 || answer.status === 403 || (answer.status === 400 && known)) {
    return new CrateError(
      "PERMISSION",
      known
        ? `${domain} does not accept these credentials: crate login ${domain}`
        : `${domain} lets only users in: crate login ${domain}`,
    );
  }
  return new CrateError(
    "FAILED",
    `the token server ${answer.url.host} of ${domain} answers ${answer.status}`,
  );
}
