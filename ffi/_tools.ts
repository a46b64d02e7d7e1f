// What this room's tests share: the tools of a C programmer, and what the headers say.

/** The standard output of a command. @throws {Error} with its errors when it fails. */
export async function run(command: string, args: readonly string[], input = ""): Promise<string> {
  const child = new Deno.Command(command, {
    args: [...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  await writer.close();
  const { success, stdout, stderr } = await child.output();
  if (!success) throw new Error(`${command}: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}

/** Whether a program is on the path: a test that needs one says which, and is skipped without. */
export function has(tool: string): boolean {
  return (Deno.env.get("PATH") ?? "").split(":").some((directory) =>
    isThere(`${directory}/${tool}`)
  );
}

/** Whether there is something at a path. */
export function isThere(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

/** Debian's libc6-dev-arm64-cross. */
export const ARM_HEADERS = "/usr/aarch64-linux-gnu/include";

/** What gcc is told, so that it reads arm64's headers and not this machine's. */
export async function armFlags(): Promise<string[]> {
  const own = (await run("gcc", ["-print-file-name=include"])).trim();
  return ["-nostdinc", "-isystem", own, "-isystem", ARM_HEADERS, "-U__x86_64__", "-D__aarch64__"];
}

/** Compiles and runs a C program; what it prints. */
export async function runC(source: string, flags: readonly string[] = []): Promise<string> {
  const directory = await Deno.makeTempDir();
  try {
    const binary = `${directory}/a`;
    await run("gcc", ["-D_GNU_SOURCE", ...flags, "-x", "c", "-o", binary, "-"], source);
    return await run(binary, []);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** All object-like macros that these headers leave behind, names of other macros resolved. */
export async function macros(
  headers: readonly string[],
  flags: readonly string[] = [],
): Promise<Map<string, string>> {
  const source = headers.map((header) =>
    `#include ${header[0] === "/" ? `"${header}"` : `<${header}>`}\n`
  ).join("");
  const text = await run("gcc", ["-D_GNU_SOURCE", ...flags, "-E", "-dM", "-"], source);
  const found = new Map<string, string>();
  for (const [, name, value] of text.matchAll(/^#define (\w+) (.+)$/gm)) found.set(name!, value!);
  for (const name of found.keys()) {
    const value = found.get(found.get(name)!);
    if (value !== undefined) found.set(name, value);
  }
  return found;
}
