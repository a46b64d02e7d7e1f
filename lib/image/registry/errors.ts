import { CrateError, type ErrorCode } from "../../errors.ts";
import { quote } from "../names/mod.ts";
import { isObject } from "./json.ts";
import type { Answer } from "./transport.ts";

const MAX_ERROR = 64 << 10;

/** Attempts where nobody listens: a server that starts again does within so many. */
const SOON = 3;

/** The network, or a server that broke off. */
export class ConnectionError extends CrateError {
  /** @param passes whether another attempt may go well; "soon": if one of the next few does not, none will. */
  constructor(
    url: URL,
    why: string,
    readonly passes: boolean | "soon" = true,
    options?: ErrorOptions,
  ) {
    super("FAILED", `cannot reach ${url.host}: it ${why}`, options);
  }

  /** How often to try altogether, of so many attempts at most. */
  attempts(most: number): number {
    if (this.passes === "soon") return Math.min(most, SOON);
    return this.passes ? most : 1;
  }
}

/** What `fetch` says of a failure, as a sentence. The address is left out: the query of a signed one is a secret. */
export function connectionError(url: URL, error: unknown): unknown {
  if (error instanceof CrateError) return error;
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const text = cause instanceof Error ? cause.message : String(cause);
  const options = { cause: error };
  if (/peer certificate/i.test(text)) {
    const why = /UnknownIssuer/i.test(text)
      ? `has a certificate of an authority that is not known: put it into /etc/containers/certs.d/${url.host}/ca.crt`
      : `has a certificate that is not valid (${detail(text)})`;
    return new ConnectionError(url, why, false, options);
  }
  if (/InvalidContentType|corrupt message/.test(text)) {
    const why = "does not speak HTTPS: name it in the insecure registries if plain HTTP is meant";
    return new ConnectionError(url, why, false, options);
  }
  if (/Connection refused/.test(text)) {
    return new ConnectionError(url, "refuses connections", "soon", options);
  }
  if (/Requests to port \d+ are blocked/.test(text)) {
    // fetch.spec.whatwg.org, "port blocking"
    return new ConnectionError(url, "is at a port that HTTP keeps away from", false, options);
  }
  if (/failed to lookup address|Name or service not known/i.test(text)) {
    return new ConnectionError(url, "has no address, or no name server answers", "soon", options);
  }
  if (error instanceof TypeError || /connection|http|body/i.test(text)) {
    return new ConnectionError(url, `broke off (${detail(text)})`, true, options);
  }
  return error;
}

function detail(text: string): string {
  return text.slice(text.lastIndexOf("): ") < 0 ? 0 : text.lastIndexOf("): ") + 3)
    .replace(/https?:\/\/\S+/g, "…");
}

/** What the sentence about a refusal must name. */
export interface Subject {
  /** The registry as people call it: `docker.io`. */
  readonly domain: string;
  /** What is done: `pull docker.io/library/alpine`. */
  readonly doing: string;
  /** What is asked for: `the manifest …`. */
  readonly what: string;
}

/** The sentence for an answer that is not what was asked for; its body is read, or let go. */
export async function refusal(answer: Answer, subject: Subject): Promise<CrateError> {
  const { code, message } = await registryError(answer);
  const { domain, doing, what } = subject;
  const said = message === "" ? "" : `: it says ${quote(message)}`;
  const make = (kind: ErrorCode, text: string) => new CrateError(kind, text);
  switch (answer.status) {
    case 401:
      return make(
        "PERMISSION",
        `${domain} does not let us ${doing}: crate login ${domain}, if it is there`,
      );
    case 403:
      return make("PERMISSION", `${domain} does not let this user ${doing}${said}`);
    case 404:
      return make("NOT_FOUND", `${what} is not in the registry ${domain}`);
    case 429:
      return make(
        "FAILED",
        `${domain} has had too many requests: try again later, or crate login ${domain}`,
      );
  }
  if (code === "DENIED" || code === "UNAUTHORIZED") {
    return make("PERMISSION", `${domain} does not let this user ${doing}${said}`);
  }
  return make("FAILED", `cannot ${doing}: ${domain} answers ${answer.status}${said}`);
}

/** The first error of a registry's answer. */
async function registryError(answer: Answer): Promise<{ code: string; message: string }> {
  const nothing = { code: "", message: "" };
  const decoder = new TextDecoder();
  let text = "";
  try {
    for (;;) {
      const part = await answer.read();
      if (part === undefined) break;
      text += decoder.decode(part, { stream: true });
      if (text.length > MAX_ERROR) return nothing;
    }
    const body: unknown = JSON.parse(text);
    const first: unknown = isObject(body) && Array.isArray(body.errors)
      ? body.errors[0]
      : undefined;
    if (!isObject(first)) return nothing;
    return {
      code: typeof first.code === "string" ? first.code : "",
      message: typeof first.message === "string" ? first.message : "",
    };
  } catch {
    // A proxy's page, an empty body, a connection that went: the status has to do.
    return nothing;
  } finally {
    answer.cancel();
  }
}
