import assert from "node:assert/strict";
import fc from "fast-check";
import * as ffi from "../../../ffi/mod.ts";
import { encodeElf, printProgram } from "../../../ffi/mod.ts";
import { reachable } from "../../../ffi/testing.ts";
import { LAST_CAPABILITY, processes } from "./_configs.ts";
import { type Made, Model, type Script, walkMonitor } from "./_model.ts";
import { compileExec, EXEC_PIDFD, type ExecInput } from "./exec.ts";
import { SETUP_FAILED } from "./protocol.ts";

const NAMESPACES = [
  ffi.CLONE_NEWNS,
  ffi.CLONE_NEWPID,
  ffi.CLONE_NEWNET,
  ffi.CLONE_NEWIPC,
  ffi.CLONE_NEWUTS,
  ffi.CLONE_NEWCGROUP,
  ffi.CLONE_NEWUSER,
];

const filter = fc.record({
  filter: fc.integer({ min: 1, max: 9 }).map((count) => new Uint8Array(8 * count).fill(6)),
  flags: fc.constantFrom(0, 4),
});

const MAP = [{ containerID: 0, hostID: 100_000, size: 1000 }];
const IN_USER_NAMESPACE = {
  ociVersion: "1.2.0",
  linux: { namespaces: [{ type: "user" as const }], uidMappings: MAP, gidMappings: MAP },
};

const inputs: fc.Arbitrary<ExecInput> = fc.record({
  process: processes,
  namespaces: fc.subarray(NAMESPACES).map((flags) =>
    flags.reduce((all, flag) => all | flag, 0) >>> 0
  ),
  cgroup: fc.constantFrom<ExecInput["cgroup"][]>(
    { files: [] },
    { files: ["/sys/fs/cgroup/memory/x/tasks", "/sys/fs/cgroup/pids/x/tasks"] },
    { files: [], descriptor: EXEC_PIDFD + 1 },
  ),
  seccomp: fc.option(filter, { nil: undefined }),
  lastCapability: fc.constant(LAST_CAPABILITY),
  detached: fc.boolean(),
  spec: fc.constantFrom({ ociVersion: "1.2.0" }, IN_USER_NAMESPACE),
});

function starting({ cgroup }: ExecInput): string[] {
  return ["control", "report", "init", ...cgroup.descriptor === undefined ? [] : ["group"]];
}

/** Checks the walk of the process of any exec, from its monitor's first step to its execve. */
function everyExec(check: (input: ExecInput, walked: Model) => void, numRuns = 100): void {
  fc.assert(
    fc.property(inputs, (input) => {
      const walked = new Model(compileExec(input), { descriptors: starting(input) });
      assert.equal(walked.last.name, "execve");
      check(input, walked);
    }),
    { numRuns },
  );
}

const orders = (calls: readonly Made[]) => calls.map(({ order }) => order);

Deno.test("exec joins the namespaces of the container's init, through its pidfd, before it clones", () => {
  everyExec((input, walked) => {
    const [clone] = walked.named("clone3") as [Made];
    const joins = walked.named("setns");
    let joined = 0;
    for (const { args, on, order } of joins) {
      assert.equal(on[0]!.what, "init");
      joined |= args[1]!;
      const cgroup = args[1] === ffi.CLONE_NEWCGROUP;
      assert.equal(order < clone.order, !cgroup, "a pid namespace is for those cloned after it");
    }
    assert.equal(joined >>> 0, input.namespaces);
    const flags = walked.machine.u64(clone.args[0]!);
    assert.equal(flags & BigInt(0x7e020000), 0n, "no namespace of its own");
  });
});

Deno.test("exec cannot be looked into by what runs in the container", () => {
  everyExec((_, walked) => {
    const hide = walked.named("prctl").find(({ args }) => args[0] === ffi.PR_SET_DUMPABLE)!;
    assert.equal(hide.args[1], 0);
    for (const order of orders(walked.named("setns"))) assert(hide.order < order);
    // And it is not undone before execve, which makes another memory.
    const hides = walked.named("prctl").filter(({ args }) => args[0] === ffi.PR_SET_DUMPABLE);
    assert(hides.every(({ args }) => args[1] === 0));
  });
});

Deno.test("exec opens the container's groups while it sees the host's paths, and enters them first", () => {
  everyExec((input, walked) => {
    const { files, descriptor } = input.cgroup;
    const opens = walked.named("openat").filter(({ strings }) => strings[1]!.endsWith("/tasks"));
    const writes = walked.named("write").filter(({ on }) => on[0]!.what.endsWith("/tasks"));
    assert.deepEqual(opens.map(({ strings }) => strings[1]), [...files]);
    assert.equal(writes.length, files.length);
    const clone = walked.named("clone3")[0]!;
    const joins = walked.named("setns");
    for (const order of orders(opens)) assert(joins.every((join) => order < join.order));
    for (const { order, strings } of writes) {
      assert.equal(strings[1]![0], "0");
      assert(order > clone.order, "the process goes in by itself");
      for (const join of joins) if (join.order > clone.order) assert(order < join.order);
    }
    const flags = walked.machine.u64(clone.args[0]!);
    const into = BigInt(ffi.CLONE_INTO_CGROUP);
    assert.equal((flags & into) !== 0n, descriptor !== undefined);
  });
});

