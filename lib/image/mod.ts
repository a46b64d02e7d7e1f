// Images: what they are called, where they come from, the store they are kept in. What only a command of
// images needs: nothing of this loads for a container without one.
export { copyTree } from "./pack/mod.ts";
export {
  familiarReference,
  formatPlatform,
  parsePlatform,
  parseReference,
  type Reference,
  repositoryName,
  withDefaultTag,
} from "./names/mod.ts";
export { type ArchiveFormat } from "./archive/mod.ts";
export { commitImage, type CommitOptions } from "./commit.ts";
export {
  type Claimed,
  claimImage,
  copyFromRoot,
  type LeftInStore,
  type Volume,
} from "./container.ts";
export { importImage, type ImportOptions } from "./import.ts";
export { fetchMissing } from "./layers.ts";
export { type Loaded, loadImages } from "./load.ts";
export {
  copyFiles,
  type CopyOptions,
  type End,
  packFiles,
  Place,
  type PlaceOptions,
  unpackFiles,
} from "./copy/mod.ts";
export { tarOf, type TreeChange, treeChanges, walkTree } from "./pack/mod.ts";
export { ownXattrs } from "./unpack/mod.ts";
export { type Pulled, pullImage, type PullOptions } from "./pull.ts";
export { type Pushed, pushImage, type PushOptions } from "./push.ts";
export { saveImages, type SaveOptions } from "./save.ts";
export {
  login,
  logout,
  type RegistryOptions,
  registrySink,
  registrySource,
} from "./registry/mod.ts";
export {
  contentOf,
  type DiskUsage,
  familiar,
  type Found,
  type Image,
  type ImageContent,
  type OpenOptions,
  openStore,
  type ReadyFiles,
  type Removed,
  type Store,
  type UsageRow,
  type VolumeInfo,
  type VolumeUse,
} from "./store/mod.ts";
export type { Descriptor, ExecutionConfig, ImageConfig, Platform, Progress } from "./types.ts";
