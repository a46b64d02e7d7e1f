import type { LinuxSeccomp } from "../../spec/mod.ts";
import type { Machine } from "./abi.ts";
import type { SeccompFilter } from "./compile.ts";
import { readyFilter } from "./ready.ts";

/**
 * The seccomp filter of an OCI profile. The default profile's is there already; the compiler and its
 * tables are loaded for another one, see {@linkcode compileSeccomp} in compile.ts for what it does.
 *
 * @throws {CrateError} `INVALID`: an unknown word, a number out of range, more code than a filter may have.
 *
 * @example
 * ```ts
 * import { seccompFilter } from "./filter.ts";
 * const { filter } = await seccompFilter({ defaultAction: "SCMP_ACT_ALLOW" }, "x86_64");
 * if (filter.length % 8 !== 0) throw new Error("a filter is whole instructions");
 * ```
 */
export async function seccompFilter(profile: LinuxSeccomp, arch: Machine): Promise<SeccompFilter> {
  const ready = readyFilter(profile, arch);
  if (ready !== undefined) return ready;
  const { compileProfile } = await import("./compile.ts");
  return compileProfile(profile, arch);
}
