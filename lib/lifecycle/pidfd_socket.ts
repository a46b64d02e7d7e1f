import { close, runProgram, SyscallError } from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import { openProcess, type ProcessId } from "./process_id.ts";
import { Scope, sendDescriptor } from "./program/mod.ts";
import { connectTo } from "./sockets.ts";

/** The socket of an engine that wants a process's pidfd; disposing of it closes it. */
export interface PidfdSocket extends Disposable {
  /** Sends the process's pidfd, with SCM_RIGHTS. unix(7) @throws {CrateError} `START` */
  send(process: ProcessId): void;
}

/**
 * Connects to the stream socket on which an engine takes a pidfd; does nothing without a path.
 *
 * @throws {CrateError} `INVALID` when nobody listens.
 */
export function openPidfdSocket(path: string | undefined): PidfdSocket {
  if (path === undefined) return { send() {}, [Symbol.dispose]() {} };
  let socket: number;
  try {
    socket = connectTo(path, "stream");
  } catch (cause) {
    if (!(cause instanceof SyscallError)) throw cause;
    throw new CrateError("INVALID", `--pidfd-socket ${path}: nobody listens: ${cause.code}`, {
      cause,
    });
  }
  return {
    send(process) {
      const pidfd = openProcess(process);
      const sent = pidfd !== undefined && send(socket, pidfd);
      if (pidfd !== undefined) close(pidfd);
      if (!sent) throw new CrateError("START", `--pidfd-socket ${path} did not take the pidfd`);
    },
    [Symbol.dispose]: () => close(socket),
  };
}

/** In this process, by a program that returns. @returns whether it was sent. */
function send(socket: number, pidfd: number): boolean {
  const s = new Scope();
  const { p } = s;
  const fd = s.descriptor("pidfd");
  const result = s.descriptor("sent");
  const back = p.label("back");
  p.handler(back);
  p.set(fd, pidfd);
  sendDescriptor(s, socket, fd, "send the pidfd");
  p.set(result, 1);
  p.place(back);
  p.return();
  return runProgram(p.build()).value(result) === 1;
}
