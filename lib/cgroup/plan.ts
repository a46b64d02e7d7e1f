import type { LinuxResources } from "../spec/mod.ts";
import { blkio } from "./blkio.ts";
import { type Controller, type Setting, unsupported } from "./controller.ts";
import { cpu } from "./cpu.ts";
import { cpuset } from "./cpuset.ts";
import { compileDeviceProgram } from "./device_program.ts";
import {
  deviceRules,
  deviceSettings,
  noDeviceControl,
  restricts,
  withDefaults,
} from "./device_rules.ts";
import { hugetlb } from "./hugetlb.ts";
import type { CgroupLayout } from "./layout.ts";
import { type CgroupJoin, type CgroupLocation, joinFiles, locateCgroup } from "./location.ts";
import { memory } from "./memory.ts";
import { netCls, netPrio } from "./network.ts";
import { pids } from "./pids.ts";
import { rdma } from "./rdma.ts";
import type { CgroupWrite } from "./write.ts";

/** What v2 controllers a group needs, and how they get to it. */
export interface CgroupEnable {
  /** Without these a limit could not be enforced. */
  readonly required: readonly string[];
  /** These count what `stats` shows; where they cannot be had, it shows less. */
  readonly wanted: readonly string[];
  /** The `cgroup.subtree_control` of every group above, from the mount point down. */
  readonly files: readonly string[];
}

/** All that has to be done for one container's groups: a value, no host is touched for it. */
export interface CgroupPlan extends CgroupLocation, CgroupJoin {
  /** The groups above the container's, in every hierarchy, upper ones first: made when missing. */
  readonly parents: readonly string[];
  readonly enable?: CgroupEnable;
  /** In the order in which the kernel accepts them. */
  readonly writes: readonly CgroupWrite[];
  /** The device allow-list of a v2 group, an eBPF program. (A v1 group's is among the writes.) */
  readonly deviceProgram?: Uint8Array<ArrayBuffer>;
}

/** What a plan may leave to others. */
export interface PlanOptions {
  /**
   * Whether to enforce the device allow-list, `true` by default. A container in a user namespace of
   * an ordinary user can do without (and cannot have it): the kernel gives such a namespace no
   * device nodes of its own, and the host's are under their files' permissions.
   */
  readonly devices?: boolean;
}

const CONTROLLERS: readonly Controller<unknown>[] = [
  memory,
  cpu,
  cpuset,
  pids,
  blkio,
  hugetlb,
  netCls,
  netPrio,
  rdma,
];

/** What v2 groups count for `stats`. */
const WANTED = ["cpu", "io", "memory", "pids"];

/**
 * Plans a container's groups: one in every hierarchy of the host, and each resource in the one that
 * has its controller.
 *
 * @param cgroupsPath `linux.cgroupsPath`, see {@linkcode locateCgroup}.
 * @param resources `linux.resources`.
 * @throws {CrateError} `UNSUPPORTED` for a resource whose controller the host lacks or that its
 * version of cgroups cannot enforce; `INVALID` for a value without sense. Both name the field.
 *
 * @example
 * ```ts
 * import { planCgroup } from "./plan.ts";
 * const layout = { v1: new Map(), v2: { mount: "/sys/fs/cgroup", controllers: ["memory"] } };
 * const plan = planCgroup(layout, "/crate/web", { memory: { limit: 1 << 29 } });
 * if (plan.writes[0]?.file !== "/sys/fs/cgroup/crate/web/memory.max") throw new Error();
 * ```
 */
