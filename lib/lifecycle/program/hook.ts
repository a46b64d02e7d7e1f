import {
  CLOSE_RANGE_CLOEXEC,
  PR_SET_PDEATHSIG,
  type Program,
  SIG_SETMASK,
  SIGKILL,
} from "../../../ffi/mod.ts";
import { EXECUTE, execute, type Execution } from "./execute.ts";
import { EXEC_PIDFD } from "./exec.ts";
import { supervise } from "./monitor.ts";
import { REPORT } from "./protocol.ts";
import { awaitByte } from "./release.ts";
import { Scope } from "./scope.ts";

/** A hook's program as it is to be executed. */
export interface HookInput {
  readonly path: string;
  readonly args: readonly string[];
  readonly env: readonly string[];
  /** Where it starts, a path of the namespaces that it runs in. */
  readonly cwd: string;
  /** The `CLONE_NEW…` flags of the container's namespaces to join through its init's pidfd. */
  readonly namespaces: number;
}

/** The program of a hook: a monitor, which ends it when the starter is gone, and the hook itself. */
export function compileHook({ path, args, env, cwd, namespaces }: HookInput): Program {
  const s = new Scope();
  const { p } = s;
  supervise(s, {
    name: "crate-hook",
    namespaces: 0,
    lastDescriptor: namespaces === 0 ? REPORT : EXEC_PIDFD,
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
    p.call("close_range", [3, 0xffffffff, CLOSE_RANGE_CLOEXEC], {
      label: "close all descriptors on execve",
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
