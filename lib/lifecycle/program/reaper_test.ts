import assert from "node:assert/strict";
import fc from "fast-check";
import * as ffi from "../../../ffi/mod.ts";
import { capabilityMask } from "../../security/mod.ts";
import { inputs, startingDescriptors } from "./_configs.ts";
import { type End, Model } from "./_model.ts";
import { compileContainer, INIT_ANNOTATION } from "./compile.ts";
import type { CompileInput } from "./input.ts";

const CHILD = 4242;

/** Configs of `crate run --init`. */
const withInit = inputs.map((input): CompileInput => ({
  ...input,
  spec: { ...input.spec, annotations: { [INIT_ANNOTATION]: "true" } },
}));

/** Signals as the reaper reads them; for SIGCHLD, who has ended since: pids. */
type Signal = { readonly signal: number; readonly ended?: readonly number[] };

/** The walk of the first process, from the clone of the user's on. */
function reaper(input: CompileInput, signals: readonly Signal[], end: End): Model {
  const left = [...signals];
  let ended: number[] = [];
  return new Model(compileContainer(input), {
    descriptors: startingDescriptors(input),
    clones: ["child", "parent"],
    answer({ name, args, machine, on }) {
      if (name === "read" && on[0]!.what === "signalfd") {
        const next = left.shift();
        assert(next !== undefined, "the reaper waits although everything has ended");
        machine.set32(args[1]!, next.signal);
        ended = [...next.ended ?? []];
        return 128;
      }
      if (name === "waitid") {
        const at = (field: "si_pid" | "si_code" | "si_status", value: number) =>
          machine.set32(args[2]! + ffi.siginfo.offset(field), value);
        const pid = ended.shift();
        if (pid === undefined) return 0; // nothing is written: siginfo stays as it was
        at("si_pid", pid);
        at("si_code", pid === CHILD ? end.code : ffi.CLD_EXITED);
        at("si_status", pid === CHILD ? end.status : 77);
        return 0;
      }
      return undefined;
    },
  });
}

const ownEnd: Signal = { signal: ffi.SIGCHLD, ended: [CHILD] };

/** The calls of the first process after the clone. */
function afterClone(walked: Model) {
  return walked.calls.slice(walked.calls.findLastIndex(({ name }) => name === "clone3") + 1);
}

Deno.test("with --init the first process keeps only what it waits on, and the filter", () => {
  fc.assert(
    fc.property(withInit, (input) => {
      const walked = reaper(input, [ownEnd], { code: ffi.CLD_EXITED, status: 0 });
      assert.deepEqual([...walked.descriptors.values()].map(({ what }) => what), ["signalfd"]);
      const loads = afterClone(walked).filter(({ name }) => name === "seccomp");
      assert.equal(loads.length, input.seccomp === undefined ? 0 : 1);
      const reads = afterClone(walked).filter(({ name }) => name === "read");
      assert(loads.every(({ order }) => order < reads[0]!.order));
    }),
    { numRuns: 60 },
  );
});

Deno.test("with --init the first process has no capability that the config does not give", () => {
  fc.assert(
    fc.property(withInit, (input) => {
      const walked = reaper(input, [ownEnd], { code: ffi.CLD_EXITED, status: 0 });
      const { args, machine } = walked.calls.findLast(({ name }) => name === "capset")!;
      const bytes = machine.bytes(args[1]!, ffi.cap_user_data.size);
      const { capabilities } = input.spec.process!;
      for (const set of ["effective", "permitted", "inheritable"] as const) {
        const low = BigInt(ffi.cap_user_data.get(bytes, `${set}_lo`));
        const high = BigInt(ffi.cap_user_data.get(bytes, `${set}_hi`));
        assert.equal(low | high << 32n, capabilityMask(capabilities?.[set] ?? []), set);
      }
    }),
    { numRuns: 60 },
  );
});

Deno.test("with --init signals are forwarded, orphans reaped, and the end is the command's", () => {
  const others = fc.array(fc.integer({ min: 2, max: 4000 }), { maxLength: 4 });
  const signal = fc.oneof(
    fc.integer({ min: 1, max: 64 }).filter((signal) => signal !== ffi.SIGCHLD)
      .map((signal): Signal => ({ signal })),
    others.map((ended): Signal => ({ signal: ffi.SIGCHLD, ended })),
  );
  const ends = fc.record({ code: fc.constantFrom(ffi.CLD_EXITED, 2), status: fc.nat(64) });
  fc.assert(
    fc.property(
      withInit,
      fc.array(signal, { maxLength: 6 }),
      others,
      ends,
      (input, signals, pids, end) => {
        const last: Signal = { signal: ffi.SIGCHLD, ended: [...pids, CHILD] };
        const walked = reaper(input, [...signals, last], end);
        const kills = walked.named("kill").map(({ args }) => args.slice(0, 2));
        const forwarded = signals.filter(({ signal }) => signal !== ffi.SIGCHLD);
        assert.deepEqual(kills, forwarded.map(({ signal }) => [CHILD, signal]));
        const reaped = signals.reduce((sum, { ended }) => sum + (ended?.length ?? -1) + 1, 0);
        assert.equal(walked.named("waitid").length, reaped + pids.length + 1);
        const code = end.code === ffi.CLD_EXITED ? end.status : 128 + end.status;
        assert.deepEqual([walked.last.name, walked.last.args[0]], ["exit_group", code]);
      },
    ),
    { numRuns: 60 },
  );
});
