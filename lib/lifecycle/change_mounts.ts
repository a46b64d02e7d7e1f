import { close } from "../../ffi/mod.ts";
import { detectLayout } from "../cgroup/mod.ts";
import { CrateError } from "../errors.ts";
import { type Mount, requireMounts, type Spec } from "../spec/mod.ts";
import { waitForExit } from "./ended.ts";
import { namespacesOf } from "./exec.ts";
import { gatherFacts } from "./facts.ts";
import { idmappedMounts, makeIdmaps } from "./idmap.ts";
import { openInit } from "./kill.ts";
import { below, compileAddMount, compileRemoveMount, isBind } from "./program/mod.ts";
import { early } from "./stages.ts";
import { launch, nullStdio } from "./start.ts";
import { type ContainerState, statePaths } from "./state.ts";
import type { Program } from "../../ffi/mod.ts";

// Mounts of a running container, added and removed as crun's `mounts` does. No thread of this process can join
// a mount namespace: a program does it, for each mount.

/** Filesystems whose options name what is the host's, or that a config alone can place. */
const OF_CONFIGS: readonly string[] = ["cgroup", "cgroup2", "overlay"];

function requireAddable(mounts: readonly Mount[]): void {
  mounts.forEach(({ type = "", options = [], destination }, index) => {
    if (OF_CONFIGS.includes(type)) {
      throw new CrateError(
        "UNSUPPORTED",
        `mounts[${index}].type "${type}" cannot be added to a running container: its config may have one`,
      );
    }
    if (below(destination) === ".") {
      throw new CrateError("INVALID", `mounts[${index}].destination is the container's root`);
    }
    if (options.includes("remount")) {
      throw new CrateError(
        "UNSUPPORTED",
        `mounts[${index}].options has "remount": nothing is added by it`,
      );
    }
  });
  requireMounts(mounts);
}

/**
 * Mounts in a running container, in the order of the list; when one fails, those before it are unmounted again.
 *
 * @param mounts as in a config; a bind's relative source is read from the container's bundle.
 * @throws {CrateError} `NOT_FOUND`; `STATE` when the container is not running; `UNSUPPORTED`, `INVALID` naming the
 *   mount; `START` naming the step that failed.
 */
export async function addMounts(
  root: string,
  id: string,
  mounts: readonly Mount[],
): Promise<void> {
  requireAddable(mounts);
  const { pidfd, state } = openInit(root, id);
  try {
    const { record } = state;
    const source = (path: string) => path.startsWith("/") ? path : `${record.bundle}/${path}`;
    const spec: Spec = {
      ...record.spec,
      mounts: mounts.map((mount) =>
        isBind(mount) ? { ...mount, source: source(mount.source!) } : mount
      ),
    };
    const facts = gatherFacts(spec, detectLayout(), record.cgroupsPath);
    const { directory } = statePaths(root, id);
    using idmaps = makeIdmaps(spec, directory);
    const idmapped = idmappedMounts(spec);
    const added: Mount[] = [];
    for (const mount of spec.mounts!) {
      const idmap = idmaps.descriptors[idmapped.indexOf(mount)];
      const program = compileAddMount({
        spec,
        namespaces: namespacesOf(spec),
        mount,
        facts,
        hasIdmap: idmap !== undefined,
      });
      try {
        await change(state, root, program, idmap === undefined ? [pidfd] : [pidfd, idmap]);
      } catch (error) {
        for (const { destination } of added.reverse()) {
          await change(state, root, compileRemoval(state, destination), [pidfd]);
        }
        throw error;
      }
      added.push(mount);
    }
  } finally {
    close(pidfd);
  }
}

/**
 * Unmounts what lies on the destinations of the list in a running container, the last one first.
 *
 * @throws {CrateError} `NOT_FOUND`; `STATE` when the container is not running; `INVALID` for the root; `START` when
 *   nothing is mounted there, or the way leads over a symbolic link: those before it are unmounted then.
 */
export async function removeMounts(
  root: string,
  id: string,
  mounts: readonly Pick<Mount, "destination">[],
): Promise<void> {
  mounts.forEach(({ destination }, index) => {
    if (below(destination) !== ".") return;
    throw new CrateError("INVALID", `mounts[${index}].destination is the container's root`);
  });
  const { pidfd, state } = openInit(root, id);
  try {
    for (const { destination } of mounts.toReversed()) {
      await change(state, root, compileRemoval(state, destination), [pidfd]);
    }
  } finally {
    close(pidfd);
  }
}

function compileRemoval({ record: { spec } }: ContainerState, destination: string): Program {
  return compileRemoveMount({ spec, namespaces: namespacesOf(spec), destination });
}

/** Runs a program that changes mounts to its end. */
async function change(
  { record }: ContainerState,
  root: string,
  program: Program,
  extra: readonly number[],
): Promise<void> {
  const { directory } = statePaths(root, record.id);
  const none = nullStdio();
  try {
    const stdio = [none, none, none] as const;
    const launched = launch(program, { name: "crate-mounts", stdio, extra, directory });
    try {
      await launched.go(early({ ...record, directory }, launched.init));
    } catch (error) {
      await launched.abandon();
      throw error;
    }
    const { code } = await waitForExit(launched);
    if (code !== 0) throw new CrateError("START", "the process that was to mount was killed");
  } finally {
    close(none);
  }
}
