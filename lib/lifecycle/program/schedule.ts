import { sched_attr } from "../../../ffi/mod.ts";
import {
  type Linux,
  type LinuxIOPriority,
  type LinuxMemoryPolicy,
  type Process,
  type Scheduler,
  SCHEDULER_FLAGS,
  SCHEDULER_POLICIES,
} from "../../spec/mod.ts";
import type { Scope } from "./scope.ts";

// How the kernel schedules a process and gives it memory: inherited by what it executes.

// linux/ioprio.h
const IO_CLASSES = ["", "IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"];
const IOPRIO_CLASS_SHIFT = 13;
const IOPRIO_WHO_PROCESS = 1;
// linux/mempolicy.h
const MODES = [
  "MPOL_DEFAULT",
  "MPOL_PREFERRED",
  "MPOL_BIND",
  "MPOL_INTERLEAVE",
  "MPOL_LOCAL",
  "MPOL_PREFERRED_MANY",
  "MPOL_WEIGHTED_INTERLEAVE",
];
const MODE_FLAGS: Readonly<Record<string, number>> = {
  MPOL_F_NUMA_BALANCING: 1 << 13,
  MPOL_F_RELATIVE_NODES: 1 << 14,
  MPOL_F_STATIC_NODES: 1 << 15,
};
// linux/personality.h
const PERSONALITIES: Readonly<Record<string, number>> = { LINUX: 0, LINUX32: 8 };

/** `process.scheduler` and `process.ioPriority`. sched_setattr(2), ioprio_set(2) */
export function setSchedule(s: Scope, { scheduler, ioPriority }: Process): void {
  if (scheduler !== undefined) setScheduler(s, scheduler);
  if (ioPriority !== undefined) setIoPriority(s, ioPriority);
}

function setScheduler(s: Scope, scheduler: Scheduler): void {
  const { policy, nice = 0, priority = 0, flags = [] } = scheduler;
  const attr = s.p.struct(sched_attr, {
    size: sched_attr.size,
    sched_policy: SCHEDULER_POLICIES.indexOf(policy),
    sched_flags: flags.reduce((all, flag) => all | (1 << SCHEDULER_FLAGS.indexOf(flag)), 0),
    sched_nice: nice,
    sched_priority: priority,
    sched_runtime: scheduler.runtime ?? 0,
    sched_deadline: scheduler.deadline ?? 0,
    sched_period: scheduler.period ?? 0,
  });
  s.p.call("sched_setattr", [0, attr, 0], { label: `set the scheduler ${policy}` });
}

function setIoPriority(s: Scope, { class: name, priority = 0 }: LinuxIOPriority): void {
  const value = IO_CLASSES.indexOf(name) << IOPRIO_CLASS_SHIFT | priority;
  s.p.call("ioprio_set", [IOPRIO_WHO_PROCESS, 0, value], { label: `set the I/O priority ${name}` });
}

/** `linux.memoryPolicy` and `linux.personality`. set_mempolicy(2), personality(2) */
export function setMemory(s: Scope, { memoryPolicy, personality }: Linux): void {
  if (memoryPolicy?.mode !== undefined) setPolicy(s, memoryPolicy);
  if (personality?.domain !== undefined) {
    const { domain } = personality;
    s.p.call("personality", [PERSONALITIES[domain]!], { label: `set the personality ${domain}` });
  }
}

function setPolicy(s: Scope, { mode, nodes = "", flags = [] }: LinuxMemoryPolicy): void {
  const label = `set the memory policy ${mode}`;
  const bits = flags.reduce((all, flag) => all | MODE_FLAGS[flag]!, MODES.indexOf(mode!));
  const mask = bitsOf(nodes);
  if (mask.length === 0) s.p.call("set_mempolicy", [bits, 0, 0], { label });
  // The kernel reads one bit less than it is told. set_mempolicy(2), BUGS
  else s.p.call("set_mempolicy", [bits, s.p.bytes(mask, nodes), mask.length * 8 + 1], { label });
}

/** A list of processors or nodes, `0-3,7`, as bits: a whole number of 64-bit words. */
export function bitsOf(list: string): Uint8Array {
  const numbers = list.split(",").filter((part) => part !== "").flatMap((part) => {
    const [first, last = first] = part.split("-").map(Number) as [number, number?];
    return Array.from({ length: last! - first + 1 }, (_, i) => first + i);
  });
  if (numbers.length === 0) return new Uint8Array();
  const bits = new Uint8Array(8 * (Math.floor(Math.max(...numbers) / 64) + 1));
  for (const number of numbers) bits[number >> 3]! |= 1 << (number & 7);
  return bits;
}
