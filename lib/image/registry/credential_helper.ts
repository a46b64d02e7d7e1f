import { CrateError } from "../../errors.ts";
import { after } from "../../timers.ts";
import { quote } from "../names/mod.ts";
import { isObject } from "./json.ts";
import type { Credentials } from "./credentials.ts";
import { readBounded } from "./bounded.ts";

/** The most bytes that a helper may answer. */
const MAX_ANSWER = 1 << 20;
/** How long a helper may take, in milliseconds: a person may have to unlock a key ring. */
const MAX_TIME = 60_000;
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;
/** The name under which a helper keeps a token instead of a password. */
const TOKEN_NAME = "<token>";

/** What runs a helper. */
export interface HelperOptions {
  readonly signal?: AbortSignal;
  /** Milliseconds. */
  readonly timeout?: number;
}

/**
 * Asks a helper (`docker-credential-NAME get`) for a registry's credentials.
 *
 * @returns undefined when it has none.
 * @throws {CrateError} `FAILED`: it is not there, fails, answers too much or too late. No word of its answer is in the sentence.
 * @see https://github.com/docker/docker-credential-helpers
 */
export async function helperGet(
  name: string,
  key: string,
  options: HelperOptions = {},
): Promise<Credentials | undefined> {
  const { success, output } = await runHelper(name, "get", key, options);
  if (!success) {
    if (/credentials not found/i.test(output)) return undefined;
    throw new CrateError(
      "FAILED",
      `docker-credential-${name} has no credentials to give: it failed`,
    );
  }
  let answer: unknown;
  try {
    answer = JSON.parse(output);
  } catch {
    throw new CrateError("FAILED", `docker-credential-${name} answers something that is not JSON`);
  }
  if (
    !isObject(answer) || typeof answer.Username !== "string" || typeof answer.Secret !== "string"
  ) {
    throw new CrateError("FAILED", `docker-credential-${name} answers without Username and Secret`);
  }
  if (answer.Username === TOKEN_NAME) return { identityToken: answer.Secret };
  if (answer.Username === "" && answer.Secret === "") return undefined;
  return { username: answer.Username, password: answer.Secret };
}

/** Gives a helper credentials to keep. @throws {CrateError} `FAILED` */
export async function helperStore(
  name: string,
  key: string,
  credentials: Credentials,
  options: HelperOptions = {},
): Promise<void> {
  const [Username, Secret] = "identityToken" in credentials
    ? [TOKEN_NAME, credentials.identityToken]
    : [credentials.username, credentials.password];
  const input = JSON.stringify({ ServerURL: key, Username, Secret });
  const { success } = await runHelper(name, "store", input, options);
  if (!success) {
    throw new CrateError("FAILED", `docker-credential-${name} did not keep the credentials`);
  }
}

/** Lets a helper forget. @returns whether it had something. @throws {CrateError} `FAILED` */
export async function helperErase(
  name: string,
  key: string,
  options: HelperOptions = {},
): Promise<boolean> {
  const { success, output } = await runHelper(name, "erase", key, options);
  if (success) return true;
  if (/not found/i.test(output)) return false;
  throw new CrateError("FAILED", `docker-credential-${name} did not erase the credentials`);
}

async function runHelper(
  name: string,
  verb: "get" | "store" | "erase",
  input: string,
  { signal, timeout = MAX_TIME }: HelperOptions,
): Promise<{ success: boolean; output: string }> {
  if (!NAME.test(name)) {
    throw new CrateError("INVALID", `the credential helper ${quote(name)} is not a program's name`);
  }
  const program = `docker-credential-${name}`;
  signal?.throwIfAborted();
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(program, {
      args: [verb],
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
  } catch (error) {
    throw notStarted(program, error);
  }
  const stop = new AbortController();
  const end = () => stop.abort(signal!.reason);
  signal?.addEventListener("abort", end);
  const prevent = after(timeout, () => {
    const seconds = timeout / 1000;
    stop.abort(new CrateError("FAILED", `${program} did not answer in ${seconds} seconds`));
  });
  try {
    const writing = write(child.stdin, input);
    // What it has started may hold its output open for longer than it lives: that is not waited for.
    const bytes = await readBounded(
      child.stdout.pipeThrough(new TransformStream(), { signal: stop.signal }),
      MAX_ANSWER,
      () => new CrateError("FAILED", `${program} answers more than ${MAX_ANSWER} bytes`),
    );
    await Promise.race([writing, aborted(stop.signal)]);
    const { success } = await Promise.race([child.status, aborted(stop.signal)]);
    return { success, output: new TextDecoder().decode(bytes) };
  } finally {
    prevent();
    signal?.removeEventListener("abort", end);
    try {
      child.kill("SIGKILL");
    } catch {
      // It has ended by itself.
    }
    await child.status;
  }
}

function notStarted(program: string, error: unknown): unknown {
  if (error instanceof Deno.errors.NotFound) {
    return new CrateError(
      "FAILED",
      `the credential helper ${program} is not on PATH: install it, or take it out of the configuration`,
    );
  }
  if (error instanceof Deno.errors.NotCapable || error instanceof Deno.errors.PermissionDenied) {
    return new CrateError("PERMISSION", `the credential helper ${program} may not be run`);
  }
  return error;
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason));
  });
}

async function write(stdin: WritableStream<Uint8Array<ArrayBuffer>>, text: string): Promise<void> {
  const writer = stdin.getWriter();
  try {
    await writer.write(new TextEncoder().encode(text));
    await writer.close();
  } catch {
    // A helper that does not read its input says what it wants by its exit.
  }
}
