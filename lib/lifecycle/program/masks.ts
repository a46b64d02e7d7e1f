import {
  AT_FDCWD,
  type Cell,
  ENOENT,
  ENOTDIR,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_RDONLY,
  MOVE_MOUNT_F_EMPTY_PATH,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  valueOf,
} from "../../../ffi/mod.ts";
import type { Spec } from "../../spec/mod.ts";
import type { CompileInput } from "./input.ts";
import { withContext } from "./labels.ts";
import { cloneTree, makeFilesystem, setAttributes } from "./filesystem.ts";
import { isNew } from "./namespaces.ts";
import { attach, below, openBelow, type Scope } from "./scope.ts";

/**
 * The sources of masks: the host's /dev/null, and a read-only empty tmpfs that all masked directories
 * share. Both are mounted in the init's namespace: before Linux 6.15 no other mount can be cloned.
 */
export interface MaskSources {
  readonly file: Cell;
  /** Absent: each gets one of its own. The root of a user namespace may have no place to mount it. */
  readonly directory?: Cell;
}

/** Prepares what masks are made of; undefined when nothing is masked. */
export function openMasks(s: Scope, { spec, attachPoint }: CompileInput): MaskSources | undefined {
  if (!spec.linux?.maskedPaths?.length) return undefined;
  const { p } = s;
  const label = "prepare masks";
  const file = s.descriptor("/dev/null");
  p.call("openat", [AT_FDCWD, p.string("/dev/null"), O_PATH | O_CLOEXEC, 0], {
    label,
    result: file,
  });
  if (isNew(spec, "user")) return { file };
  const directory = makeEmpty(s, spec, label);
  // The root will lie on top of it, and it goes with the host's tree.
  const to = [AT_FDCWD, p.string(attachPoint), MOVE_MOUNT_F_EMPTY_PATH];
  p.call("move_mount", [valueOf(directory), p.string(""), ...to], { label });
  return { file, directory };
}

const EMPTY = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;

/** A directory in which nothing is, and nothing can be. */
function makeEmpty(s: Scope, spec: Spec, label: string): Cell {
  const data = withContext("tmpfs", [["size", "0"], ["mode", "555"]], spec);
  return makeFilesystem(s, "tmpfs", "tmpfs", data, EMPTY, label);
}

/** Hides `linux.maskedPaths`; a path that is not there needs no hiding. */
export function mask(s: Scope, { spec }: CompileInput, root: Cell, sources: MaskSources): void {
  const { p } = s;
  for (const path of spec.linux?.maskedPaths ?? []) {
    const label = `mask ${path}`;
    const fd = s.descriptor(`fd of ${path}`);
    const next = s.label("next");
    const other = s.label(`mask ${path} otherwise`);
    const relative = below(path);
    openBelow(s, valueOf(root), relative, O_PATH | O_DIRECTORY, {
      label,
      result: fd,
      negative: other,
    });
    const cover = (source: Cell | undefined) => {
      const mount = source === undefined
        ? makeEmpty(s, spec, label)
        : cloneTree(s, valueOf(source), "", false, label);
      attach(s, valueOf(mount), valueOf(fd), label);
    };
    cover(sources.directory);
    p.place(next);
    s.aside(() => {
      const file = s.label("file");
      p.place(other);
      p.jumpIfEqual(valueOf(fd), -ENOENT, next);
      p.jumpIfEqual(valueOf(fd), -ENOTDIR, file);
      s.fail(label, fd);
      p.place(file);
      openBelow(s, valueOf(root), relative, O_PATH, { label, result: fd });
      cover(sources.file);
      p.jump(next);
    });
  }
}

/** Makes `linux.readonlyPaths` read-only, with all that is mounted below; one not there is skipped. */
export function makeReadonly(s: Scope, { spec }: CompileInput, root: Cell): void {
  const { p } = s;
  for (const path of spec.linux?.readonlyPaths ?? []) {
    const label = `make ${path} read-only`;
    const fd = s.descriptor(`fd of ${path}`);
    const missing = s.label("missing");
    const next = s.label("next");
    openBelow(s, valueOf(root), below(path), O_PATH, { label, result: fd, negative: missing });
    const tree = cloneTree(s, valueOf(fd), "", true, label);
    setAttributes(s, valueOf(tree), { set: 1, clear: 0 }, 0, true, label);
    attach(s, valueOf(tree), valueOf(fd), label);
    p.place(next);
    s.aside(() => {
      p.place(missing);
      p.jumpIfEqual(valueOf(fd), -ENOENT, next);
      s.fail(label, fd);
    });
  }
}
