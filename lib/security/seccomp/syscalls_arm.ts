// Written by scripts/syscall_tables.ts from Linux 6.12.117 and the calls added up to 6.18.
// deno-fmt-ignore-file

/** Every call's name in arm64 and arm, sorted, with spaces between. */
export const NAMES =
"_llseek _newselect _sysctl accept accept4 access acct add_key adjtimex arm_fadvise64_64 arm_sync_file_range bdflush bind bpf breakpoint brk cacheflush cachestat capget capset chdir chmod chown chown32 chroot clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep clock_nanosleep_time64 clock_settime clock_settime64 clone clone3 close close_range connect copy_file_range creat delete_module dup dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd eventfd2 execve execveat exit exit_group faccessat faccessat2 fadvise64 fallocate fanotify_init fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr file_getattr file_setattr finit_module flistxattr flock fork fremovexattr fsconfig fsetxattr fsmount fsopen fspick fstat fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake futimesat get_mempolicy get_robust_list get_tls getcpu getcwd getdents getdents64 getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getitimer getpeername getpgid getpgrp getpid getppid getpriority getrandom getresgid getresgid32 getresuid getresuid32 getrlimit getrusage getsid getsockname getsockopt gettid gettimeofday getuid getuid32 getxattr getxattrat init_module inotify_add_watch inotify_init inotify_init1 inotify_rm_watch io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit io_uring_enter io_uring_register io_uring_setup ioctl ioprio_get ioprio_set kcmp kexec_file_load kexec_load keyctl kill landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown lchown32 lgetxattr link linkat listen listmount listxattr listxattrat llistxattr lookup_dcookie lremovexattr lseek lsetxattr lsm_get_self_attr lsm_list_modules lsm_set_self_attr lstat lstat64 madvise map_shadow_stack mbind membarrier memfd_create memfd_secret migrate_pages mincore mkdir mkdirat mknod mknodat mlock mlock2 mlockall mmap mmap2 mount mount_setattr move_mount move_pages mprotect mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink mremap mseal msgctl msgget msgrcv msgsnd msync munlock munlockall munmap name_to_handle_at nanosleep newfstatat nfsservctl nice open open_by_handle_at open_tree open_tree_attr openat openat2 pause pciconfig_iobase pciconfig_read pciconfig_write perf_event_open personality pidfd_getfd pidfd_open pidfd_send_signal pipe pipe2 pivot_root pkey_alloc pkey_free pkey_mprotect poll ppoll ppoll_time64 prctl pread64 preadv preadv2 prlimit64 process_madvise process_mrelease process_vm_readv process_vm_writev pselect6 pselect6_time64 ptrace pwrite64 pwritev pwritev2 quotactl quotactl_fd read readahead readlink readlinkat readv reboot recv recvfrom recvmmsg recvmmsg_time64 recvmsg remap_file_pages removexattr removexattrat rename renameat renameat2 request_key restart_syscall rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield seccomp semctl semget semop semtimedop semtimedop_time64 send sendfile sendfile64 sendmmsg sendmsg sendto set_mempolicy set_mempolicy_home_node set_robust_list set_tid_address set_tls setdomainname setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 sethostname setitimer setns setpgid setpriority setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setrlimit setsid setsockopt settimeofday setuid setuid32 setxattr setxattrat shmat shmctl shmdt shmget shutdown sigaction sigaltstack signalfd signalfd4 sigpending sigprocmask sigreturn sigsuspend socket socketpair splice stat stat64 statfs statfs64 statmount statx swapoff swapon symlink symlinkat sync sync_file_range syncfs sysfs sysinfo syslog tee tgkill timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64 times tkill truncate truncate64 ugetrlimit umask umount2 uname unlink unlinkat unshare uselib userfaultfd usr26 usr32 ustat utimensat utimensat_time64 utimes vfork vhangup vmsplice vserver wait4 waitid write writev";

/** For each name: arm64 and arm, ten bits each from the lowest; 1023 where it has no such call. */
export const NUMBERS: readonly number[] = [
144383,146431,153599,292042,375026,34815,52313,316633,127147,277503,350207,138239,288968,395544,
1026047,46294,1027071,462275,188506,189531,12337,16383,187391,218111,62515,381194,415743,270450,
416767,269425,413695,271475,417791,268400,414719,123100,445875,6201,446900,289995,400669,9215,
132202,42007,65535,366616,257023,365588,257045,354326,452025,259071,360447,364563,11485,396569,1117,
254046,342064,449975,1047775,360495,376070,377095,136242,96308,341045,463300,97335,212991,332854,
56345,227327,151635,236554,479700,480725,388369,239629,146464,3071,242704,441775,233479,442800,
440750,443825,110672,202751,335871,102444,274431,120914,95278,199679,245858,467400,433151,466375,
460225,465350,334847,327916,347236,1031167,353448,187409,145407,222269,51377,207871,50351,206847,
48304,205823,82078,210943,107622,294093,135323,67583,20652,65709,98445,393494,175254,217087,169108,
215039,1047715,79013,150684,293068,302289,229554,80041,24750,204799,234504,475600,131177,324635,
324607,368666,325660,252931,249857,250884,408868,427007,248832,251906,436650,437675,435625,55325,
322591,321566,387344,410918,355432,318683,38017,456125,455100,457150,17407,203775,235529,10239,
337957,291017,469450,237579,476625,238604,254994,241679,19518,232454,470475,472525,471500,110591,
201727,225513,464325,326891,398619,394519,1047999,409838,224488,40959,330786,15359,331809,153828,
399644,155878,1047774,197631,21544,453050,439725,352495,128226,285881,284856,280756,283831,430079,
282806,429055,281781,167128,473550,311483,310458,309436,308413,147683,154853,156903,93399,379144,
165989,1047631,173098,35839,6143,380169,438700,478675,329784,447925,30719,278527,279551,280575,
372977,139356,448950,444850,434600,44031,367675,223273,404769,405794,403744,173055,344137,424959,
176295,184387,369733,401694,378117,451000,459200,385294,386319,343112,423935,26741,185412,370758,
402719,134204,454075,3135,230613,88063,340046,148545,90254,299007,299215,374003,428031,304340,
259306,240654,477650,39935,336934,391444,317658,128,41983,407845,178310,180360,179335,182410,177291,
183429,181385,432127,371952,162941,163966,247931,390419,158841,160888,164991,434175,246906,389394,
157814,159863,161916,392469,307391,306366,305345,319680,431103,296959,191559,245759,383245,303315,
297166,328941,461250,346211,262240,1030143,124066,142488,222207,141463,221183,47248,220159,83103,
211967,75937,106599,384268,58522,99468,72847,209919,174229,216063,168083,214015,71825,208895,76964,
67741,301264,81066,23698,219135,231429,474575,312516,315587,313541,314562,300242,69631,190596,
358399,363594,75775,130047,122879,74751,287942,295111,348236,109567,200703,101419,273407,468425,
406819,117985,89312,86015,338980,36945,1047636,382219,139263,118963,105588,350285,274563,263275,
267375,266349,265324,418815,264302,419839,358485,362583,420863,361558,421887,44185,243842,94253,
198655,196607,61606,53287,125088,11263,335907,345185,89087,397594,1028095,1029119,64511,356440,
422911,276479,195583,113722,351307,321535,116996,286815,4160,149570];
