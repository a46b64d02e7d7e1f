import { CrateError } from "../../errors.ts";
import { CLONE_NEWNET, isInitialUserNamespace, syscall } from "../../../ffi/mod.ts";
import type { Spec } from "../../spec/mod.ts";
import { isIdmapped } from "../program/mod.ts";
import { overlayOf } from "../rootfs.ts";
import type { ContainerRecord } from "../state.ts";
import type { CriuProgram } from "./process.ts";
import { CGROUP_MODES, type CriuOptions } from "./messages.ts";

/** What `--manage-cgroups-mode` takes. */
export type CgroupsMode = keyof typeof CGROUP_MODES;

/** What checkpoint and restore have in common, in runc's words. */
export interface CommonOptions {
  readonly root: string;
  readonly id: string;
  /** `--criu`, and the environment that it runs in. */
  readonly program: Omit<CriuProgram, "directory">;
  /** criu's images. */
  readonly imagePath: string;
  /** Its logs; absent: with the images. */
  readonly workPath?: string;
  readonly tcpEstablished?: boolean;
  readonly extUnixSk?: boolean;
  readonly shellJob?: boolean;
  readonly lazyPages?: boolean;
  readonly fileLocks?: boolean;
  readonly autoDedup?: boolean;
  readonly manageCgroupsMode?: CgroupsMode;
  /** Types of namespaces that begin empty; `network` is the one that criu can. */
  readonly emptyNs?: readonly string[];
}

/** The annotation that names a configuration file for criu, and the file without it. As runc. */
const CONFIG_ANNOTATION = "org.criu.config";
const DEFAULT_CONFIG = "/etc/criu/runc.conf";

/** The most that criu says: its log is all there is when something goes wrong. */
const LOG_LEVEL = 4;

/** The annotation's file; none where it is empty. */
function configFile({ annotations }: Spec): string | undefined {
  const named = annotations?.[CONFIG_ANNOTATION];
  return named === undefined ? DEFAULT_CONFIG : named || undefined;
}

/** Flags of the namespaces that begin empty. @throws {CrateError} `UNSUPPORTED` */
function emptyNamespaces(types: readonly string[] = []): number {
  const other = types.find((type) => type !== "network");
  if (other !== undefined) {
    throw new CrateError(
      "UNSUPPORTED",
      `--empty-ns ${other}: criu can begin with an empty network namespace only`,
    );
  }
  return types.length === 0 ? 0 : CLONE_NEWNET;
}

/** The options of criu's that a dump and a restore share. @throws {CrateError} */
export function commonOptions(options: CommonOptions, spec: Spec, log: string): CriuOptions {
  const config = configFile(spec);
  const mode = options.manageCgroupsMode;
  return {
    log_level: LOG_LEVEL,
    log_file: log,
    notify_scripts: true,
    manage_cgroups: true,
    orphan_pts_master: true,
    shell_job: options.shellJob ?? false,
    tcp_established: options.tcpEstablished ?? false,
    ext_unix_sk: options.extUnixSk ?? false,
    file_locks: options.fileLocks ?? false,
    auto_dedup: options.autoDedup ?? false,
    lazy_pages: options.lazyPages ?? false,
    empty_ns: emptyNamespaces(options.emptyNs),
    ...config !== undefined && { config_file: config },
    ...mode !== undefined && { manage_cgroups_mode: CGROUP_MODES[mode] },
  };
}

/** @throws {CrateError} `PERMISSION` without the host's root. */
export function requireRoot(): void {
  if (isInitialUserNamespace() && syscall("geteuid") === 0) return;
  throw new CrateError(
    "PERMISSION",
    "criu checkpoints and restores as the host's root only, not in a user namespace",
  );
}

/** @throws {CrateError} `UNSUPPORTED` for a container whose images would not be all of it. */
export function requireDumpable(
  record: Pick<ContainerRecord, "spec" | "id" | "network" | "systemd">,
): void {
  const { spec, id } = record;
  if (record.network !== undefined) {
    throw new CrateError(
      "UNSUPPORTED",
      `container "${id}" is on networks, whose interfaces and addresses criu cannot take along: ` +
        "run it with --network none or host",
    );
  }
  if (record.systemd !== undefined) {
    throw new CrateError(
      "UNSUPPORTED",
      `container "${id}" is in a unit of systemd's, which restore does not make: use cgroupfs`,
    );
  }
  const mapped = spec.mounts?.findIndex(isIdmapped) ?? -1;
  if (mapped >= 0) {
    throw new CrateError(
      "UNSUPPORTED",
      `mounts[${mapped}] of container "${id}" is id-mapped: criu cannot restore such a mount`,
    );
  }
  const overlay = overlayOf({ spec } as ContainerRecord);
  if (overlay !== undefined && overlay.upper === undefined) {
    throw new CrateError(
      "UNSUPPORTED",
      `what container "${id}" writes is in memory, and no image of criu's has it: ` +
        "crate run --keep DIR puts it on a disk",
    );
  }
}
