import {
  close,
  exists,
  F_GETFD,
  F_GETFL,
  O_ACCMODE,
  O_RDONLY,
  syscall,
  SyscallError,
  trySyscall,
} from "../../../ffi/mod.ts";
import { detectLayout, locateCgroup } from "../../cgroup/mod.ts";
import { CrateError } from "../../errors.ts";
import { lockContainer } from "../claim.ts";
import { PATIENCE } from "../time.ts";
import { notRunning } from "../kill.ts";
import { openProcess, type ProcessId } from "../process_id.ts";
import { hasUserNamespace } from "../program/mod.ts";
import { overlayOf } from "../rootfs.ts";
import { type ContainerState, readState, statePaths } from "../state.ts";
import { waitForEnd } from "../wait.ts";
import { describe } from "./descriptors.ts";
import { findCriu } from "./find.ts";
import { keepGroupOptions } from "./group_options.ts";
import {
  absolute,
  type Directory,
  makeImages,
  MODE_FOR_USERS,
  openImages,
  writeRecords,
} from "./images.ts";
import { type CriuOptions, RequestType } from "./messages.ts";
import { mountsOf, mountsToDump } from "./mounts.ts";
import { namespacesToDump } from "./namespaces.ts";
import { type CommonOptions, commonOptions, requireDumpable, requireRoot } from "./options.ts";
import { Criu } from "./process.ts";

/** How to checkpoint a container. */
export interface CheckpointOptions extends CommonOptions {
  /** The images of a pre-dump, relative to `imagePath`. */
  readonly parentPath?: string;
  readonly leaveRunning?: boolean;
  readonly tcpSkipInFlight?: boolean;
  readonly linkRemap?: boolean;
  readonly preDump?: boolean;
  /** `ADDRESS:PORT` */
  readonly pageServer?: string;
  /** A descriptor on which a zero byte says that lazy pages can be fetched. */
  readonly statusFd?: number;
}

const LOG = "dump.log";
const FD_CLOEXEC = 1;

/**
 * Writes a running container's processes into images, and ends them unless they are to go on.
 *
 * @throws {CrateError} `NOT_FOUND`; `STATE` when it is not running; `UNSUPPORTED`; `FAILED` with what criu's log says:
 *   the container goes on then, and of the images nothing stays but that log.
 */
export async function checkpoint(options: CheckpointOptions): Promise<void> {
  const { root, id, program } = options;
  const common = checkOptions(options);
  using _ = await lockContainer(root, id);
  const state = readState(root, id);
  if (state === undefined) {
    throw new CrateError("NOT_FOUND", `container "${id}" does not exist: crate list shows them`);
  }
  if (state.status !== "running" || state.process === undefined) throw notRunning(id, state);
  requireRoot();
  requireDumpable(state.record);
  requireKept(options, state);
  findCriu(program.criu, program.env);
  const parent = parentOf(options);
  using images = makeImages(
    "--image-path",
    absolute(options.imagePath),
    hasUserNamespace(state.record.spec) ? MODE_FOR_USERS : undefined,
  );
  let log: string | undefined;
  try {
    using work = options.workPath === undefined
      ? undefined
      : makeImages("--work-path", absolute(options.workPath));
    const directory = statePaths(root, id).directory;
    using _options = keepGroupOptions();
    const criu = await Criu.start({ ...program, directory, images, work });
    try {
      if (options.preDump) criu.requireFeature("mem_track", "--pre-dump");
      if (options.lazyPages) criu.requireFeature("lazy_pages", "--lazy-pages");
      const opts = {
        ...common(state),
        ...details(options, state, images),
        ...parent !== undefined && { parent_img: parent, track_mem: true },
      };
      log = work === undefined ? LOG : undefined;
      const type = options.preDump ? RequestType.PRE_DUMP : RequestType.DUMP;
      await criu.work(type, opts, (script) => {
        if (script === "status-ready") tellReady(options.statusFd);
      });
    } finally {
      await criu.end();
    }
  } catch (error) {
    images.giveUp(log);
    throw error;
  }
  if (!options.leaveRunning && !options.preDump) await untilEnded(state);
}

