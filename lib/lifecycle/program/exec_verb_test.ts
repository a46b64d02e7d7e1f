import assert from "node:assert/strict";
import fc from "fast-check";
import { arch, encodeElf, encodeMapped, NEXT, type Program } from "../../../ffi/mod.ts";
import { LAST_CAPABILITY, processes } from "./_configs.ts";
import { compileExec, type ExecInput } from "./exec.ts";
import { compileExecVerb } from "./exec_verb.ts";
import { prepareOwnExecution } from "./own_words.ts";
import type { WalkedExec } from "./walked_exec.ts";

const INIT = { pid: 4711, startTime: 123456 };
const PROGRAM = encodeElf(execOf(), arch).bytes;

const inputs: fc.Arbitrary<WalkedExec> = fc.record({
  init: fc.constant(INIT),
  freezer: fc.constantFrom(undefined, {
    frozen: { file: "/sys/fs/cgroup/x/cgroup.events", line: "frozen 1" },
    thaw: { file: "/sys/fs/cgroup/x/cgroup.freeze", text: "0" },
  }),
  group: fc.constantFrom(undefined, { directory: "/sys/fs/cgroup/x", line: "0::/x" }),
  program: fc.constant(PROGRAM),
  file: fc.constant("/run/crate/x/exec"),
});

function execOf(changes: Partial<ExecInput> = {}): Program {
  return compileExec({
    process: { args: [], cwd: "/", env: ["PATH=/bin:/usr/bin"] },
    prepareOwn: prepareOwnExecution,
    spec: { ociVersion: "1.2.0" },
    namespaces: 0,
    cgroup: { files: [] },
    lastCapability: LAST_CAPABILITY,
    detached: false,
    ...changes,
  });
}

Deno.test("an exec with its own arguments is the exec that has them, but for what it executes", () => {
  // Words do not matter: what the program calls, in which order, with which ways on.
  const shape = ({ steps }: Program) =>
    steps.map(({ operation, label }) => `${operation} ${label}`)
      .filter((step) => !/execute |forget |^(open|p?read|close|compute)/.test(step));
  fc.assert(fc.property(processes, (process) => {
    const plain = { ...process, args: ["/bin/true"], terminal: false };
    const changes = { process: plain, prepareOwn: undefined };
    assert.deepEqual(shape(execOf({ process: plain })), shape(execOf(changes)));
  }));
});

Deno.test("once the user's program runs, no step of the next exec can fail: it would be executed again", () => {
  fc.assert(fc.property(inputs, (input) => {
    const { steps } = compileExecVerb(input);
    const go = steps.findIndex(({ operation }) => operation === "sendto");
    const answer = steps[go + 1]!;
    assert.equal(answer.operation, "read");
    const executed = answer.zero!.index;
    // From there on to where crate is asked, which is the last way of all that stands before.
    const ask = steps.findIndex(({ operation, args }, i) =>
      i > executed && operation === "compute" && args[0] === -1 && args[2] === -1
    );
    assert(executed > go && ask > executed);
    const harmless = ["exit_group", "compute"];
    for (const step of steps.slice(executed, ask)) {
      assert(harmless.includes(step.operation) || step.negative !== undefined, step.label);
      for (const way of [step.negative, step.zero, step.positive]) {
        if (way === undefined || way === NEXT) continue;
        assert(way.index >= executed && way.index < ask, `${step.label} goes to ${way.name}`);
      }
    }
  }));
});

Deno.test("what a container's next exec is made of has room for a filter of the largest size", () => {
  const seccomp = { filter: new Uint8Array(8 * 4096), flags: 0 };
  const program = encodeElf(execOf({ seccomp }), arch).bytes;
  const verb = compileExecVerb({ init: INIT, program, file: "/run/crate/x/exec" });
  assert(encodeMapped(verb, arch, "test") !== undefined);
});
