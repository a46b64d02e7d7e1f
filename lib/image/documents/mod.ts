// What the documents of an image say, checked: media types, manifests, indexes, configurations, digests.
export {
  ACCEPT,
  type Compression,
  compressionOf,
  DOCKER_LIST,
  DOCKER_MANIFEST,
  isIndexType,
  isManifestType,
  OCI_CONFIG,
  OCI_INDEX,
  OCI_LAYER,
  OCI_LAYER_GZIP,
  OCI_LAYER_ZSTD,
  OCI_MANIFEST,
} from "./media_types.ts";
export {
  MAX_CONFIG,
  MAX_DOCUMENT,
  MAX_LAYERS,
  parseDocument,
  parseImageConfig,
  parseIndex,
  parseManifest,
} from "./parse.ts";
export { Hasher, loadHasher } from "./hasher.ts";
export { chainIds, checkDocument, digestOf, verifiedStream } from "./verify.ts";
export { encodeDocument } from "./encode.ts";
export { applyChanges } from "./changes.ts";
export { Value } from "./value.ts";
