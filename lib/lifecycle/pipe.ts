import {
  close,
  EINTR,
  O_CLOEXEC,
  ProgramBuilder,
  runProgramAsync,
  syscall,
  SyscallError,
  trySyscall,
} from "../../ffi/mod.ts";

/** A pipe's two descriptors, pipe(2). */
export function makePipe(): { readEnd: number; writeEnd: number } {
  const pair = new Int32Array(2);
  syscall("pipe2", new Uint8Array(pair.buffer), O_CLOEXEC);
  return { readEnd: pair[0]!, writeEnd: pair[1]! };
}

const CHUNK = 65536;

/** What comes out of a pipe, read on another thread; the descriptor is closed at its end. */
export function readStream(fd: number): ReadableStream<Uint8Array<ArrayBuffer>> {
  const p = new ProgramBuilder();
  const buffer = p.variable("buffer", CHUNK);
  const count = p.variable("count", 4);
  const back = p.label("back");
  p.call("read", [fd, buffer, CHUNK], { result: count, negative: back });
  p.place(back);
  p.return();
  const program = p.build();
  return new ReadableStream({
    async pull(controller) {
      const run = await runProgramAsync(program);
      const got = run.value(count);
      if (got > 0) controller.enqueue(run.bytes({ ...buffer, size: got }));
      else if (got !== -EINTR) {
        close(fd);
        if (got < 0) controller.error(new SyscallError("read", -got));
        else controller.close();
      }
    },
    cancel: () => close(fd),
  }, { highWaterMark: 0 });
}

/** The way into a pipe; closing it closes the descriptor. */
export function writeStream(fd: number): WritableStream<Uint8Array<ArrayBuffer>> {
  return new WritableStream({
    async write(bytes) {
      for (let at = 0; at < bytes.length;) {
        const p = new ProgramBuilder();
        const part = p.bytes(bytes.subarray(at, at + CHUNK));
        const count = p.variable("count", 4);
        const back = p.label("back");
        p.call("write", [fd, part, part.size], { result: count, negative: back });
        p.place(back);
        p.return();
        const wrote = (await runProgramAsync(p.build())).value(count);
        if (wrote < 0 && wrote !== -EINTR) throw new SyscallError("write", -wrote);
        if (wrote > 0) at += wrote;
      }
    },
    close: () => close(fd),
    abort: () => void trySyscall("close", fd),
  });
}
