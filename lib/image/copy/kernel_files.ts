import { syscall } from "../../../ffi/mod.ts";

/**
 * Filesystems of the kernel's own making, linux/magic.h: to read them may wait or act, to write them changes the kernel,
 * and their files have no size.
 */
const KERNELS: ReadonlySet<number> = new Set([
  0x9fa0, // proc
  0x62656572, // sysfs
  0x27e0eb, // cgroup
  0x63677270, // cgroup2
  0x64626720, // debugfs
  0x74726163, // tracefs
  0x73636673, // securityfs
  0xcafe4a11, // bpf
  0x6165676c, // pstore
  0x62656570, // configfs
  0xde5e81e4, // efivarfs
  0xf97cff8c, // selinuxfs
  0x43415d53, // smackfs
  0x6e736673, // nsfs
  0x42494e4d, // binfmt_misc
  0x1cd1, // devpts
  0x19800202, // mqueue
  0x7655821, // resctrl
  0x65735543, // fusectl
  0xabba1974, // xenfs
]);

/** Whether what a descriptor leads to is the kernel's. @throws {SyscallError} */
export function isKernels(fd: number): boolean {
  const statfs = new Uint8Array(128);
  syscall("fstatfs", fd, statfs);
  return KERNELS.has(new DataView(statfs.buffer).getUint32(0, true));
}
