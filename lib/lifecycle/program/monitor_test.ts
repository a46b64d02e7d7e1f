import assert from "node:assert/strict";
import fc from "fast-check";
import * as ffi from "../../../ffi/mod.ts";
import { inputs, type MonitoredInput, startingDescriptors } from "./_configs.ts";
import { type End, type Event, type Made, Model, type Script, walkMonitor } from "./_model.ts";
import { compileContainer } from "./compile.ts";
import type { CompileInput, MonitorOptions } from "./input.ts";
import { FRAME_SIZE } from "./log.ts";

const CLD_KILLED = 2;
const ends = fc.oneof(
  fc.nat(255).map((status): End => ({ code: ffi.CLD_EXITED, status })),
  fc.integer({ min: 1, max: 64 }).map((status): End => ({ code: CLD_KILLED, status })),
);

function monitor(
  input: CompileInput,
  events: readonly Event[],
  end: End,
  script: Script = {},
): Model {
  const descriptors = startingDescriptors(input);
  return walkMonitor(compileContainer(input), events, end, { descriptors, ...script });
}

/** The exit code that stands for an end: docker's convention. */
function codeOf({ code, status }: End): number {
  return code === ffi.CLD_EXITED ? status : 128 + status;
}

/** What a monitor does after the init's end, as `call path`. */
function afterwards(walked: Model): string[] {
  const from = walked.calls.findIndex(({ name }) => name === "waitid");
  return walked.calls.slice(from).map(({ name, strings, on }) => {
    const path = strings.findLast((text, i) => text !== undefined && (i > 0 || name === "openat"));
    return name === "sendto"
      ? `tell ${on[0]!.what}`
      : path === undefined
      ? name
      : `${name} ${path}`;
  });
}

Deno.test("the monitor ends as the container's first process did", () => {
  fc.assert(
    fc.property(inputs, ends, (input, end) => {
      const { last } = monitor(input, ["ended"], end);
      assert.deepEqual([last.name, last.args[0]], ["exit_group", codeOf(end)]);
    }),
    { numRuns: 80 },
  );
});

Deno.test("the monitor first tells who the init is, and then is nobody's but the control socket's", () => {
  fc.assert(
    fc.property(inputs, ends, (input, end) => {
      const detachedConsole = input.parent.detached && input.spec.process!.terminal;
      let open: string[] = [];
      const walked = monitor(input, ["ended"], end, {
        answer({ name }, model) {
          if (name === "ppoll") open = [...model.descriptors.values()].map(({ what }) => what);
          return undefined;
        },
      });
      const report = walked.named("write").find(({ on }) => on[0]!.what === "report");
      assert.equal(walked.machine.u64(report!.args[1]!), 0n);
      assert.equal(walked.machine.u64(report!.args[1]! + 8), 4242n);
      const outputs = !input.parent.detached
        ? []
        : detachedConsole
        ? ["received", "socketpair 0", `openat ${input.parent.log}`]
        : ["pipe2 0", "pipe2 0", `openat ${input.parent.log}`];
      const { exitFile } = input.parent;
      const exit = exitFile === undefined ? [] : ["openat /run/crate/x", "openat exit.new"];
      assert.deepEqual(open.sort(), ["control", "pidfd", "pipe2 1", ...exit, ...outputs].sort());
    }),
    { numRuns: 80 },
  );
});

