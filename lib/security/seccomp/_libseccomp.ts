// For tests: libseccomp's word for it, asked by a small C program.
import type { LinuxSeccomp } from "../../spec/mod.ts";
import { ABIS, type Machine } from "./abi.ts";
import { answerOf, readAlternatives } from "./words.ts";

const SOURCE = `
#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint32_t arch(const char *name) {
  if (!strcmp(name, "SCMP_ARCH_X86_64")) return SCMP_ARCH_X86_64;
  if (!strcmp(name, "SCMP_ARCH_X86")) return SCMP_ARCH_X86;
  if (!strcmp(name, "SCMP_ARCH_X32")) return SCMP_ARCH_X32;
  if (!strcmp(name, "SCMP_ARCH_AARCH64")) return SCMP_ARCH_AARCH64;
  if (!strcmp(name, "SCMP_ARCH_ARM")) return SCMP_ARCH_ARM;
  exit(3);
}

static void check(const char *what, int result) {
  if (result < 0) fprintf(stderr, "%s: %s\\n", what, strerror(-result)), exit(4);
}

/* Words on standard input: "name ARCH NAME", "filter ANSWER", "arch ARCH",
   "rule ANSWER NAME COUNT {INDEX OP A B}", "end". */
int main(void) {
  char word[128], name[128];
  unsigned answer, count;
  scmp_filter_ctx filter = NULL;
  while (scanf("%127s", word) == 1) {
    if (!strcmp(word, "name")) {
      if (scanf("%127s %127s", word, name) != 2) return 2;
      printf("%d\\n", seccomp_syscall_resolve_name_rewrite(arch(word), name));
    } else if (!strcmp(word, "filter")) {
      if (scanf("%u", &answer) != 1 || !(filter = seccomp_init(answer))) return 2;
      check("remove", seccomp_arch_remove(filter, SCMP_ARCH_NATIVE));
    } else if (!strcmp(word, "arch")) {
      if (scanf("%127s", name) != 1) return 2;
      check("arch", seccomp_arch_add(filter, arch(name)));
    } else if (!strcmp(word, "rule")) {
      if (scanf("%u %127s %u", &answer, name, &count) != 3) return 2;
      struct scmp_arg_cmp args[6];
      for (unsigned i = 0; i < count; i++) {
        unsigned long long a, b;
        if (scanf("%u %127s %llu %llu", &args[i].arg, word, &a, &b) != 4) return 2;
        const char *ops[] = {"", "SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE", "SCMP_CMP_EQ",
                             "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_MASKED_EQ"};
        for (int op = 1; op < 8; op++) if (!strcmp(word, ops[op])) args[i].op = op;
        args[i].datum_a = a;
        args[i].datum_b = b;
      }
      int call = seccomp_syscall_resolve_name(name);
      if (call == __NR_SCMP_ERROR) continue;
      int added = seccomp_rule_add_array(filter, answer, call, count, args);
      if (added != -EEXIST) check(name, added);
    } else if (!strcmp(word, "end")) {
      FILE *out = tmpfile();
      check("export", seccomp_export_bpf(filter, fileno(out)));
      seccomp_release(filter);
      rewind(out);
      unsigned char bytes[32768 * 4];
      size_t size = fread(bytes, 1, sizeof bytes, out);
      fclose(out);
      for (size_t i = 0; i < size; i++) printf("%02x", bytes[i]);
      puts("");
    }
  }
  return 0;
}
`;

/** Compiles the program, gives it the lines, returns its lines. */
export async function askLibseccomp(lines: string[]): Promise<string[]> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/ask.c`, SOURCE);
    const built = await new Deno.Command("gcc", {
      args: ["-o", `${folder}/ask`, `${folder}/ask.c`, "-lseccomp"],
    }).output();
    if (!built.success) throw new Error(new TextDecoder().decode(built.stderr));
    await Deno.writeTextFile(`${folder}/lines`, lines.join("\n") + "\n");
    const { success, stdout, stderr } = await new Deno.Command("sh", {
      args: ["-c", 'exec "$0/ask" <"$0/lines"', folder],
    }).output();
    if (!success) throw new Error(`libseccomp: ${new TextDecoder().decode(stderr)}`);
    return new TextDecoder().decode(stdout).trimEnd().split("\n");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Whether there is a compiler and libseccomp-dev. */
export function hasLibseccomp(): boolean {
  try {
    Deno.statSync("/usr/include/seccomp.h");
    return new Deno.Command("gcc", { args: ["--version"] }).outputSync().success;
  } catch {
    return false;
  }
}

/** What the C program reads to build the filter as runc does. */
export function filterLines(profile: LinuxSeccomp, machine: Machine): string[] {
  const standard = answerOf(profile.defaultAction, profile.defaultErrnoRet, "defaultAction");
  const lines = [`filter ${standard}`];
  for (const [i, { name }] of ABIS[machine].entries()) {
    if (i === 0 || profile.architectures?.includes(name)) lines.push(`arch ${name}`);
  }
  for (const { names, action, errnoRet, args = [] } of profile.syscalls ?? []) {
    const answer = answerOf(action, errnoRet, "action");
    if (answer === standard) continue;
    const several = readAlternatives(args, "args").length > 1;
    for (const group of several ? args.map((arg) => [arg]) : [args]) {
      const tests = group.map(({ index, op, value, valueTwo = 0 }) =>
        ` ${index} ${op} ${value} ${valueTwo}`
      ).join("");
      for (const name of names) lines.push(`rule ${answer} ${name} ${group.length}${tests}`);
    }
  }
  return [...lines, "end"];
}
