/**
 * The configuration's keys: what each holds, and what it is when nobody says otherwise.
 *
 * @module
 */

/** What a key holds, and its value when it is not set. */
export type KeyTable =
  | {
    readonly kind: "path" | "cgroup" | "interface" | "address" | "subnet";
    readonly default: string | undefined;
  }
  | { readonly kind: "choice"; readonly choices: readonly string[]; readonly default: string }
  | { readonly kind: "flag"; readonly default: boolean }
  | { readonly kind: "bytes"; readonly default: undefined }
  | { readonly kind: "capabilities" | "registries"; readonly default: readonly string[] }
  | { readonly kind: "mirrors"; readonly default: Readonly<Record<string, readonly string[]>> }
  | {
    /** A whole number from `least` to `most`, or 0 for no limit. */
    readonly kind: "limit";
    readonly unit: string;
    readonly least: number;
    readonly most?: number;
    readonly default: undefined;
  };

/** Every key, as it is written with its table before it: `[log]` and `level` are `log.level`. */
export const keys = {
  "root": { kind: "path", default: "/run/crate" },
  "image_root": { kind: "path", default: "/var/lib/crate" },
  "log.level": { kind: "choice", choices: ["error", "warn", "info", "debug"], default: "warn" },
  "log.file": { kind: "path", default: undefined },
  "log.format": { kind: "choice", choices: ["text", "json"], default: "text" },
  "cgroup.parent": { kind: "cgroup", default: "/crate" },
  "cgroup.memory_limit": { kind: "bytes", default: undefined },
  "cgroup.memory_high": { kind: "bytes", default: undefined },
  // The kernel's own bounds: min_cfs_quota_period and max_cfs_quota_period, kernel/sched/core.c.
  "cgroup.cpu_quota": { kind: "limit", unit: "microseconds", least: 1000, default: undefined },
  "cgroup.cpu_period": {
    kind: "limit",
    unit: "microseconds",
    least: 1000,
    most: 1000000,
    default: undefined,
  },
  "cgroup.pids_max": { kind: "limit", unit: "processes", least: 1, default: undefined },
  "security.drop_capabilities": { kind: "capabilities", default: [] },
  "security.enable_seccomp": { kind: "flag", default: true },
  "security.read_only_rootfs": { kind: "flag", default: false },
  "security.userns": { kind: "choice", choices: ["host", "auto"], default: "host" },
  "network.bridge_name": { kind: "interface", default: undefined },
  "network.subnet": { kind: "subnet", default: undefined },
  "network.gateway": { kind: "address", default: undefined },
  "network.enabled": { kind: "flag", default: true },
  "registries.insecure": { kind: "registries", default: [] },
  "registries.mirrors": { kind: "mirrors", default: {} },
} as const satisfies Record<string, KeyTable>;

/** The name of a key: `cgroup.memory_limit`. */
export type Key = keyof typeof keys;

interface KindValues {
  path: string;
  cgroup: string;
  interface: string;
  address: string;
  subnet: string;
  flag: boolean;
  bytes: number | undefined;
  limit: number | undefined;
  capabilities: readonly string[];
  registries: readonly string[];
  /** By a registry's name, in the order in which they are asked. */
  mirrors: Readonly<Record<string, readonly string[]>>;
}

type ValueOf<Table extends KeyTable> =
  | (Table extends { readonly choices: readonly (infer Choice)[] } ? Choice
    : Table["kind"] extends keyof KindValues ? KindValues[Table["kind"]]
    : never)
  | (Table["default"] extends undefined ? undefined : never);

/** A value and where it was set. */
export interface Setting<Value = unknown> {
  readonly value: Value;
  /** `default`, `/etc/crate/config.toml:3`, `CRATE_ROOT` or `--root`. */
  readonly origin: string;
}

/** The configuration that holds: the value of every key, and where it comes from. */
export type Effective = { readonly [Name in Key]: Setting<ValueOf<typeof keys[Name]>> };

/** Whether this is the name of a key. */
export function isKey(name: string): name is Key {
  return Object.hasOwn(keys, name);
}

/** Whether a text is what a key of kind `path` holds. */
export function isPath(text: string): boolean {
  return text.startsWith("/") && !text.includes("\0");
}
