import type { LinuxSeccomp } from "../../spec/mod.ts";
import { ABIS, type Machine } from "./abi.ts";
import { Assembler, JEQ, type Target } from "./assembler.ts";
import { assembleChain } from "./conditions.ts";
import { readyFilter } from "./ready.ts";
import { cutRanges, type Verdict } from "./ranges.ts";
import { resolveRules } from "./rules.ts";
import { assembleSearch } from "./search.ts";
import { ANSWER_FOREIGN, readFlags } from "./words.ts";

/** What seccomp(2) with `SECCOMP_SET_MODE_FILTER` takes. */
export interface SeccompFilter {
  /** `struct sock_filter[]`, linux/filter.h: eight bytes an instruction, at most 4096 of them. */
  readonly filter: Uint8Array<ArrayBuffer>;
  /**
   * `SECCOMP_FILTER_FLAG_*`; with `SECCOMP_FILTER_FLAG_NEW_LISTENER` among them, when a call may be
   * answered by `SCMP_ACT_NOTIFY`, seccomp(2) returns the listener's descriptor.
   */
  readonly flags: number;
}

/** `offsetof(struct seccomp_data, nr)` and `arch`. */
const NUMBER_AT = 0;
const ARCH_AT = 4;

/**
 * Compiles an OCI profile to a seccomp filter. Its verdicts are those of runc with libseccomp:
 *
 * - the machine's own ABI is always in, others when `architectures` names them; a program of any
 *   other is killed. Architectures that this machine cannot run, and names that none of its ABIs
 *   knows, say nothing;
 * - a rule without `args` decides for its call, the first such rule if there are several; among rules
 *   with `args` the first whose tests all hold; tests of one argument twice in a rule are alternatives;
 * - 32-bit ABIs (x32 too) compare the lower halves of arguments and values;
 * - a call newer than the newest that the profile names fails with ENOSYS, unless the default
 *   action lets calls through or is that already;
 * - i386's socketcall(2) and ipc(2) follow the rules of the calls they lead to;
 * - without `flags`, speculation stays allowed (`SECCOMP_FILTER_FLAG_SPEC_ALLOW`).
 *
 * @throws {CrateError} `INVALID`: an unknown word, a number out of range, more code than a filter may have.
 *
 * @example
 * ```ts
 * import { compileSeccomp } from "./compile.ts";
 * const profile = {
 *   defaultAction: "SCMP_ACT_ALLOW",
 *   syscalls: [{ names: ["reboot"], action: "SCMP_ACT_ERRNO", errnoRet: 1 }],
 * } as const;
 * const { filter } = compileSeccomp(profile, "x86_64");
 * if (filter.length % 8 !== 0) throw new Error("a filter is whole instructions");
 * ```
 *
 * @see https://github.com/opencontainers/runtime-spec/blob/main/config-linux.md#seccomp
 */
export function compileSeccomp(profile: LinuxSeccomp, arch: Machine): SeccompFilter {
  return readyFilter(profile, arch) ?? compileProfile(profile, arch);
}

/** {@linkcode compileSeccomp}, never with a filter that was ready. */
export function compileProfile(profile: LinuxSeccomp, arch: Machine): SeccompFilter {
  const wanted = profile.architectures ?? [];
  const abis = ABIS[arch].filter(({ name }, i) => i === 0 || wanted.includes(name));
  const resolved = resolveRules(profile, arch, abis);
  const { answers } = resolved;
  const { sections, chains } = cutRanges(resolved);
  const code = new Assembler();
  const assembled: Target[] = [];
  const assembleVerdict = (verdict: Verdict): Target =>
    verdict >= 0
      ? code.answer(verdict)
      : assembled[~verdict] ??= assembleChain(code, chains[~verdict]!, code.answer(answers[0]!));
  // The machine's own calls last, so that they come first.
  const searches = sections.reverse().map((section) =>
    code.load(NUMBER_AT, assembleSearch(code, section, assembleVerdict))
  );
  let entry = code.answer(ANSWER_FOREIGN);
  for (const [i, search] of searches.entries()) {
    entry = code.branch(JEQ, sections[i]!.audit, search, entry);
  }
  const filter = code.finish(code.load(ARCH_AT, entry));
  return { filter, flags: readFlags(profile.flags, resolved.notifies) };
}
