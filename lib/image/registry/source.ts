import { CrateError } from "../../errors.ts";
import {
  ACCEPT,
  checkDocument,
  digestOf,
  isIndexType,
  isManifestType,
  MAX_CONFIG,
  MAX_DOCUMENT,
  parseDocument,
} from "../documents/mod.ts";
import { formatReference, type Reference, repositoryName, withDefaultTag } from "../names/mod.ts";
import type { BlobOptions, Descriptor, Document, ImageSource } from "../types.ts";
import { isObject } from "./json.ts";
import { readAnswer } from "./bounded.ts";
import { RegistryClient } from "./client.ts";
import { refusal } from "./errors.ts";
import { placesOf } from "./hosts.ts";
import { type RegistryOptions, type Settings, settings } from "./options.ts";
import { following } from "./redirect.ts";
import { download } from "./resume.ts";
import { retrying } from "./retry.ts";
import { type Answer, Connections } from "./transport.ts";

/** A mirror that does not answer has a registry behind it. */
const MIRROR_ATTEMPTS = 2;

/** What ends a request. */
export interface Stoppable {
  readonly signal?: AbortSignal;
}

/** An image in a registry; ended, it lets go of its connections. */
export interface RegistrySource extends ImageSource, Disposable {
  root(options?: Stoppable): Promise<Document>;
  document(descriptor: Descriptor, options?: Stoppable): Promise<Uint8Array<ArrayBuffer>>;
}

/**
 * The image that a reference names, in its registry or in one of its mirrors. Nothing is asked before something is read.
 *
 * @example
 * ```ts
 * import { parseReference } from "../names/mod.ts";
 * import { registrySource } from "./source.ts";
 * using source = registrySource(parseReference("alpine"));
 * if (source.name !== "docker.io/library/alpine:latest") throw new Error();
 * ```
 */
export function registrySource(
  reference: Reference,
  options: RegistryOptions = {},
): RegistrySource {
  return new Source(withDefaultTag(reference), settings(options));
}

class Source implements RegistrySource {
  readonly name: string;
  readonly #reference: Reference;
  readonly #settings: Settings;
  readonly #connections: Connections;
  /** Mirrors, then the registry. */
  readonly #clients: readonly RegistryClient[];

