import assert from "node:assert/strict";
import fc from "fast-check";
import * as ffi from "../../../ffi/mod.ts";
import { encodeElf, printProgram } from "../../../ffi/mod.ts";
import { reachable } from "../../../ffi/testing.ts";
import { capabilityBit, capabilityMask } from "../../security/mod.ts";
import { ATTACH_POINT, inputs, LAST_CAPABILITY } from "./_configs.ts";
import { everyInit, indexes, isOneName, only } from "./_every.ts";
import { type Made, Model } from "./_model.ts";
import { compileContainer } from "./compile.ts";
import { isBind, isShared } from "./mounts.ts";
import { CONTROL } from "./protocol.ts";

const MOUNT_FAMILY = [
  "mount umount2 pivot_root chroot fsopen fsconfig fsmount fspick open_tree move_mount".split(" "),
  ["mount_setattr", "setns", "unshare"],
].flat();
const SECCOMP_SET_MODE_FILTER = 1;

const isPrctl = (option: number) => ({ name, args }: Made) =>
  name === "prctl" && args[0] === option;
const named = (wanted: string) => ({ name }: Made) => name === wanted;

Deno.test("nothing is mounted and no namespace is entered after the capabilities are final", () => {
  everyInit(({ init }) => {
    const capset = only(init, named("capset"));
    const late = init.calls.slice(capset).filter(({ name }) => MOUNT_FAMILY.includes(name));
    assert.deepEqual(late.map(({ step }) => step.label), []);
  });
});

Deno.test("a filter is loaded exactly when the config has one, and only execve comes after it", () => {
  everyInit(({ input, init }) => {
    const loads = indexes(init, named("seccomp"));
    assert.equal(loads.length, input.seccomp === undefined ? 0 : 1);
    if (input.seccomp === undefined) return;
    const [load] = loads as [number];
    assert.deepEqual(init.calls.slice(load + 1).map(({ name }) => name), ["execve"]);
    const { args, machine } = init.calls[load]!;
    assert.deepEqual(args.slice(0, 2), [SECCOMP_SET_MODE_FILTER, input.seccomp.flags]);
    const { filter } = input.seccomp;
    assert.equal(machine.u32(args[2]!) & 0xffff, filter.length / 8);
    const at = Number(machine.u64(args[2]! + ffi.sock_fprog.offset("filter")));
    assert.deepEqual(machine.bytes(at, filter.length), filter);
  });
});

/** The three sets that a capset gave, as bits. */
function capset(init: Model): Record<"effective" | "permitted" | "inheritable", bigint> {
  const { args, machine } = init.calls[only(init, named("capset"))]!;
  const { cap_user_data: data } = ffi;
  const bytes = machine.bytes(args[1]!, data.size);
  const set = (name: "effective" | "permitted" | "inheritable") =>
    BigInt(data.get(bytes, `${name}_lo`)) | BigInt(data.get(bytes, `${name}_hi`)) << 32n;
  return {
    effective: set("effective"),
    permitted: set("permitted"),
    inheritable: set("inheritable"),
  };
}

Deno.test("a filter has its privilege: no_new_privs, or CAP_SYS_ADMIN until execve", () => {
  everyInit(({ input, init }) => {
    const nnp = indexes(init, isPrctl(ffi.PR_SET_NO_NEW_PRIVS));
    assert.equal(nnp.length, input.spec.process!.noNewPrivileges ? 1 : 0);
    if (input.seccomp === undefined) return;
    const load = only(init, named("seccomp"));
    if (nnp.length > 0) assert(nnp[0]! < load);
    else assert(capset(init).effective & (1n << BigInt(capabilityBit("CAP_SYS_ADMIN"))));
  });
});

