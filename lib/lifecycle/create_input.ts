import { type Cell, decodeText, encodeText, mappedOffset, withAddress } from "../../ffi/mod.ts";
import type { ProcessId } from "./process_id.ts";
import { type CreateInput, type Filling, PID_DIGITS, PROCESS_TEXT } from "./program/mod.ts";
import { ENGINE_FILES, makingPath, statePaths } from "./state.ts";
import { type Verbs, verbsOf } from "./verbs.ts";
import { type MadeContainer, timeOf, walkedOf } from "./walked_input.ts";

// What the launcher walks when an engine creates another container of a kind; see program/create_verb.ts.

/** A container that was created just now. */
export interface Made extends MadeContainer {
  readonly init: ProcessId;
  /** `process.json`. */
  readonly process: string;
  readonly pidFile?: string;
}

/** What the next one of its kind is created from, but for what an engine asks. */
export type Products = Omit<CreateInput, "request">;

/**
 * All that a container's creation was: what its program is made of, and its files. What comes of an id or another word of
 * the request stands in it as it is.
 *
 * @returns undefined when there is more to it than the program can do.
 * @throws {SyscallError}
 */
export function productsOf(made: Made): Products | undefined {
  const { root, record, init, pidFile } = made;
  const verbs = root.startsWith("/") ? verbsOf(root, record, init) : undefined;
  const making = makingPath(root, record.id);
  const walked = walkedOf(made, { making, files: [...ENGINE_FILES, "verbs.new"] });
  if (verbs === undefined || walked === undefined) return undefined;
  return {
    ...walked,
    address: withAddress(statePaths(root, record.id).start, (address) => address.slice()),
    process: processOf(made.process, init),
    verbs: fillings(verbs, init, record.created),
    pidFile,
  };
}

/** `process.json`: `{"init":{"pid":1,"startTime":2},…`. */
function processOf(text: string, { pid, startTime }: ProcessId): Filling[] {
  const before = '{"init":{"pid":';
  const between = ',"startTime":';
  const known = `${before}${pid}${between}${startTime}`;
  if (!text.startsWith(known)) throw new Error("a process is recorded otherwise");
  return [
    encodeText(before),
    { own: "pid text" },
    encodeText(between),
    { own: "start text" },
    encodeText(text.slice(known.length)),
  ];
}

/** The file of the verbs, in which the process is another one. */
function fillings(
  { program, bytes, init: cells, texts }: Verbs,
  init: ProcessId,
  created: string,
): Filling[] {
  const digits = String(init.pid).length;
  const spots: { readonly cell: Cell; readonly fillings: readonly Filling[] }[] = [
    { cell: cells.pid, fillings: [{ own: "pid" }] },
    {
      cell: cells.stat,
      fillings: around("/proc/", "/stat", PROCESS_TEXT),
    },
    {
      cell: cells.startTime,
      fillings: [
        { own: "start text" },
        encodeText(" "),
        { own: "start padding", of: PROCESS_TEXT - 1 },
      ],
    },
    { cell: cells.length, fillings: [{ own: "start length", of: 1 }] },
  ];
  for (const { text: cell, length } of texts) {
    const content = cell.content as Uint8Array;
    const room = content.length + PID_DIGITS;
    const json = decodeText(content);
    const pidAt = json.indexOf(`"pid": ${init.pid},`) + `"pid": `.length;
    const createdAt = json.indexOf(`"created": "${created}"`) + `"created": "`.length;
    const rest = (from: number): Filling[] => [
      encodeText(json.slice(from, createdAt)),
      ...timeOf(created),
      encodeText(json.slice(createdAt + created.length)),
    ];
    if (!json.includes(`"pid": ${init.pid},`)) { // of a container that has ended
      spots.push({ cell, fillings: [...rest(0), new Uint8Array(PID_DIGITS)] });
      continue;
    }
    const padding = { own: "pid padding", of: room - content.length + digits } as const;
    const before = encodeText(json.slice(0, pidAt));
    spots.push({ cell, fillings: [before, { own: "pid text" }, ...rest(pidAt + digits), padding] });
    spots.push({ cell: length, fillings: [{ own: "pid length", of: content.length - digits }] });
  }
  const parts: Filling[] = [];
  let end = 0;
  for (const { cell, fillings } of spots.toSorted((a, b) => a.cell.offset - b.cell.offset)) {
    const at = mappedOffset(program, cell);
    parts.push(bytes.subarray(end, at), ...fillings);
    end = at + cell.size;
  }
  return [...parts, bytes.subarray(end)];
}

/** A pid between texts, with zeros behind them. */
function around(before: string, after: string, size: number): Filling[] {
  const [left, right] = [encodeText(before), encodeText(after)];
  return [
    left,
    { own: "pid text" },
    right,
    { own: "pid padding", of: size - left.length - right.length },
  ];
}
