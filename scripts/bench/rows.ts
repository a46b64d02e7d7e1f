import { rmSync } from "node:fs";
import type { ContainerRecord } from "../../lib/lifecycle/mod.ts";
import { findProgram } from "./host.ts";
import type { Place } from "./place.ts";
import { writeDriverPlan } from "./plan.ts";
import { type Runtime, type Verb, verbPidFile, VERBS, viewOfHost } from "./runtimes.ts";
import { Script } from "./script.ts";
import type { Sample } from "./statistics.ts";
import type { Command, Timer } from "./timer.ts";

/** A line of the table. */
export interface Row {
  /** Its name in the JSON. */
  readonly key: string;
  /** What the table says it is. */
  readonly title: string;
  /** The row whose time it is compared to. */
  readonly comparedTo: string;
  /** Its sample is taken right after that of the row before. */
  readonly follows?: boolean;
  sample(): Sample | Promise<Sample>;
}

/** The rows in an order of chance: what a row leaves the kernel to do is not always for the same one after it. */
export function shuffled(rows: readonly Row[]): Row[] {
  const blocks: Row[][] = [];
  for (const row of rows) {
    if (row.follows) blocks.at(-1)!.push(row);
    else blocks.push([row]);
  }
  for (let i = blocks.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [blocks[i], blocks[j]] = [blocks[j]!, blocks[i]!];
  }
  return blocks.flat();
}

/** What the rows are made of. */
export interface Parts {
  readonly place: Place;
  readonly timer: Timer;
  readonly record: ContainerRecord;
  readonly crate: Runtime;
  readonly peers: readonly Runtime[];
  /** Ended with the bench. */
  readonly ending: AsyncDisposableStack;
  /** Told about each row that cannot be. */
  skip(title: string, reason: string): void;
}

/** Every row that this machine can have. The containers that `exec` enters are there already. */
export async function makeRows(parts: Parts): Promise<Row[]> {
  const { place, timer, crate, peers } = parts;
  const timed = (key: string, title: string, comparedTo: string, command: Command): Row => ({
    key,
    title,
    comparedTo,
    sample: () => timer.run(command),
  });
  const words = ({ file }: Runtime, args: readonly string[]) => ({ file, args, env: place.env });
  const deno = (script: string) => ({
    file: Deno.execPath(),
    args: ["run", "-A", "--no-prompt", "--no-config", script],
    env: { ...place.env, DENO_NO_UPDATE_CHECK: "1" },
  });
  const empty = `${place.directory}/empty.js`;
  const line = `${place.directory}/line.js`;
  Deno.writeTextFileSync(empty, "");
  Deno.writeTextFileSync(line, 'console.log("a line");\n');
  return [
    fromScript(parts, 0),
    fromScript(parts, HOT),
    ...await fromC(parts),
    timed("crate run", "`crate run`", "crun run", words(crate, crate.run)),
    ...peers.map((peer) => {
      const name = `${peer.name} run`;
      return timed(name, `\`${name}\``, "crun run", words(peer, peer.run));
    }),
    timed(
      "crate run, view of the host",
      "`crate run` without `-r`: a copy-on-write view of the host",
      "crun run",
      words(crate, viewOfHost(place)),
    ),
    ...[crate, ...peers].map((runtime) => {
      const name = `${runtime.name} exec`;
      return timed(name, `\`${name}\``, "crun exec", words(runtime, runtime.exec));
    }),
    ...byDeno(parts),
    otherCommands(parts),
    ofImage(parts),
    firstRun(parts),
    firstCreate(parts),
    ...[crate, ...peers].flatMap((runtime) => verbRows(parts, runtime)),
    timed("deno, nothing", "`deno run` of an empty file", "crun run", deno(empty)),
    timed("deno, a line", "`deno run` that prints a line", "crun run", deno(line)),
  ];
}

/** Removes what is ready in a state directory, and the notes of what was asked for. */
function forget(state: string): void {
  for (const { name } of Deno.readDirSync(state)) {
    if (/^\.(?:create|run)-/.test(name)) rmSync(`${state}/${name}`);
  }
}

/** Runs whose words nobody has said before but for the options. */
function otherCommands({ place, timer, crate }: Parts): Row {
  let count = 0;
  return {
    key: "crate run, another command",
    title: "`crate run`, each time with other arguments",
    comparedTo: "crun run",
    sample: () =>
      timer.run({ file: crate.file, args: [...crate.run, `${count++}`], env: place.env }),
  };
}

/** Runs of an image, which has places for what is mounted as most have. */
function ofImage({ place, timer, crate: { file } }: Parts): Row {
  const env = { ...place.env, CRATE_IMAGE_ROOT: place.mkdir("images") };
  for (const name of ["dev", "proc", "sys"]) place.mkdir(`rootfs/${name}`);
  const tar = `${place.directory}/image.tar`;
  const state = ["--root", place.mkdir("state-crate")];
  const commands = [["tar", "-C", place.rootfs, "-cf", tar, "."], [
    file,
    ...state,
    "import",
    "-q",
    tar,
    "bench",
  ]];
  for (const [program, ...args] of commands) {
    const { success, stderr } = new Deno.Command(program!, { args, env, stdin: "null" })
      .outputSync();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
  }
  const command = { file, args: [...state, "run", "--rm", "bench", "/bin/true"], env };
  return {
    key: "crate run, an image",
    title: "`crate run` of an image",
    comparedTo: "crun run",
    sample: () => timer.run(command),
  };
}

