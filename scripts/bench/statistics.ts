/** One run of a row. */
export interface Sample {
  /** Milliseconds until the command, or the container, had ended. */
  readonly time: number;
  /** Milliseconds of processor time, user and system, of all processes that took part. */
  readonly cpu?: number;
  /** What of it the kernel used. */
  readonly system?: number;
  /** The most that one of the processes had resident, KiB. */
  readonly maxRss?: number;
}

/** A row's runs in a few numbers. */
export interface Summary {
  readonly runs: number;
  /** Milliseconds. */
  readonly median: number;
  readonly p10: number;
  readonly p90: number;
  /** The mean, milliseconds: a warm process's time is only told in steps of 10. */
  readonly cpu?: number;
  /** KiB. */
  readonly maxRss?: number;
}

/** The value below which a part of the sorted values lies, between two of them where it must. */
export function quantile(sorted: readonly number[], part: number): number {
  const at = part * (sorted.length - 1);
  const low = sorted[Math.floor(at)]!;
  return low + (sorted[Math.ceil(at)]! - low) * (at % 1);
}

/** @param samples at least one. */
export function summarize(samples: readonly Sample[]): Summary {
  const times = samples.map(({ time }) => time).sort((a, b) => a - b);
  const cpu = samples.flatMap((sample) => sample.cpu ?? []);
  const maxRss = samples.flatMap((sample) => sample.maxRss ?? []);
  return {
    runs: samples.length,
    median: quantile(times, 0.5),
    p10: quantile(times, 0.1),
    p90: quantile(times, 0.9),
    cpu: cpu.length === 0 ? undefined : cpu.reduce((a, b) => a + b) / cpu.length,
    maxRss: maxRss.length === 0 ? undefined : Math.max(...maxRss),
  };
}
