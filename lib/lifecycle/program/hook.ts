import {
  CLOSE_RANGE_CLOEXEC,
  PR_SET_PDEATHSIG,
  type Program,
  SIG_SETMASK,
  SIGKILL,
} from "../../../ffi/mod.ts";
import { execute, type Execution } from "./execute.ts";
import { EXECUTE } from "./protocol.ts";
import { EXEC_PIDFD } from "./exec.ts";
import { supervise } from "./monitor.ts";
import { REPORT } from "./protocol.ts";
import { awaitByte } from "./release.ts";
import { Scope } from "./scope.ts";

/** A program of the host as it is to be executed: a hook, or one that makes networks. */
export interface HookInput {
  /** What `ps` shows of its monitor. */
  readonly name?: string;
  readonly path: string;
  readonly args: readonly string[];
  readonly env: readonly string[];
  /** Where it starts, a path of the namespaces that it runs in. */
  readonly cwd: string;
  /** The `CLONE_NEW…` flags of the container's namespaces to join through its init's pidfd. */
  readonly namespaces: number;
  /** How many descriptors it keeps beside the standard three, from {@linkcode FIRST_KEPT} on. */
  readonly kept?: number;
  /** In a session of its own: a terminal's keys do not reach it. */
  readonly ownSession?: boolean;
}

/** The number of the first descriptor that such a program keeps. */
export const FIRST_KEPT = REPORT + 1;

/** The program of a hook: a monitor, which ends it when the starter is gone, and the hook itself. */
export function compileHook(input: HookInput): Program {
  const { name = "crate-hook", path, args, env, cwd, namespaces, kept = 0, ownSession } = input;
  const s = new Scope();
  const { p } = s;
  supervise(s, {
    name,
    namespaces: 0,
    lastDescriptor: namespaces === 0 ? REPORT + kept : EXEC_PIDFD,
    detached: false,
    removeFiles: [],
    removeDirectories: [],
    cgroupDirectories: [],
    before: () => {
      if (namespaces === 0) return;
      p.call("setns", [EXEC_PIDFD, namespaces], { label: "join the container's namespaces" });
    },
  }, () => {
    p.call("umask", [0o022]);
    p.call("chdir", [p.string(cwd)], { label: `enter ${cwd}` });
    p.call("prctl", [PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0], { label: "die with the monitor" });
    awaitByte(s, "wait for the start");
    if (ownSession) p.call("setsid", [], { label: "begin a session" });
    const label = "close all descriptors on execve";
    if (kept > 0) p.call("close_range", [3, REPORT, CLOSE_RANGE_CLOEXEC], { label });
    p.call("close_range", [kept > 0 ? FIRST_KEPT + kept : 3, 0xffffffff, CLOSE_RANGE_CLOEXEC], {
      label,
    });
    const none = p.bytes(new Uint8Array(8), "{}");
    p.call("rt_sigprocmask", [SIG_SETMASK, none, 0, 8], { label: "unblock signals" });
    const execution: Execution = {
      files: [p.string(path)],
      argv: p.pointers(args.map((arg) => p.string(arg)), JSON.stringify(args)),
      envp: p.pointers(env.map((variable) => p.string(variable)), `(${env.length} variables)`),
      label: EXECUTE + path,
    };
    execute(s, execution);
  });
  s.writeAsides();
  return p.build();
}
