import assert from "node:assert/strict";
import {
  at,
  blob,
  broken,
  describe,
  manifest,
  MANIFEST_TYPE,
  quick,
  read,
  serve,
} from "./_misbehaving.ts";
import { registrySource } from "./source.ts";

const type = { "content-type": MANIFEST_TYPE };
const isManifest = (url: URL) => url.pathname === "/v2/test/image/manifests/latest";
const isBlob = (url: URL) => url.pathname.startsWith("/v2/test/image/blobs/");

Deno.test("a manifest is read by its tag, over plain HTTP on loopback", async () => {
  const bytes = manifest();
  await using server = serve((_, url) =>
    isManifest(url) ? new Response(bytes, { headers: type }) : undefined
  );
  using source = registrySource(at(server.host), quick());
  const root = await source.root();
  assert.deepEqual(root, { descriptor: describe(bytes, MANIFEST_TYPE), bytes });
});

Deno.test("a manifest of another digest than the one asked for is refused", async () => {
  const wanted = describe(manifest(), MANIFEST_TYPE);
  const other = manifest({ annotations: { a: "b" } });
  await using server = serve((_, url) =>
    url.pathname.includes("/manifests/")
      ? new Response(other, { headers: { ...type, "docker-content-digest": wanted.digest } })
      : undefined
  );
  using source = registrySource({ ...at(server.host), digest: wanted.digest }, quick());
  await assert.rejects(source.root(), { code: "INVALID", message: /digest/ });
  await assert.rejects(source.document(wanted), { code: "INVALID" });
});

Deno.test("a manifest without an end is cut off", async () => {
  let sent = 0;
  await using server = serve((_, url) =>
    isManifest(url)
      ? new Response(
        new ReadableStream({
          pull(controller) {
            sent += 65536;
            controller.enqueue(new Uint8Array(65536));
          },
        }),
        { headers: type },
      )
      : undefined
  );
  using source = registrySource(at(server.host), quick());
  await assert.rejects(source.root(), { code: "INVALID", message: /more than 4194304 bytes/ });
  assert.ok(sent < 64 << 20);
});

Deno.test("a document that is both an index and a manifest is refused", async () => {
  await using server = serve((_, url) =>
    isManifest(url) ? new Response(manifest({ manifests: [] }), { headers: type }) : undefined
  );
  using source = registrySource(at(server.host), quick());
  await assert.rejects(source.root(), { code: "INVALID" });
});

Deno.test("a type that no image has gives way to the document's own; a wrong one is refused", async () => {
  let contentType = "text/plain; charset=utf-8";
  await using server = serve((_, url) =>
    isManifest(url)
      ? new Response(manifest(), { headers: { "content-type": contentType } })
      : undefined
  );
  using source = registrySource(at(server.host), quick());
  assert.equal((await source.root()).descriptor.mediaType, MANIFEST_TYPE);
  contentType = "application/vnd.oci.image.index.v1+json";
  await assert.rejects(source.root(), { code: "INVALID" });
});

Deno.test("an image that is not there is not found; one that is not ours asks for a login", async () => {
  let status = 404;
  await using server = serve((_, url) =>
    isManifest(url)
      ? Response.json({ errors: [{ code: "MANIFEST_UNKNOWN", message: "manifest unknown" }] }, {
        status,
      })
      : undefined
  );
  using source = registrySource(at(server.host), quick());
  await assert.rejects(source.root(), { code: "NOT_FOUND", message: /is not in the registry/ });
  status = 401;
  await assert.rejects(source.root(), { code: "PERMISSION", message: /crate login 127/ });
});

Deno.test("a blob whose connection breaks goes on at that byte", async () => {
  const bytes = blob(300_000);
  const ranges: (string | null)[] = [];
  await using server = serve((request, url) => {
    if (!isBlob(url)) return;
    const range = request.headers.get("range");
    ranges.push(range);
    const from = Number(/\d+/.exec(range ?? "0")![0]);
    const rest = bytes.subarray(from);
    const length = { "content-length": String(rest.length) };
    if (range === null) return new Response(broken(rest, 100_000), { headers: length });
    const headers = {
      ...length,
      "content-range": `bytes ${from}-${bytes.length - 1}/${bytes.length}`,
    };
    return new Response(rest, { status: 206, headers });
  });
  const options = quick();
  using source = registrySource(at(server.host), options);
  assert.deepEqual(await read(await source.blob(describe(bytes))), bytes);
  assert.deepEqual(ranges, [null, "bytes=100000-"]);
  assert.deepEqual(options.waits, [375]);
});

Deno.test("a server that knows no ranges sends what is skipped", async () => {
  const bytes = blob(300_000);
  let count = 0;
  await using server = serve((_, url) => {
    if (!isBlob(url)) return;
    const headers = { "content-length": String(bytes.length) };
    return new Response(count++ === 0 ? broken(bytes, 70_000) : bytes, { headers });
  });
  using source = registrySource(at(server.host), quick());
  assert.deepEqual(await read(await source.blob(describe(bytes))), bytes);
  assert.deepEqual(
    await read(await source.blob(describe(bytes), { offset: 299_990 })),
    bytes.subarray(299_990),
  );
});