Deno.test("exec's process gives up as much as the container's own, and keeps no descriptor", () => {
  everyExec((input, walked) => {
    const left = [...walked.descriptors].filter(([, { cloexec }]) => !cloexec).map(([fd]) => fd);
    assert.deepEqual(left.sort(), [0, 1, 2]);
    const order = ["setgroups", "setresgid", "setresuid", "capset"];
    const at = order.map((name) => walked.named(name)[0]!.order);
    assert.deepEqual(at, at.toSorted((a, b) => a - b));
    const after: string[] = walked.calls.slice(at.at(-1)! + 1).map(({ name }) => name);
    for (const name of ["setns", "mount", "move_mount", "openat", "openat2"]) {
      assert(!after.includes(name), name);
    }
    const tail = walked.calls.slice(
      walked.calls.findLastIndex(({ name }) => name === "close_range"),
    );
    const filtered = input.seccomp === undefined ? [] : ["seccomp"];
    assert.deepEqual(tail.map(({ name }) => name), [
      "close_range",
      "rt_sigprocmask",
      ...filtered,
      "execve",
    ]);
    const dropped = walked.named("prctl").filter(({ args }) => args[0] === ffi.PR_CAPBSET_DROP);
    const bounding = new Set(input.process.capabilities?.bounding);
    assert.equal(dropped.length, LAST_CAPABILITY + 1 - bounding.size);
    assert.equal(
      walked.named("prctl").some(({ args }) => args[0] === ffi.PR_SET_NO_NEW_PRIVS),
      input.process.noNewPrivileges ?? false,
    );
  });
});

Deno.test("exec's working directory lies in the container, or it does not start", () => {
  fc.assert(
    fc.property(inputs, (input) => {
      const script: Script = { descriptors: starting(input), cwd: "(unreachable)/" };
      const walked = new Model(compileExec(input), script);
      assert.match(String(walked.reports.at(-1)), /it is outside of the container$/);
      const missing = new Model(compileExec(input), {
        descriptors: starting(input),
        answer: ({ name, step }) =>
          name === "openat2" && step.label.startsWith("enter ") ? -ffi.ENOENT : undefined,
      });
      assert.equal(missing.reports.at(-1), `enter ${input.process.cwd}`);
      assert.equal(missing.named("mkdirat").length, 0, "an exec makes nothing in the container");
    }),
    { numRuns: 30 },
  );
});

Deno.test("what fails in exec is told by its own name", () => {
  fc.assert(
    fc.property(inputs, fc.infiniteStream(fc.nat(1000)), (input, picks) => {
      const good = new Model(compileExec(input), { descriptors: starting(input) });
      for (let i = 0; i < 10; i++) {
        const index = picks.next().value % good.calls.length;
        const bad = new Model(compileExec(input), {
          descriptors: starting(input),
          answer: (_, model) => model.calls.length - 1 === index ? -5 : undefined,
        });
        assert.equal(bad.reports.at(-1), good.calls[index]!.step.label);
        assert.deepEqual([bad.last.name, bad.last.args[0]], ["exit_group", SETUP_FAILED]);
      }
    }),
    { numRuns: 40 },
  );
});

Deno.test("exec's monitor keeps nothing of the container's, and ends as the process does", () => {
  fc.assert(
    fc.property(inputs, fc.nat(255), (input, status) => {
      let open: string[] = [];
      const walked = walkMonitor(compileExec(input), ["ended"], { code: ffi.CLD_EXITED, status }, {
        descriptors: starting(input),
        answer({ name }, model) {
          if (name === "ppoll") open = [...model.descriptors.values()].map(({ what }) => what);
          return undefined;
        },
      });
      assert.deepEqual([walked.last.name, walked.last.args[0]], ["exit_group", status]);
      const console = input.detached && input.process.terminal;
      const extra = console ? ["openat /dev/null", "received", "socketpair 0"] : [];
      assert.deepEqual(open.sort(), ["control", "pidfd", "pipe2 1", ...extra].sort());
    }),
    { numRuns: 60 },
  );
});

Deno.test("every step of exec has a label, can be reached, encoded and printed", () => {
  fc.assert(
    fc.property(inputs, (input) => {
      const program = compileExec(input);
      const reached = reachable(program);
      for (const [i, { label }] of program.steps.entries()) {
        assert(label !== "" && reached.has(i), `${i} ${label}`);
      }
      for (const arch of ["x86_64", "aarch64"] as const) encodeElf(program, arch);
      const lines = printProgram(program).split("\n").filter((line) => /^ *\d+ {2}\S/.test(line));
      assert.equal(lines.length, program.steps.length);
    }),
    { numRuns: 40 },
  );
});
