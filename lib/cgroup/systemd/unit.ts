import { CrateError } from "../../errors.ts";

/** The unit that systemd makes for a container. */
export interface Unit {
  /** `crate-web.scope`; or a slice, `web.slice`. */
  readonly name: string;
  /** The slice that it lies in, `system.slice`. */
  readonly slice: string;
  /** The name in its description. */
  readonly container: string;
  /** The manager of a user, and not the system's. */
  readonly user: boolean;
}

const PREFIX = "crate";
/** systemd's own bound, `UNIT_NAME_MAX`, with a NUL. */
const MAX_NAME = 255;

/**
 * The unit of a container.
 *
 * @param cgroupsPath `SLICE:PREFIX:NAME`, any of the first two empty; absent: all by default.
 * @param id the name by default.
 * @throws {CrateError} `INVALID` for a path of another form.
 *
 * @example
 * ```ts
 * import { unitOf } from "./unit.ts";
 * const { name, slice } = unitOf("machine.slice:libpod:4f", "4f", false);
 * if (name !== "libpod-4f.scope" || slice !== "machine.slice") throw new Error();
 * ```
 */
export function unitOf(cgroupsPath: string | undefined, id: string, user: boolean): Unit {
  const parts = cgroupsPath === undefined || cgroupsPath === ""
    ? ["", PREFIX, id]
    : cgroupsPath.split(":");
  const [slice, prefix, name] = parts as [string, string, string];
  const wrong = (why: string) =>
    new CrateError(
      "INVALID",
      `linux.cgroupsPath ${why}, such as "system.slice:crate:web" with --systemd-cgroup, ` +
        `got ${JSON.stringify(cgroupsPath)}`,
    );
  if (parts.length !== 3 || name === "") throw wrong("must be SLICE:PREFIX:NAME");
  const unit = name.endsWith(".slice") ? name : `${prefix}-${name}.scope`;
  const inSlice = slice || (user ? "user.slice" : "system.slice");
  if (unit.length > MAX_NAME || !/^[A-Za-z0-9_.\\@:-]+$/.test(unit)) {
    throw wrong("must be the name of a unit: at most 255 of A-Z a-z 0-9 _ . \\ @ -");
  }
  if (!isSlice(inSlice)) throw wrong("must begin with the name of a slice");
  if (unit.endsWith(".slice") && !isSlice(unit)) throw wrong("must end in the name of a slice");
  return { name: unit, slice: inSlice, container: name, user };
}

function isSlice(name: string): boolean {
  return name === "-.slice" ||
    name.length <= MAX_NAME && /^[\w.\\@:]+(-[\w.\\@:]+)*\.slice$/.test(name);
}

/**
 * The group of a slice, below that of its manager: a name has those of the slices around it in it.
 * systemd.slice(5)
 *
 * @example
 * ```ts
 * import { slicePath } from "./unit.ts";
 * if (slicePath("a-b.slice") !== "/a.slice/a-b.slice") throw new Error();
 * ```
 */
export function slicePath(slice: string): string {
  if (slice === "-.slice") return "";
  const parts = slice.slice(0, -".slice".length).split("-");
  return parts.map((_, i) => `/${parts.slice(0, i + 1).join("-")}.slice`).join("");
}

/** A unit's group, below that of its manager. */
export function unitPath({ name, slice }: Unit): string {
  return name.endsWith(".slice") ? slicePath(name) : `${slicePath(slice)}/${name}`;
}
