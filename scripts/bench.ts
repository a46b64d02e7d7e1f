/**
 * How long crate takes for a container, beside its rivals on the same machine: `deno task bench`.
 *
 * It prints the table that the README quotes. Performance is never a test; `--smoke` only sees to it
 * that every row still runs.
 *
 * @module
 */
import { describeHost, hideUnified } from "./bench/host.ts";
import { missing, Place } from "./bench/place.ts";
import { measureResident } from "./bench/resident.ts";
import { makeRows, shuffled } from "./bench/rows.ts";
import { background, crateRuntime, execute, peerRuntime } from "./bench/runtimes.ts";
import { type Sample, summarize } from "./bench/statistics.ts";
import { formatReport, type Report } from "./bench/table.ts";
import { Timer } from "./bench/timer.ts";

const HELP = `deno task bench [--rounds N] [--warmups N] [--smoke] [--json FILE]

  --rounds N   how often each row runs (50), all of them in turn
  --warmups N  rounds before those, which do not count (5)
  --smoke      two rounds and no warm-up: whether every row runs
  --json FILE  write what was measured there as well
`;

interface Options {
  rounds: number;
  warmups: number;
  json?: string;
}

function usage(complaint: string): never {
  console.error(`bench: ${complaint}\n\n${HELP.trimEnd()}`);
  Deno.exit(2);
}

function readOptions(words: readonly string[]): Options {
  const options: Options = { rounds: 50, warmups: 5 };
  const rest = [...words];
  const count = (option: string, least: number) => {
    const word = rest.shift() ?? "";
    if (/^\d{1,6}$/.test(word) && Number(word) >= least) return Number(word);
    return usage(`${option} needs a number from ${least}, got ${JSON.stringify(word)}`);
  };
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (word === "--rounds") options.rounds = count(word, 1);
    else if (word === "--warmups") options.warmups = count(word, 0);
    else if (word === "--smoke") Object.assign(options, { rounds: 2, warmups: 0 });
    else if (word === "--json") options.json = rest.shift() ?? usage("--json needs a file");
    else if (word === "--help") {
      console.log(HELP.trimEnd());
      Deno.exit(0);
    } else usage(`there is no option ${word}`);
  }
  return options;
}

/** Progress, for whoever watches. */
function say(text: string): void {
  if (Deno.stderr.isTerminal()) Deno.stderr.writeSync(new TextEncoder().encode(`\r\x1b[K${text}`));
}

async function measure({ rounds, warmups }: Options): Promise<Report> {
  await using ending = new AsyncDisposableStack();
  const place = ending.use(new Place());
  const timer = new Timer(place.directory);
  ending.use(timer);
  const interrupted = Promise.withResolvers<never>();
  interrupted.promise.catch(() => {}); // it is raced against
  const interrupt = () => interrupted.reject(new Error("interrupted"));
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, interrupt);

  const skipped: string[] = [];
  const record = await place.record();
  const crate = crateRuntime(place, record);
  const peers = (["crun", "runc"] as const).flatMap((name) => {
    const peer = peerRuntime(name, place, record);
    if (peer === undefined) skipped.push(`${name}, which is not installed`);
    return peer ?? [];
  });
  for (const { file, start, remove } of [crate, ...peers]) {
    await execute(place, file, start);
    ending.defer(() => execute(place, file, remove(background)));
  }
  const skip = (title: string, reason: string) => skipped.push(`${title}: ${reason}`);
  const rows = await makeRows({ place, timer, record, crate, peers, ending, skip });

  const samples = new Map(rows.map((row): [typeof row, Sample[]] => [row, []]));
  for (let round = -warmups; round < rounds; round++) {
    say(round < 0 ? "warming up" : `round ${round + 1} of ${rounds}`);
    for (const row of shuffled(rows)) {
      const sample = await Promise.race([row.sample(), interrupted.promise]);
      if (round >= 0) samples.get(row)!.push(sample);
    }
  }
  say("");
  const resident = await Promise.race([
    measureResident(place, crate, peers),
    interrupted.promise,
  ]);
  return {
    host: describeHost(),
    rounds,
    rows: [...samples].map(([{ key, title, comparedTo }, taken]) => ({
      row: { key, title, comparedTo },
      summary: summarize(taken),
    })),
    resident,
    skipped,
  };
}

if (import.meta.main) {
  const options = readOptions(Deno.args);
  const reason = missing();
  if (reason !== undefined) {
    console.error(`bench: ${reason}`);
    Deno.exit(1);
  }
  hideUnified();
  const report = await measure(options);
  console.log(formatReport(report));
  if (options.json !== undefined) {
    Deno.writeTextFileSync(options.json, `${JSON.stringify(report, undefined, 2)}\n`);
  }
  Deno.exit(0);
}
