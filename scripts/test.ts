/**
 * Runs the tests in stages and ends with one line: `N passed, N failed, N skipped`.
 *
 * - `unit`: format, lint, types; the tests beside their subjects, which need no root;
 * - `root`: tests named `*_root_test.ts`, with real containers on this host;
 * - `peers`: `tests/peers/`: engines and other runtimes;
 * - `vm`: the root tests again, in a virtual machine with cgroup v2 (scripts/vm), but for files that say
 *   `// Not in the virtual machine: REASON` at the start of a line. What takes minutes there is done when a filter asks for it;
 * - `all`, which is what no word means.
 *
 * A second word chooses test files by a part of their path, or else tests by a part of their name.
 *
 * @module
 */
import { findFiles, runStage, type StageResult, type Totals } from "./lib/stages.ts";

const STAGES = ["unit", "root", "peers", "vm"] as const;
type Stage = typeof STAGES[number];

/** An emulated machine is some ten times slower: what is repeated often is repeated less, or longer. */
const EMULATED = 0.05;

/** Where the crate that the tests call is installed. */
const INSTALLED = `${Deno.cwd()}/.cache/tests`;

const word = Deno.args[0] ?? "all";
const filter = Deno.args[1];
const isRoot = Deno.uid() === 0;
const totals: Totals = { passed: 0, failed: 0, skipped: 0 };
const summary: string[] = [];
const reasons = new Set<string>();
const errors: string[] = [];

function add(name: string, result: StageResult): void {
  totals.passed += result.passed;
  totals.failed += result.failed;
  totals.skipped += result.skipped;
  const counts = `${result.passed} passed, ${result.failed} failed, ${result.skipped} skipped`;
  summary.push(`${name.padEnd(14)} ${counts} (${result.seconds.toFixed(1)} s)`);
  result.reasons.forEach((reason) => reasons.add(`${name}: ${reason}`));
  if (result.errors !== "") errors.push(`${name}: ${result.errors}`);
}

function skip(name: string, reason: string): void {
  console.log(`\n== ${name}: skipped: ${reason}`);
  add(name, { passed: 0, failed: 0, skipped: 1, seconds: 0, reasons: [reason], errors: "" });
}

/** The test files of a stage, and what else `deno test` must be told, for the filter that was given. */
function selection(files: string[]): { paths: string[]; options: string[] } {
  if (filter === undefined) return { paths: files, options: [] };
  const named = files.filter((file) => file.includes(filter));
  return named.length > 0
    ? { paths: named, options: [] }
    : { paths: files, options: [`--filter=${filter}`] };
}

/** How many other tests one takes as long as, for those that take their time in an emulated machine. */
const HEAVY: readonly (readonly [RegExp, number])[] = [
  [/docker/, 3], // of which one or two are done
  [/podman|containerd|engines_criu/, 8],
  [/systemd_root/, 4],
];

