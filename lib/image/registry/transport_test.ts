import assert from "node:assert/strict";
import { serve } from "./_misbehaving.ts";
import { settings } from "./options.ts";
import { Connections } from "./transport.ts";

Deno.test("a body comes whole: what is large in large pieces, what is small without a large buffer", async () => {
  const large = new Uint8Array(3_000_000).map((_, i) => i * 7);
  await using server = serve((_, url) => {
    if (url.pathname === "/large") return new Response(large);
    if (url.pathname === "/none") return new Response(null, { status: 204 });
    let left = 20;
    return new Response(
      new ReadableStream({
        async pull(controller) {
          await new Promise((resolve) => setTimeout(resolve, 1));
          if (left-- === 0) controller.close();
          else controller.enqueue(new Uint8Array([left]));
        },
      }),
    );
  });
  using connections = new Connections(settings({}));
  const parts = async (path: string) => {
    const url = new URL(path, `http://${server.host}`);
    const answer = await connections.send({ method: "GET", url });
    const all: Uint8Array[] = [];
    for (let part = await answer.read(); part !== undefined; part = await answer.read()) {
      all.push(part);
    }
    return all;
  };
  const whole = await parts("/large");
  assert.deepEqual(new Uint8Array(await new Blob(whole as BlobPart[]).arrayBuffer()), large);
  const small = await parts("/small");
  assert.deepEqual(small.flatMap((part) => [...part]), [...Array(20).keys()].reverse());
  for (const part of small) assert.equal(part.buffer.byteLength, part.length);
  assert.deepEqual(await parts("/none"), []);
});

Deno.test("pieces of another's stream that share their memory are each a reader's own", async () => {
  const shared = new Uint8Array(1 << 18).map((_, i) => i * 5);
  const pieces = [shared.subarray(0, 1 << 17), shared.subarray(1 << 17)];
  const own = settings({
    fetch: () => Promise.resolve(new Response(ReadableStream.from(pieces))),
  });
  using connections = new Connections(own);
  const answer = await connections.send({ method: "GET", url: new URL("http://127.0.0.1/") });
  for (const piece of pieces) {
    const read = (await answer.read())!;
    assert.deepEqual(read, piece);
    read.buffer.transfer(0); // as whoever has done with it does
  }
  assert.equal(await answer.read(), undefined);
});

Deno.test("a fetch of one's own may give streams that are read as they are", async () => {
  const own = settings({ fetch: () => Promise.resolve(new Response(streamOf("a", "b"))) });
  using connections = new Connections(own);
  const answer = await connections.send({ method: "GET", url: new URL("http://127.0.0.1/") });
  const text = async () => {
    const bytes = await answer.read();
    return bytes && new TextDecoder().decode(bytes);
  };
  assert.deepEqual([await text(), await text(), await text()], ["a", "b", undefined]);
});

function streamOf(...words: string[]): ReadableStream<Uint8Array<ArrayBuffer>> {
  return ReadableStream.from(words.map((word) => new TextEncoder().encode(word)));
}
