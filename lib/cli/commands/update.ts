import { decodeText, readAll, readText, SyscallError } from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import { findId, updateContainer } from "../../lifecycle/mod.ts";
import {
  type LinuxResources,
  parseInteger,
  parseResources,
  parseSize,
  parseSizeOrUnlimited,
} from "../../spec/mod.ts";
import { readConfig } from "../globals.ts";
import type { UpdateCall } from "../words/mod.ts";

const MAX_FILE = 1 << 20;
const MAX = Number.MAX_SAFE_INTEGER;

function readResources(file: string): LinuxResources {
  try {
    const text = file === "-" ? decodeText(readAll(0, MAX_FILE)) : readText(file, MAX_FILE);
    return parseResources(text, file === "-" ? "--resources -" : file);
  } catch (cause) {
    if (!(cause instanceof SyscallError)) throw cause;
    throw new CrateError("INVALID", `--resources ${file} cannot be read: ${cause.code}`, { cause });
  }
}

/** What options say; what is left out stays as it is. */
function resourcesOf(options: UpdateCall["options"]): LinuxResources {
  const integer = (value: string | undefined, option: string, min = 0, max = MAX) =>
    value === undefined ? undefined : parseInteger(value, option, min, max);
  const given = <T extends object>(fields: T): T | undefined => {
    const kept = Object.entries(fields).filter(([, value]) => value !== undefined);
    return kept.length === 0 ? undefined : Object.fromEntries(kept) as T;
  };
  const sizeOf = (value: string | undefined, option: string) =>
    value === undefined ? undefined : parseSizeOrUnlimited(value, option);
  const { memory, memoryReservation, memorySwap } = options;
  const pids = integer(options.pidsLimit, "--pids-limit", -1);
  return given({
    memory: given({
      limit: memory === undefined ? undefined : parseSizeOrUnlimited(memory, "--memory"),
      reservation: memoryReservation === undefined
        ? undefined
        : parseSize(memoryReservation, "--memory-reservation"),
      swap: memorySwap === undefined
        ? undefined
        : parseSizeOrUnlimited(memorySwap, "--memory-swap"),
      kernel: sizeOf(options.kernelMemory, "--kernel-memory"),
      kernelTCP: sizeOf(options.kernelMemoryTcp, "--kernel-memory-tcp"),
    }),
    cpu: given({
      period: integer(options.cpuPeriod, "--cpu-period"),
      quota: integer(options.cpuQuota, "--cpu-quota", -1),
      burst: integer(options.cpuBurst, "--cpu-burst"),
      shares: integer(options.cpuShare, "--cpu-share"),
      idle: integer(options.cpuIdle, "--cpu-idle", 0, 1),
      realtimePeriod: integer(options.cpuRtPeriod, "--cpu-rt-period"),
      realtimeRuntime: integer(options.cpuRtRuntime, "--cpu-rt-runtime"),
      cpus: options.cpusetCpus,
      mems: options.cpusetMems,
    }),
    pids: pids === undefined ? undefined : { limit: pids },
    blockIO: given({ weight: integer(options.blkioWeight, "--blkio-weight", 10, 1000) }),
  }) ?? {};
}

/** `crate update`. */
export default async function update(call: UpdateCall): Promise<number> {
  const { options, positionals, globals } = call;
  const root = (await readConfig(globals)).root.value;
  const { resources: file, ...others } = options;
  const given = resourcesOf(options);
  if (file !== undefined && Object.values(others).some((value) => value !== undefined)) {
    throw new CrateError(
      "USAGE",
      "crate update: --resources says all: leave the other options out",
    );
  }
  const resources = file === undefined ? given : readResources(file);
  const { l3CacheSchema, memBwSchema } = options;
  const rdt = l3CacheSchema === undefined && memBwSchema === undefined
    ? undefined
    : { l3CacheSchema, memBwSchema };
  await updateContainer(root, findId(root, positionals[0]!), resources, rdt);
  return 0;
}