Deno.test("the capability sets are the config's, and the bounding set loses all others", () => {
  everyInit(({ input, init }) => {
    const { capabilities, noNewPrivileges } = input.spec.process!;
    const mask = (names: readonly string[] | undefined) => capabilityMask(names ?? []);
    const admin = 1n << BigInt(capabilityBit("CAP_SYS_ADMIN"));
    const kept = input.seccomp !== undefined && !noNewPrivileges ? admin : 0n;
    assert.deepEqual(capset(init), {
      effective: mask(capabilities?.effective) | kept,
      permitted: mask(capabilities?.permitted) | kept,
      inheritable: mask(capabilities?.inheritable),
    });
    const dropped = init.calls.filter(isPrctl(ffi.PR_CAPBSET_DROP)).map(({ args }) => args[1]!);
    const left = Array.from({ length: LAST_CAPABILITY + 1 }, (_, bit) => bit)
      .filter((bit) => !dropped.includes(bit));
    const bounding = [...new Set((capabilities?.bounding ?? []).map(capabilityBit))];
    assert.deepEqual(left, bounding.sort((a, b) => a - b));
    assert.equal(dropped.length, LAST_CAPABILITY + 1 - left.length);
    const { permitted = [], inheritable = [] } = capabilities ?? {};
    const raised = (capabilities?.ambient ?? []).filter((name) =>
      permitted.includes(name) && inheritable.includes(name)
    );
    const ambient = init.calls.filter(isPrctl(ffi.PR_CAP_AMBIENT)).map(({ args }) =>
      args.slice(1, 3)
    );
    assert.deepEqual(ambient, [
      [ffi.PR_CAP_AMBIENT_CLEAR_ALL, 0],
      ...raised.map((name) => [ffi.PR_CAP_AMBIENT_RAISE, capabilityBit(name)]),
    ]);
  });
});

Deno.test("groups, group, user and capabilities change in this order, and keep what they must", () => {
  everyInit(({ input, init }) => {
    const { user } = input.spec.process!;
    const order = ["setgroups", "setresgid", "setresuid", "capset"];
    const at = order.map((name) => only(init, named(name)));
    assert.deepEqual(at, at.toSorted((a, b) => a - b));
    const [groups, gid, uid, sets] = at as [number, number, number, number];
    assert(indexes(init, isPrctl(ffi.PR_CAPBSET_DROP)).every((i) => i < groups));
    const keeps = indexes(init, isPrctl(ffi.PR_SET_KEEPCAPS));
    assert.equal(keeps.length, user?.uid ? 1 : 0);
    if (user?.uid) {
      assert(keeps[0]! < uid);
      assert.equal(init.calls[keeps[0]!]!.args[1], 1);
    }
    assert(indexes(init, isPrctl(ffi.PR_CAP_AMBIENT)).every((i) => i > sets));
    assert.deepEqual(init.calls[gid]!.args, Array(3).fill(user?.gid ?? 0).concat(0, 0, 0));
    assert.deepEqual(init.calls[uid]!.args, Array(3).fill(user?.uid ?? 0).concat(0, 0, 0));
    const { args, machine } = init.calls[groups]!;
    const wanted = user?.additionalGids ?? [];
    assert.equal(args[0], wanted.length);
    assert.deepEqual(wanted.map((_, i) => machine.u32(args[1]! + 4 * i)), [...wanted]);
  });
});

Deno.test("execve leaves the standard three descriptors, what is handed on, and nothing else", () => {
  everyInit(({ input, init }) => {
    const left = [...init.descriptors].filter(([, { cloexec }]) => !cloexec);
    const { count = 0 } = input.preserved ?? {};
    assert.deepEqual(left.map(([fd]) => fd).sort(), [0, 1, 2, 3, 4, 5].slice(0, 3 + count));
    for (const [fd, { what }] of left) if (fd > 2) assert.equal(what, `handed on ${fd - 3}`);
    const closing = init.calls.findLastIndex(named("close_range"));
    assert.deepEqual(init.calls[closing]!.args.slice(0, 3), [
      3,
      0xffffffff,
      ffi.CLOSE_RANGE_CLOEXEC,
    ]);
    const after = init.calls.slice(closing + 1).map(({ name }) => name);
    const last = ["rt_sigprocmask", "seccomp", "execve", ...count > 0 ? ["fcntl", "dup3"] : []];
    for (const name of after) assert(last.includes(name), name);
  });
});

