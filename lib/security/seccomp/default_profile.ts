import type { LinuxSeccomp, LinuxSeccompArg, LinuxSyscall } from "../../spec/mod.ts";
import type { Machine } from "./abi.ts";

// What any program may call: Docker's list, and i386's first signal calls.
const ALWAYS =
  "accept accept4 access adjtimex alarm bind brk cachestat capget capset chdir chmod " +
  "chown chown32 clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime " +
  "clock_gettime64 clock_nanosleep clock_nanosleep_time64 close close_range connect " +
  "copy_file_range creat dup dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_ctl_old " +
  "epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 execve execveat exit " +
  "exit_group faccessat faccessat2 fadvise64 fadvise64_64 fallocate fanotify_mark fchdir fchmod " +
  "fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr flistxattr " +
  "flock fork fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate " +
  "ftruncate64 futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake futimesat " +
  "get_robust_list get_thread_area getcpu getcwd getdents getdents64 getegid getegid32 geteuid " +
  "geteuid32 getgid getgid32 getgroups getgroups32 getitimer getpeername getpgid getpgrp getpid " +
  "getppid getpriority getrandom getresgid getresgid32 getresuid getresuid32 getrlimit getrusage " +
  "getsid getsockname getsockopt gettid gettimeofday getuid getuid32 getxattr getxattrat " +
  "inotify_add_watch inotify_init inotify_init1 inotify_rm_watch io_cancel io_destroy " +
  "io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit ioctl ioprio_get " +
  "ioprio_set ipc kill landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown " +
  "lchown32 lgetxattr link linkat listen listmount listxattr listxattrat llistxattr _llseek " +
  "lremovexattr lseek lsetxattr lsm_get_self_attr lsm_list_modules lstat lstat64 madvise " +
  "map_shadow_stack membarrier memfd_create memfd_secret mincore mkdir mkdirat mknod mknodat " +
  "mlock mlock2 mlockall mmap mmap2 mprotect mq_getsetattr mq_notify mq_open mq_timedreceive " +
  "mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink mremap mseal msgctl msgget " +
  "msgrcv msgsnd msync munlock munlockall munmap name_to_handle_at nanosleep newfstatat " +
  "_newselect open openat openat2 pause pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc " +
  "pkey_free pkey_mprotect poll ppoll ppoll_time64 prctl pread64 preadv preadv2 prlimit64 " +
  "process_mrelease pselect6 pselect6_time64 pwrite64 pwritev pwritev2 read readahead readlink " +
  "readlinkat readv recv recvfrom recvmmsg recvmmsg_time64 recvmsg remap_file_pages removexattr " +
  "removexattrat rename renameat renameat2 restart_syscall rmdir rseq rt_sigaction rt_sigpending " +
  "rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait " +
  "rt_sigtimedwait_time64 rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min " +
  "sched_getaffinity sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval " +
  "sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam " +
  "sched_setscheduler sched_yield seccomp select semctl semget semop semtimedop " +
  "semtimedop_time64 send sendfile sendfile64 sendmmsg sendmsg sendto set_robust_list " +
  "set_thread_area set_tid_address setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 " +
  "setgroups setgroups32 setitimer setpgid setpriority setregid setregid32 setresgid " +
  "setresgid32 setresuid setresuid32 setreuid setreuid32 setrlimit setsid setsockopt setuid " +
  "setuid32 setxattr setxattrat shmat shmctl shmdt shmget shutdown sigaction sigaltstack signal " +
  "signalfd signalfd4 sigpending sigprocmask sigreturn sigsuspend socketcall socketpair splice " +
  "stat stat64 statfs statfs64 statmount statx symlink symlinkat sync sync_file_range syncfs " +
  "sysinfo tee tgkill time timer_create timer_delete timer_getoverrun timer_gettime " +
  "timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime " +
  "timerfd_gettime64 timerfd_settime timerfd_settime64 times tkill truncate truncate64 " +
  "ugetrlimit umask uname unlink unlinkat utime utimensat utimensat_time64 utimes vfork vmsplice " +
  "wait4 waitid waitpid write writev";

/** What a machine's own ABIs need besides. */
const MACHINES: Readonly<Record<Machine, { architectures: readonly string[]; calls: string }>> = {
  x86_64: {
    architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
    calls: "arch_prctl modify_ldt uprobe uretprobe",
  },
  aarch64: {
    architectures: ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
    calls: "arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush set_tls sync_file_range2",
  },
};

