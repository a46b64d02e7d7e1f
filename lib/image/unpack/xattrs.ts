import { isInitialUserNamespace } from "../../../ffi/mod.ts";
import type { ByteString } from "../tar/mod.ts";

/** Whose overlay reads the directory: root's has `trusted.overlay.*`, a user namespace's `user.overlay.*`. */
export type OverlayXattrs = "trusted" | "user";

/**
 * Whether an extended attribute of a layer's entry is set: `security.capability` and `user.*`, which are
 * what images are made with. Not overlayfs's own marks, which would let a layer lead the kernel elsewhere;
 * not `trusted.*`, `system.*` or other `security.*`, which speak of the machine that made the layer (SELinux
 * labels, IMA signatures, access lists by ids).
 */
export function isKept(name: ByteString): boolean {
  return name === "security.capability" ||
    name.startsWith("user.") && name.length > 5 && name !== "user.overlay" &&
      !name.startsWith("user.overlay.");
}

/** Those of an overlay that this process mounts. */
export function ownXattrs(): OverlayXattrs {
  return isInitialUserNamespace() ? "trusted" : "user";
}

/** The mark of a directory that hides what the layers below have in it. */
export function opaqueMark(overlay: OverlayXattrs): string {
  return `${overlay}.overlay.opaque`;
}
