import assert from "node:assert/strict";
import fc from "fast-check";
import { run } from "./_tools.ts";
import { AT_FDCWD, O_CLOEXEC, O_CREAT, O_WRONLY } from "./constants.ts";
import { EBADF, EINVAL, ENOENT, SyscallError } from "./errno.ts";
import { arch, libcPath, runProgram, runProgramAsync, syscall, trySyscall } from "./libc.ts";
import { ProgramBuilder, valueOf } from "./program/builder.ts";
import { timespec } from "./structs.ts";

/** What a call throws. */
function thrown(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  return assert.fail("nothing was thrown");
}

/** A file without a name that holds what is written to it. */
function memoryFile(): Disposable & { fd: number } {
  const fd = syscall("memfd_create", "test", 1);
  return { fd, [Symbol.dispose]: () => void syscall("close", fd) };
}

Deno.test("a call gives the kernel's result", () => {
  assert.equal(syscall("getpid"), Deno.pid);
  assert.equal(syscall("getuid"), Deno.uid());
  assert.equal(arch, Deno.build.arch);
});

Deno.test("a failing call throws what failed, why, and on what path", () => {
  const error = thrown(() => syscall("openat", AT_FDCWD, "/nowhere/at all", 0, 0));
  assert(error instanceof SyscallError);
  assert.deepEqual(
    { syscall: error.syscall, errno: error.errno, code: error.code, path: error.path },
    { syscall: "openat", errno: ENOENT, code: "ENOENT", path: "/nowhere/at all" },
  );
  const closed = thrown(() => syscall("close", -1));
  assert(closed instanceof SyscallError);
  assert.deepEqual([closed.code, closed.path], ["EBADF", undefined]);
});

Deno.test("trySyscall gives the negative error number and throws nothing", () => {
  assert.equal(trySyscall("close", -1), -EBADF);
  assert.equal(trySyscall("openat", AT_FDCWD, "/nowhere", 0, 0), -ENOENT);
});

Deno.test("a buffer goes in and comes back", () => {
  using file = memoryFile();
  const bytes = Uint8Array.of(1, 0, 255, 4);
  assert.equal(syscall("write", file.fd, bytes, 4), 4);
  const back = new Uint8Array(6).fill(9);
  syscall("lseek", file.fd, 0, 0);
  assert.equal(syscall("read", file.fd, back, 6), 4);
  assert.deepEqual(back, Uint8Array.of(1, 0, 255, 4, 9, 9));
});

Deno.test("a part of a buffer comes back into that part alone", () => {
  const whole = new Uint8Array(64);
  syscall("clock_gettime", 1, whole.subarray(16, 16 + timespec.size));
  assert.notEqual(timespec.get(whole.subarray(16), "tv_sec"), 0);
  assert(whole.subarray(0, 16).every((byte) => byte === 0));
  assert(whole.subarray(32).every((byte) => byte === 0));
});