Deno.test("the init is cloned into its namespaces and its v2 group", () => {
  fc.assert(
    fc.property(inputs, (input) => {
      const walked = new Model(compileContainer(input), {
        descriptors: startingDescriptors(input),
      });
      const [{ args, machine }] = walked.named("clone3") as [Made];
      const bytes = machine.bytes(args[0]!, ffi.clone_args.size);
      const flags = BigInt(ffi.clone_args.get(bytes, "flags"));
      const has = (flag: number) => (flags & BigInt(flag)) !== 0n;
      const FLAGS = {
        mount: ffi.CLONE_NEWNS,
        pid: ffi.CLONE_NEWPID,
        network: ffi.CLONE_NEWNET,
        ipc: ffi.CLONE_NEWIPC,
        uts: ffi.CLONE_NEWUTS,
      };
      const namespaces = input.spec.linux!.namespaces!;
      for (const [type, flag] of Object.entries(FLAGS)) {
        const own = namespaces.some((ns) => ns.type === type && ns.path === undefined);
        assert.equal(has(flag), own, type);
      }
      assert(!has(ffi.CLONE_NEWCGROUP), "made by the init, in its group: cgroup_namespaces(7)");
      assert(!has(ffi.CLONE_NEWUSER));
      const { descriptor } = input.cgroup;
      assert.equal(has(ffi.CLONE_INTO_CGROUP), descriptor !== undefined);
      assert.equal(ffi.clone_args.get(bytes, "cgroup"), descriptor ?? 0);
      assert.equal(ffi.clone_args.get(bytes, "exit_signal"), ffi.SIGCHLD);
      // The v1 groups come before the cgroup namespace, whose root they are.
      const writes = walked.named("write").filter(({ on }) => on[0]!.what.endsWith("/tasks"));
      assert.equal(writes.length, input.cgroup.files.length);
      const made = walked.named("unshare").map(({ args }) => args[0]);
      const wanted = namespaces.some(({ type }) => type === "cgroup");
      assert.deepEqual(made, wanted ? [ffi.CLONE_NEWCGROUP] : []);
      for (const write of writes) {
        assert.equal(write.strings[1]![0], "0");
        assert(!wanted || write.order < walked.named("unshare")[0]!.order);
      }
    }),
    { numRuns: 80 },
  );
});

Deno.test("an end is recorded, the name freed, the waiting told, and then all is cleared in order", () => {
  fc.assert(
    fc.property(inputs, ends, (input, end) => {
      const { cgroupDirectories, exitFile, removeDirectories, removeFiles, retire } = input.parent;
      const record = exitFile === undefined ? [] : ["lseek", "write", "write", "renameat2 exit"];
      assert.deepEqual(
        afterwards(monitor(input, ["ended"], end)).map((line) =>
          line.replace(/^write .*/s, "write")
        ),
        [
          "waitid",
          "clock_gettime",
          ...record,
          ...retire === undefined ? [] : [`renameat2 ${retire[1]}`],
          "tell control",
          ...[...cgroupDirectories, ...removeFiles, ...removeDirectories].map((p) =>
            `unlinkat ${p}`
          ),
          "exit_group",
        ],
      );
    }),
    { numRuns: 60 },
  );
});

Deno.test("a container in the foreground dies with its starter, a detached one lives on", () => {
  fc.assert(
    fc.property(inputs, ends, (input, end) => {
      const walked = monitor(input, ["starter gone", "ended"], end);
      const kills = walked.named("pidfd_send_signal").map(({ args, on }) => [on[0]!.what, args[1]]);
      assert.deepEqual(kills, input.parent.detached ? [] : [["pidfd", ffi.SIGKILL]]);
      const polls = walked.named("ppoll");
      assert.equal(polls.length, 2);
      const { args, machine } = polls[1]!;
      assert.equal(machine.i32(args[0]! + 8), -1, "a starter that is gone is told once");
    }),
    { numRuns: 60 },
  );
});

/** A plain config, detached or not. */
function plain(detached: boolean, more: Partial<MonitorOptions> = {}): MonitoredInput {
  return {
    spec: {
      ociVersion: "1.2.0",
      process: { args: ["/bin/true"], cwd: "/" },
      root: { path: "/srv/root" },
      linux: { namespaces: [{ type: "mount" }] },
    },
    facts: { sourceKinds: new Map(), cgroupHierarchies: [], lastCapability: 40 },
    attachPoint: "/run/crate/.mount",
    cgroup: { files: [] },
    parent: {
      detached,
      log: detached ? "/x/log" : undefined,
      removeFiles: [],
      removeDirectories: [],
      cgroupDirectories: [],
      ...more,
    },
  };
}

const EXITED = { code: ffi.CLD_EXITED, status: 0 };

