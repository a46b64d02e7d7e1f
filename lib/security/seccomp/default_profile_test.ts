import assert from "node:assert/strict";
import { allCapabilities, DEFAULT_CAPABILITIES } from "../capabilities.ts";
import type { LinuxSeccomp } from "../../spec/mod.ts";
import { checkFilter, runFilter } from "./_bpf_interpreter.ts";
import { numbersOf } from "./_naive.ts";
import { type Abi, ABIS, callTable, type Machine } from "./abi.ts";
import { compileProfile, compileSeccomp } from "./compile.ts";
import { defaultSeccompProfile } from "./default_profile.ts";
import { READY_CAPABILITIES, readyFilter } from "./ready.ts";

const MACHINES = ["x86_64", "aarch64"] as const;
const ALLOW = 0x7fff0000;
const EPERM = 0x00050001;
const ENOSYS = 0x00050026;
const PODMAN = "/usr/share/containers/seccomp.json";

/** What the default profile answers, for each ABI that has the call. */
function answers(
  machine: Machine,
  capabilities: readonly string[],
  name: string,
  args: (number | bigint)[] = [],
): number[] {
  const { filter } = compileSeccomp(
    defaultSeccompProfile({ capabilities, arch: machine }),
    machine,
  );
  const all = Array.from({ length: 6 }, (_, i) => BigInt(args[i] ?? 0));
  return ABIS[machine].flatMap((abi: Abi) => {
    const number = numbersOf(machine, abi).get(name);
    if (number === undefined) return [];
    return runFilter(filter, { nr: number + abi.bit, arch: abi.audit, args: all }).answer;
  });
}

function everywhere(
  wanted: number,
  capabilities: readonly string[],
  name: string,
  args: (number | bigint)[] = [],
): void {
  for (const machine of MACHINES) {
    for (const answer of answers(machine, capabilities, name, args)) {
      assert.equal(answer, wanted, `${name}(${args}) on ${machine}: ${answer.toString(16)}`);
    }
  }
}

const NEVER = "kexec_load kexec_file_load add_key keyctl request_key userfaultfd swapon swapoff " +
  "io_uring_setup io_uring_enter io_uring_register pivot_root move_pages migrate_pages vm86 vm86old " +
  "nfsservctl uselib sysfs ustat create_module query_module get_kernel_syms lsm_set_self_attr";

const GATES: Record<string, string> = {
  CAP_SYS_ADMIN: "mount umount umount2 mount_setattr move_mount open_tree open_tree_attr fsopen " +
    "fsconfig fsmount fspick setns unshare sethostname setdomainname quotactl quotactl_fd " +
    "fanotify_init lookup_dcookie bpf perf_event_open syslog",
  CAP_SYS_BOOT: "reboot",
  CAP_SYS_CHROOT: "chroot",
  CAP_SYS_MODULE: "init_module finit_module delete_module",
  CAP_SYS_PTRACE: "ptrace process_vm_readv process_vm_writev pidfd_getfd process_madvise kcmp",
  CAP_SYS_TIME: "settimeofday stime clock_settime clock_settime64",
  CAP_SYS_NICE: "mbind set_mempolicy get_mempolicy set_mempolicy_home_node",
  CAP_SYS_PACCT: "acct",
  CAP_SYS_RAWIO: "iopl ioperm",
  CAP_SYS_TTY_CONFIG: "vhangup",
  CAP_SYSLOG: "syslog",
  CAP_BPF: "bpf",
  CAP_PERFMON: "perf_event_open",
  CAP_DAC_READ_SEARCH: "open_by_handle_at",
};

const blocked = (answer: number) => answer === EPERM || answer === ENOSYS;

Deno.test("calls that would reach the host are refused to a container that asks for nothing", () => {
  const dangerous = [
    ...NEVER.split(" "),
    ...Object.values(GATES).flatMap((names) => names.split(" ")),
  ]
    .filter((name) => name !== "chroot");
  for (const machine of MACHINES) {
    for (const name of dangerous) {
      for (const args of [[], Array(6).fill(0xffffffffffffffffn)]) {
        const got = answers(machine, DEFAULT_CAPABILITIES, name, args);
        assert.ok(got.every(blocked), `${name} on ${machine}: ${got}`);
      }
    }
  }
});

