/**
 * The OCI runtime-spec's config: its types, its validation, its JSON text; and the way from what
 * a person types, word by word, through options to such a config.
 *
 * @module
 */
export type * from "./types.ts";
export type * from "./types_resources.ts";
export { HOOKS as HOOK_POINTS, validateSpec } from "./validate.ts";
export { formatSpec, parseJson } from "./json.ts";
export { parseMountPoints, parseMounts, parseResources, parseSpec } from "./read.ts";
export { parseProcess } from "./read_process.ts";
export { MOUNT_OPTIONS, requireMounts, requireSupported } from "./supported.ts";
export { NAMESPACES as NAMESPACE_TYPES } from "./validate_linux.ts";
export { POLICIES as SCHEDULER_POLICIES, SCHEDULER_FLAGS } from "./scheduler.ts";
export { rootlessSpec } from "./rootless.ts";
export { sysctlNamespace, sysctlPath } from "./sysctl.ts";
export {
  type RunDefaults,
  type RunDevice,
  type RunOptions,
  type Share,
  specFromOptions,
} from "./options.ts";
export { DEFAULT_PATH, DEFAULT_SHM_SIZE } from "./defaults.ts";
export { parseCpus, parseInteger, parseSize, parseSizeOrUnlimited } from "./words_numbers.ts";
export { type IdmapWords, parseIdmapOption } from "./words_idmap.ts";
export {
  normalize,
  parseMountFlag,
  parseTmpfs,
  parseVolume,
  splitMount,
  type VolumeWord,
} from "./words_mounts.ts";
export { type IdMaps, inUserNamespace } from "./user_namespace.ts";
export {
  AUTO_SIZE,
  parseIdMaps,
  parseUserNamespace,
  type UserNamespaceWord,
} from "./words_userns.ts";
export { parseEnvFile, resolveEnv } from "./words_env.ts";
export {
  type DeviceWord,
  parseCapability,
  parseDevice,
  parseGroupWord,
  parsePair,
  parseSysctl,
  parseUlimit,
  parseUserWord,
  type UserWord,
  validateId,
} from "./words_process.ts";
