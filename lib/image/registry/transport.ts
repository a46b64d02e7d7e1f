import { clientOptions } from "./client_options.ts";
import { ConnectionError, connectionError } from "./errors.ts";
import type { Settings } from "./options.ts";
import { Watch } from "./watch.ts";

/** What is sent. */
export interface Request {
  readonly method: "GET" | "HEAD" | "POST" | "PATCH" | "PUT" | "DELETE";
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  /** Bytes, which can be sent again, or what makes a stream, which is sent once. */
  readonly body?: Uint8Array<ArrayBuffer> | (() => ReadableStream<Uint8Array<ArrayBuffer>>);
  /** What a token for this must allow: `repository:library/alpine:pull`. */
  readonly scopes?: readonly string[];
  readonly signal?: AbortSignal;
}

/** What came back. Either it is read to its end or cancelled. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** What was asked, the last of several after redirects. */
  readonly url: URL;
  /** The next bytes of the body; undefined at its end. @throws {ConnectionError} */
  read(): Promise<Uint8Array<ArrayBuffer> | undefined>;
  /** Lets go of the rest. */
  cancel(): void;
}

/** One thing that sends: the base below, and each layer around another one. */
export type Transport = (request: Request) => Promise<Answer>;

/** How much is read at once. Bytes. */
const READ = 1 << 18;

/** The time for an upload to be taken, as a multiple of the time in which something must come. */
const UPLOAD_PATIENCE = 10;

/** The connections of all who share them, a pool for each origin. */
export class Connections implements Disposable {
  readonly #clients = new Map<string, Deno.HttpClient>();
  constructor(readonly settings: Settings) {}

  /** Sends once, follows nothing, knows no credentials. @throws {ConnectionError} */
  readonly send: Transport = async (request) => {
    const { settings } = this;
    const signals = [request.signal, settings.signal].filter((s) => s !== undefined);
    for (const signal of signals) signal.throwIfAborted();
    const client = this.#client(request.url);
    const controller = new AbortController();
    const forward = () => controller.abort(signals.find((s) => s.aborted)?.reason);
    for (const signal of signals) signal.addEventListener("abort", forward);
    const patience = settings.stallTimeout * (request.body === undefined ? 1 : UPLOAD_PATIENCE);
    const watch = new Watch(patience, () => controller.abort());
    const close = () => {
      watch.close();
      for (const signal of signals) signal.removeEventListener("abort", forward);
    };
    const explain = (error: unknown): unknown => {
      for (const signal of signals) if (signal.aborted) return signal.reason;
      if (watch.stalled) {
        return new ConnectionError(request.url, `sent nothing for ${patience / 1000} seconds`);
      }
      return connectionError(request.url, error);
    };

    let response: Response;
    try {
      watch.begin();
      response = await (settings.fetch ?? fetch)(request.url, {
        client,
        method: request.method,
        headers: { "user-agent": "crate", "accept-encoding": "identity", ...request.headers },
        body: typeof request.body === "function"
          ? watched(request.body(), watch)
          : request.body ?? null,
        redirect: "manual",
        signal: controller.signal,
      });
      watch.end();
    } catch (error) {
      close();
      throw explain(error);
    }
    if (response.body === null) close();
    const body = response.body === null ? undefined : new Body(response.body);
    return {
      status: response.status,
      headers: response.headers,
      url: request.url,
      async read() {
        if (body === undefined) return undefined;
        try {
          watch.begin();
          const bytes = await body.read();
          watch.end();
          if (bytes !== undefined) return bytes;
        } catch (error) {
          close();
          throw explain(error);
        }
        close();
        return undefined;
      },
      cancel() {
        close();
        body?.cancel().catch(() => {});
      },
    };
  };

  #client(url: URL): Deno.HttpClient {
    let client = this.#clients.get(url.origin);
    if (client === undefined) {
      const { env, certificateDirectories, createClient } = this.settings;
      const options = clientOptions(url, env, certificateDirectories);
      try {
        client = (createClient ?? Deno.createHttpClient)(options);
      } catch (error) {
        throw connectionError(url, error);
      }
      this.#clients.set(url.origin, client);
    }
    return client;
  }

  /** Ends all connections. */
  [Symbol.dispose](): void {
    for (const client of this.#clients.values()) client.close();
    this.#clients.clear();
  }
}

/** A body that comes. Deno reads 64 KiB at once, unless it is told where to; larger pieces take half the time. */
class Body {
  readonly #reader: ReadableStreamBYOBReader | ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>;
  #buffer: Uint8Array<ArrayBuffer> | undefined;

  constructor(body: ReadableStream<Uint8Array<ArrayBuffer>>) {
    try {
      this.#reader = body.getReader({ mode: "byob" });
    } catch (error) {
      // Another's `fetch` may give streams of other kinds.
      if (!(error instanceof TypeError)) throw error;
      this.#reader = body.getReader();
    }
  }

  /** The next bytes; undefined at the end. */
  async read(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    if (this.#reader instanceof ReadableStreamDefaultReader) {
      // Its memory is another's, and may be that of the next piece, too.
      return (await this.#reader.read()).value?.slice();
    }
    const buffer = this.#buffer ?? new Uint8Array(READ);
    this.#buffer = undefined;
    const { done, value } = await this.#reader.read(buffer);
    if (done) return undefined;
    if (value.length > READ / 2) return value;
    // Whoever keeps a few bytes should not keep the whole buffer.
    this.#buffer = new Uint8Array(value.buffer);
    return value.slice();
  }

  cancel(): Promise<void> {
    return this.#reader.cancel();
  }
}

/** A body on its way out: each part that is taken shows that the server is alive. */
function watched(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  watch: Watch,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const reader = stream.getReader();
  return new ReadableStream({
    async pull(controller) {
      watch.end();
      const { done, value } = await reader.read();
      watch.begin();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    cancel: (reason) => reader.cancel(reason),
  }, { highWaterMark: 0 });
}
