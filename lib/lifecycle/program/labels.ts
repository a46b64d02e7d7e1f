import {
  type Argument,
  O_WRONLY,
  RESOLVE_BENEATH,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_XDEV,
  valueOf,
} from "../../../ffi/mod.ts";
import { openBelow, type Scope } from "./scope.ts";

const IN_PROC = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS;

/** A write into a file of a procfs. */
export interface ProcWrite {
  readonly path: string;
  readonly value: string;
  readonly label: string;
}

/** The AppArmor profile that the next execve(2) puts the process under. apparmor(7) */
export function apparmorWrite(profile: string): ProcWrite {
  return {
    path: "self/attr/apparmor/exec",
    value: `exec ${profile}`,
    label: `set the AppArmor profile ${profile}`,
  };
}

/** Writes into a file below a procfs of our own, on which nothing can have been mounted. */
export function writeBelow(s: Scope, proc: Argument, { path, value, label }: ProcWrite): void {
  const fd = s.descriptor("setting");
  openBelow(s, proc, path, O_WRONLY, { label, result: fd, resolve: IN_PROC });
  const text = s.p.string(value);
  s.p.call("write", [valueOf(fd), text, text.size - 1], { label });
  s.p.call("close", [valueOf(fd)]);
}
