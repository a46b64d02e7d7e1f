import {
  AT_FDCWD,
  EPERM,
  Layout,
  O_CLOEXEC,
  O_DIRECTORY,
  O_RDONLY,
  placeIn,
  ProgramBuilder,
  runProgram,
  SyscallError,
  valueOf,
} from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";

// linux/bpf.h, bpf(2)
const BPF_PROG_LOAD = 5;
const BPF_PROG_ATTACH = 8;
const BPF_PROG_TYPE_CGROUP_DEVICE = 15;
const BPF_CGROUP_DEVICE = 6;
const BPF_F_ALLOW_MULTI = 2;

/**
 * Loads a device program and attaches it to a cgroup v2 directory; it goes when the group goes.
 *
 * Other programs, of groups above or of systemd, stay in force: a device must pass all of them
 * (`BPF_F_ALLOW_MULTI`).
 *
 * @param program as `compileDeviceProgram` makes it.
 * @throws {CrateError} `PERMISSION` without CAP_BPF or CAP_SYS_ADMIN in the initial user namespace,
 * `UNSUPPORTED` when the kernel takes no such program.
 */
export function attachDeviceProgram(directory: string, program: Uint8Array): void {
  const p = new ProgramBuilder();
  // Layouts live in here, not at the module's top: only a host with cgroup v2 needs them.
  const load = new Layout("bpf_attr (BPF_PROG_LOAD)", {
    prog_type: "u32",
    insn_cnt: "u32",
    insns: "u64",
    license: "u64",
    log_level: "u32",
    log_size: "u32",
    log_buf: "u64",
    kern_version: "u32",
    prog_flags: "u32",
  });
  const attach = new Layout("bpf_attr (BPF_PROG_ATTACH)", {
    target_fd: "u32",
    attach_bpf_fd: "u32",
    attach_type: "u32",
    attach_flags: "u32",
  });
  const loadAttr = p.variableStruct("load", load, {
    prog_type: BPF_PROG_TYPE_CGROUP_DEVICE,
    insn_cnt: program.length / 8,
  });
  p.pointer(placeIn(loadAttr, load.offset("insns")), p.bytes(program));
  p.pointer(placeIn(loadAttr, load.offset("license")), p.string("MIT"));
  const attachAttr = p.variableStruct("attach", attach, {
    attach_type: BPF_CGROUP_DEVICE,
    attach_flags: BPF_F_ALLOW_MULTI,
  });
  const loaded = p.variable("loaded", 4);
  const attached = p.variable("attached", 4);
  const target = p.variable("target", 4);
  const noTarget = p.label("no target");
  const notLoaded = p.label("not loaded");
  const closeProgram = p.label("close program");
  const closeTarget = p.label("close target");
  p.call("openat", [AT_FDCWD, p.string(directory), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0], {
    result: target,
    negative: noTarget,
  });
  p.call("bpf", [BPF_PROG_LOAD, loadAttr, load.size], { result: loaded, negative: notLoaded });
  p.set(placeIn(attachAttr, attach.offset("target_fd")), valueOf(target));
  p.set(placeIn(attachAttr, attach.offset("attach_bpf_fd")), valueOf(loaded));
  p.call("bpf", [BPF_PROG_ATTACH, attachAttr, attach.size], {
    result: attached,
    negative: closeProgram,
  });
  p.place(closeProgram);
  p.call("close", [valueOf(loaded)], { negative: closeTarget });
  p.place(notLoaded);
  p.place(closeTarget);
  p.call("close", [valueOf(target)], { negative: noTarget });
  p.place(noTarget);
  p.return();
  const run = runProgram(p.build());
  for (const [cell, step] of [[target, "openat"], [loaded, "bpf"], [attached, "bpf"]] as const) {
    const result = run.value(cell);
    if (result < 0) throw failure(new SyscallError(step, -result, directory), directory);
  }
}

function failure(error: SyscallError, directory: string): CrateError {
  const permission = error.errno === EPERM;
  return new CrateError(
    permission ? "PERMISSION" : "UNSUPPORTED",
    `linux.resources.devices: the allow-list of ${directory} ` +
      (permission
        ? "needs a BPF program, which only root may load: EPERM"
        : `could not be put in force: ${error.message}`),
    { cause: error },
  );
}
