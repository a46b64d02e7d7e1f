import type { Credentials } from "./credentials.ts";
import { orAborted, type Settings } from "./options.ts";
import type { Request, Transport } from "./transport.ts";

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
export type Scheme =
  | { readonly type: "basic" }
  | { readonly type: "bearer"; readonly realm: URL; readonly service: string | undefined };

/** What a token server has given. */
export interface Token {
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
      const asked = import("./token.ts").then(({ askToken }) =>
        askToken(send, wanted, scopes, authority, settings)
      );
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
    const { basic } = await import("./token.ts");
    const value = basic(known.username, known.password);
    return { answer: await send(withAuthorization(request, value)) };
  };

  return async (request) => {
    if (request.url.origin !== authority.origin()) return await send(request);
    const own = request.scopes ?? [];
    const before = scheme;
    const { answer, used } = await sendWith(request, own);
    if (answer.status !== 401) return answer;
    const { chooseScheme } = await import("./token.ts");
    const found = chooseScheme(answer, request, authority.domain, settings);
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
