import { CrateError } from "../../errors.ts";
import { readAnswer } from "./bounded.ts";
import { type Challenge, parseChallenges } from "./challenge.ts";
import type { Credentials } from "./credentials.ts";
import { encodeAuth, isObject } from "./auth_file.ts";
import { isListed, isLoopback } from "./hosts.ts";
import { orAborted, type Settings } from "./options.ts";
import type { Answer, Request, Transport } from "./transport.ts";

const MAX_TOKEN_ANSWER = 1 << 20;
/** How long a token is good that does not say: token.md. */
const DEFAULT_LIFE = 60_000;
/** A token that ends this soon is not used any more. */
const MARGIN = 10_000;

/** What the layer is for. */
export interface Authority {
  /** The registry as people call it. */
  readonly domain: string;
  /** The only origin that is told who asks. */
  readonly origin: () => string | undefined;
  /** Looked up when the registry wants to know. */
  readonly credentials: () => Promise<Credentials | undefined>;
}

/** What the registry wants, once it has said so. */
type Scheme =
  | { readonly type: "basic" }
  | { readonly type: "bearer"; readonly realm: URL; readonly service: string | undefined };

interface Token {
  readonly value: string;
  /** Milliseconds since 1970. */
  readonly until: number;
}

/**
 * Tells the registry who asks, in the way it wants it: by a token from its token server (one for each set of scopes, kept until it
 * ends), or by name and password. Requests to another origin go through as they are.
 *
 * @param send what the registry and its token server are reached by.
 * @see https://distribution.github.io/distribution/spec/auth/token/
 */
export function authorizing(send: Transport, authority: Authority, settings: Settings): Transport {
  let scheme: Scheme | undefined;
  const tokens = new Map<string, Promise<Token>>();

  const token = async (wanted: Scheme & { type: "bearer" }, scopes: readonly string[]) => {
    const key = scopes.join(" ");
    for (;;) {
      const waiting = tokens.get(key);
      const found = await waiting;
      if (found !== undefined && found.until - MARGIN > settings.now()) return found;
      if (tokens.get(key) !== waiting) continue;
      const asked = askToken(send, wanted, scopes, authority, settings);
      tokens.set(key, asked);
      asked.catch(() => tokens.get(key) === asked && tokens.delete(key));
      return await asked;
    }
  };

  const sendWith = async (request: Request, scopes: readonly string[]) => {
    if (scheme === undefined) return { answer: await send(request) };
    if (scheme.type === "bearer") {
      const used = await orAborted(token(scheme, scopes), request.signal);
      return { answer: await send(withAuthorization(request, `Bearer ${used.value}`)), used };
    }
    const known = await authority.credentials();
    if (known === undefined || "identityToken" in known) return { answer: await send(request) };
    const value = `Basic ${encodeAuth(known.username, known.password)}`;
    return { answer: await send(withAuthorization(request, value)) };
  };

  return async (request) => {
    if (request.url.origin !== authority.origin()) return await send(request);
    const own = request.scopes ?? [];
    const before = scheme;
    const { answer, used } = await sendWith(request, own);
    if (answer.status !== 401) return answer;
    const challenges = parseChallenges(answer.headers.get("www-authenticate") ?? "");
    const mayBePlain = (realm: URL) => isPlainRealm(realm, request.url, settings);
    const found = chooseScheme(challenges, authority.domain, mayBePlain);
    // A stream cannot be sent twice: whoever sends one has asked for something before.
    if (found === undefined || typeof request.body === "function") return answer;
    if (before?.type === "basic" && found.scheme.type === "basic") return answer;
    scheme = found.scheme;
    answer.cancel();
    const scopes = [...new Set([...own, ...found.scopes])].sort();
    if (used !== undefined) {
      for (const key of [own.join(" "), scopes.join(" ")]) {
        const kept = await tokens.get(key)?.catch(() => undefined);
        if (kept === used) tokens.delete(key);
      }
    }
    return (await sendWith(request, own.length === 0 ? scopes : own)).answer;
  };
}

function withAuthorization(request: Request, value: string): Request {
  return { ...request, headers: { ...request.headers, authorization: value } };
}

function chooseScheme(
  challenges: readonly Challenge[],
  domain: string,
  mayBePlain: (realm: URL) => boolean,
): { scheme: Scheme; scopes: string[] } | undefined {
  const bearer = challenges.find((c) => c.scheme === "bearer" && c.parameters.has("realm"));
  if (bearer !== undefined) {
    const realm = URL.parse(bearer.parameters.get("realm")!);
    if (realm === null || !/^https?:$/.test(realm.protocol)) {
      throw new CrateError(
        "FAILED",
        `${domain} names a token server that is not an http or https address`,
      );
    }
    if (realm.protocol === "http:" && !mayBePlain(realm)) {
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
async function askToken(
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
  const authorization = `Basic ${encodeAuth(known.username, known.password)}`;
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
