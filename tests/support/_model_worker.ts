// One of several processes that do what comes to their minds with containers, and compare what comes of it
// with a small model of the runtime-spec's state machine. runtime.md, "Lifecycle"
import assert from "node:assert/strict";
import {
  AT_FDCWD,
  close,
  compileLoader,
  O_RDONLY,
  O_RDWR,
  open,
  P_ALL,
  P_PID,
  PR_SET_CHILD_SUBREAPER,
  siginfo,
  spawn,
  syscall,
  trySyscall,
  WEXITED,
  WNOHANG,
} from "../../ffi/mod.ts";
import { CrateError } from "../../lib/errors.ts";
import {
  createContainer,
  deleteContainer,
  execInContainer,
  killContainer,
  pauseContainer,
  readState,
  resumeContainer,
  shownStatus,
  startCreated,
  updateContainer,
  waitForExit,
} from "../../lib/lifecycle/mod.ts";
import { VERBS, VERBS_KIND } from "../../lib/lifecycle/program/mod.ts";
import type { Spec } from "../../lib/spec/mod.ts";

/** What a worker is asked to do; one line of JSON on its standard input. */
export interface ModelTask {
  readonly root: string;
  readonly spec: Spec;
  readonly id: string;
  readonly seed: number;
  readonly sequences: number;
  readonly operations: number;
  /** Others work on the same container: any answer is right that some order of all would give. */
  readonly shared: boolean;
}

type Model = "none" | "created" | "running" | "paused" | "paused-created" | "stopped";

const OPERATIONS = [
  "create",
  "start",
  "kill",
  "delete",
  "deleteForce",
  "pause",
  "resume",
  "exec",
  "update",
  "state",
] as const;
type Operation = typeof OPERATIONS[number];

/** What an operation leads to, or the code of the error that refuses it. */
export function expected(model: Model, operation: Operation): Model | `!${string}` {
  if (model === "none") return operation === "create" ? "created" : "!NOT_FOUND";
  const isPaused = model === "paused" || model === "paused-created";
  const isLive = model !== "stopped";
  switch (operation) {
    case "create":
      return "!EXISTS";
    case "start":
      return model === "created" ? "running" : "!STATE";
    case "kill":
      return isLive ? "stopped" : "!STATE";
    case "delete":
      return model === "running" || model === "paused" ? "!STATE" : "none";
    case "deleteForce":
      return "none";
    case "pause":
      return isLive && !isPaused ? model === "created" ? "paused-created" : "paused" : "!STATE";
    case "resume":
      return model === "paused" ? "running" : model === "paused-created" ? "created" : "!STATE";
    case "exec":
      return isLive && !isPaused ? model : "!STATE";
    case "update":
      return isLive ? model : "!STATE";
    case "state":
      return model;
  }
}

/** Numbers that look random and are the same for the same seed (mulberry32). */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

function reap(): void {
  while (trySyscall("waitid", P_ALL, 0, null, WEXITED | WNOHANG, null) === 0) {
    if (!hasZombies()) return;
  }
}

function hasZombies(): boolean {
  const info = new Uint8Array(128);
  const flags = WEXITED | WNOHANG | 0x01000000;
  return trySyscall("waitid", P_ALL, 0, info, flags, null) === 0 && info[12] !== 0;
}

async function act(
  { root, id, spec, shared }: ModelTask,
  operation: Operation,
  none: number,
): Promise<void> {
  const stdio = [none, none, none] as const;
  switch (operation) {
    case "create":
      await createContainer({ id, root, spec, bundle: root, stdio });
      return;
    case "start":
      await startCreated(root, id, () => {});
      return;
    case "kill":
      killContainer(root, id, 9);
      return await ended(root, id);
    case "delete":
      return await deleteContainer(root, id);
    case "deleteForce":
      return await deleteContainer(root, id, { force: true });
    case "pause":
      return await pauseContainer(root, id);
    case "resume":
      return await resumeContainer(root, id);
    case "exec": {
      const process = (spec: Spec) => ({ ...spec.process!, args: ["/bin/true"] });
      const launched = await execInContainer({ root, id, process, detached: false, stdio });
      const { code } = await waitForExit(launched);
      // Another may have killed the container meanwhile.
      assert(code === 0 || shared && code === 137, `exec ended with ${code}`);
      return;
    }
    case "update":
      return await updateContainer(root, id, { pids: { limit: 50 } });
    case "state":
      if (readState(root, id) === undefined) throw new CrateError("NOT_FOUND", "none");
  }
}

