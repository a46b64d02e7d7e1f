import { message, type Values } from "./wire.ts";

// The messages of criu's RPC that crate sends and reads, with the numbers of rpc.proto.
// https://criu.org/RPC; /usr/include/criu/rpc.proto

/** `criu_req_type`. */
export const RequestType = {
  DUMP: 1,
  RESTORE: 2,
  PRE_DUMP: 4,
  NOTIFY: 6,
  FEATURE_CHECK: 9,
  VERSION: 10,
} as const;

/** `criu_cg_mode`, by the words of `--manage-cgroups-mode`. */
export const CGROUP_MODES = { ignore: 0, soft: 3, full: 4, strict: 5 } as const;

const pageServer = message({ address: [1, "string"], port: [2, "int32"] });
const keyed = message({ key: [1, "string"], val: [2, "string"] });
const inherited = message({ key: [1, "string"], fd: [2, "int32"] });
const cgroupRoot = message({ ctrl: [1, "string"], path: [2, "string"] });

/** `criu_opts`. */
export const optionsMessage = message({
  images_dir_fd: [1, "int32"],
  pid: [2, "int32"],
  leave_running: [3, "bool"],
  ext_unix_sk: [4, "bool"],
  tcp_established: [5, "bool"],
  evasive_devices: [6, "bool"],
  shell_job: [7, "bool"],
  file_locks: [8, "bool"],
  log_level: [9, "int32"],
  log_file: [10, "string"],
  ps: [11, pageServer],
  notify_scripts: [12, "bool"],
  root: [13, "string"],
  parent_img: [14, "string"],
  track_mem: [15, "bool"],
  auto_dedup: [16, "bool"],
  work_dir_fd: [17, "int32"],
  link_remap: [18, "bool"],
  ext_mnt: [23, keyed, "repeated"],
  manage_cgroups: [24, "bool"],
  cg_root: [25, cgroupRoot, "repeated"],
  rst_sibling: [26, "bool"],
  inherit_fd: [27, inherited, "repeated"],
  manage_cgroups_mode: [34, "int32"],
  external: [37, "string", "repeated"],
  empty_ns: [38, "uint32"],
  freeze_cgroup: [44, "string"],
  tcp_skip_in_flight: [46, "bool"],
  lazy_pages: [48, "bool"],
  orphan_pts_master: [50, "bool"],
  config_file: [51, "string"],
  lsm_profile: [53, "string"],
  lsm_mount_context: [63, "string"],
});

/** What criu is to do with a container, and how. */
export type CriuOptions = Values<typeof optionsMessage>;

const features = message({ mem_track: [1, "bool"], lazy_pages: [2, "bool"] });

/** `criu_req`. */
export const request = message({
  type: [1, "int32"],
  opts: [2, optionsMessage],
  notify_success: [3, "bool"],
  keep_open: [4, "bool"],
  features: [5, features],
});

/** A request to criu. */
export type CriuRequest = Values<typeof request>;

const version = message({
  major_number: [1, "int32"],
  minor_number: [2, "int32"],
  sublevel: [4, "int32"],
});

/** `criu_resp`. */
export const response = message({
  type: [1, "int32"],
  success: [2, "bool"],
  restore: [4, message({ pid: [1, "int32"] })],
  notify: [5, message({ script: [1, "string"], pid: [2, "int32"] })],
  cr_errno: [7, "int32"],
  features: [8, features],
  cr_errmsg: [9, "string"],
  version: [10, version],
});

/** An answer of criu's, or a notification. */
export type CriuResponse = Values<typeof response>;
