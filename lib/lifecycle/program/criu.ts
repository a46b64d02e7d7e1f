import {
  AF_UNIX,
  AT_FDCWD,
  type Cell,
  clone_args,
  CLONE_NEWNS,
  CLOSE_RANGE_CLOEXEC,
  cmsg_fd,
  F_DUPFD_CLOEXEC,
  F_SETFL,
  MSG_CMSG_CLOEXEC,
  MSG_NOSIGNAL,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NONBLOCK,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
  P_PID,
  placeIn,
  PR_SET_NAME,
  type Program,
  SIG_SETMASK,
  SIGCHLD,
  SOCK_CLOEXEC,
  SOCK_SEQPACKET,
  valueOf,
  WEXITED,
} from "../../../ffi/mod.ts";
import type { Mount, Spec } from "../../spec/mod.ts";
import { descriptorMessage, sendDescriptor } from "./console.ts";
import { execute } from "./execute.ts";
import type { CompileInput, MonitorOptions } from "./input.ts";
import { consoleStream, type LogStream, openLog, openLogFile } from "./log.ts";
import { failureHandler, reserve, watch } from "./monitor.ts";
import { isBind } from "./mounts.ts";
import { CONTROL, RECORD_SIZE, REPORT, SETUP_FAILED } from "./protocol.ts";
import { awaitByte } from "./release.ts";
import { attachRoot, isolateMounts, rootMount, sealRoot } from "./root.ts";
import { below, openOrMake, Scope } from "./scope.ts";

/** Above all descriptors that are given out here. */
const HIGH = 64;

/** What a container is restored into. */
export interface RestoreInput extends Pick<CompileInput, "spec" | "facts" | "attachPoint"> {
  /** Files of its groups into which criu writes `0` to be in them. */
  readonly groups: readonly string[];
}

/** The program that executes criu, `criu swrk FD`. */
export interface CriuInput {
  /** Absolute. */
  readonly path: string;
  readonly env: readonly string[];
  /** Directories that criu finds as the next descriptors, in this order. */
  readonly directories: readonly string[];
  /** The first descriptor after those that it is started with. */
  readonly next: number;
  readonly restore?: RestoreInput;
  /** The process beside the restored container, whose child it becomes. */
  readonly monitor?: MonitorOptions;
}

/**
 * Executes criu as the starter's child, so that what it restores as its sibling becomes the starter's, too; or as the
 * child of a monitor, which waits until criu has ended and the starter has told it the init's pid: a message of four
 * bytes on the control socket, with the console's master where there is one. It answers with a byte.
 *
 * Restoring, criu has a mount namespace of its own: the root that it wants mounted is gone with it, whatever happens.
 * It looks up directories among the descriptors of whoever has made its socket: here itself, in that namespace. The
 * other end of that socket goes to the starter over the control socket.
 */
export function compileCriu(input: CriuInput): Program {
  const s = new Scope();
  const { p } = s;
  failureHandler(s);
  if (input.monitor === undefined) {
    const record = p.variable("own pid", RECORD_SIZE);
    p.call("getpid", [], { label: "get the pid", result: placeIn(record, 8) });
    p.call("write", [REPORT, record, RECORD_SIZE], { label: "tell the pid" });
    become(s, input, []);
  } else {
    monitor(s, input, input.monitor);
  }
  s.writeAsides();
  return p.build();
}

/** The steps up to criu's own first instruction. */
function become(s: Scope, input: CriuInput, streams: readonly LogStream[]): void {
  const { p } = s;
  const { path, env, next, directories, restore } = input;
  awaitByte(s, "wait for the starter");
  for (const { number, writeEnd } of streams) {
    p.call("dup3", [valueOf(writeEnd), number, 0], { label: "write to the log" });
  }
  if (restore !== undefined) prepare(s, restore);
  p.call("chdir", [p.string("/")], { label: "enter /" });
  const label = "close descriptors on execve";
  p.call("close_range", [CONTROL, REPORT, CLOSE_RANGE_CLOEXEC], { label });
  p.call("close_range", [next, 0xffffffff, CLOSE_RANGE_CLOEXEC], { label });
  directories.forEach((directory, i) => openAs(s, directory, next + i));
  const socket = next + directories.length;
  openSocket(s, socket);
  const none = p.bytes(new Uint8Array(8), "{}");
  p.call("rt_sigprocmask", [SIG_SETMASK, none, 0, 8], { label: "unblock signals" });
  const words = [path, "swrk", String(socket)];
  execute(s, {
    files: [p.string(path)],
    argv: p.pointers(words.map((word) => p.string(word)), JSON.stringify(words)),
    envp: p.pointers(env.map((variable) => p.string(variable)), `(${env.length} variables)`),
    label: `start ${path}`,
  });
}

/** Opens a directory as a descriptor of this number, for good. */
function openAs(s: Scope, directory: string, number: number): void {
  const { p } = s;
  const fd = s.descriptor(directory);
  const label = `open ${directory}`;
  const flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  p.call("openat", [AT_FDCWD, p.string(directory), flags, 0], { label, result: fd });
  // Never onto itself: it would stay close-on-exec.
  const copy = s.descriptor(`copy of ${directory}`);
  p.call("fcntl", [valueOf(fd), F_DUPFD_CLOEXEC, HIGH], { label, result: copy });
  p.call("close", [valueOf(fd)]);
  p.call("dup3", [valueOf(copy), number, 0], { label });
}

