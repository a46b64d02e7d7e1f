import { CrateError } from "../../errors.ts";
import { type ContainerStats, containerStats } from "../../lifecycle/mod.ts";
import { stateOf } from "../each.ts";
import { readConfig } from "../globals.ts";
import { print } from "../print.ts";
import { pauseWhileRead } from "../reader.ts";
import type { EventsCall } from "../words/mod.ts";

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** `500ms`, `5s`, as Go writes a duration. Milliseconds. @throws {CrateError} `INVALID` */
function parseDuration(word: string): number {
  const match = /^(\d{1,6})(ms|s|m|h)$/.exec(word);
  const time = match === null ? 0 : Number(match[1]) * UNITS[match[2]!]!;
  if (time > 0 && time < 2 ** 31) return time;
  throw new CrateError("INVALID", `--interval must be a duration such as 5s, got "${word}"`);
}

/** In the shape that runc's has, times in nanoseconds and sizes in bytes. */
function dataOf({ cpu, memory, pids, io = [], hugetlb, network }: ContainerStats) {
  const entries = (op: string, of: (each: typeof io[number]) => number) =>
    io.map((each) => ({ major: each.major, minor: each.minor, op, value: of(each) }));
  return {
    cpu: {
      usage: { total: cpu?.usage ?? 0, kernel: cpu?.system ?? 0, user: cpu?.user ?? 0 },
      throttling: {
        periods: cpu?.periods ?? 0,
        throttledPeriods: cpu?.throttledPeriods ?? 0,
        throttledTime: cpu?.throttledTime ?? 0,
      },
    },
    memory: {
      cache: memory?.cache ?? 0,
      usage: { limit: memory?.limit ?? null, usage: memory?.usage ?? 0, max: memory?.max ?? 0 },
    },
    pids: {
      current: pids?.current ?? 0,
      ...pids?.limit === undefined ? {} : { limit: pids.limit },
    },
    blkio: {
      ioServiceBytesRecursive: [
        ...entries("Read", ({ readBytes }) => readBytes),
        ...entries("Write", ({ writeBytes }) => writeBytes),
      ],
      ioServicedRecursive: [
        ...entries("Read", ({ reads }) => reads),
        ...entries("Write", ({ writes }) => writes),
      ],
    },
    hugetlb: hugetlb ?? {},
    network: network === undefined
      ? null
      : [{ name: "", rx_bytes: network.received, tx_bytes: network.sent }],
  };
}

/** `crate events`. */
export default async function events(call: EventsCall): Promise<number> {
  const { options, positionals, globals } = call;
  const root = (await readConfig(globals)).root.value;
  const interval = parseDuration(options.interval ?? "5s");
  for (let isFirst = true;; isFirst = false) {
    const state = stateOf(root, positionals[0]!);
    const stats = containerStats(state);
    if (stats === undefined) {
      if (!isFirst) return 0;
      const { record, status } = state;
      throw new CrateError("STATE", `container not running: "${record.id}" is ${status}`);
    }
    print(JSON.stringify({ type: "stats", id: stats.id, data: dataOf(stats) }));
    if (options.stats) return 0;
    await pauseWhileRead(interval);
  }
}