/** Which of a container's verbs an operation is. */
const WALKED: Partial<Record<Operation, typeof VERBS[number]>> = {
  start: "start",
  kill: "kill-KILL",
  delete: "delete",
  deleteForce: "delete",
};

/** Does it as the launcher does, without crate. @returns false where crate is asked. */
function walk({ root, id }: ModelTask, operation: Operation, none: number): boolean {
  const verb = WALKED[operation];
  if (verb === undefined) return false;
  const file = trySyscall("openat", AT_FDCWD, `${root}/${id}/verbs`, O_RDONLY, 0);
  if (file < 0) return false;
  const loader = compileLoader(VERBS.indexOf(verb), VERBS_KIND);
  const pid = spawn(loader, { name: verb, descriptors: [none, none, none, file] });
  close(file);
  const info = new Uint8Array(128);
  syscall("waitid", P_PID, pid, info, WEXITED, null);
  return siginfo.get(info, "si_status") === 0;
}

/** A kill is seen when its process has ended. */
async function ended(root: string, id: string): Promise<void> {
  for (let tries = 0; tries < 2000; tries++) {
    reap();
    const status = readState(root, id)?.status;
    if (status === undefined || status === "stopped") return;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  throw new Error("killed, and not dead");
}

async function run(task: ModelTask): Promise<Record<string, number>> {
  const next = random(task.seed);
  const none = open("/dev/null", O_RDWR);
  const counts: Record<string, number> = {};
  for (let sequence = 0; sequence < task.sequences; sequence++) {
    const done: string[] = [];
    let model: Model = "none";
    for (let i = 0; i < task.operations; i++) {
      // What makes a container comes more often than chance would have it.
      const pick = next() < 0.2 ? next() < 0.5 ? "create" : "start" : undefined;
      const operation = pick ?? OPERATIONS[Math.floor(next() * OPERATIONS.length)]!;
      const want: Model | `!${string}` = expected(model, operation);
      let got: Model | `!${string}` = want.startsWith("!") ? model : want;
      let how: string = operation;
      try {
        if (next() < 0.5 && walk(task, operation, none)) {
          how = `walked ${operation}`;
          if (operation === "kill") await ended(task.root, task.id);
        } else await act(task, operation, none);
      } catch (error) {
        if (!(error instanceof CrateError)) throw error;
        got = `!${error.code}`;
        if (!task.shared && got !== want) {
          throw new Error(`${done.join(" ")} ${operation}: ${error.message}`);
        }
      }
      reap();
      done.push(operation);
      const count = `${how} ${got.startsWith("!") ? got : "ok"}`;
      counts[count] = (counts[count] ?? 0) + 1;
      if (task.shared) {
        const allowed = ["!STATE", "!NOT_FOUND", "!EXISTS", "!START"];
        assert(!got.startsWith("!") || allowed.includes(got), `${operation}: ${got}`);
        continue;
      }
      assert.equal(got.startsWith("!") ? got : want, want, done.join(" "));
      if (!want.startsWith("!")) model = want as Model;
      const state = readState(task.root, task.id);
      const shown = state === undefined ? "none" : shownStatus(state);
      assert.equal(shown, model === "paused-created" ? "paused" : model, done.join(" "));
    }
    if (!task.shared && model !== "none") {
      await deleteContainer(task.root, task.id, { force: true });
    }
    reap();
  }
  return counts;
}

if (import.meta.main) {
  syscall("prctl", PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  const task: ModelTask = JSON.parse(await new Response(Deno.stdin.readable).text());
  console.log(JSON.stringify(await run(task)));
}
