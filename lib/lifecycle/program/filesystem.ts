import {
  type Argument,
  AT_EMPTY_PATH,
  AT_RECURSIVE,
  type Cell,
  FSCONFIG_CMD_CREATE,
  FSCONFIG_SET_FLAG,
  FSCONFIG_SET_STRING,
  FSMOUNT_CLOEXEC,
  FSOPEN_CLOEXEC,
  mount_attr,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
  valueOf,
} from "../../../ffi/mod.ts";
import type { Attributes, MountOptions } from "./mount_options.ts";
import type { Scope } from "./scope.ts";

/**
 * Makes a filesystem that is mounted nowhere yet. fsopen(2), fsmount(2)
 *
 * @returns the register of the mount's descriptor.
 */
export function makeFilesystem(
  s: Scope,
  type: string,
  source: string,
  data: MountOptions["data"],
  attributes: number,
  label: string,
): Cell {
  const { p } = s;
  const context = s.descriptor(`${type} context`);
  const mount = s.descriptor(`${type} mount`);
  p.call("fsopen", [p.string(type), FSOPEN_CLOEXEC], { label, result: context });
  if (source !== "") configure(s, context, "source", source, label);
  for (const [key, value] of data) configure(s, context, key, value, label);
  p.call("fsconfig", [valueOf(context), FSCONFIG_CMD_CREATE, 0, 0, 0], { label });
  p.call("fsmount", [valueOf(context), FSMOUNT_CLOEXEC, attributes], { label, result: mount });
  return mount;
}

/** Sets one of a filesystem's own options. fsconfig(2) */
export function configure(
  s: Scope,
  context: Cell,
  key: string,
  value: string | undefined,
  label: string,
): void {
  const { p } = s;
  const note = { label: `${label} (${value === undefined ? key : `${key}=${value}`})` };
  const fd = valueOf(context);
  if (value === undefined) p.call("fsconfig", [fd, FSCONFIG_SET_FLAG, p.string(key), 0, 0], note);
  else p.call("fsconfig", [fd, FSCONFIG_SET_STRING, p.string(key), p.string(value), 0], note);
}

/** Clones a mount, or a part of one, detached. open_tree(2) */
export function cloneTree(
  s: Scope,
  from: Argument,
  path: string,
  recursive: boolean,
  label: string,
  more = 0,
): Cell {
  const flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE : 0) |
    (path === "" ? AT_EMPTY_PATH : 0) | more;
  const tree = s.descriptor("tree");
  s.p.call("open_tree", [from, s.p.string(path), flags], { label, result: tree });
  return tree;
}

/** Changes a mount's attributes and propagation. mount_setattr(2) */
export function setAttributes(
  s: Scope,
  mount: Argument,
  { set, clear }: Attributes,
  propagation: number,
  recursive: boolean,
  label: string,
): void {
  if (set === 0 && clear === 0 && propagation === 0) return;
  const attr = s.p.struct(mount_attr, { attr_set: set, attr_clr: clear, propagation });
  const flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0);
  s.p.call("mount_setattr", [mount, s.p.string(""), flags, attr, mount_attr.size], { label });
}