/** Files in so many groups with about as many tests each. */
function shares(files: readonly string[], count: number): string[][] {
  const weight = (file: string) => {
    const tests = Deno.readTextFileSync(file).match(/^(?:Deno\.)?test\(/gm)?.length ?? 1;
    const [, times] = HEAVY.find(([pattern]) => pattern.test(file)) ?? [undefined, 1];
    return tests * times;
  };
  const groups = Array.from({ length: count }, () => ({ files: [] as string[], tests: 0 }));
  const sorted = files.map((file) => ({ file, tests: weight(file) }))
    .sort((a, b) => b.tests - a.tests);
  for (const { file, tests } of sorted) {
    const least = groups.reduce((a, b) => b.tests < a.tests ? b : a);
    least.files.push(file);
    least.tests += tests;
  }
  return groups.map((group) => group.files);
}

const deno = (...words: string[]) => [Deno.execPath(), ...words];
// The types are checked once, for all files, by a stage of its own.
const denoTest = ({ paths, options }: { paths: string[]; options: string[] }) => {
  const words = [...options, "scripts/lib/together.ts", "--", ...paths];
  return deno("test", "-A", "--no-check", "--quiet", ...words);
};
const test = (files: string[]) => denoTest(selection(files));

async function check(name: string, command: string[], later: boolean): Promise<void> {
  add(name, await runStage(name, command, { seconds: 300, counts: false, later }));
}

async function tests(
  name: string,
  command: string[],
  seconds: number,
  later = false,
): Promise<void> {
  add(name, await runStage(name, command, { seconds, counts: true, later }));
}

async function checks(later: boolean): Promise<void> {
  if (filter !== undefined) return;
  await check("fmt", deno("fmt", "--check", "--quiet"), later);
  await check("lint", deno("lint", "--quiet"), later);
  await check("check", deno("check", "--quiet", "."), later);
}

async function unit(later = false): Promise<void> {
  const files = await findFiles((path) =>
    path.endsWith("_test.ts") && !path.endsWith("_root_test.ts") && !path.startsWith("tests/peers/")
  );
  await tests("unit", test(files), 600, later);
}

async function rootFiles(): Promise<string[]> {
  return await findFiles((path) => path.endsWith("_root_test.ts"));
}

async function peers(later: boolean): Promise<void> {
  const files = await findFiles((path) => /^tests\/peers\/.*_test\.ts$/.test(path));
  if (files.length === 0) return;
  if (!isRoot) return skip("peers", "needs root");
  await tests("peers", test(files), 900, later);
}

const stages = {
  unit: () => checks(false).then(() => unit()),
  async root() {
    const files = await rootFiles();
    if (!isRoot) return skip("root", "needs root");
    if (files.length === 0) return skip("root", "there are no root tests");
    await tests("root", test(files), 2400);
  },
  peers: () => peers(false),
  /** @param alone one machine runs until then: something else wants the other processor. */
  async vm(alone: Promise<unknown> = Promise.resolve()) {
    if (!isRoot) return skip("vm", "needs root");
    if (Deno.build.arch !== "x86_64") return skip("vm", "the virtual machine is for x86-64 only");
    const all = await rootFiles();
    const files = all.filter((file) => {
      const text = Deno.readTextFileSync(file);
      const reason = /^\/\/ Not in the virtual machine: (.+)$/m.exec(text)?.[1];
      const wanted = filter === undefined || file.includes(filter);
      if (reason !== undefined && wanted) skip("vm", `${file}: ${reason}`);
      return reason === undefined;
    });
    if (files.length === 0) return skip("vm", "there are no root tests");
    // An emulated machine uses one processor of this one. Many short-lived ones take their share of the
    // files from a queue, so that none is left with the slow tests when the others are done.
    const { paths, options } = selection(files);
    const groups = shares(paths, Math.min(4, paths.length));
    const atOnce = Math.min(2, navigator.hardwareConcurrency, groups.length);
    const seconds = 1500;
    // What takes minutes there takes turns, a day each.
    const turn = Deno.env.get("TEST_TURN") ?? Math.floor(Date.now() / 86_400_000);
    const queue = groups.entries();
    const machine = async (start: Promise<unknown>) => {
      await start;
      for (const [index, group] of queue) {
        const env = [`TEST_SCALE=${EMULATED}`, `TEST_CRATE=${INSTALLED}/bin/crate`];
        if (filter === undefined) env.push(`TEST_TURN=${turn}`);
        const inside = ["env", ...env, ...denoTest({ paths: group, options })];
        const command = ["scripts/vm", "--timeout", String(seconds), ...inside];
        const limits = { seconds: seconds + 60, counts: true, later: true };
        const name = `vm ${index + 1}/${groups.length}`;
        add(name, await runStage(name, command, limits));
      }
    };
    const start = (_: unknown, i: number) => machine(i === 0 ? Promise.resolve() : alone);
    await Promise.all(Array.from({ length: atOnce }, start));
  },
} satisfies Record<Stage, (alone?: Promise<unknown>) => Promise<void>>;

async function main(): Promise<number> {
  const chosen = word === "all" ? STAGES : STAGES.filter((stage) => stage === word);
  if (chosen.length === 0 || Deno.args.length > 2) {
    console.error("usage: scripts/test [unit|root|peers|vm|all] [filter]");
    return 2;
  }
  if (isRoot) {
    const packages = ["sh", "scripts/setup_packages.sh"];
    const result = await runStage("packages", packages, { seconds: 600, counts: false });
    // What the tests need is no test of the program, but without it they prove nothing.
    add("packages", { ...result, passed: 0 });
    if (word !== "unit") {
      // A command that is installed starts faster, here by a tenth, than the checkout's, which looks at its sources
      // each time.
      const limits = { seconds: 300, counts: false };
      const installed = await runStage("install", ["scripts/install", INSTALLED], limits);
      add("install", { ...installed, passed: 0 });
      Deno.env.set("TEST_CRATE", `${INSTALLED}/bin/crate`);
    }
  }
  if (word === "all" && filter === undefined) {
    // The root tests run one after the other and take one processor. The other one is for the checks, the unit tests,
    // the peers, which wait for disks and networks, and then for a virtual machine, which is a process like any other.
    const ones = stages.root();
    const others = checks(true).then(() => unit(true)).then(() => peers(true));
    await Promise.all([ones, others.then(() => stages.vm(ones))]);
  } else for (const stage of chosen) await stages[stage]();

  console.log(`\n${summary.join("\n")}`);
  if (reasons.size > 0) {
    console.log(`\nskipped:\n${[...reasons].map((line) => `  ${line}`).join("\n")}`);
  }
  // Again, at the end: what stands between is long, and may not be kept.
  if (errors.length > 0) console.log(`\nfailed:\n${errors.join("\n\n")}`);
  const { passed, failed, skipped } = totals;
  console.log(`\n${passed} passed, ${failed} failed, ${skipped} skipped`);
  return failed === 0 && passed > 0 ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main());
