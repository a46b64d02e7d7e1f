import type { LinuxSeccomp } from "../../spec/mod.ts";
import { ABIS, type Machine } from "./abi.ts";
import { Assembler, JEQ, JGE, type Target } from "./assembler.ts";
import { assembleChain } from "./conditions.ts";
import { type Chain, cutRanges, type Section, type Verdict } from "./ranges.ts";
import { resolveRules } from "./rules.ts";
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

/** So many single calls that differ from their surroundings are asked for one by one. */
const SINGLES = 3;

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
  const wanted = profile.architectures ?? [];
  const abis = ABIS[arch].filter(({ name }, i) => i === 0 || wanted.includes(name));
  const resolved = resolveRules(profile, arch, abis);
  const { sections, chains } = cutRanges(resolved);
  const code = new Assembler();
  const otherwise = code.answer(resolved.answers[0]!);
  const searches = sections.reverse().map((section) =>
    code.load(NUMBER_AT, new Search(code, section, chains, otherwise).assemble())
  );
  let entry = code.answer(ANSWER_FOREIGN);
  for (const [i, search] of searches.entries()) {
    entry = code.branch(JEQ, sections[i]!.audit, search, entry);
  }
  const filter = code.finish(code.load(ARCH_AT, entry));
  return { filter, flags: readFlags(profile.flags, resolved.notifies) };
}

/** The decision tree over one section's system call numbers. */
class Search {
  readonly #code: Assembler;
  readonly #section: Section;
  readonly #chains: readonly Chain[];
  readonly #otherwise: Target;
  readonly #assembled = new Map<Verdict, Target>();

  constructor(code: Assembler, section: Section, chains: readonly Chain[], otherwise: Target) {
    this.#code = code;
    this.#section = section;
    this.#chains = chains;
    this.#otherwise = otherwise;
  }

  assemble(): Target {
    return this.#between(0, this.#section.starts.length - 1);
  }

  /** The code for the runs from `first` to `last`, the number in the accumulator. */
  #between(first: number, last: number): Target {
    const { starts, verdicts } = this.#section;
    if (first === last) return this.#verdict(verdicts[first]!);
    const singles = this.#singles(first, last, verdicts[first]!) ??
      this.#singles(first, last, verdicts[first + 1]!);
    if (singles !== undefined) return singles;
    const middle = (first + last + 1) >> 1;
    const right = this.#between(middle, last);
    const left = this.#between(first, middle - 1);
    return this.#code.branch(JGE, starts[middle]!, right, left);
  }

  /** The runs as one verdict with a few single calls that have another; undefined if they are not so. */
  #singles(first: number, last: number, surroundings: Verdict): Target | undefined {
    const { starts, verdicts } = this.#section;
    const singles: [number, Verdict][] = [];
    for (let i = first; i <= last; i++) {
      const verdict = verdicts[i]!;
      if (verdict === surroundings) continue;
      const end = starts[i + 1] ?? 2 ** 32;
      if (end - starts[i]! + singles.length > SINGLES) return undefined;
      for (let call = starts[i]!; call < end; call++) singles.push([call, verdict]);
    }
    let next = this.#verdict(surroundings);
    for (const [call, verdict] of singles.reverse()) {
      next = this.#code.branch(JEQ, call, this.#verdict(verdict), next);
    }
    return next;
  }

  #verdict(verdict: Verdict): Target {
    if (verdict >= 0) return this.#code.answer(verdict);
    let target = this.#assembled.get(verdict);
    if (target === undefined) {
      target = assembleChain(this.#code, this.#chains[~verdict]!, this.#otherwise);
      this.#assembled.set(verdict, target);
    }
    return target;
  }
}
