import { exists, readFile } from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import {
  findId,
  type LogFrame,
  readFrames,
  readState,
  statePaths,
  tailFrames,
} from "../../lifecycle/mod.ts";
import { parseInteger } from "../../spec/mod.ts";
import { readConfig } from "../globals.ts";
import { parseMoment } from "../moment.ts";
import { write } from "../print.ts";
import type { LogsCall } from "../words/mod.ts";

const FOLLOW_INTERVAL = 50;
const CHUNK = 1 << 20;

/** Writes frames to where they came from, with a time before each line if asked for. */
class Printer {
  readonly #encoder = new TextEncoder();
  #lineBegins = true;
  constructor(readonly timestamps: boolean) {}

  print({ at, stream, bytes }: LogFrame): void {
    const to = stream === "stdout" ? "output" : "error";
    if (!this.timestamps) return write(to, bytes);
    const time = this.#encoder.encode(`${at.toISOString()} `);
    for (let from = 0; from < bytes.length;) {
      if (this.#lineBegins) write(to, time);
      const newline = bytes.indexOf(10, from);
      const end = newline < 0 ? bytes.length : newline + 1;
      write(to, bytes.subarray(from, end));
      this.#lineBegins = newline >= 0;
      from = end;
    }
  }
}

/** Between two looks at the log. */
async function moment(): Promise<void> {
  const { pauseWhileRead } = await import("../reader.ts");
  await pauseWhileRead(FOLLOW_INTERVAL);
}

/** `crate logs`. */
export default async function logs({ options, positionals, globals }: LogsCall): Promise<number> {
  const root = (await readConfig(globals)).root.value;
  const id = findId(root, positionals[0]!);
  const path = statePaths(root, id).log;
  if (!readState(root, id)!.record.detached) {
    throw new CrateError("STATE", `container "${id}" is not detached: it has no log`);
  }
  const tail = [undefined, "all", "-1"].includes(options.tail)
    ? Infinity
    : parseInteger(options.tail!, "--tail", 0, Number.MAX_SAFE_INTEGER);
  const since = options.since === undefined ? undefined : parseMoment(options.since, "--since");
  const printer = new Printer(options.timestamps);
  const wanted = (frame: LogFrame) => since === undefined || frame.at >= since;

  if (tail !== Infinity) return await tailThenFollow();
  return await follow(0);

  async function tailThenFollow(): Promise<number> {
    if (!exists(path)) return options.follow ? await follow(0) : 0;
    const { frames, used } = readFrames(readFile(path, Infinity));
    tailFrames(frames.filter(wanted), tail).forEach((frame) => printer.print(frame));
    return options.follow ? await follow(used) : 0;
  }

  async function follow(from: number): Promise<number> {
    using file = await openWhenThere();
    if (file === undefined) return 0;
    await file.seek(from, Deno.SeekMode.Start);
    let rest: Uint8Array<ArrayBuffer> = new Uint8Array(0);
    for (let last = false;;) {
      const chunk = new Uint8Array(CHUNK);
      const count = await file.read(chunk);
      if (count === null) {
        if (last || !options.follow) return 0;
        // Asked before the next read: what is written before the end is read after it.
        last = readState(root, id)?.status !== "running";
        if (!last) await moment();
        continue;
      }
      const bytes = new Uint8Array(rest.length + count);
      bytes.set(rest);
      bytes.set(chunk.subarray(0, count), rest.length);
      const { frames, used } = readFrames(bytes);
      frames.filter(wanted).forEach((frame) => printer.print(frame));
      rest = bytes.slice(used);
    }
  }

  async function openWhenThere(): Promise<Deno.FsFile | undefined> {
    for (;;) {
      try {
        return await Deno.open(path);
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
        if (!options.follow || readState(root, id)?.status === "stopped") return undefined;
        await moment();
      }
    }
  }
}
