// What images, blobs and machines are called: references as Docker reads them, digests, platforms.
export {
  type Algorithm,
  digestAlgorithm,
  digestHex,
  isDigest,
  isDigestAlgorithm,
  parseDigest,
} from "./digest.ts";
export {
  DEFAULT_DOMAIN,
  DEFAULT_TAG,
  familiarName,
  familiarReference,
  formatReference,
  isTag,
  MAX_PATH,
  MAX_TAG,
  parseReference,
  type Reference,
  repositoryName,
  withDefaultTag,
} from "./reference.ts";
export {
  formatPlatform,
  hostPlatform,
  normalizePlatform,
  parsePlatform,
  selectPlatform,
} from "./platform.ts";
export { quote } from "./quote.ts";
