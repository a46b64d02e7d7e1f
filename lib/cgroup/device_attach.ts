import {
  AT_FDCWD,
  type Cell,
  EPERM,
  type Label,
  Layout,
  NEXT,
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

/** What the steps of {@linkcode attachSteps} have: descriptors, or a failure's negative number; -1 where they did not come. */
export interface AttachCells {
  readonly target: Cell;
  readonly loaded: Cell;
  readonly attached: Cell;
}

/** The steps that load a device program and attach it to the group of a path. */
export function attachSteps(
  p: ProgramBuilder,
  directory: Cell,
  program: Uint8Array,
  failed: Label,
): AttachCells {
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
  const none = () => new Uint8Array(4).fill(0xff);
  const target = p.variable("target", 4, none());
  const loaded = p.variable("loaded", 4, none());
  const attached = p.variable("attached", 4, none());
  const negative = failed;
  p.call("openat", [AT_FDCWD, directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0], {
    result: target,
    negative,
  });
  p.call("bpf", [BPF_PROG_LOAD, loadAttr, load.size], { result: loaded, negative });
  p.set(placeIn(attachAttr, attach.offset("target_fd")), valueOf(target));
  p.set(placeIn(attachAttr, attach.offset("attach_bpf_fd")), valueOf(loaded));
  p.call("bpf", [BPF_PROG_ATTACH, attachAttr, attach.size], { result: attached, negative });
  return { target, loaded, attached };
}

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
  const end = p.label("end");
  const { target, loaded, attached } = attachSteps(p, p.string(directory), program, end);
  p.place(end);
  for (const fd of [loaded, target]) p.call("close", [valueOf(fd)], { negative: NEXT });
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
