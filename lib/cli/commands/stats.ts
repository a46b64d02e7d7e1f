import { CrateError } from "../../errors.ts";
import { type ContainerStats, containerStats, listContainers } from "../../lifecycle/mod.ts";
import { stateOf } from "../each.ts";
import { formatSize, formatTable } from "../format.ts";
import { readConfig } from "../globals.ts";
import { print } from "../print.ts";
import { pauseWhileRead } from "../reader.ts";
import type { StatsCall } from "../words/mod.ts";

/** Between two looks, of which a share of processor time is the difference. Milliseconds. */
const INTERVAL = 1000;

/** What a container used in the time between two looks, and uses now. */
interface Row {
  readonly id: string;
  /** Of one processor, in hundredths; may be more than 100. */
  readonly cpuPercent: number | null;
  /** Bytes, as docker counts them: without the cache that the kernel gives up first. */
  readonly memory: number | null;
  readonly memoryLimit: number | null;
  readonly pids: number | null;
  readonly received: number | null;
  readonly sent: number | null;
  readonly read: number;
  readonly written: number;
}

function rowOf(before: ContainerStats | undefined, now: ContainerStats): Row {
  const { id, at, cpu, memory, pids, network, io = [] } = now;
  const share = before?.cpu === undefined || cpu === undefined
    ? null
    : 100 * (cpu.usage - before.cpu.usage) / (at - before.at);
  return {
    id,
    cpuPercent: share === null ? null : Math.round(share * 100) / 100,
    memory: memory === undefined ? null : Math.max(0, memory.usage - memory.inactiveFile),
    memoryLimit: memory?.limit ?? null,
    pids: pids?.current ?? null,
    received: network?.received ?? null,
    sent: network?.sent ?? null,
    read: io.reduce((sum, { readBytes }) => sum + readBytes, 0),
    written: io.reduce((sum, { writeBytes }) => sum + writeBytes, 0),
  };
}

const size = (value: number | null) => value === null ? "-" : formatSize(value);

function table(rows: readonly Row[]): string {
  return formatTable([
    ["ID", "CPU", "MEMORY", "LIMIT", "NET IN", "NET OUT", "READ", "WRITTEN", "PIDS"],
    ...rows.map((row) => [
      row.id,
      row.cpuPercent === null ? "-" : `${row.cpuPercent.toFixed(2)}%`,
      size(row.memory),
      size(row.memoryLimit),
      size(row.received),
      size(row.sent),
      size(row.read),
      size(row.written),
      row.pids === null ? "-" : String(row.pids),
    ]),
  ]);
}

/** `crate stats`. */
export default async function stats({ options, positionals, globals }: StatsCall): Promise<number> {
  const { noStream, format } = options;
  const root = (await readConfig(globals)).root.value;
  const look = async (): Promise<ContainerStats[]> => {
    const states = positionals.length === 0
      ? await listContainers(root)
      : positionals.map((word) => stateOf(root, word));
    return states.flatMap((state) => containerStats(state) ?? []);
  };
  const isRedrawn = !noStream && format !== "json" && Deno.stdout.isTerminal();
  let before = await look();
  if (positionals.length > before.length) {
    const running = new Set(before.map(({ id }) => id));
    const other = positionals.map((word) => stateOf(root, word).record.id)
      .find((id) => !running.has(id));
    throw new CrateError("STATE", `container "${other}" is not running`);
  }
  for (;;) {
    await pauseWhileRead(INTERVAL);
    const now = await look();
    const rows = now.map((each) => rowOf(before.find(({ id }) => id === each.id), each));
    if (format === "json") { for (const row of rows) print(JSON.stringify(row)); }
    // Home, and what was below is cleared: the table stands still.
    else print(`${isRedrawn ? "\x1b[H\x1b[J" : ""}${table(rows)}`);
    if (noStream || positionals.length > 0 && now.length === 0) return 0;
    before = now;
  }
}
