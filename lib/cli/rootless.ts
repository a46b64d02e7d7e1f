import { syscall } from "../../ffi/mod.ts";

/** Commands that need no root of any kind. */
const ANYONES: ReadonlySet<string> = new Set([
  "config",
  "features",
  "login",
  "logout",
  "spec",
  "version",
]);

/** Whether a command is an ordinary user's, who has to be the root of a namespace of his own for it. */
export function needsNamespace(command: string): boolean {
  return !ANYONES.has(command) && syscall("geteuid") !== 0;
}
