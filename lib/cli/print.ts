import { encodeText } from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";

/**
 * Nobody reads any more what a command prints, as in `crate logs web | head -1`. The command ends as a program that
 * SIGPIPE kills: it says nothing. It is no CrateError, because those who go on after one shall not go on after this.
 */
export class NobodyReads extends Error {
  override readonly name = "NobodyReads";
  /** 128 and SIGPIPE's number: the runtime ignores the signal, and would say of itself what has happened. */
  readonly exitCode = 141;
}

/** Prints a line, or several. @throws {CrateError} `FAILED`; {@linkcode NobodyReads} */
export function print(text: string): void {
  write("output", encodeText(`${text}\n`));
}

/** Writes all bytes to standard output or standard error. @throws {CrateError} `FAILED`; {@linkcode NobodyReads} */
export function write(to: "output" | "error", bytes: Uint8Array): void {
  // By the runtime: a system call of ours needs libc, which not every command may load.
  const stream = to === "output" ? Deno.stdout : Deno.stderr;
  try {
    for (let at = 0; at < bytes.length;) at += stream.writeSync(bytes.subarray(at));
  } catch (cause) {
    const { code, message } = cause as Error & { readonly code?: string };
    if (code === "EPIPE") throw new NobodyReads();
    throw new CrateError("FAILED", `write standard ${to}: ${code ?? message}`, { cause });
  }
}

/**
 * Says something on standard error, beside what a command does. Where that cannot be written, nobody can be told so: the
 * command goes on, and its exit code says how it ended.
 */
export function say(text: string): void {
  try {
    write("error", encodeText(text));
  } catch {
    // As above.
  }
}
