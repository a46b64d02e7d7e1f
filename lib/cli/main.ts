import { encodeText, SyscallError } from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import { log } from "./log.ts";
import { NobodyReads, say, write } from "./print.ts";
import { needsNamespace } from "./rootless.ts";
import { type CommandLine, explainWords, parseVerb, parseWords, verbOf } from "./words/mod.ts";

/** What crate exits with when it fails itself: docker's convention. */
const OWN_FAILURE = 125;

/**
 * Does what a command line says.
 *
 * @returns the exit code; a command that becomes something else does not return.
 */
export async function main(argv: readonly string[]): Promise<number> {
  try {
    const verb = verbOf(argv);
    // Whoever becomes crate once more reads its words then. Help is for those, too, who cannot.
    if (verb !== undefined && !argv.some((word) => HELP.has(word))) await enterFor(verb);
    let parsed = verb === undefined ? undefined : await parseVerb(verb, argv);
    if (parsed === undefined) {
      const { commandLine } = await import("./words/mod.ts");
      parsed = parseWords(commandLine, argv);
      if (parsed === undefined) return await help(commandLine, argv);
    }
    await enterFor(parsed.command.name);
    const module = await parsed.command.load();
    return await module.default(parsed.call);
  } catch (error) {
    return explain(error);
  }
}

const HELP: ReadonlySet<string> = new Set(["-h", "--help"]);

/** An ordinary user's crate becomes the root of a namespace for most commands. @throws {CrateError} */
async function enterFor(command: string): Promise<void> {
  if (!needsNamespace(command)) return;
  const { enterUserNamespace } = await import("../lifecycle/mod.ts");
  await enterUserNamespace(Deno.env.toObject());
}

/** What there is to say to words that cannot be run, and the exit code. */
async function help(line: CommandLine, argv: readonly string[]): Promise<number> {
  const { exitCode, stdout, stderr } = await explainWords(line, argv);
  write("output", encodeText(stdout));
  say(stderr);
  return exitCode;
}

/** One sentence for an error, and the exit code. */
function explain(error: unknown): number {
  if (error instanceof NobodyReads) return error.exitCode;
  if (error instanceof CrateError) {
    log("error", error.message);
    return error.exitCode;
  }
  if (error instanceof SyscallError) {
    log("error", error.message);
    return OWN_FAILURE;
  }
  if (isDenoError(error)) {
    log("error", error.message);
    return OWN_FAILURE;
  }
  const text = error instanceof Error ? error.stack ?? error.message : String(error);
  log("error", `a bug in crate, please report it: ${text}`);
  return OWN_FAILURE;
}

/** An error of the runtime's about the world, not about this program. */
function isDenoError(error: unknown): error is Error {
  return error instanceof Error &&
    Object.values(Deno.errors).some((type) => error instanceof type);
}
