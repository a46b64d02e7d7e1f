import { Layout } from "./layout.ts";

// The kernel's structs that crate fills in or reads, each with its header.

/** linux/openat2.h, openat2(2). */
export const open_how = new Layout("open_how", { flags: "u64", mode: "u64", resolve: "u64" });

/** linux/sched.h, clone3(2). */
export const clone_args = new Layout("clone_args", {
  flags: "u64",
  pidfd: "u64",
  child_tid: "u64",
  parent_tid: "u64",
  exit_signal: "u64",
  stack: "u64",
  stack_size: "u64",
  tls: "u64",
  set_tid: "u64",
  set_tid_size: "u64",
  cgroup: "u64",
});

/** linux/mount.h, mount_setattr(2). */
export const mount_attr = new Layout("mount_attr", {
  attr_set: "u64",
  attr_clr: "u64",
  propagation: "u64",
  userns_fd: "u64",
});

/** sys/resource.h, prlimit(2). */
export const rlimit64 = new Layout("rlimit64", { rlim_cur: "u64", rlim_max: "u64" });

/** linux/capability.h, capset(2): the header of version 3. */
export const cap_user_header = new Layout("cap_user_header", { version: "u32", pid: "i32" });

/** linux/capability.h: the two halves of version 3's sets. */
export const cap_user_data = new Layout("cap_user_data", {
  effective_lo: "u32",
  permitted_lo: "u32",
  inheritable_lo: "u32",
  effective_hi: "u32",
  permitted_hi: "u32",
  inheritable_hi: "u32",
});

/** linux/sched/types.h, sched_setattr(2). */
export const sched_attr = new Layout("sched_attr", {
  size: "u32",
  sched_policy: "u32",
  sched_flags: "u64",
  sched_nice: "i32",
  sched_priority: "u32",
  sched_runtime: "u64",
  sched_deadline: "u64",
  sched_period: "u64",
  sched_util_min: "u32",
  sched_util_max: "u32",
});

/** linux/filter.h, seccomp(2). */
export const sock_fprog = new Layout("sock_fprog", { len: "u16", filter: "u64" });

/** asm-generic/fcntl.h, fcntl(2). */
export const flock = new Layout("flock", {
  l_type: "u16",
  l_whence: "u16",
  l_start: "i64",
  l_len: "i64",
  l_pid: "i32",
});

/** poll.h, poll(2). */
export const pollfd = new Layout("pollfd", { fd: "i32", events: "u16", revents: "u16" });

/** sys/uio.h, readv(2). */
export const iovec = new Layout("iovec", { iov_base: "u64", iov_len: "u64" });

/** sys/socket.h, sendmsg(2). */
export const msghdr = new Layout("msghdr", {
  msg_name: "u64",
  msg_namelen: "u32",
  msg_iov: "u64",
  msg_iovlen: "u64",
  msg_control: "u64",
  msg_controllen: "u64",
  msg_flags: "u32",
});

/** sys/socket.h, cmsg(3), with room for one descriptor. */
export const cmsg_fd = new Layout("cmsghdr", {
  cmsg_len: "u64",
  cmsg_level: "i32",
  cmsg_type: "i32",
  fd: "i32",
  padding: "u32",
});

/** signal.h, as waitid(2) fills it in: 128 bytes, of which these matter. */
export const siginfo = new Layout("siginfo", {
  si_signo: "i32",
  si_errno: "i32",
  si_code: "i32",
  padding: "i32",
  si_pid: "i32",
  si_uid: "u32",
  si_status: "i32",
});

/** time.h. */
export const timespec = new Layout("timespec", { tv_sec: "i64", tv_nsec: "i64" });

/** asm-generic/termios.h, ioctl_tty(2). */
export const winsize = new Layout("winsize", {
  ws_row: "u16",
  ws_col: "u16",
  ws_xpixel: "u16",
  ws_ypixel: "u16",
});

/** linux/stat.h, statx(2); the struct is 256 bytes. */
export const statx_layout = new Layout("statx", {
  stx_mask: "u32",
  stx_blksize: "u32",
  stx_attributes: "u64",
  stx_nlink: "u32",
  stx_uid: "u32",
  stx_gid: "u32",
  stx_mode: "u16",
  spare0: "u16",
  stx_ino: "u64",
  stx_size: "u64",
  stx_blocks: "u64",
});
