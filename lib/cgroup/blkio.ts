import type { LinuxResources } from "../spec/mod.ts";
import {
  type Controller,
  decimal,
  invalid,
  isSet,
  type ReadFile,
  type Setting,
  unsupported,
} from "./controller.ts";

/** What a group has read from and written to one block device: bytes and operations. */
export interface DeviceIoStats {
  readonly major: number;
  readonly minor: number;
  readonly readBytes: number;
  readonly writeBytes: number;
  readonly reads: number;
  readonly writes: number;
}

type BlockIO = NonNullable<LinuxResources["blockIO"]>;

// The four lists of limits: the OCI field, v1's file, v2's word in io.max.
const THROTTLES = [
  ["throttleReadBpsDevice", "blkio.throttle.read_bps_device", "rbps"],
  ["throttleWriteBpsDevice", "blkio.throttle.write_bps_device", "wbps"],
  ["throttleReadIOPSDevice", "blkio.throttle.read_iops_device", "riops"],
  ["throttleWriteIOPSDevice", "blkio.throttle.write_iops_device", "wiops"],
] as const;

const LEAF_WEIGHT = "leaf weights went with the CFQ scheduler, in Linux 5.0";

/** A device's weights, leaf weights refused. */
function deviceWeights(blockIO: BlockIO): { field: string; device: string; weight: number }[] {
  if (blockIO.leafWeight) throw unsupported("blockIO.leafWeight", LEAF_WEIGHT);
  return (blockIO.weightDevice ?? []).map(({ major, minor, weight, leafWeight }, i) => {
    const field = `blockIO.weightDevice[${i}]`;
    if (leafWeight) throw unsupported(`${field}.leafWeight`, LEAF_WEIGHT);
    if (weight === undefined) throw invalid(`${field}.weight`, "is missing");
    return { field: `${field}.weight`, device: `${major}:${minor}`, weight };
  });
}

function settingsV1(resources: LinuxResources): Setting[] {
  const { blockIO } = resources;
  const settings: Setting[] = [];
  if (blockIO === undefined) return settings;
  const devices = deviceWeights(blockIO);
  if (isSet(blockIO.weight)) {
    const field = "blockIO.weight";
    const value = decimal(blockIO.weight, field);
    // BFQ is the only scheduler since 5.0 that has weights in v1.
    settings.push({ file: "blkio.bfq.weight", value, field });
  }
  for (const { field, device, weight } of devices) {
    const value = `${device} ${decimal(weight, field)}`;
    settings.push({ file: "blkio.bfq.weight_device", value, field });
  }
  for (const [name, file] of THROTTLES) {
    blockIO[name]?.forEach(({ major, minor, rate }, i) => {
      const field = `blockIO.${name}[${i}]`;
      if (rate === undefined) throw invalid(`${field}.rate`, "is missing");
      settings.push({ file, value: `${major}:${minor} ${decimal(rate, field)}`, field });
    });
  }
  return settings;
}

function settingsV2(resources: LinuxResources): Setting[] {
  const { blockIO } = resources;
  const settings: Setting[] = [];
  if (blockIO === undefined) return settings;
  const devices = deviceWeights(blockIO);
  if (isSet(blockIO.weight)) {
    const field = "blockIO.weight";
    settings.push({
      file: "io.bfq.weight",
      value: decimal(blockIO.weight, field),
      field,
      // Without BFQ the weight is the cost model's, whose range is another.
      otherwise: { file: "io.weight", value: `default ${toIoWeight(blockIO.weight, field)}` },
    });
  }
  for (const { field, device, weight } of devices) {
    settings.push({
      file: "io.bfq.weight",
      value: `${device} ${decimal(weight, field)}`,
      field,
      otherwise: { file: "io.weight", value: `${device} ${toIoWeight(weight, field)}` },
    });
  }
  for (const [name, , word] of THROTTLES) {
    blockIO[name]?.forEach(({ major, minor, rate }, i) => {
      const field = `blockIO.${name}[${i}]`;
      if (rate === undefined) throw invalid(`${field}.rate`, "is missing");
      // 0 is v1's word for no limit.
      const limit = rate === 0 ? "max" : decimal(rate, field);
      settings.push({ file: "io.max", value: `${major}:${minor} ${word}=${limit}`, field });
    });
  }
  return settings;
}

/** 10 to 1000 as 1 to 10000, linear, as runc and crun convert it. */
function toIoWeight(weight: number, field: string): string {
  if (!(weight >= 10 && weight <= 1000)) {
    throw invalid(field, `must be between 10 and 1000, got ${weight}`);
  }
  return String(1 + Math.floor((weight - 10) * 9999 / 990));
}

interface Counts {
  readBytes: number;
  writeBytes: number;
  reads: number;
  writes: number;
}

function countsOf(devices: Map<string, Counts>, device: string): Counts {
  let counts = devices.get(device);
  if (counts === undefined) {
    counts = { readBytes: 0, writeBytes: 0, reads: 0, writes: 0 };
    devices.set(device, counts);
  }
  return counts;
}

function listed(devices: Map<string, Counts>): DeviceIoStats[] {
  return Array.from(devices, ([device, counts]) => {
    const colon = device.indexOf(":");
    return {
      major: Number(device.slice(0, colon)),
      minor: Number(device.slice(colon + 1)),
      ...counts,
    };
  });
}

// A line is `8:0 Read 4096`; the last is `Total 4096`.
const V1_WORDS: Record<string, readonly [keyof Counts, keyof Counts]> = {
  Read: ["readBytes", "reads"],
  Write: ["writeBytes", "writes"],
};

function statsV1(read: ReadFile): DeviceIoStats[] | undefined {
  const bytes = read("blkio.throttle.io_service_bytes_recursive");
  if (bytes === undefined) return undefined;
  const devices = new Map<string, Counts>();
  [bytes, read("blkio.throttle.io_serviced_recursive") ?? ""].forEach((text, which) => {
    for (const line of text.split("\n")) {
      const [device = "", word = "", value] = line.split(" ");
      const key = V1_WORDS[word]?.[which];
      if (key !== undefined) countsOf(devices, device)[key] += Number(value);
    }
  });
  return listed(devices);
}

// A line is `8:0 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=0 dios=0`.
const V2_WORDS: Record<string, keyof Counts> = {
  rbytes: "readBytes",
  wbytes: "writeBytes",
  rios: "reads",
  wios: "writes",
};

function statsV2(read: ReadFile): DeviceIoStats[] | undefined {
  const text = read("io.stat");
  if (text === undefined) return undefined;
  const devices = new Map<string, Counts>();
  for (const line of text.split("\n")) {
    const [device = "", ...words] = line.split(" ");
    for (const word of words) {
      const equals = word.indexOf("=");
      const key = V2_WORDS[word.slice(0, equals)];
      if (key !== undefined) countsOf(devices, device)[key] += Number(word.slice(equals + 1));
    }
  }
  return listed(devices);
}

/**
 * Weights of and limits on block devices: `blkio` in v1, `io` in v2.
 *
 * @see https://docs.kernel.org/admin-guide/cgroup-v1/blkio-controller.html
 * @see https://docs.kernel.org/admin-guide/cgroup-v2.html#io
 */
export const blkio: Controller<DeviceIoStats[]> = {
  field: "blockIO",
  v1: "blkio",
  v2: "io",
  settingsV1,
  settingsV2,
  statsV1,
  statsV2,
};
