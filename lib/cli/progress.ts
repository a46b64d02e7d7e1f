import { after } from "../timers.ts";
import type { Progress } from "../image/mod.ts";
import { formatSize, printable } from "./format.ts";
import { say } from "./print.ts";

/** Shows how a pull goes on: what it is told, and the end. */
export interface ProgressView extends Disposable {
  show(event: Progress): void;
}

/** A terminal is drawn anew at most so often. */
const INTERVAL = 100;

interface Line {
  state: string;
  done: number;
  total: number;
  started: number;
}

/** The state's word, as people know it. */
const WORDS: Record<string, string> = {
  waiting: "Waiting",
  exists: "Already exists",
  downloading: "Downloading",
  unpacking: "Unpacking",
  uploading: "Uploading",
  done: "Done",
  failed: "Failed",
};

/**
 * On a terminal a line for each layer, redrawn calmly; else a plain line when a layer's state changes;
 * with `quiet` nothing. All of it on standard error.
 */
export function progressView(quiet: boolean): ProgressView {
  if (quiet) return { show() {}, [Symbol.dispose]() {} };
  return Deno.stderr.isTerminal() ? terminalView() : plainView();
}

const short = (digest: string) => digest.slice(digest.indexOf(":") + 1).slice(0, 12);

function plainView(): ProgressView {
  const last = new Map<string, string>();
  return {
    show(event) {
      if (event.type === "message") say(`${printable(event.text)}\n`);
      if (event.type !== "blob" || last.get(event.digest) === event.state) return;
      last.set(event.digest, event.state);
      // What is over at once is told once.
      if (event.state === "waiting" || event.state === "unpacking") return;
      say(`${short(event.digest)}: ${WORDS[event.state]}\n`);
    },
    [Symbol.dispose]() {},
  };
}

function terminalView(): ProgressView {
  const lines = new Map<string, Line>();
  let drawn = 0;
  let prevent: (() => void) | undefined;
  const draw = () => {
    prevent = undefined;
    const { columns, rows } = Deno.consoleSize();
    // More lines than the terminal has cannot be drawn over: the last ones are shown.
    const shown = [...lines].slice(-Math.max(1, rows - 1));
    const text = shown.map(([digest, line]) => `\x1b[2K${lineOf(digest, line, columns)}\n`).join(
      "",
    );
    say(`${drawn === 0 ? "" : `\x1b[${drawn}A`}${text}`);
    drawn = shown.length;
  };
  const later = () => {
    prevent ??= after(INTERVAL, draw);
  };
  return {
    show(event) {
      if (event.type === "message") {
        say(`${printable(event.text)}\n`);
        drawn = 0;
        lines.clear();
        return;
      }
      const line = lines.get(event.digest) ??
        { state: "waiting", done: 0, total: 0, started: Date.now() };
      lines.set(event.digest, line);
      if (event.type === "blob") {
        if (event.state === "downloading") line.started = Date.now();
        line.state = event.state;
      } else {
        line.done = event.done;
        line.total = event.total;
      }
      later();
    },
    [Symbol.dispose]() {
      if (prevent === undefined) return;
      prevent();
      draw();
    },
  };
}

function lineOf(digest: string, { state, done, total, started }: Line, columns: number): string {
  const going = total > 0 && done < total;
  const word = state === "unpacking" && going
    // It is unpacked as it comes.
    ? WORDS["downloading"]
    : state === "downloading" && total > 0 && !going
    ? "Downloaded"
    : WORDS[state];
  const name = `${short(digest)}: ${(word ?? state).padEnd(14)}`;
  const rate = done / Math.max(0.001, (Date.now() - started) / 1000);
  const bytes = total === 0
    ? ""
    : going
    ? ` ${formatSize(done)} of ${formatSize(total)}, ${formatSize(rate)}/s`
    : ` ${formatSize(total)}`;
  return `${name}${bytes}`.trimEnd().slice(0, columns - 1);
}
