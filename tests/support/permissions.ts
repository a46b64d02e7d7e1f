// A command under exactly the permissions that it says it needs, and under those less one.
import assert from "node:assert/strict";
import { exists } from "../../ffi/mod.ts";
import {
  type CommandName,
  permissionFlags,
  type PermissionSet,
  permissionsOf,
  type Places,
} from "../../lib/cli/permissions.ts";
import { assertEnded, type Result, Running } from "./running.ts";
import { type Sandbox, until } from "./sandbox.ts";

/** Where the sources are. */
export const checkout = new URL("../..", import.meta.url).pathname;
const CONFIG = `${checkout}deno.json`;

let bundled: Promise<string> | undefined;

/** The sources as one file: a virtual machine takes seconds to load as many as there are. */
async function bundle(): Promise<string> {
  const directory = Deno.makeTempDirSync();
  addEventListener("unload", () => Deno.removeSync(directory, { recursive: true }));
  const options = ["--quiet", "--platform", "deno", "--config", CONFIG, "--outdir", directory];
  const { code, stderr } = await new Running([
    Deno.execPath(),
    "bundle",
    ...options,
    `${checkout}cli.ts`,
  ]).ended;
  assert.equal(code, 0, stderr);
  return `${directory}/cli.js`;
}

/** Runs crate with these flags of Deno's: as one file, or from the sources. */
export async function runWith(
  box: Sandbox,
  flags: readonly string[],
  words: readonly string[],
  program?: string,
): Promise<Result> {
  const { env } = box.commandLine([]);
  const file = program ?? await (bundled ??= bundle());
  const options = ["--quiet", "--config", CONFIG, ...flags];
  const deno = [...box.prefix, Deno.execPath(), "run", ...options, file];
  return await new Running([...deno, "--root", box.root, ...words], {
    env: { ...env, XDG_CONFIG_HOME: box.path("home"), NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
  }).ended;
}

/** A user's configuration, so that there is one to read. */
export function configure(box: Sandbox): string {
  box.mkdir("home/crate");
  return box.file("home/crate/config.toml", '[log]\nlevel = "warn"\n');
}

/** The set less one path, one name, or one kind that is given as a whole. */
function* eachLess(set: PermissionSet): Generator<[missing: string, rest: PermissionSet]> {
  for (const kind of Object.keys(set) as (keyof PermissionSet)[]) {
    const { [kind]: all, ...rest } = set;
    if (all === undefined || all === true || kind === "ffi") yield [kind, rest];
    else {
      for (const one of all) {
        const others = all.filter((each) => each !== one);
        yield [`${kind} ${one}`, others.length === 0 ? rest : { ...rest, [kind]: others }];
      }
    }
  }
}

/** The machine's configuration. */
export const SYSTEM = "/etc/crate/config.toml";

/** One call of a command, and what it ends with under the command's own permissions. */
export interface Call {
  readonly command: CommandName;
  readonly words: readonly string[];
  readonly places?: Partial<Places>;
  readonly expected: Partial<Result>;
}

/** What the state directory holds, which is made for the first container only. */
function stateIn(root: string): string[] {
  const inside = (path: string): string[] =>
    [...Deno.readDirSync(path)].flatMap(({ name, isDirectory }) =>
      isDirectory ? [name, ...inside(`${path}/${name}`)] : [name]
    );
  return exists(root) ? inside(root).sort() : [];
}

/** The same, when the monitors of containers that have ended have cleared away. */
async function settledStateIn(root: string): Promise<string[]> {
  const names = () => exists(root) ? [...Deno.readDirSync(root)].map(({ name }) => name) : [];
  await until("they have", () => !names().some((name) => name.startsWith(".retired-")));
  return stateIn(root);
}

/** First every refusal, and that they left nothing behind; then the whole set. */
export async function holds(box: Sandbox, call: Call): Promise<void> {
  const { command, words, places, expected } = call;
  const configFiles = [SYSTEM, configure(box), ...places?.configFiles ?? []];
  const set = permissionsOf(command, { root: box.root, ...places, configFiles });
  const before = await settledStateIn(box.root);
  await Promise.all([...eachLess(set)].map(async ([missing, rest]) => {
    // It is seldom there, and what is not there is not read.
    if (missing === `read ${SYSTEM}`) return;
    const { code, stdout, stderr } = await runWith(box, permissionFlags(rest), words);
    assert.deepEqual([code, stdout], [125, ""], `${command} without ${missing}: ${stderr}`);
    const [kind] = missing.split(" ");
    assert.match(stderr, /^crate: [^\n]+\n$/, `${command} without ${missing}: one sentence`);
    assert.match(stderr, new RegExp(`Requires ${kind} access.*--allow-${kind} flag\n$`));
  }));
  assert.deepEqual(stateIn(box.root), before, "what is refused does nothing");
  assertEnded(await runWith(box, permissionFlags(set), words), expected);
}
