import type { ImageConfig, Index, Manifest } from "../types.ts";

/**
 * A document's bytes: JSON without spaces, the known fields in the image-spec's order and a map's keys sorted, so that one
 * document has one digest.
 */
export function encodeDocument(
  document: Index | Manifest | ImageConfig,
): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify(document, (_key, value) => ordered(value)));
}

const ORDER = [
  "schemaVersion",
  "mediaType",
  "created",
  "author",
  "architecture",
  "os",
  "variant",
  "config",
  "digest",
  "size",
  "rootfs",
  "layers",
  "manifests",
];

function ordered(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;

  const place = (key: string) => ORDER.includes(key) ? ORDER.indexOf(key) : ORDER.length;
  const entries = Object.entries(value).sort(([a], [b]) =>
    place(a) - place(b) || (a < b ? -1 : a > b ? 1 : 0)
  );
  return Object.fromEntries(entries);
}
