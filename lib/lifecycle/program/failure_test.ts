import assert from "node:assert/strict";
import fc from "fast-check";
import * as ffi from "../../../ffi/mod.ts";
import { inputs, startingDescriptors } from "./_configs.ts";
import { type Made, Model, type Script } from "./_model.ts";
import { compileContainer } from "./compile.ts";
import type { CompileInput } from "./input.ts";
import { SETUP_FAILED } from "./protocol.ts";

const { EACCES, EEXIST, EIO, ELOOP, ENOENT, ENOEXEC, ENOTDIR } = { EIO: 5, ...ffi };

/** An image in which nothing is but its root: what is opened must have been made. */
function emptyImage(): NonNullable<Script["answer"]> {
  const made = new Set(["."]);
  const place = (call: Made) => {
    const above = call.on[0]!.what.replace("openat2 ", "");
    return above === "." ? call.strings[1]! : `${above}/${call.strings[1]}`;
  };
  return (call) => {
    const { name, on, strings } = call;
    const inRoot = on[0]?.what.startsWith("openat2 ");
    if (name === "openat2" && on[0]!.what !== "fsmount of fsopen proc") {
      return made.has(strings[1]!) || on[0]!.what.includes("tmpfs") ? undefined : -ENOENT;
    }
    if ((name !== "mkdirat" && name !== "openat") || !inRoot) return undefined;
    if (made.has(place(call))) return -EEXIST;
    made.add(place(call));
    return undefined;
  };
}

/** Makes the call with an index fail, and leaves the others to another answer. */
function failing(index: number, errno: number, otherwise?: Script["answer"]): Script["answer"] {
  return (call, model) =>
    model.calls.length - 1 === index ? -errno : otherwise?.(call, model) as number | undefined;
}

function walk(input: CompileInput, answer?: Script["answer"]): Model {
  const script = { descriptors: startingDescriptors(input), answer };
  return new Model(compileContainer(input), script);
}

Deno.test("any step that fails ends the start, and is told by its own name", () => {
  fc.assert(
    fc.property(inputs, fc.infiniteStream(fc.nat(1000)), (input, picks) => {
      const good = walk(input);
      for (let i = 0; i < 15; i++) {
        const index = picks.next().value % good.calls.length;
        const { step } = good.calls[index]!;
        const bad = walk(input, failing(index, EIO));
        assert.equal(bad.reports.at(-1), step.label);
        assert.deepEqual([bad.last.name, bad.last.args[0]], ["exit_group", SETUP_FAILED]);
        assert.equal(bad.machine.failure().result, -EIO);
      }
    }),
    { numRuns: 80 },
  );
});

/** A config without a terminal: the ptmx comes with a devpts that is mounted by then. */
const quiet = inputs.map((input): CompileInput => ({
  ...input,
  spec: { ...input.spec, process: { ...input.spec.process!, terminal: false } },
}));

Deno.test("a container starts from an image that has none of its mount points", () => {
  fc.assert(
    fc.property(quiet, (input) => {
      const init = walk(input, emptyImage());
      assert.equal(init.last.name, "execve");
      for (const { args, name, on } of init.named("openat")) {
        const inRoot = on[0]?.what.startsWith("openat2 ");
        assert(!inRoot || args[2]! & ffi.O_EXCL, `${name} follows no link to what it makes`);
      }
    }),
    { numRuns: 60 },
  );
});

Deno.test("a failure in an image without mount points is told by a name that says where, and why", () => {
  fc.assert(
    fc.property(quiet, fc.infiniteStream(fc.nat(1000)), (input, picks) => {
      const good = walk(input, emptyImage());
      // One that failed already, and was looked after, is not what this is about.
      const succeeded = good.calls.flatMap(({ result }, i) =>
        result === "end" || result >= 0 ? [i] : []
      );
      for (let i = 0; i < 10; i++) {
        const index = succeeded[picks.next().value % succeeded.length]!;
        const { step } = good.calls[index]!;
        const bad = walk(input, failing(index, EIO, emptyImage()));
        // Opening "/x" is told as itself, or as the making of "/x" that it was a part of.
        const subject = (label: unknown) => String(label).replace(/^(open|make) /, "");
        assert.equal(subject(bad.reports.at(-1)), subject(step.label));
        assert.equal(bad.machine.failure().result, -EIO);
        assert.deepEqual([bad.last.name, bad.last.args[0]], ["exit_group", SETUP_FAILED]);
      }
    }),
    { numRuns: 50 },
  );
});

/** A config that has one of each thing that may be missing or of another kind. */
function particular(change: Partial<CompileInput["spec"]["linux"] & object>): CompileInput {
  return {
    spec: {
      ociVersion: "1.2.0",
      process: { args: ["tool"], env: ["PATH=/a:/b:/c"], cwd: "/" },
      root: { path: "/srv/root" },
      linux: { namespaces: [{ type: "mount" }], ...change },
    },
    facts: { sourceKinds: new Map(), cgroupHierarchies: [], lastCapability: 40 },
    attachPoint: "/run/crate/.mount",
    cgroup: { files: [] },
    parent: { detached: false, removeFiles: [], removeDirectories: [], cgroupDirectories: [] },
  };
}