Deno.test("several buffers and strings in one call keep apart", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const [from, to] = [`${directory}/ab`, `${directory}/c`];
    syscall("symlinkat", from, AT_FDCWD, to);
    const text = new Uint8Array(200);
    const length = syscall("readlinkat", AT_FDCWD, to, text, text.length);
    assert.equal(new TextDecoder().decode(text.subarray(0, length)), from);
    syscall("renameat2", AT_FDCWD, to, AT_FDCWD, `${directory}/longer than before`, 0);
    assert.deepEqual([...Deno.readDirSync(directory)].map(({ name }) => name), [
      "longer than before",
    ]);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("numbers of 64 bits arrive whole: negative ones, large ones, bigints", () => {
  using file = memoryFile();
  const seek = (to: number | bigint, from = 0) => syscall("lseek", file.fd, to, from);
  for (const to of [0, 1, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32 + 5, 2 ** 40]) {
    assert.equal(seek(to), to);
    assert.equal(seek(BigInt(to)), to);
    assert.equal(seek(-to, 1), 0);
  }
  assert.equal(trySyscall("lseek", file.fd, -1, 0), -EINVAL);
  assert.equal(trySyscall("lseek", file.fd, 2n ** 64n - 1n, 0), -EINVAL);
});

Deno.test("any text without a NUL names a file, as UTF-8", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const word = fc.string({ unit: "grapheme", minLength: 1, maxLength: 40 })
      .filter((name) =>
        !/[/\0]/.test(name) && name !== "." && name !== ".." && name.isWellFormed()
      );
    fc.assert(fc.property(word, (name) => {
      const flags = O_CREAT | O_WRONLY | O_CLOEXEC;
      syscall("close", syscall("openat", AT_FDCWD, `${directory}/${name}`, flags, 0o600));
      assert.deepEqual([...Deno.readDirSync(directory)].map((entry) => entry.name), [name]);
      syscall("unlinkat", AT_FDCWD, `${directory}/${name}`, 0);
    }));
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("a string with a NUL is refused and never cut", () => {
  for (const path of ["/dev/null\0/x", "\0", "ü\0"]) {
    for (const call of [syscall, trySyscall]) {
      const error = thrown(() => call("openat", AT_FDCWD, path, 0, 0));
      assert(error instanceof SyscallError);
      assert.equal(error.code, "EINVAL");
      assert.equal(error.path, JSON.stringify(path));
    }
  }
});

Deno.test("an argument that is too large is refused in words", () => {
  using file = memoryFile();
  const half = new Uint8Array(1 << 19);
  assert.equal(syscall("write", file.fd, half, half.length), half.length);
  assert.throws(() => syscall("write", file.fd, new Uint8Array((1 << 20) + 1), 1), RangeError);
  assert.throws(() => syscall("openat", AT_FDCWD, "x".repeat(400_000), 0, 0), RangeError);
  assert.equal(trySyscall("openat", AT_FDCWD, "x".repeat(5000), 0, 0), -36); // ENAMETOOLONG
});

Deno.test("a program in this process gives its variables back", async () => {
  const p = new ProgramBuilder();
  const pid = p.variable("pid", 4);
  const path = p.variable("path", 4096);
  const opened = p.variable("opened", 4);
  const back = p.label("back");
  p.call("getpid", [], { result: pid, negative: back });
  p.call("getcwd", [path, 4096], { negative: back });
  p.call("openat", [AT_FDCWD, p.string("/nowhere"), 0, 0], { result: opened, negative: back });
  p.place(back);
  p.return();
  const program = p.build();
  for (const ran of [runProgram(program), await runProgramAsync(program)]) {
    assert.equal(ran.value(pid), Deno.pid);
    assert.equal(ran.value(opened), -ENOENT);
    const bytes = ran.bytes(path);
    assert.equal(new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0))), Deno.cwd());
  }
});

Deno.test("programs on other threads run side by side, and each keeps its own memory", async () => {
  const pipe = new Int32Array(2);
  syscall("pipe2", new Uint8Array(pipe.buffer), O_CLOEXEC);
  const [readEnd, writeEnd] = [...pipe];
  const p = new ProgramBuilder();
  const byte = p.variable("byte", 4);
  const back = p.label("back");
  p.call("read", [readEnd!, byte, 1], { negative: back });
  p.place(back);
  p.return();
  const program = p.build();
  // Both wait for what comes last: one after the other they would wait for ever.
  const waiting = [runProgramAsync(program), runProgramAsync(program)];
  assert.equal(syscall("write", writeEnd!, "ab", 2), 2);
  const bytes = (await Promise.all(waiting)).map((ran) => String.fromCharCode(ran.value(byte)));
  assert.deepEqual(bytes.sort(), ["a", "b"]);
  for (const fd of pipe) syscall("close", fd);
});

