import {
  close,
  F_DUPFD_CLOEXEC,
  SIGKILL,
  syscall,
  SyscallError,
  trySyscall,
} from "../../../ffi/mod.ts";
import { type CgroupPlan, detectLayout } from "../../cgroup/mod.ts";
import { CrateError } from "../../errors.ts";
import type { Spec } from "../../spec/mod.ts";
import { type Lock, recordProcess } from "../claim.ts";
import { gatherFacts } from "../facts.ts";
import { hookState } from "../hook_state.ts";
import { runHooks } from "../hooks.ts";
import { identify, openProcess, type ProcessId } from "../process_id.ts";
import { isNew, type MonitorOptions } from "../program/mod.ts";
import type { Stdio } from "../start.ts";
import { mountPoint, statePaths } from "../state.ts";
import { waitForEnd } from "../wait.ts";
import { inheritedOf } from "./descriptors.ts";
import { keepGroupOptions } from "./group_options.ts";
import { entrances, movedTo } from "./groups.ts";
import { absolute, type Directory, makeImages, type OwnRecord, readDescriptors } from "./images.ts";
import { type CriuOptions, RequestType } from "./messages.ts";
import { mountsToRestore } from "./mounts.ts";
import { openNamespaces } from "./namespaces.ts";
import { type CommonOptions, commonOptions } from "./options.ts";
import { Criu, type OnNotify } from "./process.ts";
import { receive, send, sendWith } from "./socket.ts";

/** What criu is to make of the images, whatever the container is called and whoever waits for it. */
export interface ReviveOptions extends CommonOptions {
  /** `TYPE:NAME`, such as `apparmor:crate-default`. */
  readonly lsmProfile?: string;
  readonly lsmMountContext?: string;
}

/** A container whose state is there, and whose processes are not yet. */
export interface Claimed {
  readonly spec: Spec;
  readonly bundle: string;
  readonly lock: Lock;
  readonly groups: CgroupPlan;
  readonly images: Directory;
  readonly own: OwnRecord | undefined;
  /** Its pipes to the world, where nobody logs what it writes. */
  readonly stdio?: Stdio;
  /** Its monitor, whose child it becomes; absent: it becomes this process's. */
  readonly monitor?: MonitorOptions;
  /** A socket on which somebody takes the console. */
  readonly console?: number;
}

const LOG = "restore.log";
/** What criu finds the first of its additional descriptors as. */
const FIRST = 5;

/** A restored container. */
export interface Revived {
  readonly init: ProcessId;
  /** Kills it, and waits until it and its monitor are gone. */
  abandon(): Promise<void>;
}

function optionsOf(options: ReviveOptions, claimed: Claimed): CriuOptions {
  const { spec, groups, own } = claimed;
  return {
    ...commonOptions(options, spec, LOG),
    evasive_devices: true,
    rst_sibling: true,
    root: mountPoint(options.root),
    ext_mnt: mountsToRestore(spec, shownGroup(spec, groups)),
    ...groups.directories.length > 0 && { cg_root: movedTo(groups, own) },
    ...options.lsmProfile !== undefined && { lsm_profile: options.lsmProfile },
    ...options.lsmMountContext !== undefined && { lsm_mount_context: options.lsmMountContext },
  };
}

/** What a mount of cgroup v2 shows; undefined on a host with v1. */
function shownGroup(spec: Spec, { v2 }: CgroupPlan): string | undefined {
  const layout = detectLayout();
  if (layout.v1.size > 0) return undefined;
  return isNew(spec, "cgroup") ? v2 : layout.v2?.mount;
}

/**
 * Restores a container's processes from images: when this returns, they run.
 *
 * @throws {CrateError} `FAILED` with what criu's log says, `START` for a hook; then none of them is left.
 */
