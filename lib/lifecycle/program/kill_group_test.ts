import assert from "node:assert/strict";
import fc from "fast-check";
import { ENOENT, ESRCH, SIGKILL } from "../../../ffi/mod.ts";
import { Model } from "./_model.ts";
import { killGroup } from "./kill_group.ts";
import { Scope } from "./scope.ts";

const FILE = "/sys/fs/cgroup/x/cgroup.procs";

/** Whom a monitor kills, when each reading of the group's file tells these pids. */
function killed(readings: readonly (readonly number[])[]): { pids: number[]; opens: number } {
  const s = new Scope();
  const broken = s.p.label("broken");
  s.p.handler(broken);
  killGroup(s, FILE);
  s.p.call("exit_group", [0]);
  s.p.place(broken);
  s.p.call("exit_group", [1]);
  s.writeAsides();
  let content: number[] = [];
  let opens = 0;
  const model = new Model(s.p.build(), {
    descriptors: [],
    answer({ name, args, machine }) {
      if (name === "openat") {
        const reading = readings[opens++] ?? [];
        content = [...new TextEncoder().encode(reading.map((pid) => `${pid}\n`).join(""))];
        return undefined;
      }
      if (name === "read") {
        const byte = content.shift();
        if (byte === undefined) return 0;
        machine.write(args[1]!, Uint8Array.of(byte));
        return 1;
      }
      return name === "kill" && args[0]! % 7 === 0 ? -ESRCH : undefined;
    },
  });
  assert.deepEqual([model.last.name, model.last.args[0]], ["exit_group", 0]);
  assert.equal([...model.descriptors.keys()].length, 3, "nothing stays open");
  for (const { args } of model.named("kill")) assert.equal(args[1], SIGKILL);
  return { pids: model.named("kill").map(({ args }) => args[0]!), opens };
}

/** PID_MAX_LIMIT of 64-bit machines, proc(5). */
const pid = fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 4_194_304 }));

Deno.test("every process of a group is killed, until there is none", () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(pid, { minLength: 1, maxLength: 6 }), { maxLength: 4 }),
      (readings) => {
        const { opens, pids } = killed(readings);
        assert.deepEqual(pids, readings.flat());
        assert.equal(opens, readings.length + 1);
      },
    ),
    { numRuns: 60 },
  );
});

Deno.test("a process that has no pid here is left alone: 0 would mean the monitor's own group", () => {
  assert.deepEqual(killed([[0, 12, 0]]).pids, [12]);
  assert.deepEqual(killed([[0]]), { pids: [], opens: 1 });
});

Deno.test("a group that is gone has nobody left to kill", () => {
  const s = new Scope();
  const broken = s.p.label("broken");
  s.p.handler(broken);
  killGroup(s, FILE);
  s.p.call("exit_group", [0]);
  s.p.place(broken);
  s.p.call("exit_group", [1]);
  const model = new Model(s.p.build(), {
    answer: ({ name }) => name === "openat" ? -ENOENT : undefined,
  });
  assert.deepEqual(model.calls.map(({ name }) => name), ["openat", "exit_group"]);
  assert.equal(model.last.args[0], 0);
});