/** A run with options that crate does not know. */
function firstRun({ place, timer, crate }: Parts): Row {
  const state = place.mkdir("state-first-run");
  const args = ["--root", state, ...crate.run.slice(2)];
  return {
    key: "crate run, the first",
    title: "`crate run`, the first with these options",
    comparedTo: "crun run",
    sample() {
      forget(state);
      return timer.run({ file: crate.file, args, env: place.env });
    },
  };
}

/** The creation of a container of a kind that crate does not know: in a state directory in which it has created none. */
function firstCreate({ place, timer, crate }: Parts): Row {
  const { file, verbs, remove } = crate;
  const state = place.mkdir("state-first");
  const id = "first";
  const at = verbs.create.indexOf("create");
  const words = (args: readonly string[]) => ({
    file,
    args: ["--root", state, ...args],
    env: place.env,
  });
  const create = words([...verbs.create.slice(at, -1), id]);
  const end = words(remove(id).slice(-3));
  return {
    key: "crate create, the first",
    title: "`crate create`, the first of its kind",
    comparedTo: "crun create",
    sample() {
      const sample = timer.run(create, true);
      timer.run(end, true);
      forget(state);
      return sample;
    },
  };
}

/** What of an exec starts Deno: the first in a container, and one that has options. */
function byDeno({ place, timer, crate }: Parts): Row[] {
  const { file, exec, ready } = crate;
  const at = exec.indexOf("exec") + 1;
  const withOptions = [...exec.slice(0, at), "-e", "A=b", ...exec.slice(at)];
  const row = (what: string, args: readonly string[], prepare: () => void): Row => ({
    key: `crate exec, ${what}`,
    title: `\`crate exec\`, ${what}`,
    comparedTo: "crun exec",
    sample() {
      prepare();
      return timer.run({ file, args, env: place.env });
    },
  });
  return [
    row("the first in a container", exec, () => rmSync(ready!, { force: true })),
    row("with options", withOptions, () => {}),
  ];
}

/** The verbs of engines: one container goes through all of them, again and again. */
function verbRows({ place, timer }: Parts, runtime: Runtime): Row[] {
  const commands = new Map(VERBS.map((verb): [Verb, Command] => [
    verb,
    { file: runtime.file, args: runtime.verbs[verb], env: place.env },
  ]));
  const taken = new Map(VERBS.map((verb): [Verb, Sample[]] => [verb, []]));
  const cycle = async () => {
    for (const [verb, command] of commands) {
      if (verb === "delete") await ended(verbPidFile(place, runtime.name));
      taken.get(verb)!.push(timer.run(command, true));
    }
  };
  const row = (verb: Verb): Row => ({
    key: `${runtime.name} ${verb}`,
    title: `\`${runtime.name} ${verb}\``,
    comparedTo: `crun ${verb}`,
    follows: verb !== VERBS[0],
    async sample() {
      if (taken.get(verb)!.length === 0) await cycle();
      return taken.get(verb)!.shift()!;
    },
  });
  const all = `${runtime.name} create, start, delete`;
  const parts = ["create", "start", "delete"] as const;
  let last: Partial<Record<Verb, Sample>> = {};
  const rows = VERBS.map((verb) => {
    const own = row(verb);
    return { ...own, sample: async () => (last = { ...last, [verb]: await own.sample() })[verb]! };
  });
  return [...rows, {
    key: all,
    title: `${all} together`,
    comparedTo: "crun create, start, delete",
    follows: true,
    sample: () => ({
      time: parts.reduce((sum, verb) => sum + last[verb]!.time, 0),
      cpu: parts.reduce((sum, verb) => sum + (last[verb]!.cpu ?? 0), 0),
    }),
  }];
}

/** Waits until a killed container's first process is gone, or waits to be reaped. */
async function ended(pidFile: string): Promise<void> {
  const pid = Deno.readTextFileSync(pidFile);
  for (;;) {
    try {
      // proc(5): its state stands behind the name in parentheses.
      const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
      if ("ZX".includes(stat[stat.lastIndexOf(")") + 2]!)) return;
    } catch {
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** After how many containers V8 has made machine code of all that a script needs. */
const HOT = 500;

function fromScript({ place, ending }: Parts, before: number): Row {
  const script = new URL("warm.ts", import.meta.url).pathname;
  const args = ["run", "-A", "--no-prompt", script, place.rootfs, place.mkdir(`state-${before}`)];
  const rest = [place.cgroupParent, String(before)];
  const child = new Script(Deno.execPath(), [...args, ...rest], place.env);
  ending.use(child);
  const title = "crate from a Deno script: `new Container(…).spawn()`";
  return {
    key: before === 0 ? "library" : "library, hot",
    title: before === 0 ? title : `the same, after ${before} others`,
    comparedTo: "crun run",
    sample: () => child.sample(),
  };
}

async function fromC({ place, record, ending, skip }: Parts): Promise<Row[]> {
  const title = "the same program driven by C";
  const compiler = findProgram("gcc") ?? findProgram("cc");
  if (compiler === undefined) {
    skip(title, "there is no C compiler (apt-get install gcc libc6-dev)");
    return [];
  }
  const file = `${place.directory}/driver`;
  const source = new URL("driver.c", import.meta.url).pathname;
  const { success, stderr } = new Deno.Command(compiler, { args: ["-O2", "-o", file, source] })
    .outputSync();
  if (!success) {
    const [reason = "unknown"] = new TextDecoder().decode(stderr).split("\n");
    skip(title, `driver.c does not compile here: ${reason}`);
    return [];
  }
  const plan = await writeDriverPlan(record, {
    root: place.mkdir("state"),
    directory: place.directory,
    cgroupsPath: `${place.cgroupParent}/driver`,
  });
  const child = new Script(file, [plan], place.env);
  ending.use(child);
  return [{ key: "C", title, comparedTo: "crun run", sample: () => child.sample() }];
}
