import { CrateError } from "../../errors.ts";
import { verifiedStream } from "../documents/mod.ts";
import { formatReference, type Reference, withDefaultTag } from "../names/mod.ts";
import type { Descriptor, Document, ImageSink } from "../types.ts";
import { readBounded } from "./bounded.ts";
import { RegistryClient } from "./client.ts";
import { ConnectionError, refusal } from "./errors.ts";
import { placesOf } from "./hosts.ts";
import { type RegistryOptions, type Settings, settings } from "./options.ts";
import { backoff, isTransient } from "./retry.ts";
import { type Answer, Connections } from "./transport.ts";

/** What is no longer than this is sent in one piece from memory. */
const SMALL = 1 << 20;
type Bytes = ReadableStream<Uint8Array<ArrayBuffer>>;

/** How an image is pushed. */
export interface SinkOptions extends RegistryOptions {
  /** Another repository of the same registry that is likely to have a blob: `library/alpine`. */
  readonly mountFrom?: (descriptor: Descriptor) => string | undefined;
}

/** A registry to push to; ended, it lets go of its connections. */
export interface RegistrySink extends ImageSink, Disposable {}

/** The place in a registry that a reference names; it is written to by `push`. Mirrors are for reading. */
export function registrySink(reference: Reference, options: SinkOptions = {}): RegistrySink {
  return new Sink(withDefaultTag(reference), settings(options), options.mountFrom);
}

class Sink implements RegistrySink {
  readonly name: string;
  readonly #reference: Reference;
  readonly #settings: Settings;
  readonly #connections: Connections;
  readonly #client: RegistryClient;
  readonly #mountFrom: SinkOptions["mountFrom"];

  constructor(reference: Reference, settings: Settings, mountFrom: SinkOptions["mountFrom"]) {
    this.name = formatReference(reference);
    this.#reference = reference;
    this.#settings = settings;
    this.#mountFrom = mountFrom;
    this.#connections = new Connections(settings);
    const [place] = placesOf(reference.domain, reference.path);
    this.#client = new RegistryClient(place!, this.#connections, settings, settings.credentials);
  }

