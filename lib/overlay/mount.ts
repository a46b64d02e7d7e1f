import { CrateError } from "../errors.ts";
import type { Mount } from "../spec/mod.ts";

/** OVL_MAX_STACK, fs/overlayfs/params.h: the kernel takes no more lower directories. */
export const MAX_LOWERS = 500;

/** What an overlay is made of: absolute paths. */
export interface OverlayOptions {
  /** The layers' directories, the uppermost first. */
  readonly lowers: readonly string[];
  /**
   * Where what is written goes; when it is left out, to a tmpfs in the container's own mount namespace,
   * which ends with it.
   */
  readonly upper?: string;
  /** On the same filesystem as `upper`, and empty; the kernel's own. */
  readonly work?: string;
  /** Whiteouts are marked by `user.overlay.` attributes: inside a user namespace. */
  readonly userxattr?: boolean;
  /** Nothing is synced, neither by the container nor at its end, which else syncs the whole disk. */
  readonly volatile?: boolean;
}

/**
 * The mount of a config that makes layers the container's root. Which system calls it takes is for the
 * compiler to choose: there may be more layers than one option of fsconfig(2) names.
 *
 * Neither layers nor what is written refer to other files by attributes (redirects, metacopy): an
 * upper directory is then a layer as it stands.
 *
 * @throws {CrateError} `INVALID`: no layer, too many, an upper directory without a work directory or
 *   the other way round, a path with a character that overlayfs reads as its own.
 *
 * @example
 * ```ts
 * import { overlayMount } from "./mod.ts";
 * const { options } = overlayMount({ lowers: ["/l/b", "/l/a"], upper: "/c/upper", work: "/c/work" });
 * if (!options!.includes("lowerdir=/l/b:/l/a")) throw new Error();
 * ```
 *
 * @see https://docs.kernel.org/filesystems/overlayfs.html
 */
export function overlayMount(
  { lowers, upper, work, userxattr = false, volatile = false }: OverlayOptions,
): Mount {
  if (lowers.length === 0) throw new CrateError("INVALID", "an overlay needs a layer");
  if (lowers.length > MAX_LOWERS) {
    throw new CrateError(
      "INVALID",
      `an overlay takes at most ${MAX_LOWERS} layers, got ${lowers.length}`,
    );
  }
  if ((upper === undefined) !== (work === undefined)) {
    throw new CrateError("INVALID", "an overlay's upper and work directories come together");
  }
  const own = upper === undefined ? [] : [upper, work!];
  for (const path of [...lowers, ...own]) check(path);
  return {
    destination: "/",
    type: "overlay",
    source: "overlay",
    options: [
      `lowerdir=${lowers.join(":")}`,
      ...(upper === undefined ? [] : [`upperdir=${upper}`, `workdir=${work}`]),
      "redirect_dir=nofollow",
      "metacopy=off",
      "index=off",
      ...(userxattr ? ["userxattr"] : []),
      ...(volatile && upper !== undefined ? ["volatile"] : []),
    ],
  };
}

function check(path: string): void {
  if (!path.startsWith("/") || /[,:\\\0\n]/.test(path)) {
    throw new CrateError(
      "INVALID",
      `${JSON.stringify(path)} cannot be part of an overlay: its path must be absolute, without ` +
        "comma, colon, backslash",
    );
  }
}
