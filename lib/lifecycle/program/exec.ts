import {
  AT_FDCWD,
  type Cell,
  CLONE_NEWCGROUP,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  O_WRONLY,
  PR_SET_DUMPABLE,
  type Program,
  valueOf,
} from "../../../ffi/mod.ts";
import type { Process } from "../../spec/mod.ts";
import { consolePair, openConsole, takeConsole } from "./console.ts";
import { prepareExecution } from "./execute.ts";
import { setRlimits } from "./identity.ts";
import { finishProcess } from "./init.ts";
import type { CgroupJoin } from "./input.ts";
import { supervise } from "./monitor.ts";
import { CONTROL } from "./protocol.ts";
import { below, openBelow, Scope } from "./scope.ts";

/** The descriptor of the container's init, a pidfd, that an exec's program starts with. */
export const EXEC_PIDFD = 5;

/** Everything that becomes the program of another process in a running container. */
export interface ExecInput {
  readonly process: Process;
  /** The `CLONE_NEW…` flags of the namespaces to join. */
  readonly namespaces: number;
  readonly cgroup: CgroupJoin;
  readonly seccomp?: { readonly filter: Uint8Array; readonly flags: number };
  readonly lastCapability: number;
  readonly detached: boolean;
}

/**
 * The program of `exec`: a monitor that joins all of the container's namespaces at once through its
 * init's pidfd (setns(2)), and in them the process, made as the container's own is.
 */
export function compileExec(input: ExecInput): Program {
  const s = new Scope();
  const { p } = s;
  const { process, detached } = input;
  const groups: Cell[] = [];
  const root = s.descriptor("root");
  const join = (flags: number) => {
    if (flags === 0) return;
    p.call("setns", [EXEC_PIDFD, flags], { label: "join the container's namespaces" });
  };
  supervise(s, {
    name: "crate-exec",
    namespaces: 0,
    cgroup: input.cgroup.descriptor,
    lastDescriptor: input.cgroup.descriptor ?? EXEC_PIDFD,
    detached,
    // A detached process's terminal is read, so that it does not stop, and not kept.
    log: detached && process.terminal ? "/dev/null" : undefined,
    console: detached && process.terminal ? { pair: consolePair, take: takeConsole } : undefined,
    removeFiles: [],
    removeDirectories: [],
    cgroupDirectories: [],
    before: () => {
      // Opened while the host's paths are there; written by the process itself.
      for (const file of input.cgroup.files) {
        const group = s.descriptor("tasks");
        p.call("openat", [AT_FDCWD, p.string(file), O_WRONLY | O_CLOEXEC, 0], {
          label: `join ${file}`,
          result: group,
        });
        groups.push(group);
      }
      // From here on what runs in the container can see this process: it must not look into it.
      p.call("prctl", [PR_SET_DUMPABLE, 0, 0, 0, 0], { label: "hide from the container" });
      join(input.namespaces & ~CLONE_NEWCGROUP);
    },
    after: () => {
      for (const group of groups) p.call("close", [valueOf(group)]);
    },
  }, ({ console }) => {
    p.call("umask", [0]);
    for (const group of groups) {
      p.call("write", [valueOf(group), p.string("0"), 1], { label: "join the container's groups" });
      p.call("close", [valueOf(group)]);
    }
    // Only now: from inside the namespace the kernel finds no way into its groups (nsdelegate).
    join(input.namespaces & CLONE_NEWCGROUP);
    p.call("setsid", [], { label: "begin a session" });
    p.call("openat", [AT_FDCWD, p.string("/"), O_PATH | O_DIRECTORY | O_CLOEXEC, 0], {
      label: "open the container's root",
      result: root,
    });
    if (process.terminal) {
      const socket = console === undefined ? CONTROL : valueOf(console);
      openConsole(s, valueOf(root), process, socket, undefined);
    }
    const cwd = s.descriptor("working directory");
    openBelow(s, valueOf(root), below(process.cwd), O_PATH | O_DIRECTORY, {
      label: `enter ${process.cwd}`,
      result: cwd,
    });
    setRlimits(s, process);
    finishProcess(s, {
      process,
      execution: prepareExecution(s, process),
      cwd,
      seccomp: input.seccomp,
      lastCapability: input.lastCapability,
    });
  });
  s.writeAsides();
  return p.build();
}
