/**
 * Writes the filters of the default seccomp profile that are compiled ahead:
 *
 *     deno run --allow-write=lib scripts/seccomp_filters.ts
 *
 * A test compiles them again and compares.
 */
import { defaultSeccompProfile } from "../lib/security/mod.ts";
import { compileProfile } from "../lib/security/seccomp/compile.ts";
import { READY_CAPABILITIES } from "../lib/security/seccomp/ready.ts";

const machines = (["x86_64", "aarch64"] as const).map((arch) => {
  const filters = READY_CAPABILITIES.map((capabilities) => {
    const { filter } = compileProfile(defaultSeccompProfile({ capabilities, arch }), arch);
    return `    "${filter.toBase64()}",\n`;
  });
  return `  ${arch}: [\n${filters.join("")}  ],\n`;
});
Deno.writeTextFileSync(
  new URL("../lib/security/seccomp/ready_filters.ts", import.meta.url),
  `// Written by scripts/seccomp_filters.ts.
// deno-fmt-ignore-file
import type { Machine } from "./abi.ts";

/** \`struct sock_filter[]\` in base64, for each of READY_CAPABILITIES. */
export const READY_FILTERS: Readonly<Record<Machine, readonly string[]>> = {
${machines.join("")}};
`,
);
