// A directory tree -> an archive, a layer or a copy: read by descriptors, whoever changes it meanwhile.
export { type TreeChange, treeChanges } from "./changes.ts";
export { copyTree } from "./copy.ts";
export { writeLayer } from "./layer.ts";
export { tarOf } from "./tar.ts";
export { walkEntry, type WalkEvent, type WalkOptions, walkTree } from "./walk.ts";
