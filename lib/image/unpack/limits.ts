/** How much a layer may be. What is not given has its default. */
export interface UnpackLimits {
  /** Entries. Default: 2^20. */
  readonly entries?: number;
  /** Uncompressed bytes. Default: 256 GiB. */
  readonly bytes?: number;
  /**
   * Uncompressed bytes for each compressed one, above the first GiB. Default: 1100: deflate cannot
   * reach more than 1032, and what of zstd does is no layer but a bomb.
   */
  readonly ratio?: number;
  /** Bytes that any layer may become, however small it is compressed. Default: 1 GiB. */
  readonly free?: number;
  /** Directories in each other. Default: 512. */
  readonly depth?: number;
}

/** The limits with their defaults. */
export function withDefaults(limits: UnpackLimits = {}): Required<UnpackLimits> {
  return {
    entries: limits.entries ?? 1 << 20,
    bytes: limits.bytes ?? 256 * 2 ** 30,
    ratio: limits.ratio ?? 1100,
    free: limits.free ?? 2 ** 30,
    depth: limits.depth ?? 512,
  };
}
