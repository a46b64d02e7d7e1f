/**
 * How long crate takes to pull an image, unpacked and ready to run, beside its rivals: `deno task bench:pull`.
 *
 * From one registry on loopback, into a store that is empty each time, in turn. It prints the tables that the README
 * quotes.
 *
 * @module
 */
import { describeHost } from "./bench/host.ts";
import { makeImages } from "./bench/pull_images.ts";
import { makePullers, versions } from "./bench/pullers.ts";
import { type Sample, summarize, type Summary } from "./bench/statistics.ts";
import { Timer } from "./bench/timer.ts";
import { profilePull } from "./bench/pull_profile.ts";
import { execute, Registry } from "../tests/support/registry.ts";

const HELP = `deno task bench:pull [--rounds N] [--image NAME] [--profile]

  --rounds N    how often each image is pulled by each (5), all of them in turn
  --image NAME  only this one: busybox, debian, debian-zstd, forty
  --profile     where crate's time goes, too
`;

interface Options {
  rounds: number;
  image?: string;
  profile: boolean;
}

function readOptions(words: readonly string[]): Options {
  const options: Options = { rounds: 5, profile: false };
  const rest = [...words];
  const usage = (complaint: string): never => {
    console.error(`bench:pull: ${complaint}\n\n${HELP.trimEnd()}`);
    Deno.exit(2);
  };
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (word === "--help") {
      console.log(HELP.trimEnd());
      Deno.exit(0);
    } else if (word === "--profile") options.profile = true;
    else if (word === "--image") options.image = rest.shift() ?? usage("--image needs a name");
    else if (word === "--rounds") {
      const number = Number(rest.shift());
      if (!Number.isInteger(number) || number < 1) usage("--rounds needs a number from 1");
      options.rounds = number;
    } else usage(`there is no option ${word}`);
  }
  return options;
}

const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
const seconds = (ms: number | undefined) => ms === undefined ? "" : (ms / 1000).toFixed(2);

function table(title: string, rows: readonly (readonly [name: string, summary: Summary])[]) {
  const own = rows[0]![1].median;
  return [
    line([title, "median", "p10–p90", "ratio", "CPU time", "max. MiB"]),
    line(["---", "---:", "---:", "---:", "---:", "---:"]),
    ...rows.map(([name, { median, p10, p90, cpu, maxRss }]) =>
      line([
        name,
        seconds(median),
        `${seconds(p10)}–${seconds(p90)}`,
        `${(median / own).toFixed(2)} × crate`,
        seconds(cpu),
        maxRss === undefined ? "" : (maxRss / 1024).toFixed(0),
      ])
    ),
  ].join("\n");
}

function say(text: string): void {
  if (Deno.stderr.isTerminal()) Deno.stderr.writeSync(new TextEncoder().encode(`\r\x1b[K${text}`));
}

async function main(): Promise<void> {
  const options = readOptions(Deno.args);
  if (Deno.uid() !== 0) throw new Error("it needs root");
  const images = await makeImages(say);
  await using ending = new AsyncDisposableStack();
  const registry = ending.use(await Registry.start({ storage: images.storage }));
  // On a disk, as a store is; an overlay's upper directory may lie there.
  const directory = Deno.makeTempDirSync({ dir: "/var/tmp", prefix: "crate-pull-" });
  ending.defer(() => execute(["rm", "-rf", "--one-file-system", directory]).then(() => {}));
  const timer = ending.use(new Timer(directory));
  const { pullers, skipped } = await makePullers(directory, ending);

  const host = describeHost();
  const peers = Object.entries(versions()).map(([name, version]) => `${name} ${version}`);
  console.log(
    `Linux ${host.kernel}, ${host.processors} × ${host.processor}; Deno ${host.versions.Deno}, ` +
      `${
        peers.join(", ")
      }. ${options.rounds} rounds, interleaved, a registry on loopback, an empty ` +
      "store each time; times in seconds.",
  );
  for (const image of images.list) {
    if (options.image !== undefined && options.image !== image.name) continue;
    const reference = `${registry.host}/bench/${image.name}:1`;
    const samples = new Map(pullers.map((puller): [typeof puller, Sample[]] => [puller, []]));
    const failed = new Map<string, string>();
    // The first one does not count: the disk has whatever was before to do.
    for (let round = -1; round < options.rounds; round++) {
      for (const [puller, taken] of samples) {
        if (failed.has(puller.name)) continue;
        const which = round < 0 ? "warming up" : `round ${round + 1} of ${options.rounds}`;
        say(`${image.name}: ${which}: ${puller.name}`);
        await puller.fresh();
        await new Deno.Command("sync").output();
        try {
          const sample = timer.run(puller.command(reference));
          if (round >= 0) taken.push(puller.ownsAll ? sample : { time: sample.time });
        } catch (error) {
          failed.set(puller.name, (error as Error).message.trim().split("\n").at(-1)!);
        }
      }
    }
    for (const [puller] of samples) await puller.fresh();
    say("");
    const rows = [...samples].flatMap(([puller, taken]) =>
      taken.length === 0 ? [] : [[puller.title, summarize(taken)] as const]
    );
    console.log(`\n${table(image.title, rows)}`);
    for (const [name, reason] of failed) console.log(`\nNot measured: ${name}: ${reason}.`);
  }
  for (const reason of skipped) console.log(`\nNot measured: ${reason}.`);
  if (options.profile) {
    const name = options.image ?? "debian";
    const reference = `${registry.host}/bench/${name}:1`;
    console.log(`\n${await profilePull(pullers[0]!, timer, reference, images.storage)}`);
  }
}

if (import.meta.main) await main();