Deno.test("no signal is blocked when the user's program begins, and its parent's death is told", () => {
  everyInit(({ input, init }) => {
    const { args, machine } = init.calls.findLast(named("rt_sigprocmask"))!;
    assert.equal(args[0], ffi.SIG_SETMASK);
    assert.equal(machine.u64(args[1]!), 0n);
    if (input.parent.start !== undefined) {
      assert.deepEqual(indexes(init, isPrctl(ffi.PR_SET_PDEATHSIG)), [], "its parent is not crate");
      return;
    }
    const death = only(init, isPrctl(ffi.PR_SET_PDEATHSIG));
    const start = only(init, (call) => call.name === "read" && call.args[0] === CONTROL);
    assert.equal(init.calls[death]!.args[1], ffi.SIGKILL);
    assert(death > only(init, named("capset")), "capset and the ids clear it: prctl(2)");
    assert(start > death, "the start comes when everything is ready");
    const clones = indexes(init, named("clone3"));
    if (clones.length === 1) return;
    assert.equal(clones.length, 2, "an init of crate's own");
    assert(clones[1]! > start);
  });
});

Deno.test("the init hides from the container's processes before it has no more rights than they", () => {
  everyInit(({ init }) => {
    const hide = init.calls.findLastIndex(isPrctl(ffi.PR_SET_DUMPABLE));
    assert.equal(init.calls[hide]!.args[1], 0);
    assert(hide < only(init, named("setresuid")) && hide < only(init, named("capset")));
  });
});

Deno.test("the root is entered by pivot_root, and the host's tree is let go right after", () => {
  everyInit(({ input, init }) => {
    if (input.noPivot) {
      const root = only(init, named("chroot"));
      const [moved, , chdir] = init.calls.slice(root - 1);
      assert.deepEqual([moved!.name, moved!.strings[3]], ["move_mount", "/"]);
      assert.equal(init.calls[root]!.strings[0], ".");
      assert.deepEqual([chdir!.name, chdir!.strings[0]], ["chdir", "/"]);
      return;
    }
    const pivot = only(init, named("pivot_root"));
    const [, umount, chdir] = init.calls.slice(pivot) as [Made, Made, Made];
    assert.deepEqual(init.calls[pivot]!.strings.slice(0, 2), [".", "."]);
    assert.deepEqual([umount.name, umount.strings[0], umount.args[1]], [
      "umount2",
      ".",
      ffi.MNT_DETACH,
    ]);
    assert.deepEqual([chdir.name, chdir.strings[0]], ["chdir", "/"]);
    const [first] = init.named("mount");
    assert(first!.args[3]! & (ffi.MS_SLAVE | ffi.MS_PRIVATE) && first!.args[3]! & ffi.MS_REC);
    const others = init.named("fsmount", "move_mount").map(({ order }) => order);
    assert(
      others.every((order) => order > first!.order),
      "nothing is mounted before it is private",
    );
    const shared = (input.spec.mounts ?? []).filter((mount) => isBind(mount) && isShared(mount));
    const early = init.named("open_tree").filter(({ order }) => order < first!.order);
    assert.equal(early.length, shared.length, "only what is shared with the host is cloned before");
  });
});

Deno.test("the working directory is entered by descriptor after the ids, and has a path in the root", () => {
  everyInit(({ input, init }) => {
    const enter = init.calls.findLastIndex(named("fchdir"));
    assert(enter > only(init, named("setresuid")));
    assert.equal(init.calls[enter + 1]!.name, "getcwd");
    const { umask } = input.spec.process!.user ?? {};
    assert.equal(init.calls.findLast(named("umask"))!.args[0], umask ?? 0o022);
    const outside = new Model(init.program, { ...init.script, cwd: "(unreachable)/etc" });
    assert.equal(outside.last.name, "exit_group");
    assert.match(String(outside.reports.at(-1)), /it is outside of the container$/);
  }, 40);
});

