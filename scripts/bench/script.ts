import type { Sample } from "./statistics.ts";

/** The kernel's clock ticks in a second for /proc, `USER_HZ`; proc(5). */
const TICKS = 100;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A process that stays and starts one container for each line of its input; it prints the times. */
export class Script implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #output: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>;
  #ticks: number | undefined;

  constructor(file: string, args: readonly string[], env: Readonly<Record<string, string>>) {
    this.#child = new Deno.Command(file, { args: [...args], env, stdin: "piped", stdout: "piped" })
      .spawn();
    this.#input = this.#child.stdin.getWriter();
    this.#output = this.#child.stdout.getReader();
  }

  /** One container. @throws {Error} when the process has ended; it has said why on stderr. */
  async sample(): Promise<Sample> {
    await this.#input.write(encoder.encode("\n"));
    const { value } = await this.#output.read();
    if (value === undefined) throw new Error("a process that starts containers has ended");
    const before = this.#ticks;
    this.#ticks = this.#processorTicks();
    return {
      time: Number(decoder.decode(value)),
      // The first sample would be charged with the start of the process.
      cpu: before === undefined ? undefined : (this.#ticks - before) * 1000 / TICKS,
      maxRss: this.#highWater(),
    };
  }

  /** utime, stime, and those of the children that it has waited for: fields 14 to 17 of stat. */
  #processorTicks(): number {
    const text = Deno.readTextFileSync(`/proc/${this.#child.pid}/stat`);
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
  }

  #highWater(): number {
    const text = Deno.readTextFileSync(`/proc/${this.#child.pid}/status`);
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(text)?.[1]);
  }

  /** Ends it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close().catch(() => {});
    await this.#output.cancel();
    await this.#child.status;
  }
}