/** Answers the opens of one path; a list gives the errors of the first, the second, … */
function opening(path: string, errnos: readonly number[]): NonNullable<Script["answer"]> {
  const left = [...errnos];
  return ({ name, strings }) =>
    name === "openat2" && strings[1] === path && left.length > 0 ? -left.shift()! : undefined;
}

Deno.test("a masked path is covered by what it is, and one that is not there needs no cover", () => {
  const input = particular({ maskedPaths: ["/proc/kcore"] });
  const covers = (init: Model) =>
    init.named("open_tree").filter(({ step }) => step.label === "mask /proc/kcore")
      .map(({ on }) => on[0]!.what);
  assert.deepEqual(covers(walk(input)), ["fsmount of fsopen tmpfs"]);
  assert.deepEqual(covers(walk(input, opening("proc/kcore", [ENOTDIR]))), ["openat /dev/null"]);
  assert.deepEqual(covers(walk(input, opening("proc/kcore", [ENOENT]))), []);
  for (const errno of [EACCES, ELOOP, EIO]) {
    const bad = walk(input, opening("proc/kcore", [errno]));
    assert.equal(bad.reports.at(-1), "mask /proc/kcore");
    assert.equal(bad.machine.failure().result, -errno);
  }
});

Deno.test("a read-only path that is not there is none, and any other trouble with it is told", () => {
  const input = particular({ readonlyPaths: ["/proc/sys"] });
  const label = "make /proc/sys read-only";
  const steps = (init: Model) =>
    init.calls.filter(({ step }) => step.label === label).map(({ name }) => name);
  assert.deepEqual(steps(walk(input)), ["openat2", "open_tree", "mount_setattr", "move_mount"]);
  const missing = walk(input, opening("proc/sys", [ENOENT]));
  assert.deepEqual([steps(missing), missing.last.name], [["openat2"], "execve"]);
  assert.equal(walk(input, opening("proc/sys", [EACCES])).reports.at(-1), label);
});

Deno.test("a device that the image has already is made anew, and a link is kept", () => {
  const input = particular({});
  const there = (wanted: string, index: number): Script["answer"] => ({ name, strings }, model) =>
    name === wanted && strings[index] && model.named(name).length === 1 ? -EEXIST : undefined;
  const devices = walk(input, there("mknodat", 1));
  assert.equal(devices.last.name, "execve");
  assert.deepEqual(devices.named("unlinkat").map(({ strings }) => strings[1]), ["null"]);
  assert.deepEqual(devices.named("mknodat").slice(0, 2).map(({ strings }) => strings[1]), [
    "null",
    "null",
  ]);
  assert.equal(walk(input, there("symlinkat", 2)).last.name, "execve");
});

/** The walk of a start whose execves fail with these errors, one after the other. */
function executing(...errnos: number[]): Model {
  return walk(particular({}), ({ name }, model) => {
    if (name !== "execve") return undefined;
    const errno = errnos[model.named("execve").length - 1];
    return errno === undefined ? undefined : -errno;
  });
}

Deno.test("a program's name is looked for along PATH, and the refusal of one is remembered", () => {
  const tried = (init: Model) => init.named("execve").map(({ strings }) => strings[0]);
  const [a, b, c] = ["/a/tool", "/b/tool", "/c/tool"];
  assert.deepEqual(tried(executing()), [a]);
  assert.deepEqual(tried(executing(ENOENT)), [a, b]);
  assert.deepEqual(tried(executing(ENOTDIR, EACCES)), [a, b, c]);
  const ends: [number[], number][] = [
    [[ENOENT, ENOENT, ENOENT], ENOENT],
    [[ENOENT, ENOTDIR, ENOENT], ENOENT],
    [[ENOENT, EACCES, ENOENT], EACCES],
    [[EACCES, ENOENT, ENOTDIR], EACCES],
    [[ENOEXEC], ENOEXEC],
    [[ENOENT, EIO], EIO],
  ];
  for (const [errnos, result] of ends) {
    const bad = executing(...errnos);
    assert.equal(bad.reports.at(-1), "execute tool");
    assert.equal(bad.machine.failure().result, -result, `${errnos}`);
    assert.equal(bad.named("execve").length, errnos.length);
    assert.deepEqual([bad.last.name, bad.last.args[0]], ["exit_group", SETUP_FAILED]);
  }
});

Deno.test("an init whose starter is gone before the start ends by itself", () => {
  const gone = walk(
    particular({}),
    ({ name, on }) => name === "read" && on[0]?.what === "control" ? 0 : undefined,
  );
  assert.deepEqual([gone.last.name, gone.last.args[0]], ["exit_group", SETUP_FAILED]);
  assert.deepEqual(gone.reports, []);
});
