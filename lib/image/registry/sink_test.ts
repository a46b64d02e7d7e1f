import assert from "node:assert/strict";
import { CrateError } from "../../errors.ts";
import type { Descriptor } from "../types.ts";
import {
  at,
  blob,
  describe,
  manifest,
  MANIFEST_TYPE,
  quick,
  serve,
  type Server,
} from "./_misbehaving.ts";
import type { RegistryOptions } from "./options.ts";
import { registrySink, type SinkOptions } from "./sink.ts";

const SMALL = blob(1000);
/** More than what is sent in one piece. */
const LONG = blob((1 << 20) + 5);

interface Uploads extends Server {
  /** By digest. */
  readonly blobs: Map<string, Uint8Array>;
}

/** A registry that takes uploads, unless `answer` has another answer. */
function uploads(
  answer: (request: Request, url: URL, count: number) => Response | undefined = () => undefined,
  location = (url: URL) => url.pathname + "one?state=a",
): Uploads {
  const blobs = new Map<string, Uint8Array>();
  let part = new Uint8Array(0);
  let count = 0;
  const server = serve(async (request, url) => {
    if (url.pathname === "/v2/") return new Response();
    const other = answer(request, url, ++count);
    if (other !== undefined) return other;
    const digest = url.pathname.split("/").at(-1)!;
    if (request.method === "HEAD") {
      return new Response(null, { status: blobs.has(digest) ? 200 : 404 });
    }
    if (request.method === "POST") {
      part = new Uint8Array(0);
      return new Response(null, { status: 202, headers: { location: location(url) } });
    }
    const body = new Uint8Array(await request.arrayBuffer());
    if (url.pathname.includes("/manifests/")) {
      blobs.set(digest, body);
      return new Response(null, { status: 201 });
    }
    if (request.method === "PATCH") {
      part = body;
      const next = url.pathname.replace("one", "two");
      return new Response(null, { status: 202, headers: { location: next } });
    }
    blobs.set(url.searchParams.get("digest")!, new Uint8Array([...part, ...body]));
    return new Response(null, { status: 201 });
  });
  return Object.assign(server, { blobs });
}

const stream = (bytes: Uint8Array<ArrayBuffer>) => () =>
  Promise.resolve(new Blob([bytes]).stream());

async function put(
  server: Server,
  bytes: Uint8Array<ArrayBuffer>,
  options: SinkOptions & RegistryOptions = {},
  descriptor: Descriptor = describe(bytes),
): Promise<boolean> {
  using sink = registrySink(at(server.host), quick(options));
  return await sink.putBlob(descriptor, stream(bytes));
}

async function refused(promise: Promise<unknown>, reason: RegExp): Promise<void> {
  await assert.rejects(promise, (error) => {
    assert(error instanceof CrateError, String(error));
    assert.match(error.message, reason);
    return true;
  });
}

Deno.test("a blob is sent once: a short one with the last request, a long one as a stream", async () => {
  await using server = uploads();
  for (const bytes of [SMALL, LONG]) {
    const { digest } = describe(bytes);
    assert.equal(await put(server, bytes), true);
    assert.deepEqual(server.blobs.get(digest), bytes);
    assert.equal(await put(server, bytes), false);
  }
  const path = "/v2/test/image/blobs/uploads/";
  const small = encodeURIComponent(describe(SMALL).digest);
  const long = encodeURIComponent(describe(LONG).digest);
  assert.deepEqual(server.log.filter((line) => !line.startsWith("HEAD") && line !== "GET /v2/"), [
    `POST ${path}`,
    `PUT ${path}one?state=a&digest=${small}`,
    `POST ${path}`,
    `PATCH ${path}one?state=a`,
    `PUT ${path}two?digest=${long}`,
  ]);
});

Deno.test("where to upload may be told with the host, and on another host: credentials stay here", async () => {
  const seen: (string | null)[] = [];
  await using other = uploads((request) => {
    seen.push(request.headers.get("authorization"));
    return undefined;
  });
  await using server = uploads((request) => {
    if (request.headers.get("authorization") === null) {
      return new Response(null, { status: 401, headers: { "www-authenticate": "Basic realm=r" } });
    }
    return undefined;
  }, (url) => `http://${other.host}${url.pathname}one`);
  assert.equal(await put(server, SMALL, { credentials: { username: "a", password: "b" } }), true);
  assert.deepEqual(seen, [null]);
  assert.deepEqual([...other.blobs.values()], [SMALL]);
});

Deno.test("a blob of another repository is asked for by its name, and sent where that is refused", async () => {
  for (const status of [201, 202]) {
    await using server = uploads((_request, url) =>
      url.searchParams.has("mount") && status === 201 ? new Response(null, { status }) : undefined
    );
    const { digest } = describe(SMALL);
    const sent = await put(server, SMALL, { mountFrom: () => "other/image" });
    assert.equal(sent, status === 202);
    const asked = new URLSearchParams({ mount: digest, from: "other/image" });
    assert.ok(server.log.includes(`POST /v2/test/image/blobs/uploads/?${asked}`));
  }
});

Deno.test("an upload that failed in passing is begun anew", async () => {
  for (const status of [401, 404, 500, 503]) {
    for (const bytes of [SMALL, LONG]) {
      let failures = 0;
      await using server = uploads((request) => {
        const isData = request.method === "PATCH" || request.method === "PUT";
        return isData && failures++ === 0 ? new Response(null, { status }) : undefined;
      });
      const credentials = { username: "a", password: "b" };
      assert.equal(await put(server, bytes, { credentials }), true, `${status}`);
      assert.deepEqual(server.blobs.get(describe(bytes).digest), bytes);
    }
  }
});

Deno.test("what will not be taken is one sentence", async () => {
  const denied = () =>
    Response.json({ errors: [{ code: "DENIED", message: "no room" }] }, { status: 403 });
  await using server = uploads((request) => request.method === "POST" ? denied() : undefined);
  await refused(put(server, SMALL), /^[^\n]*push to 127[^\n]*no room[^\n]*$/);
  await using lost = uploads((request) =>
    request.method === "POST" ? new Response(null, { status: 202 }) : undefined
  );
  await refused(put(lost, SMALL), /does not say where to upload to$/);
  await using odd = uploads(() => undefined, () => "file:///etc/passwd");
  await refused(put(odd, SMALL), /does not say where to upload to$/);
});

Deno.test("bytes that are not the blob are never given its name", async () => {
  for (const bytes of [SMALL, LONG]) {
    await using server = uploads();
    const wrong = { ...describe(bytes), digest: describe(blob(3)).digest };
    await refused(put(server, bytes, {}, wrong), /digest/);
    await refused(put(server, bytes.subarray(1), {}, describe(bytes)), /bytes/);
    assert.equal(server.blobs.size, 0);
  }
});

Deno.test("documents go to their digest, and the root to the tag", async () => {
  await using server = uploads();
  const bytes = manifest();
  const document = { descriptor: describe(bytes, MANIFEST_TYPE), bytes };
  using sink = registrySink(at(server.host), quick());
  await sink.putDocument(document);
  await sink.putRoot(document);
  assert.deepEqual([...server.blobs.keys()], [document.descriptor.digest, "latest"]);
});
