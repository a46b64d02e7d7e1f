import {
  close,
  decodeText,
  MFD_CLOEXEC,
  readAll,
  syscall,
  trySyscall,
  writeAll,
} from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import { after } from "../timers.ts";
import { waitForExit } from "./ended.ts";
import { openProcess, type ProcessId } from "./process_id.ts";
import { compileHook } from "./program/mod.ts";
import { launch, type Launched, type Stdio } from "./start.ts";
import type { Exit } from "./state.ts";

// Programs of the host: hooks, and those that make networks. Each has a monitor, by which it ends when this
// process does.

const SEEK_SET = 0;
const SHUT_RDWR = 2;
/** As much is read of what a program has written. */
const MAX_OUTPUT = 1 << 20;

/** A program of the host. */
export interface Task {
  /** What `ps` shows of its monitor. */
  readonly name?: string;
  readonly path: string;
  /** The first is its own name. */
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  /** Where an unlinked file may stand. */
  readonly directory: string;
}

/** A program that is run to its end. */
export interface FiniteTask extends Task {
  /** What it reads from its standard input. */
  readonly input: string;
  /** Milliseconds. */
  readonly timeout?: number;
  /** Whose namespaces it runs in, and their `CLONE_NEW…` flags; absent: the host's. */
  readonly inside?: { readonly init: ProcessId; readonly namespaces: number };
  /** Its standard output is kept apart from its standard error. */
  readonly apart?: boolean;
}

/** How a program ended, and what it has written. */
export interface TaskEnd {
  readonly exit: Exit;
  /** It was ended because its time was over. */
  readonly isLate: boolean;
  /** Its standard error; and its standard output, where they are not apart. */
  readonly said: string;
  /** Its standard output, where it is apart. */
  readonly output: string;
}

/**
 * Runs a program to its end.
 *
 * @throws {CrateError} when it cannot be run.
 */
export async function runTask(task: FiniteTask): Promise<TaskEnd> {
  const { input, timeout, inside, apart = false, directory, ...rest } = task;
  const program = compileHook({ ...rest, namespaces: inside?.namespaces ?? 0 });
  const opened: number[] = [];
  const keep = (fd: number) => {
    opened.push(fd);
    return fd;
  };
  const memory = (name: string) => keep(syscall("memfd_create", name, MFD_CLOEXEC));
  const text = (fd: number) => {
    syscall("lseek", fd, 0, SEEK_SET);
    return decodeText(readAll(fd, MAX_OUTPUT));
  };
  try {
    const given = memory("input");
    writeAll(given, input);
    syscall("lseek", given, 0, SEEK_SET);
    const said = memory("said");
    const output = apart ? memory("output") : said;
    const extra: number[] = [];
    if (inside !== undefined) {
      const pidfd = openProcess(inside.init);
      if (pidfd === undefined) {
        throw new CrateError("START", "the container's init has ended");
      }
      extra.push(keep(pidfd));
    }
    const stdio = [given, output, said] as const;
    const launched = launch(program, { name: rest.name ?? "crate-hook", stdio, extra, directory });
    await goOrAbandon(launched);
    let isLate = false;
    // Its monitor ends it when we are gone.
    const prevent = timeout === undefined ? undefined : after(timeout, () => {
      isLate = true;
      trySyscall("shutdown", launched.control, SHUT_RDWR);
    });
    const exit = await waitForExit(launched).finally(prevent);
    return { exit, isLate, said: text(said), output: apart ? text(output) : "" };
  } finally {
    for (const fd of opened) close(fd);
  }
}

async function goOrAbandon(launched: Launched): Promise<void> {
  try {
    await launched.go();
  } catch (error) {
    await launched.abandon();
    throw error;
  }
}

/**
 * Starts a program that stays, in a session of its own: until its control socket is shut down, or nobody
 * has the socket any more.
 *
 * @param kept descriptors that it keeps, from `FIRST_KEPT` on.
 * @throws {CrateError} when it cannot be run.
 */
export async function startTask(
  { directory, ...rest }: Task,
  stdio: Stdio,
  kept: readonly number[],
): Promise<Launched> {
  const program = compileHook({ ...rest, namespaces: 0, kept: kept.length, ownSession: true });
  const name = rest.name ?? rest.path;
  const launched = launch(program, { name, stdio, extra: kept, directory });
  await goOrAbandon(launched);
  return launched;
}

/** Tells the monitor of a program that stays to end it. */
export function endTask({ control }: Pick<Launched, "control">): void {
  trySyscall("shutdown", control, SHUT_RDWR);
}
