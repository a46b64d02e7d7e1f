// Layers that lie over each other as one root filesystem.
export { openMerged, openWritable, withMerged, type Written } from "./merged.ts";
export { MAX_LOWERS, overlayMount, type OverlayOptions } from "./mount.ts";
export { canHoldUpper } from "./upper.ts";
