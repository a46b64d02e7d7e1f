import { CrateError } from "../../errors.ts";
import { type Authority, authorizing } from "./authorize.ts";
import type { Credentials } from "./credentials.ts";
import { ConnectionError } from "./errors.ts";
import { isListed, isLoopback, type Place } from "./hosts.ts";
import { orAborted, type Settings } from "./options.ts";
import { following } from "./redirect.ts";
import { backoff, retrying } from "./retry.ts";
import type { Answer, Connections, Request, Transport } from "./transport.ts";

/** A request to a registry, by its path there: `/v2/library/alpine/manifests/latest`. */
export type PathRequest = Omit<Request, "url"> & { readonly path: string };

/** What a TLS server answers to plain HTTP. */
const NOT_PLAIN = 400;

/** A server that was taken for one that speaks plain HTTP does not. */
class NotPlain extends Error {}

/** One registry, as one user sees it: all layers between a path and its answer. */
export class RegistryClient {
  /** Redirects around authorization around retries around the network. */
  readonly #send: Transport;
  #origin: string | undefined;
  /** The origin that nobody has answered from yet. */
  #guess: string | undefined;
  #probe: Promise<string> | undefined;
  #credentials: Promise<Credentials | undefined> | undefined;

  /** @param given credentials, instead of what the files have. */
  constructor(
    readonly place: Place,
    readonly connections: Connections,
    readonly settings: Settings,
    given?: Credentials,
  ) {
    const authority: Authority = {
      domain: place.domain,
      origin: () => this.#origin,
      credentials: () =>
        this.#credentials ??= given !== undefined ? Promise.resolve(given) : this.#find(),
    };
    const patient = retrying(this.#sendGuessing, settings);
    this.#send = following(authorizing(patient, authority, settings));
  }

  /**
   * What the files and helpers have. A helper that cannot be asked must not be in the way of what is there for
   * everybody: Docker Desktop leaves the name of its own on machines that do not have it.
   */
  async #find(): Promise<Credentials | undefined> {
    const { place, settings } = this;
    try {
      const { findCredentials } = await import("./credentials.ts");
      return await findCredentials(place.domain, place.path, settings);
    } catch (error) {
      const isHelper = error instanceof CrateError && error.message.includes("docker-credential-");
      if (!isHelper) throw error;
      settings.warn?.(`${error.message}; ${place.domain} is asked as nobody in particular`);
      return undefined;
    }
  }

  /** Sends to the registry, whatever it takes. @throws {CrateError} */
  async request(request: PathRequest): Promise<Answer> {
    const isFirst = this.#probe === undefined && this.#guess === undefined;
    // What has a body may tell more, and cannot always be sent twice.
    if (isFirst && request.body === undefined && isLoopback(this.place.host)) {
      const answer = await this.#askPlainly(request);
      if (answer !== undefined) return answer;
    }
    const { path, ...rest } = request;
    const origin = await orAborted(this.origin(), request.signal);
    return await this.send({ ...rest, url: new URL(path, origin) });
  }

  /**
   * The first question to this machine's own registry is whether it speaks plain HTTP, too: it tells no more than a path, as
   * the probe does.
   *
   * @returns undefined when it does not; nothing is known of it then.
   */
  async #askPlainly({ path, ...rest }: PathRequest): Promise<Answer | undefined> {
    this.#guess = this.#origin = checkOrigin(`http://${this.place.host}`, this.place.host);
    try {
      return await this.send({ ...rest, url: new URL(path, this.#origin) });
    } catch (error) {
      if (!(error instanceof NotPlain)) throw error;
      this.#guess = this.#origin = undefined;
      return undefined;
    }
  }

  /** Sends, and sees what comes of the guess: another request may have made it, and go the usual way afterwards. */
  readonly #sendGuessing: Transport = async (request) => {
    const guess = this.#guess;
    if (guess === undefined || guess !== request.url.origin) {
      return await this.connections.send(request);
    }
    try {
      const answer = await this.connections.send(request);
      if (answer.status === NOT_PLAIN) {
        answer.cancel();
        throw new NotPlain();
      }
      this.#probe ??= Promise.resolve(guess);
      this.#guess = undefined;
      return answer;
    } catch (error) {
      throw error instanceof ConnectionError ? new NotPlain() : error;
    }
  };

  /** Sends to where the registry told us to. Credentials go along to the registry's own origin only. */
  send(request: Request): Promise<Answer> {
    return this.#send(request);
  }

  /**
   * `https://host`. This machine's own registries and those that are allowed to be insecure are asked whether they speak plain
   * HTTP, without telling them anything.
   */
  async origin(): Promise<string> {
    const { host } = this.place;
    const local = isLoopback(host);
    if (!local && !isListed(host, this.settings.insecureRegistries)) {
      return this.#origin = checkOrigin(`https://${host}`, host);
    }
    // Docker tries HTTPS first. On loopback, where nobody listens in, plain HTTP is the usual and the faster.
    this.#probe ??= this.#findOrigin(local ? ["http", "https"] : ["https", "http"]);
    try {
      return this.#origin = await this.#probe;
    } catch (error) {
      this.#probe = undefined;
      throw error;
    }
  }

  async #findOrigin(schemes: readonly string[]): Promise<string> {
    const { connections, settings, place } = this;
    for (let attempt = 1;; attempt++) {
      let failure: unknown;
      for (const scheme of schemes) {
        const origin = checkOrigin(`${scheme}://${place.host}`, place.host);
        try {
          const answer = await connections.send({ method: "GET", url: new URL("/v2/", origin) });
          answer.cancel();
          if (answer.status !== NOT_PLAIN) return origin;
        } catch (error) {
          if (!(error instanceof ConnectionError)) throw error;
          // A certificate that is not trusted says more than a refusal of plain HTTP.
          if (failure === undefined || !error.passes) failure = error;
        }
      }
      failure ??= new CrateError("FAILED", `${place.host} is not a registry: it answers 400`);
      if (!(failure instanceof ConnectionError)) throw failure;
      if (attempt >= failure.attempts(settings.attempts)) throw failure;
      await settings.sleep(backoff(attempt, settings.random), settings.signal);
    }
  }
}

function checkOrigin(origin: string, host: string): string {
  const url = URL.parse(origin);
  if (url === null || url.pathname !== "/" || url.username !== "" || url.hostname === "") {
    throw new CrateError(
      "INVALID",
      `${host} is not the name of a registry: it must be HOST or HOST:PORT`,
    );
  }
  return url.origin;
}
