import { CrateError } from "../../errors.ts";
import { parseEnvFile, resolveEnv } from "../../spec/mod.ts";

/** `--env-file` and `--env`, in this order; a name without a value passes on crate's own. */
export function environment(
  { env, envFile }: { readonly env: readonly string[]; readonly envFile: readonly string[] },
): string[] {
  const inherit = (name: string) => Deno.env.get(name);
  const fromFiles = envFile.flatMap((file) => {
    let text: string;
    try {
      text = Deno.readTextFileSync(file);
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new CrateError("INVALID", `--env-file ${file} cannot be read: ${why}`, { cause });
    }
    return resolveEnv(parseEnvFile(text, file), inherit, `--env-file ${file}`);
  });
  return [...fromFiles, ...resolveEnv(env, inherit)];
}
