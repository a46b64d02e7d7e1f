import { createHash } from "node:crypto";
import { encodeText } from "../../../ffi/mod.ts";
import { parseReference, type Reference } from "../names/mod.ts";
import type { Descriptor, Digest } from "../types.ts";
import type { RegistryOptions } from "./options.ts";

/** A server for one test, which does what the test says. */
export interface Server extends AsyncDisposable {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  /** What was asked: `GET /v2/`. */
  readonly log: string[];
}

/** Serves on loopback. `/v2/` is answered with 200 unless the test wants it otherwise. */
export function serve(
  handler: (request: Request, url: URL) => Response | Promise<Response> | undefined,
  tls?: { readonly cert: string; readonly key: string },
): Server {
  const log: string[] = [];
  const server = Deno.serve(
    {
      hostname: "127.0.0.1",
      port: 0,
      onListen() {},
      onError: () => new Response(null, { status: 500 }),
      ...tls,
    },
    async (request) => {
      const url = new URL(request.url);
      log.push(`${request.method} ${url.pathname}${url.search}`);
      const answer = await handler(request, url);
      return answer ?? new Response(null, { status: url.pathname === "/v2/" ? 200 : 404 });
    },
  );
  return {
    host: `127.0.0.1:${server.addr.port}`,
    log,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

/** Options that wait for nothing and read no file of this machine; what was waited for is kept. */
export function quick(
  options: RegistryOptions = {},
): RegistryOptions & { readonly waits: number[] } {
  const waits: number[] = [];
  return {
    waits,
    authFile: "/nonexistent/auth.json",
    certificateDirectories: [],
    attempts: 4,
    random: () => 0.5,
    sleep: (ms) => {
      waits.push(ms);
      return Promise.resolve();
    },
    ...options,
  };
}

/** The reference `HOST/test/image:latest`. */
export function at(host: string): Reference {
  return parseReference(`${host}/test/image:latest`);
}

/** The digest and size of bytes. */
export function describe(bytes: Uint8Array, mediaType = "application/octet-stream"): Descriptor {
  const digest: Digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
  return { mediaType, digest, size: bytes.length };
}

export const MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json";

/** A manifest without layers. */
export function manifest(extra: object = {}): Uint8Array<ArrayBuffer> {
  return encodeText(JSON.stringify({
    schemaVersion: 2,
    mediaType: MANIFEST_TYPE,
    config: describe(encodeText("{}"), "application/vnd.oci.image.config.v1+json"),
    layers: [],
    ...extra,
  }));
}

/** Bytes that are not all the same. */
export function blob(size: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: size }, (_, i) => (i * 7 + (i >> 8)) & 255);
}

/** A body of so many of the bytes, after which the connection breaks. */
export function broken(bytes: Uint8Array<ArrayBuffer>, count: number): ReadableStream {
  let sent = false;
  return new ReadableStream({
    async pull(controller) {
      if (!sent) {
        sent = true;
        controller.enqueue(bytes.subarray(0, count));
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
      controller.error(new Error("broken"));
    },
  });
}

/** A stream's bytes. */
export async function read(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<Uint8Array> {
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
