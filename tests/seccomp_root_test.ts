// Not in the virtual machine: filters are the same there, and cgroups have no part in it
import assert from "node:assert/strict";
import { arch, CLONE_NEWUSER } from "../ffi/mod.ts";
import { type Probe, probe, test } from "./support/mod.ts";

// The seccomp filter, asked by system calls: what the kernel itself answers in a container.

const EPERM = -1;
const ENOSYS = -38;
const UNCONFINED = ["--security-opt", "seccomp=unconfined"];

/** What a container must never be let do. None of these calls does harm where it is let through. */
const DANGEROUS: readonly Probe[] = [
  ["reboot", 0, 0, 0, 0],
  ["kexec_load", 0, 0, 0, 0],
  ["init_module", 0, 0, ""],
  ["finit_module", -1, "", 0],
  ["delete_module", "no such module", 0],
  ["bpf", 99, 0, 0],
  ["perf_event_open", 0, 0, -1, -1, 0],
  ["mount", "none", "/tmp", "tmpfs", 0, 0],
  ["umount2", "/proc", 0],
  ["pivot_root", "/tmp", "/tmp"],
  ["fsopen", "tmpfs", 0],
  ["open_tree", -100, "/", 1],
  ["move_mount", -1, "", -1, "", 0],
  ["mount_setattr", -100, "/", 0, 0, 0],
  ["unshare", CLONE_NEWUSER],
  ["setns", 0, 0],
  ["ptrace", 0, 0, 0, 0],
  ["process_vm_readv", 1, 0, 0, 0, 0, 0],
  ["pidfd_getfd", 0, 0, 0],
  ["keyctl", 0, 0, 0, 0, 0],
  ["add_key", "user", "name", 0, 0, -3],
  ["open_by_handle_at", -100, 0, 0],
  ["settimeofday", 0, 0],
  ["swapon", "/tmp", 0],
  ["acct", 0],
  ["syslog", 10, 0, 0],
  ["userfaultfd", 0],
  ["io_uring_setup", 1, 0],
];

test("the filter is on in every container", async (box) => {
  const script = "grep -E '^Seccomp' /proc/1/status | tr '\\t' ' '";
  for (const options of [[], ["-u", "www"], ["--cap-add", "ALL"], ["--init"]]) {
    assert.match(await box.sh(script, options), /^Seccomp: 2\nSeccomp_filters: [12]$/);
  }
});

test("the calls that reach for the host are refused", async (box) => {
  const answers = await probe(box, DANGEROUS);
  const let_through = DANGEROUS.filter((_, i) => answers[i] !== EPERM).map(([name]) => name);
  assert.deepEqual(let_through, []);
});

test("it is the filter that refuses, where no capability would be asked for", async (box) => {
  // Any user may do these on a bare kernel.
  const free: readonly Probe[] = [
    ["unshare", CLONE_NEWUSER],
    ["keyctl", 0, -3, 0, 0, 0],
    ["ptrace", 0, 0, 0, 0],
    ["personality", 0x40000],
  ];
  assert.deepEqual(await probe(box, free), free.map(() => EPERM));
  const [namespace, , ...rest] = await probe(box, free, UNCONFINED);
  // A host may forbid user namespaces to all; then the kernel says so and not the filter.
  assert.ok(namespace === 0 || namespace === EPERM || namespace === -28, `${namespace}`);
  assert.deepEqual(rest, [0, 0]);
});

test("clone3, whose flags no filter can see, is said not to be there", async (box) => {
  const [answer] = await probe(box, [["clone3", 0, 0]]);
  assert.equal(answer, ENOSYS);
});

test("a socket to the hypervisor is refused", async (box) => {
  const AF_VSOCK = 40;
  assert.deepEqual(await probe(box, [["socket", AF_VSOCK, 1, 0]]), [EPERM]);
});

test("the other machine's calls are no way around", async (box) => {
  const program = `${box.rootfs}/i386`;
  // An i386 program that makes mount(2), number 21, by int 0x80, and exits with its answer.
  const code = [
    0x31,
    0xdb,
    0x31,
    0xc9,
    0x31,
    0xd2,
    0x31,
    0xf6,
    0x31,
    0xff, // xor ebx..edi
    0xb8,
    21,
    0,
    0,
    0,
    0xcd,
    0x80, // mov eax, 21; int 0x80
    0xf7,
    0xd8,
    0x89,
    0xc3,
    0xb8,
    1,
    0,
    0,
    0,
    0xcd,
    0x80, // neg eax; mov ebx, eax; exit
  ];
  Deno.writeFileSync(program, i386(code), { mode: 0o755 });
  const words = ["run", "--rm", "-r", box.rootfs, "/i386"];
  assert.equal((await box.crate(words)).code, -EPERM);
}, { skip: !runsI386() && "this kernel executes nothing of another machine's" });

