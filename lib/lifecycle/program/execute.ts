import {
  type Argument,
  AT_EACCESS,
  AT_FDCWD,
  type Cell,
  EACCES,
  ENOENT,
  ENOTDIR,
  type Label,
  valueOf,
  X_OK,
} from "../../../ffi/mod.ts";
import type { Process } from "../../spec/mod.ts";
import type { Scope } from "./scope.ts";
import { EXECUTE } from "./protocol.ts";

/** Where a program without a slash is looked for when the environment has no PATH. */
const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** The files that a program's name may mean, in order; execvp(3). */
export function candidates(name: string, env: readonly string[]): string[] {
  return name.includes("/") ? [name] : searched(env).map((directory) => `${directory}/${name}`);
}

/** The directories in which a program without a slash is looked for. */
export function searched(env: readonly string[]): string[] {
  const path = env.find((variable) => variable.startsWith("PATH="))?.slice(5) || DEFAULT_PATH;
  return path.split(":").map((directory) => directory === "" ? "." : directory);
}

/** What execve(2) takes beside the file; made before anything is given up. */
export interface Execution {
  /** For another process that was executed with the arguments, and has a copy of them: the steps that make it forget them. */
  readonly forget?: (name: string) => void;
  readonly files: readonly Cell[];
  readonly argv: Argument;
  readonly envp: Argument;
  readonly label: string;
}

/** Puts a process's arguments and environment into the data. */
export function prepareExecution(s: Scope, process: Process): Execution {
  const { p } = s;
  const args = process.args!;
  const env = process.env ?? [];
  return {
    files: candidates(args[0]!, env).map((file) => p.string(file)),
    argv: p.pointers(args.map((arg) => p.string(arg)), JSON.stringify(args)),
    envp: p.pointers(env.map((variable) => p.string(variable)), `(${env.length} variables)`),
    label: EXECUTE + args[0],
  };
}

/**
 * Fails as `execute` would when none of the candidates is there, or may be executed: the kernel is asked
 * with the ids that the process has by now. faccessat2(2)
 */
export function lookFor(s: Scope, { files, label }: Execution): void {
  const { p } = s;
  const result = s.descriptor("look's result");
  const refused = s.descriptor("refused look");
  const found = s.label("found");
  for (const file of files) {
    const next = s.label("next");
    const missed = s.label("missed");
    p.call("faccessat2", [AT_FDCWD, file, X_OK, AT_EACCESS], {
      label,
      result,
      negative: missed,
      zero: found,
    });
    p.place(next);
    s.aside(() => {
      p.place(missed);
      p.jumpIfEqual(valueOf(result), -ENOENT, next);
      p.jumpIfEqual(valueOf(result), -ENOTDIR, next);
      p.set(refused, valueOf(result));
      p.jump(next);
    });
  }
  const last = s.label("not found");
  p.compute(valueOf(refused), 0, -1, { label, zero: last });
  p.place(last);
  s.fail(label, result);
  p.place(found);
}

/**
 * The last steps: execve of each candidate. One that is not there makes room for the next; one that
 * may not be executed is remembered, and told if no other can.
 */
export function execute(s: Scope, { files, argv, envp, label }: Execution): void {
  const { p } = s;
  const result = s.descriptor("execve's result");
  const refused = s.descriptor("refused");
  const tries: { look: Label; next: Label }[] = [];
  for (const file of files) {
    const look = s.label("look");
    const next = s.label("next");
    tries.push({ look, next });
    const args: Argument[] = [file, argv, envp];
    p.call("execve", args, { label, result, negative: look });
    p.place(next);
  }
  // No candidate is left: the one that was refused, or the last one's error.
  const last = s.label("not found");
  p.compute(valueOf(refused), 0, -1, { label, zero: last });
  p.place(last);
  s.fail(label, result);
  s.aside(() => {
    for (const { look, next } of tries) {
      const denied = s.label("denied");
      p.place(look);
      p.jumpIfEqual(valueOf(result), -ENOENT, next);
      p.jumpIfEqual(valueOf(result), -ENOTDIR, next);
      p.jumpIfEqual(valueOf(result), -EACCES, denied);
      s.fail(label, result);
      p.place(denied);
      p.set(refused, valueOf(result));
      p.jump(next);
    }
  });
}
