import assert from "node:assert/strict";
import { SIGTERM } from "../../ffi/mod.ts";

/** How a command ended, and what it has printed. */
export interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How a command is started. */
export interface RunningOptions {
  /** Its standard input's content; none: /dev/null. `"open"`: a pipe, see {@linkcode Running.write}. */
  readonly input?: string | { readonly open: true };
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

const encoder = new TextEncoder();

/** The pids of commands whose end was not seen yet. */
export const running = new Set<number>();

/** A command that runs, its output read as it comes. */
export class Running {
  readonly #child: Deno.ChildProcess;
  readonly #input?: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #changed = new Set<() => void>();
  #ended = false;
  stdout = "";
  stderr = "";
  /** Settles when it has ended and all of its output was read. */
  readonly ended: Promise<Result>;

  constructor([command, ...args]: readonly string[], options: RunningOptions = {}) {
    const { input, env, cwd } = options;
    this.#child = new Deno.Command(command!, {
      args,
      env: { ...env },
      cwd,
      stdin: input === undefined ? "null" : "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    running.add(this.#child.pid);
    if (input !== undefined) this.#input = this.#child.stdin.getWriter();
    this.ended = this.#follow(typeof input === "string" ? input : undefined);
  }

  get pid(): number {
    return this.#child.pid;
  }

  async #follow(input: string | undefined): Promise<Result> {
    const read = async (from: ReadableStream<Uint8Array>, add: (text: string) => void) => {
      const decoder = new TextDecoder();
      for await (const chunk of from) {
        add(decoder.decode(chunk, { stream: true }));
        for (const changed of this.#changed) changed();
      }
    };
    const feed = async () => {
      if (input === undefined) return;
      // A command that does not read its input is fine.
      await this.write(input).catch(() => {});
      await this.closeInput();
    };
    this.#child.status.then(() => running.delete(this.#child.pid));
    const [status] = await Promise.all([
      this.#child.status,
      read(this.#child.stdout, (text) => this.stdout += text),
      read(this.#child.stderr, (text) => this.stderr += text),
      feed(),
    ]);
    await this.closeInput();
    this.#ended = true;
    for (const changed of this.#changed) changed();
    return { code: status.code, stdout: this.stdout, stderr: this.stderr };
  }

  /** Writes to its standard input. */
  async write(text: string): Promise<void> {
    await this.#input!.write(encoder.encode(text));
  }

  /** Closes its standard input. */
  async closeInput(): Promise<void> {
    await this.#input?.close().catch(() => {});
  }

  get hasEnded(): boolean {
    return this.#ended;
  }

  /** Sends a signal to it. */
  signal(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /** Waits until its standard output has a text. */
  async printed(text: string): Promise<void> {
    const wait = Promise.withResolvers<void>();
    const look = () => {
      if (this.stdout.includes(text)) wait.resolve();
      else if (this.#ended) wait.reject(new Error(`it ended without ${text}: ${this.#said()}`));
    };
    this.#changed.add(look);
    const timer = setTimeout(() => wait.reject(new Error(`no ${text}: ${this.#said()}`)), 20_000);
    try {
      look();
      await wait.promise;
    } finally {
      clearTimeout(timer);
      this.#changed.delete(look);
    }
  }

  /** Waits until crate has handed over to the relay, which has the forwarded signals blocked. */
  async forwarding(): Promise<void> {
    for (const end = Date.now() + 20_000; Date.now() < end;) {
      const status = Deno.readTextFileSync(`/proc/${this.pid}/status`);
      const blocked = BigInt(`0x${/^SigBlk:\s*(\w+)$/m.exec(status)![1]}`);
      if ((blocked >> BigInt(SIGTERM - 1)) & 1n) return;
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    throw new Error(`crate does not forward signals: ${this.#said()}`);
  }

  #said(): string {
    return JSON.stringify({ stdout: this.stdout, stderr: this.stderr });
  }
}

/** Asserts how a command ended. */
export function assertEnded(result: Result, expected: Partial<Result>): void {
  const { code = 0, stdout = "", stderr = "" } = expected;
  assert.deepEqual(result, { code, stdout, stderr });
}
