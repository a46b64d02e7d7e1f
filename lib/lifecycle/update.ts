import { detectLayout, loadResctrl, loadSystemd, planCgroup, updateCgroup } from "../cgroup/mod.ts";
import { CrateError } from "../errors.ts";
import type { LinuxIntelRdt, LinuxResources } from "../spec/mod.ts";
import { lockContainer, replaceRecord } from "./claim.ts";
import { type ContainerRecord, readState } from "./state.ts";

/**
 * Changes the limits of a container; what is left out stays as it is.
 *
 * @param rdt new schemata for its resctrl group.
 * @throws {CrateError} `NOT_FOUND`; `STATE` when it has ended; `UNSUPPORTED` when it has no cgroup of its own,
 *   or the host lacks the controller; `INVALID` for a value that the kernel refuses.
 */
export async function updateContainer(
  root: string,
  id: string,
  resources: LinuxResources,
  rdt?: Pick<LinuxIntelRdt, "l3CacheSchema" | "memBwSchema">,
): Promise<void> {
  using lock = await lockContainer(root, id);
  const state = readState(root, id);
  if (state === undefined) {
    throw new CrateError("NOT_FOUND", `container "${id}" does not exist: crate list shows them`);
  }
  const { record, status } = state;
  if (status === "stopped" || status === "creating") {
    throw new CrateError("STATE", `container not running: "${id}" is ${status}`);
  }
  if (rdt !== undefined) await writeRdt(record, rdt);
  const linux = rdt === undefined
    ? record.spec.linux
    : { ...record.spec.linux, intelRdt: { ...record.spec.linux?.intelRdt, ...rdt } };
  if (Object.keys(resources).length === 0) {
    replaceRecord(lock, root, { ...record, spec: { ...record.spec, linux } });
    return;
  }
  if (record.cgroupsPath === undefined) {
    throw new CrateError(
      "UNSUPPORTED",
      `container "${id}" has no cgroup of its own to limit it by`,
    );
  }
  // Device rules are whole lists: those of the config stay.
  const { devices: _, ...limits } = resources;
  const plan = planCgroup(detectLayout(), record.cgroupsPath, limits, { devices: false });
  if (record.systemd !== undefined) {
    // To systemd a quota is what it is of its period.
    const { quota, period } = linux?.resources?.cpu ?? {};
    const told = limits.cpu && { ...limits, cpu: { quota, period, ...limits.cpu } };
    const whole = told && planCgroup(detectLayout(), record.cgroupsPath, told, { devices: false });
    (await loadSystemd()).updateUnit(record.systemd, whole ?? plan);
  }
  updateCgroup(plan);
  replaceRecord(lock, root, {
    ...record,
    spec: { ...record.spec, linux: { ...linux, resources: merge(linux?.resources ?? {}, limits) } },
  });
}

async function writeRdt(
  { id, resctrl }: ContainerRecord,
  rdt: Pick<LinuxIntelRdt, "l3CacheSchema" | "memBwSchema">,
): Promise<void> {
  if (resctrl === undefined) {
    throw new CrateError(
      "UNSUPPORTED",
      `container "${id}" has no resctrl group: its config has no linux.intelRdt`,
    );
  }
  const { schemataOf, writeSchemata } = await loadResctrl();
  writeSchemata(resctrl.directory, schemataOf(rdt));
}

function merge(before: LinuxResources, after: LinuxResources): LinuxResources {
  const { memory, cpu, pids, blockIO, unified } = after;
  return {
    ...before,
    ...after,
    ...memory && { memory: { ...before.memory, ...memory } },
    ...cpu && { cpu: { ...before.cpu, ...cpu } },
    ...pids && { pids: { ...before.pids, ...pids } },
    ...blockIO && { blockIO: { ...before.blockIO, ...blockIO } },
    ...unified && { unified: { ...before.unified, ...unified } },
  };
}
