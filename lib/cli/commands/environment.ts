import { parseEnvFile, resolveEnv } from "../../spec/mod.ts";
import { readGiven } from "../given.ts";

/** `--env-file` and `--env`, in this order; a name without a value passes on crate's own. */
export function environment(
  { env, envFile }: { readonly env: readonly string[]; readonly envFile: readonly string[] },
): string[] {
  const inherit = (name: string) => Deno.env.get(name);
  const fromFiles = envFile.flatMap((file) => {
    const text = readGiven("--env-file", file);
    return resolveEnv(parseEnvFile(text, file), inherit, `--env-file ${file}`);
  });
  return [...fromFiles, ...resolveEnv(env, inherit)];
}