Deno.test("a program that could not say where a failure leads is refused, and nothing runs", () => {
  using file = memoryFile();
  const p = new ProgramBuilder();
  p.call("ftruncate", [file.fd, 100], { label: "grow" });
  p.return();
  assert.throws(() => runProgram(p.build()), /the step "grow" may fail/);
  assert.equal(syscall("lseek", file.fd, 0, 2), 0);
});

Deno.test("a program that is too large for this process is refused in words", () => {
  const p = new ProgramBuilder();
  const large = p.variable("large", 1 << 16);
  p.compute(valueOf(large), 0, -1);
  p.return();
  assert.throws(() => runProgram(p.build()), /at most 64 KiB/);
});

/** A script in a process of its own, under these permissions. */
async function script(flags: readonly string[], text: string): Promise<string> {
  const file = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    const source = `import * as ffi from ${JSON.stringify(import.meta.resolve("./mod.ts"))};\n`;
    await Deno.writeTextFile(file, source + text);
    const args = ["run", "--quiet", "--no-config", "--no-prompt", "--no-check", ...flags, file];
    return await run(Deno.execPath(), args);
  } finally {
    await Deno.remove(file);
  }
}

/** The file that the running process has mapped. */
function mappedLibc(): string {
  syscall("getpid");
  const maps = Deno.readTextFileSync("/proc/self/maps");
  return /\/\S*libc[.-]\S*\.so\S*|\/\S*libc\.so\.6/.exec(maps)![0];
}

Deno.test("libc alone need be allowed, by its absolute path", async () => {
  const text = `
    const fd = ffi.syscall("memfd_create", "x", 1);
    ffi.writeAll(fd, "kept");
    ffi.syscall("lseek", fd, 0, 0);
    console.log(ffi.libcPath(), new TextDecoder().decode(ffi.readAll(fd)));
    ffi.openLibc({ asynchronous: true });
    Deno.permissions.revokeSync({ name: "ffi" });
    console.log(ffi.syscall("getpid") === Deno.pid);
    const p = new ffi.ProgramBuilder();
    p.return();
    await ffi.runProgramAsync(p.build());
  `;
  const candidates = [libcPath(), mappedLibc()].filter((path) => path.startsWith("/"));
  const lines = (await script([`--allow-ffi=${candidates.join(",")}`], text)).split("\n");
  assert(lines[0]!.startsWith("/") && lines[0]!.endsWith(" kept"), lines[0]);
  assert.equal(lines[1], "true");
});

Deno.test("without permission for libc, Deno's own refusal is what one sees", async () => {
  const text = `try { ffi.syscall("getpid"); console.log("called"); } catch (error) {
    console.log(error instanceof Deno.errors.NotCapable, error.message); }`;
  assert.match(await script([], text), /^true Requires ffi access/);
});

Deno.test("libc is opened with the first call, and not by the import", async () => {
  assert.equal(await script([], "console.log('imported');"), "imported\n");
});

Deno.test("a worker has calls of its own", async () => {
  const source = `import { syscall } from ${JSON.stringify(import.meta.resolve("./mod.ts"))};
    const buffer = new Uint8Array(16);
    for (let i = 0; i < 2000; i++) syscall("clock_gettime", 1, buffer);
    self.postMessage(syscall("getpid"));`;
  const url = `data:text/javascript,${encodeURIComponent(source)}`;
  const workers = [1, 2].map(() => new Worker(url, { type: "module" }));
  const answers = workers.map((worker) =>
    new Promise((resolve) => worker.onmessage = ({ data }) => resolve(data))
  );
  const buffer = new Uint8Array(8).fill(7);
  using file = memoryFile();
  for (let i = 0; i < 2000; i++) {
    syscall("lseek", file.fd, 0, 0);
    assert.equal(syscall("write", file.fd, buffer, 8), 8);
  }
  assert.deepEqual(await Promise.all(answers), [Deno.pid, Deno.pid]);
  for (const worker of workers) worker.terminate();
});