/** What only a capability opens: without it the kernel would refuse the call, or should. */
const GATES: Readonly<Record<string, string>> = {
  CAP_BPF: "bpf",
  CAP_DAC_READ_SEARCH: "open_by_handle_at",
  CAP_PERFMON: "perf_event_open",
  CAP_SYSLOG: "syslog",
  CAP_SYS_ADMIN: "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie " +
    "mount mount_setattr move_mount open_tree open_tree_attr perf_event_open quotactl " +
    "quotactl_fd setdomainname sethostname setns syslog umount umount2 unshare",
  CAP_SYS_BOOT: "reboot",
  CAP_SYS_CHROOT: "chroot",
  CAP_SYS_MODULE: "delete_module finit_module init_module",
  CAP_SYS_NICE: "get_mempolicy mbind set_mempolicy set_mempolicy_home_node",
  CAP_SYS_PACCT: "acct",
  CAP_SYS_PTRACE: "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace",
  CAP_SYS_RAWIO: "ioperm iopl",
  CAP_SYS_TIME: "clock_settime clock_settime64 settimeofday stime",
  CAP_SYS_TTY_CONFIG: "vhangup",
};

/** `CLONE_NEWNS | NEWCGROUP | NEWUTS | NEWIPC | NEWUSER | NEWPID | NEWNET`, linux/sched.h. */
const NAMESPACE_FLAGS = 0x7e020000;

const EPERM = 1;
const ENOSYS = 38;

/** Lets a call pass whose first argument has, of the bits in the mask, just these. */
function masked(name: string, mask: number, bits: number): LinuxSyscall {
  const arg: LinuxSeccompArg = { index: 0, op: "SCMP_CMP_MASKED_EQ", value: mask, valueTwo: bits };
  return { names: [name], action: "SCMP_ACT_ALLOW", args: [arg] };
}

/**
 * Every address family but 40, AF_VSOCK, which leads out to the hypervisor. The kernel takes the
 * family for an int, so only these 32 bits may count: a plain `NE 40` lets `1 << 32 | 40` through.
 * (i386's socketcall(2), which its C library needs, keeps the family where no filter sees it.)
 */
const SOCKETS = [
  masked("socket", 0xffffffe0, 0), // 0-31
  masked("socket", 0xfffffff8, 32), // 32-39
  masked("socket", 0xffffffff, 41),
  masked("socket", 0xfffffffe, 42), // 42-43
  masked("socket", 0xfffffffc, 44), // 44-47
];

/**
 * `PER_LINUX` or `PER_LINUX32`, with `UNAME26` or without, and the question what it is (0xffffffff):
 * no `ADDR_NO_RANDOMIZE`, no `READ_IMPLIES_EXEC`. linux/personality.h
 */
const PERSONALITIES = [
  masked("personality", 0xfffdfff7, 0),
  masked("personality", 0xffffffff, 0xffffffff),
];

/**
 * The profile of a container that is given none: Docker's. What it does not list fails with EPERM, what
 * is newer than the list with ENOSYS; clone3, whose flags a filter cannot see, is missing (ENOSYS),
 * so that C libraries fall back to clone, which may make no namespaces. A capability opens the calls
 * that are its own. Stricter than Docker: no ptrace and no process_vm_readv without CAP_SYS_PTRACE.
 *
 * @param options `capabilities`: the container's bounding set, `CAP_*` names.
 *
 * @example
 * ```ts
 * import { defaultSeccompProfile } from "./default_profile.ts";
 * const { syscalls } = defaultSeccompProfile({ capabilities: ["CAP_SYS_BOOT"], arch: "x86_64" });
 * if (!syscalls!.some(({ names }) => names.includes("reboot"))) throw new Error();
 * ```
 *
 * @see https://docs.docker.com/engine/security/seccomp/
 */
export function defaultSeccompProfile(
  { capabilities, arch }: { capabilities: readonly string[]; arch: Machine },
): LinuxSeccomp {
  let opened = "";
  for (const name in GATES) if (capabilities.includes(name)) opened += ` ${GATES[name]}`;
  const key = `${arch}${opened}`;
  return made[key] ??= makeProfile(arch, opened, capabilities.includes("CAP_SYS_ADMIN"));
}

/** How many rules the profile has when CAP_SYS_ADMIN is not there. */
export const DEFAULT_RULES = 1 + SOCKETS.length + PERSONALITIES.length + 2;

/** A value made once: the compiler knows its own default by being given the same one. */
const made: Record<string, LinuxSeccomp> = {};

function makeProfile(arch: Machine, opened: string, administers: boolean): LinuxSeccomp {
  const { architectures, calls } = MACHINES[arch];
  const syscalls: LinuxSyscall[] = [
    { names: `${ALWAYS} ${calls}${opened}`.split(" "), action: "SCMP_ACT_ALLOW" },
    ...SOCKETS,
    ...PERSONALITIES,
  ];
  if (!administers) {
    syscalls.push(
      masked("clone", NAMESPACE_FLAGS, 0),
      { names: ["clone3"], action: "SCMP_ACT_ERRNO", errnoRet: ENOSYS },
    );
  }
  return { defaultAction: "SCMP_ACT_ERRNO", defaultErrnoRet: EPERM, architectures, syscalls };
}
