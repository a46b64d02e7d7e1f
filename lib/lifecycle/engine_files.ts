import { replaceFile, SyscallError } from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import { connectTo } from "./sockets.ts";

// What an engine gives paths of: the socket that takes a console, the file that gets a pid.

/** @throws {CrateError} `USAGE` */
export function requireConsole(terminal: boolean, socket: string | undefined): void {
  if (terminal && socket === undefined) {
    throw new CrateError(
      "USAGE",
      "process.terminal is true: give --console-socket, on which somebody takes the console",
    );
  }
  if (!terminal && socket !== undefined) {
    throw new CrateError("USAGE", "--console-socket is for a process with process.terminal");
  }
}

/** Connects to the socket on which an engine takes a console. @throws {CrateError} `INVALID` */
export function connectConsole(path: string): number {
  try {
    return connectTo(path, "stream");
  } catch (cause) {
    if (!(cause instanceof SyscallError)) throw cause;
    throw new CrateError("INVALID", `--console-socket ${path}: nobody listens: ${cause.code}`, {
      cause,
    });
  }
}

/** @throws {CrateError} `INVALID` */
export function writePidFile(path: string, pid: number): void {
  try {
    replaceFile(path, String(pid));
  } catch (cause) {
    if (!(cause instanceof SyscallError)) throw cause;
    throw new CrateError("INVALID", `--pid-file ${path} cannot be made: ${cause.code}`, { cause });
  }
}
