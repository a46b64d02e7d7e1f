import {
  type Cell,
  FSCONFIG_CMD_CREATE,
  FSCONFIG_SET_FLAG,
  FSCONFIG_SET_STRING,
  FSMOUNT_CLOEXEC,
  FSOPEN_CLOEXEC,
  valueOf,
} from "../../../ffi/mod.ts";
import type { MountOptions } from "./mount_options.ts";
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
