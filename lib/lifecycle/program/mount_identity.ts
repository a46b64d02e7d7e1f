import { statx_layout } from "../../../ffi/mod.ts";

/** Of `struct statx` what tells one mounted directory from another: where, and its inode with what follows. */
export const IDENTITY = [
  { from: statx_layout.offset("stx_ino"), size: 8 },
  // stx_dev_major, stx_dev_minor, stx_mnt_id
  { from: 0x88, size: 16 },
] as const;
/** STATX_MNT_ID, linux/stat.h. */
export const STATX_MNT_ID = 0x1000;
