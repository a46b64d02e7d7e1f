import { readText } from "./files.ts";

let isInitial: boolean | undefined;

/** Whether all ids of the machine are ids here: the root here is the machine's. user_namespaces(7) */
export function isInitialUserNamespace(): boolean {
  return isInitial ??= /^\s*0\s+0\s+4294967295\s*$/.test(readText("/proc/self/uid_map"));
}
