import assert from "node:assert/strict";
import { CrateError } from "../errors.ts";
import {
  digestOf,
  encodeDocument,
  OCI_CONFIG,
  OCI_INDEX,
  OCI_LAYER,
  OCI_MANIFEST,
} from "./documents/mod.ts";
import { pushImage } from "./push.ts";
import type { Descriptor, Document, ImageSink, ImageSource, Index, Manifest } from "./types.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const described = (bytes: Bytes, mediaType: string): Descriptor => ({
  mediaType,
  digest: digestOf(bytes),
  size: bytes.length,
});
const encode = (text: string): Bytes => new TextEncoder().encode(text);

function document(value: Index | Manifest, mediaType: string): Document {
  const bytes = encodeDocument(value);
  return { descriptor: described(bytes, mediaType), bytes };
}

/** An index of two manifests that share a layer, as a source. */
function image() {
  const blobs = new Map<string, Bytes>();
  const blob = (text: string, type: string): Descriptor => {
    const descriptor = described(encode(text), type);
    blobs.set(descriptor.digest, encode(text));
    return descriptor;
  };
  const shared = blob("shared", OCI_LAYER);
  const foreign = blob("foreign", `${OCI_LAYER.replace("layer", "layer.nondistributable")}`);
  const manifests = ["one", "two"].map((name) =>
    document({
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: blob(`{"${name}":1}`, OCI_CONFIG),
      layers: [shared, foreign, blob(name, OCI_LAYER)],
    }, OCI_MANIFEST)
  );
  const root = document({
    schemaVersion: 2,
    mediaType: OCI_INDEX,
    manifests: manifests.map(({ descriptor }) => descriptor),
  }, OCI_INDEX);
  const documents = new Map([...manifests, root].map((one) => [one.descriptor.digest, one.bytes]));
  const source: ImageSource = {
    name: "image",
    root: () => Promise.resolve(root),
    document(descriptor) {
      const bytes = documents.get(descriptor.digest);
      if (bytes === undefined) return Promise.reject(new CrateError("NOT_FOUND", "not there"));
      return Promise.resolve(bytes);
    },
    blob: ({ digest }) => Promise.resolve(new Blob([blobs.get(digest)!]).stream()),
  };
  return { source, root, manifests, documents, blobs, shared, foreign };
}

/** A sink that keeps what it gets, in order. */
function keeper(there: readonly string[] = []) {
  const got: string[] = [];
  const kept = new Map<string, string>();
  const sink: ImageSink = {
    name: "sink",
    hasBlob: ({ digest }) => Promise.resolve(there.includes(digest)),
    async putBlob({ digest }, data) {
      if (there.includes(digest)) return false;
      kept.set(digest, await new Response(await data()).text());
      got.push(digest);
      return true;
    },
    putDocument: ({ descriptor }) => Promise.resolve(void got.push(descriptor.digest)),
    putRoot: ({ descriptor }) => Promise.resolve(void got.push(`root ${descriptor.digest}`)),
  };
  return { sink, got, kept };
}

Deno.test("an index is pushed with all of its manifests, each after what it leads to", async () => {
  const { source, root, manifests, shared, foreign } = image();
  const { sink, got, kept } = keeper();
  const pushed = await pushImage(source, sink);
  assert.equal(pushed.digest, root.descriptor.digest);
  assert.equal(got.at(-1), `root ${root.descriptor.digest}`);
  const [one, two] = manifests.map(({ descriptor }) => got.indexOf(descriptor.digest));
  assert.deepEqual([one!, two!].sort(), [5, 6], "after two configurations and three layers");
  assert.equal(kept.get(shared.digest), "shared");
  assert.equal(kept.has(foreign.digest), false);
  assert.equal(new Set(got).size, got.length);
});

Deno.test("one manifest of an index can be pushed by itself", async () => {
  const { source, manifests } = image();
  const { sink, got } = keeper();
  const [{ descriptor }] = manifests as [Document];
  assert.equal((await pushImage(source, sink, { manifest: descriptor })).digest, descriptor.digest);
  assert.equal(got.length, 4);
  assert.equal(got.at(-1), `root ${descriptor.digest}`);
});

Deno.test("progress tells what is sent and what is there already", async () => {
  const { source, shared, manifests } = image();
  const { sink } = keeper([shared.digest]);
  const states = new Map<string, string[]>();
  await pushImage(source, sink, {
    manifest: manifests[0]!.descriptor,
    progress(event) {
      if (event.type === "message") return;
      const state = event.type === "blob" ? event.state : `${event.done}/${event.total}`;
      states.set(event.digest, [...states.get(event.digest) ?? [], state]);
    },
  });
  assert.deepEqual(states.get(shared.digest), ["waiting", "exists"]);
  const own = describeText("one");
  assert.deepEqual(states.get(own), ["waiting", "uploading", "3/3", "done"]);
});

const describeText = (text: string) => described(encode(text), OCI_LAYER).digest;

Deno.test("what fails ends the push, and the name is not given", async () => {
  const { source, documents, manifests } = image();
  const failing = keeper();
  const sink: ImageSink = {
    ...failing.sink,
    putBlob: () => Promise.reject(new CrateError("FAILED", "no room")),
  };
  await assert.rejects(pushImage(source, sink), /no room/);
  assert.deepEqual(failing.got, []);
  documents.delete(manifests[1]!.descriptor.digest);
  await assert.rejects(pushImage(source, failing.sink), /not there/);
  assert.deepEqual(failing.got, []);
  const stop = new AbortController();
  stop.abort(new Error("enough"));
  await assert.rejects(
    pushImage(image().source, failing.sink, { signal: stop.signal }),
    /enough/,
  );
  assert.ok(!failing.got.join().includes("root"));
});
