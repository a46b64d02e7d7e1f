import { arch, encodeElf } from "../../ffi/mod.ts";
import type { CgroupPlan } from "../../lib/cgroup/mod.ts";
import { type ContainerRecord, prepareContainer } from "../../lib/lifecycle/mod.ts";

/** Where a container of the C program's is made. */
export interface DriverPlace {
  /** The state directory of all containers. */
  readonly root: string;
  /** Where the plan and what belongs to it are written. */
  readonly directory: string;
  readonly cgroupsPath: string;
}

/** What driver.c does for the groups: as `createCgroup`, where the groups above are there already. */
function groupOperations({ directories, v1, v2, writes }: CgroupPlan): string[][] {
  const cpuset = v1.get("cpuset");
  return [
    ...directories.map((directory) => ["directory", directory]),
    ...(cpuset === undefined ? [] : [["peek", `${cpuset}/cpuset.cpus`]]),
    ...(v2 === undefined ? [] : [["peek", `${v2}/cgroup.controllers`]]),
    ...writes.map(({ file, value }) => ["write", file, value]),
  ];
}

/**
 * Writes the plan by which driver.c makes the container of a record, with the very program that crate
 * makes of it.
 *
 * @returns the plan's file.
 */
export async function writeDriverPlan(
  record: ContainerRecord,
  place: DriverPlace,
): Promise<string> {
  const { root, directory, cgroupsPath } = place;
  const id = "driver";
  const spec = { ...record.spec, linux: { ...record.spec.linux, cgroupsPath } };
  const { program, cgroup } = await prepareContainer({
    id,
    root,
    spec,
    bundle: record.bundle,
    detached: false,
    remove: true,
    stdio: [0, 1, 2],
  });
  const file = (name: string, content: Uint8Array | string) => {
    const path = `${directory}/${name}`;
    Deno.writeFileSync(path, typeof content === "string" ? encoder.encode(content) : content);
    return path;
  };
  const lines = [
    ["state", `${root}/${id}`],
    ["mount", `${root}/.mount`],
    ["elf", file("driver.elf", encodeElf(program, arch).bytes)],
    ["record", file("driver.json", JSON.stringify({ ...record, id, spec }))],
    ...groupOperations(cgroup),
  ];
  if (cgroup.joinDirectory !== undefined) lines.push(["group", cgroup.joinDirectory]);
  if (cgroup.v2 !== undefined && cgroup.deviceProgram !== undefined) {
    lines.push(["bpf", cgroup.v2, file("driver.bpf", cgroup.deviceProgram)]);
  }
  return file("driver.plan", lines.map((words) => `${words.join("\t")}\n`).join(""));
}

const encoder = new TextEncoder();
