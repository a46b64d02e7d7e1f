// Layers that lie over each other as one root filesystem.
export { MAX_LOWERS, overlayMount, type OverlayOptions } from "./mount.ts";
