/**
 * What a container gets that nobody asked about: docker's defaults, which images are made for.
 *
 * Functions and not tables, so that a command that makes no container pays nothing for them.
 *
 * @module
 */
import type { Mount } from "./types.ts";
import type { LinuxDeviceCgroup } from "./types_resources.ts";

/** Where a shell looks for programs. */
export const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Docker's default for `--shm-size`: 64 MiB. */
export const DEFAULT_SHM_SIZE = 64 * 1024 * 1024;

/** The mounts of every container, parents first. */
export function defaultMounts(shmSize: number = DEFAULT_SHM_SIZE): Mount[] {
  const quiet = ["nosuid", "noexec", "nodev"];
  return [
    { destination: "/proc", type: "proc", source: "proc", options: quiet },
    {
      destination: "/dev",
      type: "tmpfs",
      source: "tmpfs",
      options: ["nosuid", "strictatime", "mode=755", "size=65536k"],
    },
    {
      destination: "/dev/pts",
      type: "devpts",
      source: "devpts",
      // Group 5 is tty wherever there are groups at all.
      options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
    },
    { destination: "/sys", type: "sysfs", source: "sysfs", options: [...quiet, "ro"] },
    { destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: [...quiet, "ro"] },
    { destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: quiet },
    {
      destination: "/dev/shm",
      type: "tmpfs",
      source: "shm",
      options: [...quiet, "mode=1777", `size=${shmSize}`],
    },
  ];
}

/** What tells about, or reaches, the host through proc and sysfs. */
export function defaultMaskedPaths(): string[] {
  return [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
  ];
}

/** What may be read and would change the host when written. */
export function defaultReadonlyPaths(): string[] {
  return ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];
}

/** Nothing but mknod of anything, and the use of what /dev always has. */
export function defaultDeviceRules(): LinuxDeviceCgroup[] {
  const allow = (major: number, minor?: number): LinuxDeviceCgroup => ({
    allow: true,
    type: "c",
    major,
    ...(minor === undefined ? {} : { minor }),
    access: "rwm",
  });
  return [
    { allow: false, access: "rwm" },
    { allow: true, type: "c", access: "m" },
    { allow: true, type: "b", access: "m" },
    allow(1, 3), // null
    allow(1, 5), // zero
    allow(1, 7), // full
    allow(1, 8), // random
    allow(1, 9), // urandom
    allow(5, 0), // tty
    allow(5, 2), // ptmx
    allow(136), // pts/*
  ];
}