  constructor(reference: Reference, settings: Settings) {
    this.name = formatReference(reference);
    this.#reference = reference;
    this.#settings = settings;
    this.#connections = new Connections(settings);
    const { domain, path } = reference;
    const places = placesOf(domain, path, settings.mirrors);
    this.#clients = places.map((place, i) =>
      i === places.length - 1
        ? new RegistryClient(place, this.#connections, settings, settings.credentials)
        : new RegistryClient(place, this.#connections, {
          ...settings,
          attempts: Math.min(MIRROR_ATTEMPTS, settings.attempts),
        })
    );
  }

  async root(options: Stoppable = {}): Promise<Document> {
    const { digest, tag } = this.#reference;
    const what = `the image ${this.name}`;
    return await this.#anywhere(async (client) => {
      const { bytes, mediaType } = await this.#manifest(client, digest ?? tag!, what, options);
      const descriptor = { mediaType, digest: digest ?? digestOf(bytes), size: bytes.length };
      if (digest !== undefined) checkDocument(bytes, descriptor, what);
      parseDocument(bytes, mediaType, this.name);
      return { descriptor, bytes };
    });
  }

  async document(
    descriptor: Descriptor,
    options: Stoppable = {},
  ): Promise<Uint8Array<ArrayBuffer>> {
    const { mediaType, digest, size } = descriptor;
    const isDocument = isIndexType(mediaType) || isManifestType(mediaType);
    const what = `the ${isDocument ? "manifest" : "configuration"} ${digest} of ${this.name}`;
    const max = isDocument ? MAX_DOCUMENT : MAX_CONFIG;
    if (size > max) {
      throw new CrateError("INVALID", `${what} has ${size} bytes: ${max} are the most`);
    }
    if (!isDocument) {
      const bytes = new Uint8Array(size);
      let at = 0;
      for await (const part of await this.blob(descriptor, options)) {
        bytes.set(part, at);
        at += part.length;
      }
      return bytes;
    }
    return await this.#anywhere(async (client) => {
      const { bytes } = await this.#manifest(client, digest, what, options);
      checkDocument(bytes, descriptor, what);
      parseDocument(bytes, mediaType, this.name);
      return bytes;
    });
  }

  async blob(
    descriptor: Descriptor,
    { offset = 0, signal, unchecked = false }: BlobOptions = {},
  ): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
    return await download({
      descriptor,
      offset,
      unchecked,
      name: `the blob ${descriptor.digest} of ${repositoryName(this.#reference)}`,
      settings: this.#settings,
      ...(signal === undefined ? {} : { signal }),
      open: (from) => this.#openBlob(descriptor, from, signal),
    });
  }

  /** Ends all connections. */
  [Symbol.dispose](): void {
    this.#connections[Symbol.dispose]();
  }

  /** Asks one place after the other; the registry's own failure counts. */
  async #anywhere<T>(ask: (client: RegistryClient) => Promise<T>): Promise<T> {
    for (const mirror of this.#clients.slice(0, -1)) {
      try {
        return await ask(mirror);
      } catch (error) {
        if (!(error instanceof CrateError)) throw error;
      }
    }
    return await ask(this.#clients.at(-1)!);
  }

  async #manifest(
    client: RegistryClient,
    reference: string,
    what: string,
    { signal }: Stoppable,
  ) {
    const { place } = client;
    const answer = await client.request({
      method: "GET",
      path: `/v2/${place.path}/manifests/${reference}`,
      headers: { accept: ACCEPT.join(", ") },
      scopes: [`repository:${place.path}:pull`],
      ...(signal === undefined ? {} : { signal }),
    });
    if (answer.status !== 200) throw await this.#refused(answer, client, what);
    const bytes = await readAnswer(
      answer,
      MAX_DOCUMENT,
      () => new CrateError("INVALID", `${what} has more than ${MAX_DOCUMENT} bytes`),
    );
    return { bytes, mediaType: mediaTypeOf(answer.headers, bytes) };
  }

  async #openBlob(descriptor: Descriptor, offset: number, signal?: AbortSignal): Promise<Answer> {
    const what = `the blob ${descriptor.digest} of ${this.name}`;
    const headers: Record<string, string> = offset > 0 ? { range: `bytes=${offset}-` } : {};
    const rest = signal === undefined ? {} : { signal };
    try {
      return await this.#anywhere(async (client) => {
        const { path } = client.place;
        const scopes = [`repository:${path}:pull`];
        const place = `/v2/${path}/blobs/${descriptor.digest}`;
        const answer = await client.request({
          method: "GET",
          path: place,
          headers,
          scopes,
          ...rest,
        });
        if (isBlob(answer, offset)) return answer;
        throw await this.#refused(answer, client, what);
      });
    } catch (error) {
      if (!(error instanceof CrateError && error.code === "NOT_FOUND")) throw error;
      const send = following(retrying(this.#connections.send, this.#settings));
      for (const text of descriptor.urls ?? []) {
        const url = URL.parse(text);
        if (url === null || !/^https?:$/.test(url.protocol)) continue;
        url.username = url.password = "";
        const answer = await send({ method: "GET", url, headers, ...rest });
        if (isBlob(answer, offset)) return answer;
        answer.cancel();
      }
      throw error;
    }
  }

  #refused(answer: Answer, client: RegistryClient, what: string): Promise<CrateError> {
    const { domain, path } = client.place;
    return refusal(answer, { domain, doing: `pull ${domain}/${path}`, what });
  }
}

function isBlob(answer: Answer, offset: number): boolean {
  return answer.status === 200 || (answer.status === 206 && offset > 0);
}

/** What the server calls a document; where that is nothing an image can be, what it calls itself. */
function mediaTypeOf(headers: Headers, bytes: Uint8Array): string {
  const type = (headers.get("content-type") ?? "").split(";", 1)[0]!.trim().toLowerCase();
  if (isIndexType(type) || isManifestType(type)) return type;
  try {
    const body: unknown = JSON.parse(new TextDecoder().decode(bytes));
    if (isObject(body) && typeof body.mediaType === "string") return body.mediaType;
  } catch {
    // It is not JSON, which is found out by whoever parses it.
  }
  return type;
}
