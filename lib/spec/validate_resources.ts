/**
 * Validation of `linux.resources`.
 *
 * A 0 where the kernel wants more is let pass: engines write it for "not set".
 *
 * @module
 */
import {
  at,
  cpuList,
  each,
  fail,
  type Fields,
  given,
  integer,
  object,
  optionalBoolean,
  optionalEach,
  optionalInteger,
  optionalWord,
  refuse,
  stringMap,
  text,
} from "./check.ts";
import { MAX_UINT32 } from "./largest.ts";

/** int64 and uint64 have ends that a JavaScript number meets only rounded: 2^63 and 2^64. */
const MAX_INT64 = 2 ** 63;
const MAX_UINT64 = 2 ** 64;
const MAX_WEIGHT = 1000;

/** Throws `INVALID` unless the value is resources. */
export function validateResources(value: unknown, where: string): void {
  const resources = object(value, where);
  optionalEach(resources, "devices", where, deviceRule);
  given(resources, "memory", where, memory);
  given(resources, "cpu", where, cpu);
  given(resources, "pids", where, pids);
  given(resources, "blockIO", where, blockIO);
  given(resources, "hugepageLimits", where, hugepages);
  given(resources, "network", where, network);
  given(resources, "rdma", where, rdma);
  given(resources, "unified", where, unified);
}

function deviceRule(value: unknown, field: string): void {
  const rule = object(value, field);
  if (rule.allow === undefined) fail(`${at(field, "allow")} is missing: true or false`);
  optionalBoolean(rule, "allow", field);
  optionalWord(rule, "type", field, ["a", "b", "c"]);
  // -1 is the engines' way to write "any".
  optionalInteger(rule, "major", field, -1, MAX_UINT32);
  optionalInteger(rule, "minor", field, -1, MAX_UINT32);
  if (rule.access !== undefined && !/^[rwm]{1,3}$/.test(text(rule.access, at(field, "access")))) {
    refuse(at(field, "access"), 'be of the letters of "rwm"', rule.access);
  }
}

const MEMORY = ["limit", "reservation", "swap", "kernel", "kernelTCP"];

function memory(value: unknown, where: string): void {
  const fields = object(value, where);
  for (const key of MEMORY) optionalInteger(fields, key, where, -1, MAX_INT64);
  optionalInteger(fields, "swappiness", where, 0, 100);
  for (const key of ["disableOOMKiller", "useHierarchy", "checkBeforeUpdate"]) {
    optionalBoolean(fields, key, where);
  }
  const swap = fields.swap as number | undefined ?? 0;
  const limit = fields.limit as number | undefined ?? 0;
  if (swap <= 0) return;
  // It is memory and swap together: without the one the other cannot be told.
  if (limit <= 0) fail(`${at(where, "swap")} needs ${at(where, "limit")}: it counts both together`);
  if (swap < limit) {
    fail(`${at(where, "swap")} ${swap} counts memory too: at least ${limit}, the limit`);
  }
}

function pids(value: unknown, where: string): void {
  integer(object(value, where).limit, at(where, "limit"), -1, MAX_INT64);
}

function cpu(value: unknown, where: string): void {
  const fields = object(value, where);
  optionalInteger(fields, "shares", where, 0, MAX_UINT64);
  const quota = optionalInteger(fields, "quota", where, -1, MAX_INT64) ?? 0;
  const burst = optionalInteger(fields, "burst", where, 0, MAX_UINT64) ?? 0;
  const period = optionalInteger(fields, "period", where, 0, MAX_UINT64) ?? 0;
  // The kernel's own bounds, tg_set_cfs_bandwidth(): 1 ms, and 1 s for the period.
  if (quota > 0 && quota < 1000) refuse(at(where, "quota"), "be at least 1000 microseconds", quota);
  if (period !== 0 && (period < 1000 || period > 1_000_000)) {
    refuse(at(where, "period"), "be from 1000 to 1000000 microseconds", period);
  }
  if (quota > 0 && burst > quota) fail(`${at(where, "burst")} ${burst} is over the quota ${quota}`);
  optionalInteger(fields, "realtimePeriod", where, 0, MAX_UINT64);
  optionalInteger(fields, "realtimeRuntime", where, -1, MAX_INT64);
  optionalInteger(fields, "idle", where, 0, 1);
  cpuList(fields, "cpus", where);
  cpuList(fields, "mems", where);
}

const THROTTLES = [
  "throttleReadBpsDevice",
  "throttleWriteBpsDevice",
  "throttleReadIOPSDevice",
  "throttleWriteIOPSDevice",
];

function blockIO(value: unknown, where: string): void {
  const fields = object(value, where);
  weights(fields, where);
  optionalEach(fields, "weightDevice", where, (value, field) => {
    weights(blockDevice(value, field), field);
  });
  for (const key of THROTTLES) {
    optionalEach(fields, key, where, (value, field) => {
      optionalInteger(blockDevice(value, field), "rate", field, 0, MAX_UINT64);
    });
  }
}

function weights(fields: Fields, where: string): void {
  for (const key of ["weight", "leafWeight"]) {
    const weight = optionalInteger(fields, key, where, 0, MAX_WEIGHT);
    if (weight !== undefined && weight > 0 && weight < 10) {
      refuse(at(where, key), `be a whole number from 10 to ${MAX_WEIGHT}`, weight);
    }
  }
}

function blockDevice(value: unknown, field: string): Fields {
  const device = object(value, field);
  integer(device.major, at(field, "major"), 0, MAX_UINT32);
  integer(device.minor, at(field, "minor"), 0, MAX_UINT32);
  return device;
}

function hugepages(value: unknown, where: string): void {
  const seen = new Set<string>();
  each(value, where, (value, field) => {
    const limit = object(value, field);
    const size = text(limit.pageSize, at(field, "pageSize"));
    if (!/^[1-9]\d*[KMG]B$/.test(size)) refuse(at(field, "pageSize"), 'be like "2MB"', size);
    if (seen.has(size)) fail(`${field} limits ${size} pages a second time`);
    seen.add(size);
    integer(limit.limit, at(field, "limit"), 0, MAX_UINT64);
  });
}

function network(value: unknown, where: string): void {
  const fields = object(value, where);
  optionalInteger(fields, "classID", where, 0, MAX_UINT32);
  optionalEach(fields, "priorities", where, (value, field) => {
    const priority = object(value, field);
    text(priority.name, at(field, "name"));
    integer(priority.priority, at(field, "priority"), 0, MAX_UINT32);
  });
}

function rdma(value: unknown, where: string): void {
  const devices = object(value, where);
  for (const name of Object.keys(devices)) {
    const field = `${where}[${JSON.stringify(name)}]`;
    const limits = object(devices[name], field);
    optionalInteger(limits, "hcaHandles", field, 0, MAX_UINT32);
    optionalInteger(limits, "hcaObjects", field, 0, MAX_UINT32);
  }
}

/** Names become files of the container's cgroup: one of its own, not a way out of it. */
function unified(value: unknown, field: string): void {
  for (const name of Object.keys(stringMap(value, field))) {
    if (!/^[a-z0-9_]+(?:\.[A-Za-z0-9_]+)+$/.test(name)) {
      fail(`${field}: "${name}" is not a cgroup file's name, "memory.high"`);
    }
  }
}
