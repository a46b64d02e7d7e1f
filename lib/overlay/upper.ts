import { close, O_DIRECTORY, O_PATH, open, syscall } from "../../ffi/mod.ts";

/** Of statfs(2), linux/magic.h: what cannot hold an upper directory, for want of whiteouts or attributes. */
const UNFIT: ReadonlySet<number> = new Set([
  0x794c7630, // overlayfs itself
  0x65735546, // FUSE
  0x6969, // NFS
  0x01021997, // 9p
  0x4d44, // FAT
  0xff534d42, // CIFS
  0xfe534d42, // SMB2
  0xf15f, // eCryptfs
]);

/**
 * Whether an overlay's upper directory may lie below a directory.
 *
 * @throws {SyscallError}
 * @see https://docs.kernel.org/filesystems/overlayfs.html, "Upper and Lower"
 */
export function canHoldUpper(directory: string): boolean {
  const fd = open(directory, O_PATH | O_DIRECTORY);
  try {
    const statfs = new Uint8Array(128);
    syscall("fstatfs", fd, statfs);
    return !UNFIT.has(Number(new DataView(statfs.buffer).getBigUint64(0, true)));
  } finally {
    close(fd);
  }
}
