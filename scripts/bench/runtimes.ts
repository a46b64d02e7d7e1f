import type { ContainerRecord } from "../../lib/lifecycle/mod.ts";
import { findProgram } from "./host.ts";
import { installCrate } from "./installed.ts";
import type { Place } from "./place.ts";

/** How long a container lives that others are executed in, or whose monitor is looked at: seconds. */
const LIFE = "3600";

/** A container runtime's command, and its words for what the bench does with it. */
export interface Runtime {
  readonly name: string;
  readonly file: string;
  /** A container of `/bin/true`, to its end, nothing kept. */
  readonly run: readonly string[];
  /** A container that stays, its command in the foreground. */
  readonly stay: readonly string[];
  /** A container that stays, in the background, by the name of `background`. */
  readonly start: readonly string[];
  /** `/bin/true` in that one. */
  readonly exec: readonly string[];
  /** What the first exec makes ready for the others; absent: each is like the first. */
  readonly ready?: string;
  /** The end of a container that stays. */
  remove(id: string): readonly string[];
  /** What engines call, in this order, for a container that stays until it is killed. */
  readonly verbs: Readonly<Record<Verb, readonly string[]>>;
}

/** What engines call a runtime for. */
export const VERBS = ["create", "state", "start", "kill", "delete"] as const;
/** One of {@linkcode VERBS}. */
export type Verb = typeof VERBS[number];

function verbs(
  root: readonly string[],
  id: string,
  bundle: string,
  pidFile: string,
): Runtime["verbs"] {
  return {
    create: [...root, "create", "--bundle", bundle, "--pid-file", pidFile, id],
    state: [...root, "state", id],
    start: [...root, "start", id],
    kill: [...root, "kill", id, "KILL"],
    delete: [...root, "delete", id],
  };
}

/** Where the pid of a container is that a verb has created. */
export function verbPidFile(place: Place, name: string): string {
  return `${place.directory}/${name}.pid`;
}

/** The names of the containers that stay. */
export const background = "background";
export const foreground = "foreground";

/** crate itself, installed. */
export function crateRuntime(place: Place, record: ContainerRecord): Runtime {
  const state = place.mkdir("state-crate");
  const root = ["--root", state];
  const rootfs = ["-r", place.rootfs];
  return {
    name: "crate",
    file: installCrate(place.directory),
    run: [...root, "run", "--rm", ...rootfs, "/bin/true"],
    stay: [...root, "run", "--rm", "--name", foreground, ...rootfs, "/bin/sleep", LIFE],
    start: [...root, "run", "-d", "--name", background, ...rootfs, "/bin/sleep", LIFE],
    exec: [...root, "exec", background, "/bin/true"],
    ready: `${state}/${background}/exec`,
    remove: (id) => [...root, "delete", "--force", id],
    verbs: verbs(
      root,
      "verbs",
      place.bundle(record, "crate-verbs", ["/bin/sleep", LIFE]),
      verbPidFile(place, "crate"),
    ),
  };
}

/** The words of a container in a view of this machine's own root. */
export function viewOfHost(place: Place): readonly string[] {
  return ["--root", place.mkdir("state-crate"), "run", "--rm", "/bin/true"];
}

/** crun or runc, whose words are the same; undefined where it is not installed. */
export function peerRuntime(
  name: "crun" | "runc",
  place: Place,
  record: ContainerRecord,
): Runtime | undefined {
  const file = findProgram(name);
  if (file === undefined) return undefined;
  const root = ["--root", place.mkdir(`state-${name}`)];
  const bundle = (id: string, ...args: string[]) => [
    "--bundle",
    place.bundle(record, `${name}-${id}`, args),
    id,
  ];
  return {
    name,
    file,
    run: [...root, "run", ...bundle("once", "/bin/true")],
    stay: [...root, "run", ...bundle(foreground, "/bin/sleep", LIFE)],
    start: [...root, "run", "--detach", ...bundle(background, "/bin/sleep", LIFE)],
    exec: [...root, "exec", background, "/bin/true"],
    remove: (id) => [...root, "delete", "--force", id],
    verbs: verbs(
      root,
      "verbs",
      place.bundle(record, `${name}-verbs`, ["/bin/sleep", LIFE]),
      verbPidFile(place, name),
    ),
  };
}

/** Runs a command that prepares or ends something. @throws {Error} with what it said. */
export async function execute(
  place: Place,
  file: string,
  args: readonly string[],
): Promise<void> {
  const errors = `${place.directory}/errors`;
  const { code } = await new Deno.Command("/bin/sh", {
    // A file and not a pipe, because a container in the background holds its end open.
    args: ["-c", 'exec "$@" 2>"$ERRORS"', "sh", file, ...args],
    env: { ...place.env, ERRORS: errors },
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).output();
  if (code === 0) return;
  const said = Deno.readTextFileSync(errors).trim();
  throw new Error(`${[file, ...args].join(" ")}: exit code ${code}\n${said}`);
}