/** Makes the socket by which criu is asked, and hands its other end to the starter. */
function openSocket(s: Scope, number: number): void {
  const { p } = s;
  const label = "make criu's socket";
  const pair = p.variable("criu's socket", 8);
  const kind = SOCK_SEQPACKET | SOCK_CLOEXEC;
  p.call("socketpair", [AF_UNIX, kind, 0, pair], { label });
  const [ours, theirs] = [s.descriptor("criu's end"), s.descriptor("starter's end")];
  const end = s.descriptor("end");
  p.set(end, valueOf(pair, 0));
  p.call("fcntl", [valueOf(end), F_DUPFD_CLOEXEC, HIGH], { label, result: ours });
  p.set(theirs, valueOf(pair, 4));
  sendDescriptor(s, CONTROL, theirs, "hand out criu's socket");
  p.call("close", [valueOf(end)]);
  p.call("close", [valueOf(theirs)]);
  p.call("dup3", [valueOf(ours), number, 0], { label });
}

/** The groups, and the root where criu looks for it. */
function prepare(s: Scope, input: RestoreInput): void {
  const { p } = s;
  const fd = s.descriptor("group");
  for (const file of input.groups) {
    const label = `join ${file}`;
    p.call("openat", [AT_FDCWD, p.string(file), O_WRONLY | O_CLOEXEC, 0], { label, result: fd });
    p.call("write", [valueOf(fd), p.string("0"), 1], { label });
    p.call("close", [valueOf(fd)]);
  }
  p.call("unshare", [CLONE_NEWNS], { label: "make a mount namespace for criu" });
  isolateMounts(s, input);
  const root = attachRoot(s, input, undefined, () => input.attachPoint);
  for (const mount of ownPoints(input.spec)) {
    const kind = isBind(mount) ? input.facts.sourceKinds.get(mount.source!) : undefined;
    openOrMake(s, root, mount.destination, kind ?? "directory");
  }
  sealRoot(s, input, root);
}

/** The mounts whose mount points lie in the root itself, and not in another mount. */
export function ownPoints({ mounts = [] }: Spec): Mount[] {
  const root = rootMount(mounts);
  const above: string[] = [];
  return mounts.filter((mount) => {
    if (mount === root) return false;
    const path = below(mount.destination);
    const covered = above.some((other) => path === other || path.startsWith(`${other}/`));
    above.push(path);
    return !covered;
  });
}

/** The monitor's steps, and in the middle of them criu's. */
function monitor(s: Scope, input: CriuInput, options: MonitorOptions): void {
  const { p } = s;
  const terminal = input.restore?.spec.process?.terminal ?? false;
  const all = p.bytes(new Uint8Array(8).fill(0xff), "all");
  p.call("prctl", [PR_SET_NAME, p.string("crate-monitor"), 0, 0, 0]);
  p.call("rt_sigprocmask", [SIG_SETMASK, all, 0, 8], { label: "block signals" });
  p.call("chdir", [p.string("/")], { label: "keep no directory busy" });
  p.call("setsid", [], { label: "leave the session" });
  const { log } = options;
  let streams = log === undefined || terminal ? [] : openLog(s, log);
  const consoleLog = log === undefined || !terminal ? undefined : openLogFile(s, log);
  const exitFile = options.exitFile === undefined ? undefined : reserve(s, options.exitFile);
  const record = p.variable("criu's pid", RECORD_SIZE);
  const child = p.label("criu");
  const outputs = streams;
  const args = p.struct(clone_args, { exit_signal: SIGCHLD });
  p.call("clone3", [args, clone_args.size], {
    label: "clone criu",
    result: placeIn(record, 8),
    zero: child,
  });
  s.aside(() => {
    p.place(child);
    become(s, input, outputs);
  });
  p.call("write", [REPORT, record, RECORD_SIZE], { label: "tell criu's pid" });
  p.call("close_range", [0, 2, 0]);
  for (const { writeEnd } of streams) p.call("close", [valueOf(writeEnd)]);
  p.call("close_range", [REPORT, input.next - 1, 0]);
  p.call("waitid", [P_PID, valueOf(record, 8), 0, WEXITED, 0], { label: "wait for criu" });
  const { pidfd, master } = takeOver(s);
  if (consoleLog !== undefined) {
    const next = s.label("next");
    p.call("fcntl", [valueOf(master), F_SETFL, O_RDWR | O_NONBLOCK], { negative: next });
    p.place(next);
    streams = [consoleStream(s, consoleLog, master)];
  }
  watch(s, options, { pidfd, streams, exitFile });
}

/** Waits for the restored init's pid; ends where the starter is gone or has none to tell. */
function takeOver(s: Scope): { pidfd: Cell; master: Cell } {
  const { p } = s;
  const pid = p.variable("init's pid", 4);
  const length = p.variable("length", 8, new Uint8Array([4, 0, 0, 0, 0, 0, 0, 0]));
  const { message, control } = descriptorMessage(s, { content: pid, length });
  const gone = s.label("starter gone");
  p.call("recvmsg", [CONTROL, message, MSG_CMSG_CLOEXEC], { zero: gone, negative: gone });
  s.aside(() => {
    p.place(gone);
    p.call("exit_group", [SETUP_FAILED]);
  });
  const master = s.descriptor("console master");
  p.set(master, valueOf(control, cmsg_fd.offset("fd")));
  const pidfd = s.descriptor("init pidfd");
  p.call("pidfd_open", [valueOf(pid), 0], { label: "open the init", result: pidfd });
  const next = s.label("next");
  p.call("sendto", [CONTROL, p.string("+"), 1, MSG_NOSIGNAL, 0, 0], { negative: next });
  p.place(next);
  return { pidfd, master };
}
