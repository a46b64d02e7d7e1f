// How amounts, ages and tables are shown.

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];

/** Bytes as docker shows them: three digits, in powers of a thousand. `7.8MB` */
export function formatSize(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${Number(value.toPrecision(3))}${UNITS[unit]}`;
}

const SPANS: readonly (readonly [seconds: number, name: string])[] = [
  [365 * 86400, "year"],
  [30 * 86400, "month"],
  [7 * 86400, "week"],
  [86400, "day"],
  [3600, "hour"],
  [60, "minute"],
  [1, "second"],
];

/** How long ago that was: `3 weeks ago`; of a time that is none, or not known, `N/A`. */
export function formatAge(time: string | undefined, now = Date.now()): string {
  const then = Date.parse(time ?? "");
  if (Number.isNaN(then)) return "N/A";
  const seconds = Math.max(0, Math.floor((now - then) / 1000));
  for (const [span, name] of SPANS) {
    const count = Math.floor(seconds / span);
    if (count >= 2) return `${count} ${name}s ago`;
    if (count === 1) return `1 ${name} ago`;
  }
  return "just now";
}

/** Rows in columns, the first row being their heads. What would move a terminal's cursor is left out. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const plain = rows.map((row) => row.map(printable));
  const widths = plain[0]!.map((_, i) => Math.max(...plain.map((row) => row[i]!.length)));
  return plain.map((row) => row.map((cell, i) => cell.padEnd(widths[i]! + 3)).join("").trimEnd())
    .join("\n");
}

/** A stranger's text on one line, without control characters. */
export function printable(text: string): string {
  // deno-lint-ignore no-control-regex -- it is those that are meant
  return text.replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029]+/g, " ");
}

/** The beginning of a text, so many characters. */
export function shorten(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}