export function planCgroup(
  layout: CgroupLayout,
  cgroupsPath: string,
  resources: LinuxResources,
  options: PlanOptions = {},
): CgroupPlan {
  const location = locateCgroup(layout, cgroupsPath);
  const writes: CgroupWrite[] = [];
  const required = new Set<string>();
  const put = (directory: string, settings: readonly Setting[]) => {
    for (const { file, value, field, otherwise } of settings) {
      writes.push({
        file: `${directory}/${file}`,
        value,
        field,
        otherwise: otherwise && { ...otherwise, file: `${directory}/${otherwise.file}` },
      });
    }
  };
  for (const controller of CONTROLLERS) {
    if (resources[controller.field] === undefined) continue;
    const directory = controller.v1 && location.v1.get(controller.v1);
    if (directory !== undefined) {
      put(directory, controller.settingsV1(resources));
      continue;
    }
    // Where v1 is all there is, its names are what the sentence should have.
    const v2 = location.v2 !== undefined;
    const settings = v2 ? controller.settingsV2(resources) : controller.settingsV1(resources);
    const [first] = settings;
    const name = v2 ? controller.v2 : controller.v1;
    if (first === undefined || name === undefined) continue;
    requireController(layout, name, first.field);
    required.add(name);
    put(location.v2 ?? "", settings);
  }
  for (const [file, value] of Object.entries(resources.unified ?? {})) {
    const controller = unifiedController(layout, file);
    if (controller !== undefined) required.add(controller);
    const field = `unified.${file}`;
    // The kernel reads one line of a write; a value such as io.max may have several.
    const lines = value.split("\n").filter((line, i) => line !== "" || i === 0);
    put(location.v2 ?? "", lines.map((line) => ({ file, value: line, field })));
  }
  const deviceProgram = planDevices(location, resources, options, put);
  const join = joinFiles(location);
  const parents = parentsOf(layout, location);
  const enable = location.v2 === undefined || layout.v2 === undefined ? undefined : {
    required: [...required],
    wanted: WANTED.filter((name) => layout.v2?.controllers.includes(name) && !required.has(name)),
    files: [layout.v2.mount, ...groupsAbove(layout.v2.mount, location.path)]
      .map((directory) => `${directory}/cgroup.subtree_control`),
  };
  return { ...location, ...join, parents, enable, writes, deviceProgram };
}

function requireController(layout: CgroupLayout, name: string, field: string): void {
  if (layout.v2?.controllers.includes(name)) return;
  const where = layout.v2 === undefined
    ? "in cgroup v1"
    : layout.v1.size === 0
    ? "in cgroup v2"
    : "in cgroup v1 or v2";
  throw unsupported(field, `this host has no ${name} controller ${where}`);
}

/** The controller of a file that `unified` names; undefined for the files that every group has. */
function unifiedController(layout: CgroupLayout, file: string): string | undefined {
  const field = `unified.${file}`;
  if (file.includes("/") || !file.includes(".")) {
    throw unsupported(field, 'a key must be the name of a cgroup v2 file, such as "memory.high"');
  }
  if (layout.v2 === undefined) {
    throw unsupported(field, "this host has cgroup v1 only, and unified is for cgroup v2");
  }
  const controller = file.slice(0, file.indexOf("."));
  if (controller === "cgroup") return undefined;
  const v1 = layout.v1.get(controller);
  if (v1 !== undefined) {
    throw unsupported(field, `this host has its ${controller} controller in cgroup v1, at ${v1}`);
  }
  requireController(layout, controller, field);
  return controller;
}

function planDevices(
  location: CgroupLocation,
  resources: LinuxResources,
  { devices = true }: PlanOptions,
  put: (directory: string, settings: readonly Setting[]) => void,
): Uint8Array<ArrayBuffer> | undefined {
  if (!devices) return undefined;
  const rules = deviceRules(resources.devices);
  if (!restricts(rules)) return undefined;
  const v1 = location.v1.get("devices");
  if (v1 !== undefined) {
    put(v1, deviceSettings(rules));
    return undefined;
  }
  if (location.v2 === undefined) throw noDeviceControl();
  return compileDeviceProgram(withDefaults(rules));
}

function groupsAbove(mount: string, path: string): string[] {
  const groups: string[] = [];
  for (let end = path.indexOf("/", 1); end > 0; end = path.indexOf("/", end + 1)) {
    groups.push(mount + path.slice(0, end));
  }
  return groups;
}

function parentsOf(layout: CgroupLayout, { path }: CgroupLocation): string[] {
  const mounts = new Set(layout.v1.values());
  if (layout.v2 !== undefined) mounts.add(layout.v2.mount);
  return [...mounts].flatMap((mount) => groupsAbove(mount, path));
}
