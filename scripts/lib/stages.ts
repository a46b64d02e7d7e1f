/**
 * One stage of the tests: a program that is run to its end and counted.
 *
 * @module
 */

/** How many tests ended in which way. */
export interface Totals {
  passed: number;
  failed: number;
  skipped: number;
}

/** What came of a stage, how long it took, and why tests were skipped, as they said it themselves. */
export interface StageResult extends Readonly<Totals> {
  readonly seconds: number;
  readonly reasons: readonly string[];
  /** What a failed one said of its failures, or last; empty when all is well. */
  readonly errors: string;
}

/** How to run a stage. */
export interface StageOptions {
  /** The limit after which it is killed and has failed. */
  readonly seconds: number;
  /** Whether it is a `deno test`, which tells its own numbers; otherwise it is one test as a whole. */
  readonly counts: boolean;
  /** Whether to show what it says at its end only, because another stage runs at the same time. */
  readonly later?: boolean;
}

/**
 * The numbers in the closing line of `deno test`, which counts a file that cannot be loaded as failed.
 *
 * @returns `undefined` where there is no such line: the tests were not run to their end.
 *
 * @example
 * ```ts
 * import { closingLine } from "./stages.ts";
 * const line = "FAILED | 2 passed (1 step) | 2 failed (1 step) | 1 ignored (67ms)";
 * if (closingLine(`...\n${line}\n`)?.failed !== 2) throw new Error("two failed");
 * ```
 */
export function closingLine(output: string): Totals | undefined {
  const pattern = /^(?:ok|FAILED) \| (\d+) passed.*? \| (\d+) failed(?:.*? \| (\d+) ignored)?.*$/gm;
  const last = [...output.matchAll(pattern)].at(-1);
  if (last === undefined) return undefined;
  return { passed: Number(last[1]), failed: Number(last[2]), skipped: Number(last[3] ?? 0) };
}

/** How to signal each stage that runs now: in groups of their own a terminal does not reach them. */
const running = new Set<(name: Deno.Signal) => void>();
let listening = false;

/** Passes on what is to end this program. */
function listen(): void {
  if (listening) return;
  listening = true;
  for (const [name, code] of [["SIGHUP", 129], ["SIGINT", 130], ["SIGTERM", 143]] as const) {
    Deno.addSignalListener(name, () => {
      console.error(`stopped by ${name}`);
      running.forEach((signal) => signal("SIGTERM"));
      Deno.exit(code);
    });
  }
}

/** Runs a stage, showing what it says as it says it. */
export async function runStage(
  name: string,
  command: readonly string[],
  options: StageOptions,
): Promise<StageResult> {
  const say = (text: string) => {
    if (options.later) held.push(new TextEncoder().encode(`${text}\n`));
    else console.log(text);
  };
  const held: Uint8Array<ArrayBuffer>[] = [];
  say(`\n== ${name}`);
  const started = performance.now();
  const child = new Deno.Command(command[0]!, {
    args: command.slice(1),
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    // A process group of its own, because what a test has started holds the pipes open as well.
    detached: true,
  }).spawn();
  const signal = (name: Deno.Signal) => {
    try {
      Deno.kill(-child.pid, name);
    } catch {
      // Nothing of it is left.
    }
  };
  running.add(signal);
  listen();
  let late = false;
  let last: ReturnType<typeof setTimeout> | undefined;
  const timer = setTimeout(() => {
    late = true;
    // First in a way that lets scripts/vm and the tests clear up.
    signal("SIGTERM");
    last = setTimeout(() => signal("SIGKILL"), 10_000);
  }, options.seconds * 1000);
  const [output, complaints, { success }] = await Promise.all([
    collect(child.stdout, options.later ? held : Deno.stdout),
    collect(child.stderr, options.later ? held : Deno.stderr),
    child.status,
  ]);
  clearTimeout(timer);
  clearTimeout(last);
  running.delete(signal);
  if (late) say(`${name}: stopped after ${options.seconds} seconds`);
  const seconds = (performance.now() - started) / 1000;
  say(`== ${name}: ${seconds.toFixed(1)} s`);
  held.forEach((bytes) => writeAll(Deno.stdout, bytes));
  const reasons = [...output.matchAll(/^\s*skip: (.+)$/gm)].map((match) => match[1]!);
  const counted = count(output, success && !late, options.counts);
  const errors = counted.failed === 0 ? "" : errorsOf(output, complaints);
  return { ...counted, seconds, reasons, errors };
}

const MAX_ERRORS = 6000;

/** The part of `deno test`'s output that tells the errors, or else the end of what a program said. */
function errorsOf(output: string, complaints: string): string {
  const [told] = [...output.matchAll(/^ ERRORS $([^]*?)^ FAILURES $/gm)].at(-1)?.slice(1) ?? [];
  if (told !== undefined) return told.trim().slice(0, MAX_ERRORS);
  return `${output}\n${complaints}`.trim().slice(-MAX_ERRORS);
}

function count(output: string, success: boolean, counts: boolean): Totals {
  const told = counts ? closingLine(output) : { passed: 1, failed: 0, skipped: 0 };
  if (success) return told ?? { passed: 0, failed: 1, skipped: 0 };
  // A stage that failed has failed at least once, whatever it told.
  if (!counts || told === undefined) return { passed: 0, failed: 1, skipped: 0 };
  return { ...told, failed: Math.max(told.failed, 1) };
}

interface Writer {
  writeSync(bytes: Uint8Array): number;
}

function writeAll(to: Writer, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += to.writeSync(bytes.subarray(at));
}

async function collect(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  to: Writer | Uint8Array<ArrayBuffer>[],
): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stream) {
    if (Array.isArray(to)) to.push(chunk);
    else writeAll(to, chunk);
    text += decoder.decode(chunk, { stream: true });
  }
  return text;
}

/** The checkout's TypeScript files that fit, in order, as paths relative to it. */
export async function findFiles(fits: (path: string) => boolean): Promise<string[]> {
  const found: string[] = [];
  const visit = async (folder: string) => {
    for await (const entry of Deno.readDir(folder === "" ? "." : folder)) {
      const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
      const hidden = entry.name.startsWith(".") || entry.name === "node_modules";
      if (entry.isDirectory && !hidden) await visit(path);
      if (entry.isFile && path.endsWith(".ts") && fits(path)) found.push(path);
    }
  };
  await visit("");
  return found.sort();
}
