import type { Effective } from "../config/mod.ts";
import { say } from "./print.ts";

const LEVELS = ["error", "warn", "info", "debug"] as const;

/** How much a message matters. */
export type Level = typeof LEVELS[number];

interface Log {
  readonly file?: string;
  readonly format: string;
  readonly level: string;
}

// Until the configuration is read: as the defaults of lib/config have it.
let current: Log = { format: "text", level: "warn" };

/** From here on messages go where the configuration says. */
export function openLog(config: Effective): void {
  current = {
    file: config["log.file"].value,
    format: config["log.format"].value,
    level: config["log.level"].value,
  };
}

/** One line: what people read, or what containerd parses of runc's --log-format json. */
function line(level: Level, message: string): string {
  const time = new Date().toISOString();
  if (current.format === "json") return `${JSON.stringify({ level, msg: message, time })}\n`;
  return current.file === undefined
    ? `crate: ${level === "error" ? "" : `${level}: `}${message}\n`
    : `${time} ${level} ${message}\n`;
}

/**
 * Tells something: to standard error, or to the log file when there is one. An error goes to both,
 * as a person waits for it at the terminal and an engine reads the file.
 */
export function log(level: Level, message: string): void {
  if (LEVELS.indexOf(level) > LEVELS.findIndex((name) => name === current.level)) return;
  const { file } = current;
  if (file !== undefined) {
    try {
      Deno.writeTextFileSync(file, line(level, message), { append: true, mode: 0o644 });
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      say(`crate: cannot write to the log ${file}: ${why}\n`);
    }
    if (level === "error") say(`crate: ${message}\n`);
  } else say(line(level, message));
}
