import type { CgroupPlan, ResctrlPlan } from "../cgroup/mod.ts";
import type { StartOptions } from "./container.ts";
import { notifyDirectory, notifySocket } from "./notify.ts";
import type { MonitorOptions } from "./program/mod.ts";
import { retiredPath, STATE_FILES, statePaths } from "./state.ts";

/** What the process beside a container does, and what it clears away at the end. */
export function monitorOptions(
  options: StartOptions,
  cgroup: CgroupPlan,
  resctrl: ResctrlPlan | undefined,
): MonitorOptions {
  const { root, id, detached, remove, token, network, left } = options;
  const notifies = Boolean(options.notifySocket);
  const paths = statePaths(root, id);
  const retired = retiredPath(root, id, token);
  return {
    detached,
    log: detached ? paths.log : undefined,
    exitFile: remove ? undefined : paths.exit,
    killGroup: options.spec.linux?.namespaces?.some(({ type }) => type === "pid") ||
        cgroup.directories.length === 0
      ? undefined
      : `${cgroup.directories[0]}/cgroup.procs`,
    retire: remove ? [paths.directory, retired] : undefined,
    removeFiles: [
      ...network?.left.files ?? [],
      ...remove ? STATE_FILES.map((name) => `${retired}/${name}`) : [],
      ...remove && notifies ? [notifySocket(retired)] : [],
      ...remove ? left?.files ?? [] : [],
    ],
    removeDirectories: [
      ...network === undefined ? [] : [network.left.directory],
      ...remove && notifies ? [notifyDirectory(retired)] : [],
      ...remove ? [retired, ...left?.directories ?? []] : [],
    ],
    // A resctrl group is removed as a control group is; one that is kept is for `delete`.
    cgroupDirectories: [
      ...remove ? madeFor(resctrl) : [],
      ...options.systemd ? notSystemds(cgroup) : cgroup.directories,
    ],
    ...network !== undefined && {
      network: {
        held: network.descriptors.length,
        lasting: network.lasting,
        steps: network.steps,
        atEnd: network.atEnd,
      },
    },
  };
}

/**
 * The groups that systemd does not remove itself when they are empty. It learns that from a hierarchy of its
 * own, where one that is gone already would tell it nothing, and its unit would stay.
 */
function notSystemds({ directories, v1, v2 }: CgroupPlan): string[] {
  return directories.filter((directory) =>
    directory !== v2 && directory !== v1.get("name=systemd")
  );
}

/** What was made of resctrl for a container, the deepest first. */
export function madeFor(resctrl: ResctrlPlan | undefined): string[] {
  if (resctrl === undefined) return [];
  const { directory, made, monitor } = resctrl;
  return [...monitor === undefined ? [] : [monitor], ...made ? [directory] : []];
}
