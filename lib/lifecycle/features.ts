import { arch } from "../../ffi/mod.ts";
import { availableCapabilities } from "../security/mod.ts";
import { HOOK_POINTS, MOUNT_OPTIONS, NAMESPACE_TYPES } from "../spec/mod.ts";

const ARCHITECTURES = {
  x86_64: ["SCMP_ARCH_X86", "SCMP_ARCH_X86_64", "SCMP_ARCH_X32"],
  aarch64: ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
} as const;

/**
 * What of the runtime-spec crate does on this machine.
 *
 * @see https://github.com/opencontainers/runtime-spec/blob/main/features.md
 */
export function ociFeatures(): Record<string, unknown> {
  return {
    ociVersionMin: "1.0.0",
    ociVersionMax: "1.3.0",
    hooks: HOOK_POINTS,
    mountOptions: [...MOUNT_OPTIONS].sort(),
    linux: {
      namespaces: [...NAMESPACE_TYPES].sort(),
      capabilities: availableCapabilities(),
      cgroup: { v1: true, v2: true, systemd: true, systemdUser: true, rdma: true },
      seccomp: {
        enabled: true,
        actions: [
          "SCMP_ACT_ALLOW",
          "SCMP_ACT_ERRNO",
          "SCMP_ACT_KILL",
          "SCMP_ACT_KILL_PROCESS",
          "SCMP_ACT_KILL_THREAD",
          "SCMP_ACT_LOG",
          "SCMP_ACT_NOTIFY",
          "SCMP_ACT_TRACE",
          "SCMP_ACT_TRAP",
        ],
        operators: [
          "SCMP_CMP_EQ",
          "SCMP_CMP_GE",
          "SCMP_CMP_GT",
          "SCMP_CMP_LE",
          "SCMP_CMP_LT",
          "SCMP_CMP_MASKED_EQ",
          "SCMP_CMP_NE",
        ],
        archs: ARCHITECTURES[arch],
        knownFlags: [
          "SECCOMP_FILTER_FLAG_LOG",
          "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
          "SECCOMP_FILTER_FLAG_TSYNC",
        ],
        supportedFlags: [
          "SECCOMP_FILTER_FLAG_LOG",
          "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
          "SECCOMP_FILTER_FLAG_TSYNC",
        ],
      },
      // Whether the runtime can, whatever this host has.
      apparmor: { enabled: true },
      selinux: { enabled: true },
      intelRdt: { enabled: true, schemata: true, monitoring: true },
      mountExtensions: { idmap: { enabled: true } },
      netDevices: { enabled: true },
    },
    // By this name engines know that there are checkpoint and restore, with runc's flags.
    annotations: { "org.opencontainers.runc.checkpoint.enabled": "true" },
    // Those of a config that crate goes by.
    potentiallyUnsafeConfigAnnotations: ["dev.crate.", "org.criu.config"],
  };
}