  async hasBlob(
    descriptor: Descriptor,
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<boolean> {
    const answer = await this.#client.request({
      method: "HEAD",
      path: `/v2/${this.#reference.path}/blobs/${descriptor.digest}`,
      scopes: this.#scopes(),
      ...(signal === undefined ? {} : { signal }),
    });
    answer.cancel();
    if (answer.status === 200) return true;
    if (answer.status === 404) return false;
    throw await this.#refused(answer, `the blob ${descriptor.digest}`);
  }

  async putBlob(
    descriptor: Descriptor,
    data: () => Promise<Bytes>,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<boolean> {
    if (await this.hasBlob(descriptor, options)) return false;
    const { signal } = options;
    const { attempts, random, sleep } = this.#settings;
    for (let attempt = 1;; attempt++) {
      try {
        const refused = await this.#upload(descriptor, data, signal);
        if (typeof refused === "boolean") return refused;
        // A token may end, and an upload be forgotten, while a long blob is on its way.
        const again = isTransient(refused.status) || refused.status === 401 ||
          refused.status === 404;
        if (!again || attempt >= Math.min(2, attempts)) {
          throw await this.#refused(refused, `the repository ${this.#reference.path}`);
        }
        refused.cancel();
      } catch (error) {
        if (!(error instanceof ConnectionError && error.passes) || attempt >= attempts) throw error;
      }
      await sleep(backoff(attempt, random), signal ?? this.#settings.signal);
    }
  }

  async putDocument(document: Document): Promise<void> {
    await this.#putManifest(document, document.descriptor.digest);
  }

  async putRoot(document: Document): Promise<void> {
    await this.#putManifest(document, this.#reference.tag ?? document.descriptor.digest);
  }

  /** Ends all connections. */
  [Symbol.dispose](): void {
    this.#connections[Symbol.dispose]();
  }

  #scopes(from?: string): string[] {
    const own = `repository:${this.#reference.path}:pull,push`;
    return from === undefined ? [own] : [own, `repository:${from}:pull`];
  }

  /** One upload. @returns whether it was sent, or the answer that was not the right one. */
  async #upload(
    descriptor: Descriptor,
    data: () => Promise<Bytes>,
    signal: AbortSignal | undefined,
  ): Promise<Answer | boolean> {
    const { digest, size } = descriptor;
    const rest = signal === undefined ? {} : { signal };
    const from = this.#mountFrom?.(descriptor);
    const mount = from === undefined ? "" : `?${new URLSearchParams({ mount: digest, from })}`;
    const begun = await this.#client.request({
      method: "POST",
      path: `/v2/${this.#reference.path}/blobs/uploads/${mount}`,
      headers: { "content-length": "0" },
      body: new Uint8Array(),
      scopes: this.#scopes(from),
      ...rest,
    });
    if (begun.status !== 202 && !(begun.status === 201 && from !== undefined)) return begun;
    begun.cancel();
    // It was in the other repository, and is in this one now.
    if (begun.status === 201) return false;
    let location = this.#location(begun);

    const stream = verifiedStream(await data(), descriptor, `the blob ${digest}`);
    const headers = { "content-type": "application/octet-stream" };
    const scopes = this.#scopes();
    let body: Uint8Array<ArrayBuffer> = new Uint8Array();
    if (size <= SMALL) {
      body = await readBounded(
        stream,
        SMALL,
        () => new CrateError("INVALID", `the blob ${digest} has more than its ${size} bytes`),
      );
    } else {
      // The blob's own failure counts, not that of the connection that ends by it.
      const { kept, failure } = keepFailure(stream);
      const request = { method: "PATCH", url: location, headers, scopes, ...rest } as const;
      let patched: Answer;
      try {
        patched = await this.#client.send({ ...request, body: () => kept });
      } catch (error) {
        throw failure() ?? error;
      }
      if (patched.status !== 202 && patched.status !== 204) return patched;
      patched.cancel();
      location = this.#location(patched);
    }
    location.search += `${location.search === "" ? "?" : "&"}digest=${encodeURIComponent(digest)}`;
    const put = await this.#client.send({
      method: "PUT",
      url: location,
      headers,
      body,
      scopes,
      ...rest,
    });
    if (put.status < 200 || put.status > 299) return put;
    put.cancel();
    return true;
  }

  /** Where an upload goes on. Behind a proxy that ends TLS a registry may call itself http: it is asked by https. */
  #location(answer: Answer): URL {
    const { domain } = this.#reference;
    const url = URL.parse(answer.headers.get("location") ?? "", answer.url);
    if (url === null || !/^https?:$/.test(url.protocol) || !answer.headers.has("location")) {
      throw new CrateError("FAILED", `${domain} does not say where to upload to`);
    }
    if (url.hostname === answer.url.hostname && answer.url.protocol === "https:") {
      url.protocol = "https:";
    }
    if (answer.url.protocol === "https:" && url.protocol === "http:") {
      throw new CrateError("FAILED", `${domain} wants uploads over plain http at ${url.host}`);
    }
    url.username = url.password = "";
    return url;
  }

  async #putManifest({ descriptor, bytes }: Document, reference: string): Promise<void> {
    const answer = await this.#client.request({
      method: "PUT",
      path: `/v2/${this.#reference.path}/manifests/${reference}`,
      headers: { "content-type": descriptor.mediaType },
      body: bytes,
      scopes: this.#scopes(),
    });
    if (answer.status < 200 || answer.status > 299) {
      throw await this.#refused(answer, `the repository ${this.#reference.path}`);
    }
    answer.cancel();
  }

  #refused(answer: Answer, what: string): Promise<CrateError> {
    const { domain, path } = this.#reference;
    return refusal(answer, { domain, doing: `push to ${domain}/${path}`, what });
  }
}

/** The same stream, which remembers why it failed. */
function keepFailure(stream: Bytes): { kept: Bytes; failure: () => unknown } {
  let failure: unknown;
  const reader = stream.getReader();
  const kept = new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (done) controller.close();
        else controller.enqueue(value);
      } catch (error) {
        failure = error;
        throw error;
      }
    },
    cancel: (reason) => reader.cancel(reason),
  }, { highWaterMark: 0 });
  return { kept, failure: () => failure };
}