Deno.test("every path of the container is resolved by the kernel inside its root", () => {
  everyInit(({ input, init }) => {
    const { spec } = input;
    const ours = new Set([
      ...input.cgroup.files,
      ...(spec.linux!.namespaces!).flatMap(({ path }) => path ?? []),
      "/dev/null",
      ...input.parent.start === undefined ? [input.parent.log, "/run/crate/x", "exit.new"] : [],
    ]);
    const sources = new Set([
      spec.root!.path,
      ...(spec.mounts ?? []).map(({ source }) => source),
      ...input.facts.cgroupHierarchies.map(({ group }) => group),
    ]);
    const inRoot = ffi.RESOLVE_IN_ROOT | ffi.RESOLVE_NO_MAGICLINKS;
    const inProc = ffi.RESOLVE_BENEATH | ffi.RESOLVE_NO_XDEV | ffi.RESOLVE_NO_MAGICLINKS;
    for (const { name, args, strings, machine, on, step } of init.calls) {
      const path = strings[1];
      const atHost = args[0] === ffi.AT_FDCWD;
      const what = `${step.label}: ${name} ${path}`;
      switch (name) {
        case "openat2": {
          const resolve = machine.u32(args[2]! + ffi.open_how.offset("resolve"));
          const proc = on[0]!.what === "fsmount of fsopen proc";
          assert((resolve & inRoot) === inRoot || (proc && (resolve & inProc) === inProc), what);
          assert(/^(fsmount|open_tree)/.test(on[0]!.what), `${what} from ${on[0]!.what}`);
          break;
        }
        case "openat":
          assert(atHost ? ours.has(path!) : isOneName(path!), what);
          break;
        case "mkdirat":
        case "mknodat":
        case "unlinkat":
          assert(!atHost && isOneName(path!), what);
          break;
        case "symlinkat":
          assert(isOneName(strings[2]!), what);
          break;
        case "fchownat":
          assert(args[4] === ffi.AT_SYMLINK_NOFOLLOW && isOneName(path!) || path === "", what);
          break;
        case "open_tree":
          assert(atHost ? sources.has(path) || path!.startsWith(ATTACH_POINT) : path === "", what);
          break;
        case "move_mount": {
          const [, , to, , flags] = args as [number, number, number, number, number];
          assert(flags & ffi.MOVE_MOUNT_F_EMPTY_PATH);
          if (to === ffi.AT_FDCWD) {
            const isMoved = input.noPivot === true && strings[3] === "/";
            assert(isMoved || strings[3]!.startsWith(ATTACH_POINT), what);
          } else assert(flags & ffi.MOVE_MOUNT_T_EMPTY_PATH && strings[3] === "", what);
          break;
        }
        case "mount":
          assert(path === "/" || strings[2] === "overlay" && path!.startsWith(ATTACH_POINT), what);
          break;
        case "chdir":
          // The layers of an overlay are named from their common directory.
          assert(strings[0] === "/" || step.label === "mount overlay as the root", what);
      }
    }
  });
});

Deno.test("every step has a label and can be reached, and the program can be encoded and printed", () => {
  fc.assert(
    fc.property(inputs, (input) => {
      const program = compileContainer(input);
      const { steps } = program;
      const reached = reachable(program);
      for (const [i, { label }] of steps.entries()) {
        assert.notEqual(label, "");
        assert(reached.has(i), `step ${i} is never reached: ${label}`);
      }
      for (const arch of ["x86_64", "aarch64"] as const) {
        assert(encodeElf(program, arch).bytes.length < 200_000);
      }
      const numbered = printProgram(program).split("\n").filter((line) =>
        /^ *\d+ {2}\S/.test(line)
      );
      assert.equal(numbered.length, steps.length);
    }),
    { numRuns: 100 },
  );
});

Deno.test("a config is compiled to the same program every time", () => {
  fc.assert(
    fc.property(inputs, (input) => {
      const [one, other] = [compileContainer(input), compileContainer(structuredClone(input))];
      assert.deepEqual(encodeElf(one, "x86_64").bytes, encodeElf(other, "x86_64").bytes);
    }),
    { numRuns: 30 },
  );
});
