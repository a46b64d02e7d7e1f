/**
 * crate as a user has it, put below a directory by `scripts/install`, as the peers are installed too.
 *
 * @returns the path of the command.
 */
export function installCrate(directory: string): string {
  const { success, stdout, stderr } = new Deno.Command(
    new URL("../install", import.meta.url).pathname,
    { args: [`${directory}/installed`], stdin: "null" },
  ).outputSync();
  const decoder = new TextDecoder();
  if (!success) throw new Error(`scripts/install: ${decoder.decode(stderr).trim()}`);
  return decoder.decode(stdout).trim();
}
