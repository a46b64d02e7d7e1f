import assert from "node:assert/strict";
import { collectGarbage, deleteContainer } from "../lib/lifecycle/mod.ts";
import type { ModelTask } from "./support/_model_worker.ts";
import { engineSpec } from "./support/bundle.ts";
import { EMULATED, reapOrphans, Running, type Sandbox, test } from "./support/mod.ts";

// Random operations, and a small model of the runtime-spec's state machine that says what comes of each.

const WORKER = new URL("./support/_model_worker.ts", import.meta.url).pathname;
const CONFIG = new URL("../deno.json", import.meta.url).pathname;
const WORKERS = 4;
const SEQUENCES = EMULATED ? 4 : 250;

async function work(
  box: Sandbox,
  tasks: readonly Partial<ModelTask>[],
): Promise<Record<string, number>> {
  const results = await Promise.all(tasks.map(async (task, index) => {
    const id = task.id ?? `model-${index}`;
    const full: ModelTask = {
      root: box.root,
      id,
      spec: engineSpec(box, id, "exec sleep 1000"),
      seed: Math.floor(Math.random() * 2 ** 31),
      sequences: SEQUENCES,
      operations: 20,
      shared: false,
      ...task,
    };
    const command = [Deno.execPath(), "run", "-A", "--no-check", "--config", CONFIG, WORKER];
    const { code, stdout, stderr } = await new Running(command, { input: JSON.stringify(full) })
      .ended;
    assert.equal(code, 0, `seed ${full.seed}: ${stderr}`);
    return JSON.parse(stdout) as Record<string, number>;
  }));
  const sum: Record<string, number> = {};
  for (const counts of results) {
    for (const [name, count] of Object.entries(counts)) sum[name] = (sum[name] ?? 0) + count;
  }
  return sum;
}

/** What must come about: by crate itself, by the launcher, and refused. */
const TO_COME = [
  ...["create", "start", "kill", "delete", "pause", "resume", "exec", "update"]
    .map((operation) => `${operation} ok`),
  ...["start", "kill", "delete"].map((operation) => `walked ${operation} ok`),
  ...["create !EXISTS", "start !STATE", "kill !STATE", "delete !STATE", "exec !STATE"],
];
/** So few operations as in an emulated machine may not bring about all of it at once. */
const ROUNDS = EMULATED ? 6 : 1;

test("whatever is done with a container in whatever order, the state machine says what comes of it", async (box) => {
  const all = new Set<string>();
  const missing = () => TO_COME.filter((name) => !all.has(name));
  for (let round = 0; round < ROUNDS && missing().length > 0; round++) {
    const counts = await work(box, Array.from({ length: WORKERS }, () => ({})));
    const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
    assert.equal(total, WORKERS * SEQUENCES * 20);
    Object.keys(counts).forEach((name) => all.add(name));
  }
  assert.deepEqual(missing(), [], "came about");
});

test("many processes at one container get in each other's way with clear answers only", async (box) => {
  const shared = { id: "one", shared: true, sequences: 1, operations: EMULATED ? 25 : 250 };
  const counts = await work(box, Array.from({ length: WORKERS }, () => shared));
  assert(counts["create ok"]! > 0, JSON.stringify(counts));
  // So few operations as in an emulated machine may come in no order that starts anything.
  const starts = (counts["start ok"] ?? 0) + (counts["walked start ok"] ?? 0);
  assert(EMULATED || starts > 0, JSON.stringify(counts));
  reapOrphans();
  await deleteContainer(box.root, "one", { force: true }).catch(() => {});
  await collectGarbage(box.root);
});
