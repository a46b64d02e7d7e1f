// A layer's compressed bytes -> a directory as overlayfs wants it: checked, and safe whatever is in it.
export { type Compression, inflate, sniff, sniffed } from "./inflate.ts";
export { statusOf } from "./lowers.ts";
export { type UnpackLimits, withDefaults } from "./limits.ts";
export { LayerWriter } from "./writer.ts";
export { loadUnpacker, type Unpacked, unpackLayer, type UnpackOptions } from "./unpack.ts";
export { isKept, opaqueMark, type OverlayXattrs, ownXattrs } from "./xattrs.ts";
export { namesIn } from "./remove.ts";
export { splitPath } from "./path.ts";
