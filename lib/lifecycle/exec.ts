import { close } from "../../ffi/mod.ts";
import { detectLayout, joinFiles, locateCgroup } from "../cgroup/mod.ts";
import { lastCapability } from "../security/mod.ts";
import type { Process, Spec } from "../spec/mod.ts";
import { CrateError } from "../errors.ts";
import { withGroup } from "./container.ts";
import { openInit } from "./operations.ts";
import { filterOf } from "./options.ts";
import { isPaused } from "./pause.ts";
import { compileExec, EXEC_PIDFD, namespaceFlag } from "./program/mod.ts";
import { launch, type Launched, type Stdio } from "./start.ts";

/** Another process for a running container. */
export interface ExecOptions {
  readonly root: string;
  readonly id: string;
  /** Made from the container's own process, given its config. */
  readonly process: (spec: Spec, root: ContainerRoot) => Process;
  readonly detached: boolean;
  readonly stdio: Stdio;
  /** Called right before the program may start. */
  readonly beforeStart?: () => void;
  /** Without the container's seccomp filter. */
  readonly unfiltered?: boolean;
}

/** The container's root as the host reaches it. */
export interface ContainerRoot {
  /** `/proc/<pid>/root`, the init's. */
  readonly path: string;
}

/**
 * Starts a process in a running container: when this returns, the program has been executed.
 *
 * @throws {CrateError} `NOT_FOUND`; `STATE` when the container is not running; `START` and the rest
 *   as {@linkcode startContainer}.
 */
export async function execInContainer(options: ExecOptions): Promise<Launched> {
  const { root, id, detached, stdio } = options;
  const { pidfd, state } = openInit(root, id);
  try {
    if (isPaused(state)) {
      throw new CrateError(
        "STATE",
        `container "${id}" is paused: crate resume ${id} lets it go on`,
      );
    }
    const { spec, cgroupsPath } = state.record;
    const pid = state.process!.init.pid;
    const process = options.process(spec, { path: `/proc/${pid}/root` });
    const group = cgroupsPath === undefined
      ? { join: [] }
      : joinFiles(locateCgroup(detectLayout(), cgroupsPath), pid);
    const profile = options.unfiltered ? undefined : spec.linux?.seccomp;
    const program = compileExec({
      process,
      namespaces: (spec.linux?.namespaces ?? []).reduce((all, ns) => all | namespaceFlag(ns), 0) >>>
        0,
      cgroup: {
        files: group.join,
        descriptor: group.joinDirectory === undefined ? undefined : EXEC_PIDFD + 1,
      },
      seccomp: profile && await filterOf(profile),
      lastCapability: lastCapability(),
      detached,
    });
    const launched = withGroup(group, (fds) =>
      launch(program, {
        name: "crate-exec",
        stdio,
        extra: [pidfd, ...fds],
        directory: root,
      }));
    try {
      options.beforeStart?.();
      launched.go();
    } catch (error) {
      launched.abandon();
      throw error;
    }
    return launched;
  } finally {
    close(pidfd);
  }
}
