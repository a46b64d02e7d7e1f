/** Where the host has its cgroup hierarchies, by what they are for; proc_pid_mountinfo(5). */
function mounts(): { at: string; version: 1 | 2; controllers: string[] }[] {
  return Deno.readTextFileSync("/proc/self/mountinfo").split("\n").flatMap((line) => {
    const [before, after] = line.split(" - ");
    const [type, , options] = after?.split(" ") ?? [];
    if (type !== "cgroup" && type !== "cgroup2") return [];
    const at = before!.split(" ")[4]!;
    const controllers = type === "cgroup"
      ? options!.split(",")
      : Deno.readTextFileSync(`${at}/cgroup.controllers`).trim().split(" ");
    return [{ at, version: type === "cgroup" ? 1 : 2, controllers }];
  });
}

/** Whether a controller is in a v1 or v2 hierarchy here; undefined where there is none. */
export function controllerVersion(controller: string): 1 | 2 | undefined {
  return mounts().find(({ controllers }) => controllers.includes(controller))?.version;
}

/** The directories of a group in all hierarchies, those that are there. */
export function groupDirectories(group: string): string[] {
  return mounts().map(({ at }) => at + group).filter((directory) => {
    try {
      return Deno.statSync(directory).isDirectory;
    } catch {
      return false;
    }
  });
}

/** A file of the only group below a parent, from the hierarchy that has the controller. */
export function readGroupFile(parent: string, controller: string, file: string): string {
  const { at } = mounts().find(({ controllers }) => controllers.includes(controller))!;
  const groups = [...Deno.readDirSync(at + parent)].filter((entry) => entry.isDirectory);
  if (groups.length !== 1) throw new Error(`${groups.length} groups in ${at}${parent}`);
  return Deno.readTextFileSync(`${at}${parent}/${groups[0]!.name}/${file}`).trim();
}