export async function revive(options: ReviveOptions, claimed: Claimed): Promise<Revived> {
  const { root, id, program, workPath } = options;
  const { spec, groups, images, stdio, monitor } = claimed;
  const opts = optionsOf(options, claimed);
  const standard = inheritedOf(readDescriptors(images));
  using work = workPath === undefined ? undefined : makeImages("--work-path", absolute(workPath));
  using namespaces = openNamespaces(spec, FIRST);
  using _ = keepGroupOptions();
  const grouped = groups.directories.length > 0;
  const criu = await Criu.start({
    ...program,
    directory: statePaths(root, id).directory,
    images,
    work,
    extra: namespaces.descriptors,
    restore: {
      spec,
      facts: gatherFacts(spec, detectLayout(), grouped ? groups.path : undefined),
      attachPoint: mountPoint(root),
      groups: grouped ? entrances(groups) : [],
    },
    ...stdio && { stdio },
    ...monitor && { monitor },
  });
  const witness = new Witness(options, claimed, criu);
  try {
    if (options.lsmProfile !== undefined) criu.requireVersion([3, 16, 0], "--lsm-profile");
    if (options.lsmMountContext !== undefined) {
      criu.requireVersion([3, 16, 1], "--lsm-mount-context");
    }
    await criu.work(
      RequestType.RESTORE,
      {
        ...opts,
        inherit_fd: [...standard, ...namespaces.inherited],
      },
      witness.onNotify,
    );
    const init = witness.requireInit();
    if (monitor !== undefined) handOver(criu, init, witness.master);
    else await criu.end();
    return { init, abandon: () => witness.abandon() };
  } catch (error) {
    await witness.abandon();
    throw error;
  } finally {
    if (witness.master !== undefined) close(witness.master);
  }
}

/** Tells the monitor whom it has to watch; from then on it needs nobody. */
function handOver(criu: Criu, { pid }: ProcessId, master: number | undefined): void {
  const { control } = criu.launched;
  const message = new Uint8Array(4);
  new DataView(message.buffer).setInt32(0, pid, true);
  try {
    if (master === undefined) send(control, message);
    else sendWith(control, message, master);
    if (receive(control).bytes.length > 0) return criu.release();
  } catch (cause) {
    if (!(cause instanceof SyscallError)) throw cause;
  }
  throw new CrateError("START", "the container's monitor was killed while it was being restored");
}

/** What criu's notifications have told, and what is done about them. */
class Witness {
  readonly #options: ReviveOptions;
  readonly #claimed: Claimed;
  readonly #criu: Criu;
  #init: ProcessId | undefined;
  /** The console's, for the monitor. */
  master: number | undefined;

  constructor(options: ReviveOptions, claimed: Claimed, criu: Criu) {
    this.#options = options;
    this.#claimed = claimed;
    this.#criu = criu;
  }

  readonly onNotify: OnNotify = async (script, pid, fd) => {
    const { root, id } = this.#options;
    const { spec, bundle, lock, console, monitor } = this.#claimed;
    if (script === "setup-namespaces") {
      const container = { id, spec, bundle, directory: statePaths(root, id).directory };
      const state = hookState(container, "creating", pid);
      await runHooks(spec.hooks?.prestart, "prestart", container, state);
      await runHooks(spec.hooks?.createRuntime, "createRuntime", container, state);
    } else if (script === "post-restore" && pid !== undefined) {
      this.#init = identify(pid);
      const init = this.requireInit();
      const beside = this.#criu.launched.monitor;
      recordProcess(lock, root, id, {
        init,
        ...monitor && beside && { monitor: beside },
        ...monitor?.exitFile !== undefined && { movable: true },
      });
    } else if (script === "orphan-pts-master" && fd !== undefined) {
      if (console !== undefined) sendWith(console, new Uint8Array(1), fd);
      else this.master = syscall("fcntl", fd, F_DUPFD_CLOEXEC, 0);
    }
  };

  /** @throws {CrateError} `FAILED` when there is none. */
  requireInit(): ProcessId {
    if (this.#init !== undefined) return this.#init;
    throw new CrateError("FAILED", "criu says that it has restored the container, and it is gone");
  }

  async abandon(): Promise<void> {
    const pidfd = this.#init && openProcess(this.#init);
    if (pidfd !== undefined) {
      trySyscall("pidfd_send_signal", pidfd, SIGKILL, null, 0);
      await waitForEnd(pidfd, 10_000);
      close(pidfd);
    }
    await this.#criu.end();
  }
}
