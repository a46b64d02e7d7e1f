import {
  close,
  EAGAIN,
  EINTR,
  F_SETFL,
  O_CLOEXEC,
  O_NONBLOCK,
  POLLIN,
  POLLOUT,
  syscall,
  SyscallError,
  trySyscall,
} from "../../ffi/mod.ts";
import { forget, untilReady } from "./ready.ts";

/** A pipe's two descriptors, pipe(2). */
export function makePipe(): { readEnd: number; writeEnd: number } {
  const pair = new Int32Array(2);
  syscall("pipe2", new Uint8Array(pair.buffer), O_CLOEXEC);
  return { readEnd: pair[0]!, writeEnd: pair[1]! };
}

const CHUNK = 65536;

/** What comes out of a pipe; the descriptor is closed at its end. */
export function readStream(fd: number): ReadableStream<Uint8Array<ArrayBuffer>> {
  syscall("fcntl", fd, F_SETFL, O_NONBLOCK); // of our end only
  return new ReadableStream({
    async pull(controller) {
      const buffer = new Uint8Array(CHUNK);
      for (;;) {
        const got = trySyscall("read", fd, buffer, CHUNK);
        if (got > 0) return controller.enqueue(buffer.subarray(0, got));
        if (got === -EINTR) continue;
        if (got === -EAGAIN) {
          if (await untilReady(fd, POLLIN)) continue;
          return;
        }
        close(fd);
        return got === 0 ? controller.close() : controller.error(new SyscallError("read", -got));
      }
    },
    cancel: () => release(fd),
  }, { highWaterMark: 0 });
}

/** The way into a pipe; closing it closes the descriptor. */
export function writeStream(fd: number): WritableStream<Uint8Array<ArrayBuffer>> {
  syscall("fcntl", fd, F_SETFL, O_NONBLOCK);
  return new WritableStream({
    async write(bytes) {
      for (let at = 0; at < bytes.length;) {
        const part = bytes.subarray(at, at + CHUNK);
        const wrote = trySyscall("write", fd, part, part.length);
        if (wrote >= 0) at += wrote;
        else if (wrote === -EAGAIN) {
          if (!(await untilReady(fd, POLLOUT))) return;
        } else if (wrote !== -EINTR) throw new SyscallError("write", -wrote);
      }
    },
    close: () => close(fd),
    abort: () => release(fd),
  });
}

function release(fd: number): void {
  forget(fd);
  close(fd);
}