test("a capability opens what it is for", async (box) => {
  const calls: readonly Probe[] = [
    ["mount", "none", "/tmp", "tmpfs", 0, 0],
    ["ptrace", 0, 0, 0, 0],
    ["chroot", "/"],
  ];
  assert.deepEqual(await probe(box, calls), [EPERM, EPERM, 0]);
  assert.deepEqual(await probe(box, calls, ["--cap-add", "SYS_ADMIN"]), [0, EPERM, 0]);
  assert.deepEqual(await probe(box, calls, ["--cap-add", "SYS_PTRACE"]), [EPERM, 0, 0]);
  assert.deepEqual(await probe(box, calls, ["--cap-drop", "SYS_CHROOT"]), [EPERM, EPERM, EPERM]);
});

test("without a filter there is none: unconfined, --privileged, the configuration", async (box) => {
  const script = "grep '^Seccomp:' /proc/self/status | tr '\\t' ' '";
  for (const options of [UNCONFINED, ["--privileged"]]) {
    assert.equal(await box.sh(script, options), "Seccomp: 0");
  }
  const words = ["run", "--rm", "-r", box.rootfs, "sh", "-c", script];
  assert.equal(
    await box.ok(words, { env: { CRATE_SECURITY_ENABLE_SECCOMP: "false" } }),
    "Seccomp: 0",
  );
});

test("--security-opt seccomp=FILE is the filter in place of the default", async (box) => {
  const profile = box.file(
    "profile.json",
    JSON.stringify({
      defaultAction: "SCMP_ACT_ALLOW",
      syscalls: [{ names: ["mkdirat", "mkdir"], action: "SCMP_ACT_ERRNO", errnoRet: 28 }],
    }),
  );
  const calls: readonly Probe[] = [["mkdirat", -100, "/tmp/x", 0o755], ["ptrace", 0, 0, 0, 0]];
  const options = ["--security-opt", `seccomp=${profile}`];
  assert.deepEqual(await probe(box, calls, options), [-28, 0]);
  for (
    const [file, sentence] of [
      [box.path("none"), /^crate: --security-opt seccomp=.*none: .*\n$/],
      [box.file("text", "{"), /^crate: .*text.*\n$/],
      [box.file("list", "[]"), /^crate: --security-opt seccomp=.*list: .*defaultAction.*\n$/],
      [box.file("odd", '{"defaultAction":"SCMP_ACT_MAYBE"}'), /^crate: .*SCMP_ACT_MAYBE.*\n$/],
    ] as const
  ) {
    const words = ["run", "--rm", "-r", box.rootfs, "--security-opt", `seccomp=${file}`, "true"];
    const { code, stderr } = await box.crate(words);
    assert.equal(code, 125, file);
    assert.match(stderr, sentence);
  }
});

/** A static ELF file for i386 with this code in it. */
/** Whether this host executes i386's programs: not on another machine, and not where a kernel was started without them. */
function runsI386(): boolean {
  if (arch !== "x86_64") return false;
  const file = Deno.makeTempFileSync();
  try {
    // mov eax, 1; mov ebx, 7; int 0x80: exit(7)
    Deno.writeFileSync(file, i386([0xb8, 1, 0, 0, 0, 0xbb, 7, 0, 0, 0, 0xcd, 0x80]));
    Deno.chmodSync(file, 0o755);
    return new Deno.Command(file).outputSync().code === 7;
  } catch {
    return false;
  } finally {
    Deno.removeSync(file);
  }
}

function i386(code: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(84 + code.length);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]);
  const base = 0x8048000;
  view.setUint16(16, 2, true); // ET_EXEC
  view.setUint16(18, 3, true); // EM_386
  view.setUint32(20, 1, true);
  view.setUint32(24, base + 84, true); // e_entry
  view.setUint32(28, 52, true); // e_phoff
  view.setUint16(40, 52, true);
  view.setUint16(42, 32, true);
  view.setUint16(44, 1, true);
  [1, 0, base, base, bytes.length, bytes.length, 5, 0x1000].forEach((field, i) =>
    view.setUint32(52 + 4 * i, field, true)
  );
  bytes.set(code, 84);
  return bytes;
}
