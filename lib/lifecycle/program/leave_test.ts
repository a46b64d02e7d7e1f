import assert from "node:assert/strict";
import fc from "fast-check";
import * as ffi from "../../../ffi/mod.ts";
import { inputs, type MonitoredInput, startingDescriptors } from "./_configs.ts";
import { type Made, type Model, walkMonitor } from "./_model.ts";
import { compileContainer } from "./compile.ts";
import type { MonitoredNetwork } from "./input.ts";

const HELD = ["lock", "namespace", "last's input", "first's input", "control of pasta", "pasta"];
const network: MonitoredNetwork = {
  held: HELD.length,
  lasting: 1,
  steps: [
    { kind: "run", path: "/p/last", env: ["A=1"], input: 2, namespace: 1 },
    { kind: "run", path: "/p/first", env: [], input: 3, namespace: 1 },
    { kind: "end", name: "pasta", control: 4, pidfd: 5 },
  ],
  atEnd: [],
};

const isStep = ({ step: { label = "" } }: Made) => /^(run|end) /.test(label);

/** A walk of a monitor with these networks; `answer` decides about the steps of the networks. */
function walk(
  input: MonitoredInput,
  answer: (call: Made, model: Model) => number | undefined = () => undefined,
): Model {
  const descriptors = [...startingDescriptors(input), ...HELD];
  const program = compileContainer({ ...input, parent: { ...input.parent, network } });
  return walkMonitor(program, ["ended"], { code: ffi.CLD_EXITED, status: 0 }, {
    descriptors,
    answer(call, model) {
      if (!isStep(call)) return undefined;
      const given = answer(call, model);
      if (given !== undefined) return given;
      const { name, machine, args } = call;
      if (name === "clone3") {
        const at = Number(machine.u64(args[0]! + ffi.clone_args.offset("pidfd")));
        machine.set32(at, model.open("program", true));
        return 4243;
      }
      return name === "ppoll" ? 1 : name === "waitid" ? 0 : undefined;
    },
  });
}

const told = ({ calls }: Model) =>
  calls.findIndex(({ name, on }) => name === "sendto" && on[0]?.what === "control");
const labels = (model: Model, name: string) =>
  model.calls.filter((call) => call.name === name && isStep(call)).map(({ step }) => step.label);

Deno.test("what others have made is given back before the end is told: programs in order, then those that stay", () => {
  fc.assert(
    fc.property(inputs, (input) => {
      const walked = walk(input);
      const steps = walked.calls.filter(isStep).map(({ name, step }) => `${name}: ${step.label}`);
      const run = (path: string) =>
        ["clone3", "ppoll", "waitid", "close"].map((name) => `${name}: run ${path}`);
      assert.deepEqual(steps, [
        ...run("/p/last"),
        ...run("/p/first"),
        "shutdown: end pasta",
        "ppoll: end pasta",
      ]);
      const last = walked.calls.findLastIndex(isStep);
      assert(last < told(walked));
      const first = walked.calls.findIndex(isStep);
      const reaped = walked.calls.findIndex(({ name, step }) =>
        name === "waitid" && step.label === "wait for the init"
      );
      assert(reaped < first, "the container has ended by then");
      // The lock stays until there is nothing more to be undone; all else is let go.
      const open = [...walked.descriptors.values()].map(({ what }) => what);
      assert.deepEqual(open.filter((what) => HELD.includes(what)), ["lock"]);
    }),
    { numRuns: 40 },
  );
});

Deno.test("a program reads its input, has the namespace, and nothing to write to", () => {
  fc.assert(
    fc.property(inputs, fc.constantFrom("/p/last", "/p/first"), (input, path) => {
      let execution: Made | undefined;
      const walked = walk(input, (call) => {
        if (call.step.label !== `run ${path}`) return undefined;
        if (call.name === "execve") execution = call;
        return call.name === "clone3" ? 0 : undefined;
      });
      assert.equal(walked.last, execution);
      assert.equal(execution!.strings[0], path);
      const at = (fd: number) => walked.descriptors.get(fd);
      const input0 = path === "/p/last" ? "last's input" : "first's input";
      assert.equal(at(0)!.what, input0);
      assert.equal(at(1)!.what, "openat /dev/null");
      assert.equal(at(2)!.what, "openat /dev/null");
      assert(!at(0)!.cloexec && !at(1)!.cloexec && !at(2)!.cloexec);
      const { machine, args } = execution!;
      const variables = machine.strings(args[2]!);
      const found = /^CNI_NETNS=\/proc\/self\/fd\/(\d+)$/.exec(variables.at(-1)!)!;
      assert.equal(at(Number(found[1]))!.what, "namespace");
      assert(!at(Number(found[1]))!.cloexec);
      assert.deepEqual(variables.slice(0, -1), path === "/p/last" ? ["A=1"] : []);
    }),
    { numRuns: 40 },
  );
});

Deno.test("a program that does not end is killed, one that cannot be started keeps nothing back", () => {
  fc.assert(
    fc.property(inputs, (input) => {
      const late = walk(input, ({ name }) => name === "ppoll" ? 0 : undefined);
      const all = ["run /p/last", "run /p/first", "end pasta"];
      assert.deepEqual(labels(late, "pidfd_send_signal"), all);
      assert(told(late) > late.calls.findLastIndex(isStep));
      const failed = walk(input, ({ name }) => name === "clone3" ? -ffi.EAGAIN : undefined);
      assert.deepEqual(labels(failed, "clone3"), all.slice(0, 2));
      assert.deepEqual(labels(failed, "shutdown"), ["end pasta"]);
      assert(told(failed) > 0);
    }),
    { numRuns: 20 },
  );
});