/** What can be known to be wrong before anything is looked at. @throws {CrateError} */
function checkOptions(options: CheckpointOptions): (state: ContainerState) => CriuOptions {
  const { statusFd, lazyPages, pageServer, preDump, parentPath } = options;
  if (statusFd !== undefined) {
    if (!lazyPages) {
      throw new CrateError("USAGE", "--status-fd is for --lazy-pages: it says when they are ready");
    }
    checkStatusFd(statusFd);
  }
  if (preDump && lazyPages) {
    throw new CrateError("USAGE", "--pre-dump writes memory now, --lazy-pages later: give one");
  }
  if (parentPath?.startsWith("/")) {
    throw new CrateError(
      "INVALID",
      `--parent-path ${parentPath} must be relative to --image-path, as the images name it`,
    );
  }
  const ps = pageServer === undefined ? undefined : parsePageServer(pageServer);
  return ({ record, process }) => ({
    ...commonOptions(options, record.spec, LOG),
    pid: process!.init.pid,
    leave_running: options.leaveRunning ?? false,
    tcp_skip_in_flight: options.tcpSkipInFlight ?? false,
    link_remap: options.linkRemap ?? false,
    ...ps && { ps },
  });
}

/** @throws {CrateError} `INVALID` */
export function parsePageServer(text: string): { address: string; port: number } {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (digits === undefined || port < 1 || port > 65535) {
    throw new CrateError(
      "INVALID",
      `--page-server must be ADDRESS:PORT, such as 127.0.0.1:27, got "${text}"`,
    );
  }
  return { address: bracketed ?? plain!, port };
}

/** @throws {CrateError} `INVALID` */
function checkStatusFd(fd: number): void {
  // The caller's come without the flag that this process's own have.
  const flags = trySyscall("fcntl", fd, F_GETFD, 0);
  const isOpen = flags >= 0 && (flags & FD_CLOEXEC) === 0;
  if (isOpen && (syscall("fcntl", fd, F_GETFL, 0) & O_ACCMODE) !== O_RDONLY) return;
  throw new CrateError("INVALID", `--status-fd ${fd} is not open for writing`);
}

function tellReady(fd: number | undefined): void {
  if (fd === undefined) return;
  const written = trySyscall("write", fd, new Uint8Array(1), 1);
  if (written < 0) throw new SyscallError("write", -written, "--status-fd");
  close(fd);
}

/** Its writes must be there when it is restored. @throws {CrateError} `UNSUPPORTED` */
function requireKept({ leaveRunning, preDump }: CheckpointOptions, { record }: ContainerState) {
  if (leaveRunning || preDump || !record.remove || overlayOf(record) === undefined) return;
  throw new CrateError(
    "UNSUPPORTED",
    `container "${record.id}" was started with --rm: what it wrote goes when it ends, ` +
      "and it could not be restored; --leave-running lets it go on",
  );
}

/** The parent's images as the new ones name them. @throws {CrateError} `NOT_FOUND` */
function parentOf({ parentPath, imagePath }: CheckpointOptions): string | undefined {
  if (parentPath === undefined) return undefined;
  // As seen from the new images, which may not be there yet.
  const path = `${absolute(imagePath)}/${parentPath}`;
  const reached = path.split("/").reduce<string[]>((names, name) => {
    if (name === "..") names.pop();
    else if (name !== "" && name !== ".") names.push(name);
    return names;
  }, []);
  openImages("--parent-path", `/${reached.join("/")}`)[Symbol.dispose]();
  return parentPath;
}

/** What of the container lies outside of it. */
function details(
  options: CheckpointOptions,
  { record, process }: ContainerState,
  images: Directory,
): CriuOptions {
  const { spec, cgroupsPath } = record;
  const { pid } = process!.init;
  const external = namespacesToDump(spec, pid);
  const freezer = cgroupsPath === undefined ? undefined : freezerOf(cgroupsPath);
  const frozen = freezer === undefined ? {} : { freeze_cgroup: freezer };
  if (options.preDump) return { external, ...frozen };
  const descriptors = describe(pid, mountsOf(pid));
  writeRecords(images, descriptors.names, {
    monitored: record.engine !== true,
    ...cgroupsPath !== undefined && { cgroupsPath },
  });
  return {
    external: [...external, ...descriptors.external],
    ext_mnt: mountsToDump(spec, pid),
    ...frozen,
  };
}

/** Where criu stops all of the container's processes at once. */
function freezerOf(cgroupsPath: string): string | undefined {
  const location = locateCgroup(detectLayout(), cgroupsPath);
  const directory = location.v1.get("freezer") ?? location.v2;
  return directory !== undefined && exists(directory) ? directory : undefined;
}

/** criu has killed it: until it is gone, and its monitor has recorded that. */
async function untilEnded({ process }: ContainerState): Promise<void> {
  await ended(process?.init);
  await ended(process?.monitor);
}

async function ended(process: ProcessId | undefined): Promise<void> {
  const pidfd = process && openProcess(process);
  if (pidfd === undefined) return;
  try {
    await waitForEnd(pidfd, PATIENCE);
  } finally {
    close(pidfd);
  }
}
