import assert from "node:assert/strict";
import fc from "fast-check";
import { CrateError } from "../../errors.ts";
import { encodeDocument } from "./encode.ts";
import {
  compressionOf,
  DOCKER_LIST,
  OCI_CONFIG,
  OCI_INDEX,
  OCI_LAYER_GZIP,
  OCI_MANIFEST,
} from "./media_types.ts";
import {
  MAX_DOCUMENT,
  parseDocument,
  parseImageConfig,
  parseIndex,
  parseManifest,
} from "./parse.ts";

const digest = `sha256:${"0".repeat(64)}` as const;
const config = { mediaType: OCI_CONFIG, digest, size: 2 };
const layer = { mediaType: OCI_LAYER_GZIP, digest, size: 3 };
const manifest = { schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers: [layer] };
const image = {
  architecture: "arm64",
  os: "linux",
  rootfs: { type: "layers", diff_ids: [digest] },
};

const encode = (value: unknown) =>
  new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));
const read = (value: unknown, type = OCI_MANIFEST) => parseDocument(encode(value), type, "alpine");
const refused = (what: () => unknown, message: RegExp, code = "INVALID") =>
  assert.throws(what, { name: "CrateError", code, message });

Deno.test("a manifest, an index and a configuration are read", () => {
  assert.deepEqual(parseManifest(encode(manifest), OCI_MANIFEST, "alpine"), manifest);
  const platform = { os: "linux", architecture: "arm", variant: "v7" };
  const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [{ ...layer, platform }] };
  assert.deepEqual(parseIndex(encode(index), OCI_INDEX, "alpine"), index);
  const whole = {
    ...image,
    config: { Env: ["A=b"], Cmd: ["sh"], Labels: { a: "b" }, Volumes: { "/v": {} } },
  };
  assert.deepEqual(parseImageConfig(encode(whole), 1, "alpine"), whole);
});

Deno.test("null stands for nothing, as Docker writes it", () => {
  const empty = {
    ...image,
    history: null,
    config: { Env: null, Cmd: null, Labels: null, Volumes: null },
  };
  assert.deepEqual(parseImageConfig(encode(empty), 1, "alpine"), { ...image, config: {} });
  const scratch = { ...image, rootfs: { type: "layers", diff_ids: null } };
  assert.deepEqual(parseImageConfig(encode(scratch), 0, "alpine").rootfs.diff_ids, []);
});

Deno.test("what is wrong is named by its source and field", () => {
  const layers = [layer, layer, { ...layer, digest: "sha256:1" }];
  refused(() => read({ ...manifest, layers }), /^manifest of alpine: layers\[2\]\.digest must be/);
  for (const size of [-1, 1.5, "3", 2 ** 53]) {
    refused(() => read({ ...manifest, config: { ...config, size } }), /config\.size must be/);
  }
  refused(() => read({ ...manifest, layers: Array(501).fill(layer) }), /layers has 501 entries/);
  refused(() => read({ ...manifest, schemaVersion: 3 }), /schemaVersion must be 2/);
  refused(() => read({ ...manifest, mediaType: DOCKER_LIST }), /says that it is/);
  refused(() => read({ ...manifest, manifests: [] }), /both an index and a manifest/);
  refused(() => read({ schemaVersion: 2, manifests: [], layers: [] }, OCI_INDEX), /both an index/);
  refused(() => read(`{"__proto__": {"layers": []}}`), /has no schemaVersion/);
  refused(() => read(" ".repeat(MAX_DOCUMENT + 1)), /has more than/);
  refused(() => read({ ...manifest, schemaVersion: 1 }), /schema 1/, "UNSUPPORTED");
  refused(() => read({}, "text/html"), /"text\/html"/, "UNSUPPORTED");
  refused(() => parseImageConfig(encode(image), 2, "alpine"), /has 1 diff_ids where .* 2 layers/);
});

Deno.test("a layer's media type says how it is packed", () => {
  assert.equal(compressionOf("application/vnd.docker.image.rootfs.diff.tar.gzip"), "gzip");
  assert.equal(compressionOf("application/vnd.oci.image.layer.v1.tar+zstd"), "zstd");
  refused(() => compressionOf("application/x"), /cannot be unpacked/, "UNSUPPORTED");
});

Deno.test("a document that crate writes has one form", () => {
  const made = parseManifest(encode(manifest), OCI_MANIFEST, "alpine");
  const turned = Object.fromEntries(Object.entries(made).reverse()) as unknown as typeof made;
  assert.deepEqual(encodeDocument(turned), encodeDocument(made));
  assert.deepEqual(parseManifest(encodeDocument(made), OCI_MANIFEST, "alpine"), made);
});

Deno.test("any JSON in any field is read or refused in a sentence", () => {
  const key = fc.constantFrom(
    "schemaVersion",
    "config",
    "layers",
    "manifests",
    "annotations",
    "mediaType",
    "rootfs",
    "history",
    "__proto__",
  );
  fc.assert(
    fc.property(
      key,
      fc.jsonValue(),
      fc.constantFrom(OCI_INDEX, OCI_MANIFEST),
      (key, value, type) => {
        const changed = encode(`{${
          Object.entries({ ...manifest, ...image, layers: [layer] })
            .filter(([name]) => name !== "mediaType")
            .map(([name, field]) => `${JSON.stringify(name)}:${JSON.stringify(field)},`).join("")
        }"${key}":${JSON.stringify(value)}}`);
        for (
          const parse of [
            () => parseDocument(changed, type, "x"),
            () => parseImageConfig(changed, 1, "x"),
          ]
        ) {
          try {
            parse();
          } catch (error) {
            assert(error instanceof CrateError, String(error));
          }
        }
      },
    ),
    { numRuns: 10_000 },
  );
});
