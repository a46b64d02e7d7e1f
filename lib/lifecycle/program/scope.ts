import {
  type Argument,
  type Cell,
  EEXIST,
  ENOENT,
  type Label,
  MOVE_MOUNT_F_EMPTY_PATH,
  MOVE_MOUNT_T_EMPTY_PATH,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_PATH,
  O_WRONLY,
  open_how,
  ProgramBuilder,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  valueOf,
} from "../../../ffi/mod.ts";
import { REPORT } from "./protocol.ts";

/**
 * A program being put together: the builder, and the blocks of steps that are seldom taken and stand
 * behind the others, so that the usual way is a straight line.
 */
export class Scope {
  readonly p = new ProgramBuilder();
  /** The register of the descriptor on which failures are reported. */
  readonly report = this.p.variable("report", 4, new Uint8Array([REPORT, 0, 0, 0]));
  readonly #aside: (() => void)[] = [];
  #count = 0;

  /** Steps that stand behind the main line; written by `writeAsides`. */
  aside(write: () => void): void {
    this.#aside.push(write);
  }

  /** Writes what was put aside. Nothing may fall through into it. */
  writeAsides(): void {
    for (let write = this.#aside.shift(); write; write = this.#aside.shift()) write();
  }

  /** A descriptor's register. */
  descriptor(name: string): Cell {
    return this.p.variable(name, 4);
  }

  /** A label with a name of its own. */
  label(name: string): Label {
    return this.p.label(`${name} ${++this.#count}`);
  }

  /** Fails with a kept result, which is negative, under this label. */
  fail(label: string, result: Cell): void {
    this.p.compute(valueOf(result), 0, -1, { label });
  }
}

/** A path below the container's root, without the leading slash; the root itself is `"."`. */
export function below(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part === "..") parts.pop();
    else parts.push(part);
  }
  return parts.join("/") || ".";
}

/** How paths of the image are resolved: by the kernel, inside the root. openat2(2) */
export const IN_ROOT = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;

/** Opens a path below `root` (`O_PATH` unless flags say more). */
export function openBelow(
  s: Scope,
  root: Argument,
  path: string,
  flags: number,
  options: { label: string; result: Cell; negative?: Label; resolve?: number },
): void {
  const how = s.p.struct(open_how, {
    flags: flags | O_CLOEXEC,
    resolve: options.resolve ?? IN_ROOT,
  });
  s.p.call("openat2", [root, s.p.string(path), how, open_how.size], options);
}

/** What a mount point must be. */
export type PointKind = "directory" | "file";

/**
 * Opens a path below the root, and makes it first if it is not there.
 *
 * @returns the register of an `O_PATH` descriptor.
 */
export function openOrMake(
  s: Scope,
  root: Cell,
  path: string,
  kind: PointKind,
  options: {
    readonly noSymlinks?: boolean;
    /** A link in the last place is opened itself. */
    readonly noFollow?: boolean;
    readonly mode?: number;
  } = {},
): Cell {
  const { p } = s;
  const relative = below(path);
  const result = s.descriptor(`fd of ${path}`);
  const resolve = options.noSymlinks ? IN_ROOT | RESOLVE_NO_SYMLINKS : IN_ROOT;
  const flags = O_PATH | (kind === "directory" ? O_DIRECTORY : 0) |
    (options.noFollow ? O_NOFOLLOW : 0);
  const label = `open ${path}`;
  const missing = s.label(`make ${path}`);
  const there = s.label(`have ${path}`);
  openBelow(s, valueOf(root), relative, flags, { label, result, negative: missing, resolve });
  p.place(there);
  s.aside(() => {
    p.place(missing);
    const make = s.label("make");
    p.jumpIfEqual(valueOf(result), -ENOENT, make);
    s.fail(label, result);
    p.place(make);
    const parent = s.descriptor(`parent of ${path}`);
    const made = s.descriptor(`mkdir of ${path}`);
    const lost = s.label(`cannot make ${path}`);
    const names = relative.split("/");
    names.forEach((name, i) => {
      const above = names.slice(0, i).join("/") || ".";
      openBelow(s, valueOf(root), above, O_PATH | O_DIRECTORY, {
        label: `make ${path}`,
        result: parent,
        negative: lost,
        resolve,
      });
      const next = s.label("next");
      if (kind === "file" && i === names.length - 1) {
        const create = O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC;
        const opened = s.descriptor("made");
        p.call("openat", [valueOf(parent), p.string(name), create, 0o644], {
          label: `make ${path}`,
          result: opened,
        });
        p.call("close", [valueOf(opened)]);
      } else {
        // One that is there is fine; anything else makes the open that follows fail.
        p.call("mkdirat", [valueOf(parent), p.string(name), options.mode ?? 0o755], {
          label: `make ${path}`,
          result: made,
          negative: next,
        });
      }
      p.place(next);
      p.call("close", [valueOf(parent)]);
    });
    openBelow(s, valueOf(root), relative, flags, {
      label: `make ${path}`,
      result,
      negative: lost,
      resolve,
    });
    p.jump(there);
    // Why: what mkdir said, and not that after it the directory was still missing.
    const opened = s.label("not made");
    p.place(lost);
    p.jumpIfEqual(valueOf(made), -EEXIST, opened);
    s.fail(`make ${path}`, made);
    p.place(opened);
    s.fail(`make ${path}`, parent);
    s.fail(`make ${path}`, result);
  });
  return result;
}

const BOTH_EMPTY = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;

/** Attaches a detached mount to an open mount point. move_mount(2) */
export function attach(s: Scope, mount: Argument, point: Argument, label: string): void {
  const empty = s.p.string("");
  s.p.call("move_mount", [mount, empty, point, empty, BOTH_EMPTY], { label });
}