Deno.test("what a detached container writes is logged as frames, with the stream and the length", () => {
  const frames: unknown[] = [];
  const answer: Script["answer"] = ({ name, args, machine }) => {
    if (name !== "writev") return undefined;
    const [frame, data] = [0, 16].map((at) => ({
      at: Number(machine.u64(args[1]! + at)),
      length: Number(machine.u64(args[1]! + at + 8)),
    }));
    assert.equal(frame!.length, FRAME_SIZE);
    const { stream, length } = {
      stream: machine.u32(frame!.at + 16),
      length: machine.u32(frame!.at + 20),
    };
    frames.push({ stream, length });
    assert.equal(data!.length, length);
    return FRAME_SIZE + length;
  };
  monitor(plain(true), ["output", "errors", "output", "ended"], EXITED, { answer });
  const [output, errors] = [1, 2].map((stream) => ({ stream, length: 10 }));
  assert.deepEqual(frames, [output, errors, output]);
});

Deno.test("a log that cannot be written loses output and stops nothing", () => {
  const walked = monitor(plain(true), ["output", "errors", "ended"], { code: 1, status: 3 }, {
    answer: ({ name }) => name === "writev" ? -ffi.ENOSPC : undefined,
  });
  assert.deepEqual([walked.last.name, walked.last.args[0]], ["exit_group", 3]);
  assert.equal(walked.named("writev").length, 2);
});

Deno.test("an output that has ended is not waited for any more", () => {
  const walked = monitor(plain(true), ["output", "ended"], EXITED, {
    answer: ({ name }) => name === "read" ? 0 : undefined,
  });
  const { args, machine } = walked.named("ppoll")[1]!;
  assert.equal(machine.i32(args[0]! + 16), -1);
});

Deno.test("what is left in the pipes is logged before the end is told", () => {
  let left = 3;
  const walked = monitor(plain(true), ["ended"], EXITED, {
    answer: ({ name }) => name !== "read" ? undefined : left-- > 0 ? 100 : -ffi.EAGAIN,
  });
  assert.equal(walked.named("writev").length, 3);
  const told = walked.named("sendto")[0]!;
  assert(walked.named("writev").every(({ order }) => order < told.order));
});

Deno.test("a group that is busy is tried again for a while, and if it stays so does the record", () => {
  const input = plain(false, {
    cgroupDirectories: ["/cg/a", "/cg/b"],
    removeFiles: ["/x/file"],
    removeDirectories: ["/x"],
  });
  const removing = (errnos: Record<string, number[]>) =>
    monitor(input, ["ended"], EXITED, {
      answer({ name, strings }) {
        const errno = name === "unlinkat" ? errnos[strings[1]!]?.shift() : undefined;
        return errno === undefined ? undefined : -errno;
      },
    });
  const removed = (walked: Model) => walked.named("unlinkat").map(({ strings }) => strings[1]);
  const all = ["/cg/a", "/cg/b", "/x/file", "/x"];
  const busy = removing({ "/cg/a": [ffi.EBUSY, ffi.EBUSY] });
  assert.deepEqual(removed(busy), ["/cg/a", "/cg/a", ...all]);
  assert.equal(busy.named("nanosleep").length, 2);
  assert.deepEqual(removed(removing({ "/cg/a": [ffi.ENOENT], "/cg/b": [ffi.ENOENT] })), all);
  const stays = removing({ "/cg/a": Array(5000).fill(ffi.EBUSY) });
  assert.equal(new Set(removed(stays)).size, 1);
  assert.equal(stays.last.name, "exit_group");
  assert.deepEqual(removed(removing({ "/cg/b": [ffi.EPERM] })), ["/cg/a", "/cg/b"]);
});

Deno.test("after the end nothing that fails changes the exit code or hangs", () => {
  fc.assert(
    fc.property(inputs, ends, fc.nat(1000), (input, end, pick) => {
      const good = monitor(input, ["ended"], end);
      const from = good.calls.findIndex(({ name }) => name === "waitid") + 1;
      const index = from + pick % (good.calls.length - 1 - from);
      const bad = monitor(input, ["ended"], end, {
        answer: (_, model) => model.calls.length - 1 === index ? -5 : undefined,
      });
      assert.deepEqual([bad.last.name, bad.last.args[0]], ["exit_group", codeOf(end)]);
      // The waiting are told, whatever else goes wrong.
      assert.equal(bad.named("sendto").length, 1);
    }),
    { numRuns: 100 },
  );
});