Deno.test("another part than the one asked for is refused", async () => {
  const bytes = blob(1000);
  await using server = serve((_, url) =>
    isBlob(url)
      ? new Response(bytes, { status: 206, headers: { "content-range": "bytes 0-999/1000" } })
      : undefined
  );
  using source = registrySource(at(server.host), quick());
  await assert.rejects(source.blob(describe(bytes), { offset: 500 }), { code: "INVALID" });
});

Deno.test("a blob that is short each time fails, and was tried as often as it may be", async () => {
  const bytes = blob(1000);
  await using server = serve((_, url) =>
    isBlob(url) ? new Response(bytes.subarray(0, 10)) : undefined
  );
  const options = quick();
  using source = registrySource(at(server.host), options);
  await assert.rejects(source.blob(describe(bytes)).then(read), { message: /broke off 990 bytes/ });
  assert.equal(options.waits.length, 3);
});

Deno.test("a blob of another digest, or with more bytes than it has, errors", async () => {
  const bytes = blob(1000);
  let body: Uint8Array<ArrayBuffer> = bytes.toReversed();
  await using server = serve((_, url) => isBlob(url) ? new Response(body) : undefined);
  using source = registrySource(at(server.host), quick());
  await assert.rejects(source.blob(describe(bytes)).then(read), { message: /has the digest/ });
  body = blob(5000);
  await assert.rejects(source.blob(describe(bytes)).then(read), { message: /more than its 1000/ });
});

Deno.test("a silent connection is given up and made anew", async () => {
  const bytes = blob(1000);
  let count = 0;
  await using server = serve((_, url) => {
    if (!isBlob(url)) return;
    if (count++ > 0) return new Response(bytes);
    return new Response(
      new ReadableStream({ start: (controller) => controller.enqueue(bytes.subarray(0, 10)) }),
    );
  });
  using source = registrySource(at(server.host), quick({ stallTimeout: 100 }));
  assert.deepEqual(await read(await source.blob(describe(bytes))), bytes);
  assert.equal(count, 2);
});

Deno.test("a signal ends a blob that is under way", async () => {
  const bytes = blob(1000);
  await using server = serve((_, url) =>
    isBlob(url)
      ? new Response(new ReadableStream({ start: (c) => c.enqueue(bytes.subarray(0, 10)) }))
      : undefined
  );
  using source = registrySource(at(server.host), quick());
  const stop = new AbortController();
  const reader = (await source.blob(describe(bytes), { signal: stop.signal })).getReader();
  assert.equal((await reader.read()).value!.length, 10);
  const rest = reader.read();
  stop.abort(new Error("enough"));
  await assert.rejects(rest, { message: "enough" });
});

Deno.test("Retry-After is kept, seconds and date; too long a one is an error at once", async () => {
  const answers = ["7", new Date(1_000_000_000_000 + 9000).toUTCString()];
  let status = 429;
  await using server = serve((_, url) => {
    if (!isManifest(url)) return;
    const after = answers.shift();
    if (after === undefined) return new Response(manifest(), { headers: type });
    return new Response(null, { status, headers: { "retry-after": after } });
  });
  const options = quick({ now: () => 1_000_000_000_000 });
  using source = registrySource(at(server.host), options);
  await source.root();
  assert.deepEqual(options.waits, [7000, 9000]);
  answers.push("3600");
  status = 503;
  await assert.rejects(source.root(), { message: /answers 503/ });
  assert.equal(options.waits.length, 2);
});

Deno.test("a mirror is asked first; what it has not got, the registry has", async () => {
  const bytes = manifest();
  const layer = blob(100);
  await using mirror = serve((_, url) =>
    url.pathname === "/v2/hub/test/image/manifests/latest"
      ? new Response(bytes, { headers: type })
      : undefined
  );
  await using server = serve((_, url) => isBlob(url) ? new Response(layer) : undefined);
  const mirrors = { [server.host]: ["127.0.0.1:9", `${mirror.host}/hub`] };
  using source = registrySource(at(server.host), quick({ mirrors }));
  assert.deepEqual((await source.root()).bytes, bytes);
  assert.deepEqual(await read(await source.blob(describe(layer))), layer);
  assert.ok(!server.log.some((line) => line.includes("manifests")));
});

Deno.test("a foreign layer is fetched from its own address when the registry has not got it", async () => {
  const bytes = blob(100);
  await using elsewhere = serve((_, url) =>
    url.pathname === "/layer" ? new Response(bytes) : undefined
  );
  await using server = serve(() => undefined);
  using source = registrySource(at(server.host), quick());
  const urls = ["file:///etc/passwd", `http://${elsewhere.host}/layer`];
  assert.deepEqual(await read(await source.blob({ ...describe(bytes), urls })), bytes);
  const wrong = { ...describe(bytes), urls: ["file:///etc/passwd"] };
  await assert.rejects(source.blob(wrong), { code: "NOT_FOUND" });
});
