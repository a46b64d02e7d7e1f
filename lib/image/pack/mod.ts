// A directory tree -> an archive, a layer or a copy: read by descriptors, whoever changes it meanwhile.
export { copyTree } from "./copy.ts";
export { tarOf } from "./tar.ts";
export { type WalkEvent, type WalkOptions, walkTree } from "./walk.ts";