Deno.test("a capability opens its own calls and no others", () => {
  const names = [...callTable("x86_64").keys(), ...callTable("aarch64").keys()];
  const without = new Map(names.map((name) => [name, answers("x86_64", [], name)]));
  for (const [capability, gated] of Object.entries(GATES)) {
    const open = gated.split(" ");
    for (const name of open) everywhere(ALLOW, [capability], name);
    for (const name of names) {
      if (open.includes(name) || name.startsWith("clone")) continue;
      // A newer call may be refused instead of missing, once one still newer is named.
      const now = answers("x86_64", [capability], name).map((one) => one === ENOSYS ? EPERM : one);
      const before = without.get(name)!.map((one) => one === ENOSYS ? EPERM : one);
      assert.deepEqual(now, before, `${name} with ${capability}`);
    }
  }
});

Deno.test("what no capability opens stays shut with all of them", () => {
  const all = allCapabilities();
  for (const machine of MACHINES) {
    for (const name of NEVER.split(" ")) {
      assert.ok(answers(machine, all, name).every(blocked), `${name} on ${machine}`);
    }
  }
});

Deno.test("clone makes processes and threads but no namespaces; clone3 is missing", () => {
  const SIGCHLD = 17;
  const THREAD = 0x3d0f00;
  everywhere(ALLOW, DEFAULT_CAPABILITIES, "clone", [SIGCHLD]);
  everywhere(ALLOW, DEFAULT_CAPABILITIES, "clone", [THREAD]);
  const namespaces = [0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000];
  for (const flag of namespaces) {
    everywhere(EPERM, DEFAULT_CAPABILITIES, "clone", [flag | SIGCHLD]);
    everywhere(ALLOW, ["CAP_SYS_ADMIN"], "clone", [flag | SIGCHLD]);
  }
  everywhere(ENOSYS, DEFAULT_CAPABILITIES, "clone3", [1, 88]);
  everywhere(ALLOW, ["CAP_SYS_ADMIN"], "clone3", [1, 88]);
});

Deno.test("personality asks and sets the harmless ones, but does not turn randomization off", () => {
  for (const value of [0, 8, 0x20000, 0x20008, 0xffffffff]) {
    everywhere(ALLOW, DEFAULT_CAPABILITIES, "personality", [value]);
  }
  for (const value of [0x40000, 0x400000, 0x40008, 1, 0x80000000]) {
    everywhere(EPERM, DEFAULT_CAPABILITIES, "personality", [value]);
  }
});

Deno.test("sockets of every family but the hypervisor's, whatever the upper half of the word", () => {
  for (let family = 0; family < 48; family++) {
    for (const upper of [0n, 1n << 32n, 0xffffffffn << 32n]) {
      const wanted = family === 40 ? EPERM : ALLOW;
      everywhere(wanted, DEFAULT_CAPABILITIES, "socket", [upper | BigInt(family)]);
    }
  }
});

Deno.test("calls newer than the profile are missing, so that programs fall back", () => {
  for (const machine of MACHINES) {
    const { filter } = compileSeccomp(
      defaultSeccompProfile({ capabilities: DEFAULT_CAPABILITIES, arch: machine }),
      machine,
    );
    for (const { audit, bit } of ABIS[machine]) {
      const args = Array(6).fill(0n);
      assert.equal(runFilter(filter, { nr: 600 + bit, arch: audit, args }).answer, ENOSYS);
    }
  }
});

Deno.test("the filters compiled ahead are those that are compiled now", () => {
  for (const arch of MACHINES) {
    for (const capabilities of READY_CAPABILITIES) {
      const profile = defaultSeccompProfile({ capabilities, arch });
      const compiled = compileProfile(profile, arch);
      const again = "run scripts/seccomp_filters.ts";
      assert.deepEqual(readyFilter(profile, arch), compiled, again);
      // The same after a way through a file.
      assert.deepEqual(readyFilter(JSON.parse(JSON.stringify(profile)), arch), compiled, again);
      assert.equal(checkFilter(compiled.filter), 0);
      assert.ok(compiled.filter.length / 8 <= 350, `${compiled.filter.length / 8} instructions`);
    }
  }
});

Deno.test("a profile that is not quite the default is compiled for itself", () => {
  const profile = defaultSeccompProfile({ capabilities: DEFAULT_CAPABILITIES, arch: "x86_64" });
  assert.ok(readyFilter(profile, "x86_64"));
  assert.equal(readyFilter(profile, "aarch64"), undefined);
  const first = profile.syscalls![0]!;
  const others: LinuxSeccomp[] = [
    { ...profile, flags: [] },
    { ...profile, defaultErrnoRet: 13 },
    { ...profile, architectures: ["SCMP_ARCH_X86_64"] },
    {
      ...profile,
      syscalls: [
        { ...first, names: first.names.map((name) => name === "read" ? "reboot" : name) },
        ...profile.syscalls!.slice(1),
      ],
    },
    {
      ...profile,
      syscalls: profile.syscalls!.map((rule, i) =>
        i === 1 ? { ...rule, args: [{ index: 0, op: "SCMP_CMP_EQ", value: 2n ** 60n }] } : rule
      ),
    },
  ];
  for (const other of others) {
    assert.equal(readyFilter(other, "x86_64"), undefined);
    compileSeccomp(other, "x86_64");
  }
});

/** Why calls that podman's profile allows to all are not allowed here. */
const DIFFERENCES: Record<string, string> = {
  "Docker opens it with CAP_SYS_ADMIN only":
    "fsconfig fsmount fsopen fspick mount mount_setattr move_mount open_tree setns umount umount2 unshare",
  "missing without CAP_SYS_ADMIN: its flags cannot be seen": "clone3",
  "Docker opens it with CAP_SYS_BOOT only": "reboot",
  "Docker opens it with CAP_SYS_NICE only": "get_mempolicy mbind set_mempolicy",
  "another process is no business of a container's, without CAP_SYS_PTRACE":
    "pidfd_getfd process_vm_readv process_vm_writev ptrace",
  "Docker never allows it: keyrings have no namespaces": "keyctl",
  "Docker never allows it: a container has its root": "pivot_root",
  "the kernel's log is the host's: Docker opens it with CAP_SYSLOG": "syslog",
  "old_readdir of i386, which only a libc of 1996 calls": "readdir",
};

Deno.test({
  name: "what podman allows to every container is allowed, but for the listed differences",
  ignore: !exists(PODMAN),
  fn() {
    const podman: {
      syscalls: {
        names: string[];
        action: string;
        args: unknown[] | null;
        includes: object;
        excludes: object;
      }[];
    } = JSON.parse(Deno.readTextFileSync(PODMAN));
    const unconditional = podman.syscalls.filter(({ action, args, includes, excludes }) =>
      action === "SCMP_ACT_ALLOW" && !args?.length && Object.keys(includes).length === 0 &&
      Object.keys(excludes).length === 0
    ).flatMap(({ names }) => names);
    assert.ok(unconditional.length > 350);
    const different = new Set(Object.values(DIFFERENCES).flatMap((names) => names.split(" ")));
    const missing = new Set<string>();
    for (const machine of MACHINES) {
      for (const name of unconditional) {
        if (!answers(machine, DEFAULT_CAPABILITIES, name).every((answer) => answer === ALLOW)) {
          missing.add(name);
        }
      }
    }
    assert.deepEqual([...missing].sort(), [...different].sort());
    const refused = podman.syscalls.filter(({ action, includes, excludes }) =>
      action === "SCMP_ACT_ERRNO" && Object.keys(includes).length === 0 &&
      Object.keys(excludes).length === 0
    ).flatMap(({ names }) => names);
    const opened = refused.filter((name) =>
      MACHINES.some((machine) => answers(machine, DEFAULT_CAPABILITIES, name).includes(ALLOW))
    );
    assert.deepEqual(opened.sort(), ["io_pgetevents", "vmsplice"], "Docker allows these two");
  },
});

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
