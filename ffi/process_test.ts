import assert from "node:assert/strict";
import fc from "fast-check";
import { run } from "./_tools.ts";
import {
  AT_FDCWD,
  F_DUPFD_CLOEXEC,
  F_SEAL_ALL,
  O_CLOEXEC,
  O_CREAT,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
  SIG_BLOCK,
  SIG_SETMASK,
} from "./constants.ts";
import { SyscallError } from "./errno.ts";
import { close, open, readAll } from "./files.ts";
import { syscall, trySyscall } from "./libc.ts";
import { spawn } from "./process.ts";
import { placeIn, type Program, ProgramBuilder } from "./program/builder.ts";

const F_GET_SEALS = 1034;
const ETXTBSY = 26;
const SIGPIPE_BIT = 1n << 12n;

function pipe(): [readEnd: number, writeEnd: number] {
  const ends = new Int32Array(2);
  syscall("pipe2", new Uint8Array(ends.buffer), O_CLOEXEC);
  return [ends[0]!, ends[1]!];
}

/** A program that becomes another one. */
function execute(...argv: string[]): Program {
  const p = new ProgramBuilder();
  const failed = p.label("failed");
  p.handler(failed);
  const words = p.pointers(argv.map((word) => p.string(word)), "argv");
  p.call("execve", [p.string(argv[0]!), words, p.pointers([], "envp")]);
  p.place(failed);
  p.call("exit_group", [126]);
  return p.build();
}

/** Its exit code, as waitid(2) tells it. */
function wait(pid: number): number {
  const info = new Uint8Array(128);
  syscall("waitid", 1, pid, info, 4, null);
  return new DataView(info.buffer).getInt32(24, true);
}

/** What a program writes to its standard output and errors. */
function capture(program: Program, extra: readonly number[] = []): { text: string; code: number } {
  const [readEnd, writeEnd] = pipe();
  const input = open("/dev/null", O_RDONLY);
  const descriptors = [input, writeEnd, writeEnd, ...extra];
  const pid = spawn(program, { name: "test", descriptors });
  close(writeEnd);
  close(input);
  const text = new TextDecoder().decode(readAll(readEnd));
  close(readEnd);
  return { text, code: wait(pid) };
}

/** Those of our children that have not been waited for. */
function children(): string {
  return [...Deno.readDirSync("/proc/self/task")].map(({ name }) =>
    Deno.readTextFileSync(`/proc/self/task/${name}/children`)
  ).join("");
}

/** The signal sets of a status file, proc(5). */
function signals(status: string): Record<string, bigint> {
  const found = status.matchAll(/^(Sig\w+):\s+([0-9a-f]{16})$/gm);
  return Object.fromEntries([...found].map(([, name, set]) => [name, BigInt(`0x${set}`)]));
}

Deno.test("a program starts as a process of its own, and its end is waited for", () => {
  const { text, code } = capture(execute("/bin/sh", "-c", "echo $PPID; exit 7"));
  assert.equal(text, `${Deno.pid}\n`);
  assert.equal(code, 7);
});

Deno.test("a program starts with no signal ignored and none blocked", () => {
  const own = signals(Deno.readTextFileSync("/proc/self/status"));
  assert(own.SigIgn! & SIGPIPE_BIT, "the runtime ignores SIGPIPE, which is what this is about");
  const old = new Uint8Array(8);
  // SIGUSR2 and SIGRTMAX
  const more = new Uint8Array(new BigUint64Array([(1n << 11n) | (1n << 63n)]).buffer);
  syscall("rt_sigprocmask", SIG_BLOCK, more, old, 8);
  try {
    const child = signals(capture(execute("/bin/cat", "/proc/self/status")).text);
    assert.deepEqual([child.SigBlk, child.SigIgn, child.SigCgt], [0n, 0n, 0n]);
    const now = new Uint8Array(8);
    syscall("rt_sigprocmask", SIG_BLOCK, null, now, 8);
    const expected = old.map((byte, i) => byte | more[i]!);
    assert.deepEqual(now, expected, "this thread's own mask is as it was");
  } finally {
    syscall("rt_sigprocmask", SIG_SETMASK, old, null, 8);
  }
  const after = signals(Deno.readTextFileSync("/proc/self/status"));
  assert.deepEqual([after.SigIgn, after.SigCgt], [own.SigIgn, own.SigCgt]);
});

Deno.test("a process has the descriptors it was given and no others", async () => {
  const directory = await Deno.makeTempDir();
  const opened: number[] = [];
  try {
    // Without close-on-exec, near and far.
    for (const above of [0, 70, 300, 1500]) {
      const fd = syscall("openat", AT_FDCWD, `${directory}/${above}`, O_CREAT | O_WRONLY, 0o600);
      opened.push(fd, syscall("fcntl", fd, 0, above)); // F_DUPFD
    }
    const { text } = capture(execute("/bin/ls", "/proc/self/fd"), [opened[0]!, opened[3]!]);
    // The last is the one by which ls reads the directory.
    assert.equal(text, "0\n1\n2\n3\n4\n5\n");
  } finally {
    for (const fd of opened) close(fd);
    await Deno.remove(directory, { recursive: true });
  }
});

/** Writes the first byte of each of the descriptors 0 to `count - 1` to the one after them. */
function readEach(count: number): Program {
  const p = new ProgramBuilder();
  const failed = p.label("failed");
  p.handler(failed);
  const bytes = p.variable("bytes", 64);
  for (let i = 0; i < count; i++) {
    p.call("lseek", [i, 0, 0]);
    p.call("read", [i, { address: placeIn(bytes, i) }, 1]);
  }
  p.call("write", [count, bytes, count]);
  p.call("exit_group", [0]);
  p.place(failed);
  p.call("exit_group", [1]);
  return p.build();
}

Deno.test("descriptors come to their places, wherever they were and however often each is given", async () => {
  const directory = await Deno.makeTempDir();
  const fds = new Map<number, string>();
  try {
    const letters = "abcdefghijklmnop";
    for (const [i, letter] of [...letters].entries()) {
      Deno.writeTextFileSync(`${directory}/${letter}`, letter);
      const fd = open(`${directory}/${letter}`, O_RDONLY);
      fds.set(fd, letter);
      // Low numbers, which are places too, and numbers that a careless copy would run over.
      fds.set(syscall("fcntl", fd, F_DUPFD_CLOEXEC, [0, 10, 60, 64, 70, 200][i % 6]!), letter);
    }
    const sources = fc.array(fc.constantFrom(...fds.keys()), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(sources, fc.nat(40), (sources, gap) => {
        const [readEnd, low] = pipe();
        const writeEnd = syscall("fcntl", low, F_DUPFD_CLOEXEC, 50 + gap);
        close(low);
        const options = { name: "test", descriptors: [...sources, writeEnd] };
        const pid = spawn(readEach(sources.length), options);
        close(writeEnd);
        const text = new TextDecoder().decode(readAll(readEnd));
        close(readEnd);
        assert.equal(wait(pid), 0);
        assert.equal(text, sources.map((fd) => fds.get(fd)).join(""));
      }),
      { numRuns: 60, examples: [[[...fds.keys()].slice(0, 20), 14]] },
    );
  } finally {
    for (const fd of fds.keys()) close(fd);
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("a descriptor that is not open is named, and no child is left", () => {
  const before = children();
  assert.throws(
    () => spawn(execute("/bin/true"), { name: "test", descriptors: [0, 1, 2, 999] }),
    (error) => error instanceof SyscallError && error.message === "copy descriptor 999: EBADF",
  );
  assert.equal(children(), before);
});

/** Runs a program that waits, and looks at it meanwhile through its directory in /proc. */
function whileItRuns(name: string, look: (proc: string) => void): void {
  const [readEnd, writeEnd] = pipe();
  const [ready, begun] = pipe();
  const p = new ProgramBuilder();
  p.variable("large", 300_000);
  const byte = p.variable("byte", 1);
  const end = p.label("end");
  // spawn returns a moment before the kernel has put all of the new program in its place.
  p.call("write", [1, byte, 1], { negative: end });
  p.call("close", [1], { negative: end });
  p.call("read", [0, byte, 1], { negative: end });
  p.place(end);
  p.call("exit_group", [0]);
  const pid = spawn(p.build(), { name, descriptors: [readEnd, begun] });
  close(readEnd);
  close(begun);
  try {
    readAll(ready);
    look(`/proc/${pid}`);
  } finally {
    close(ready);
    close(writeEnd);
    wait(pid);
  }
}

Deno.test("a process shows its name, has no environment, and its file is a sealed memfd", () => {
  whileItRuns("crate-something", (proc) => {
    const read = (name: string) => Deno.readTextFileSync(`${proc}/${name}`);
    assert.equal(read("cmdline"), "crate-something\0");
    assert.equal(read("environ"), "");
    assert.equal(Deno.readLinkSync(`${proc}/exe`), "/memfd:crate (deleted)");
    const exe = open(`${proc}/exe`, O_RDONLY);
    const seals = syscall("fcntl", exe, F_GET_SEALS, 0);
    close(exe);
    assert.equal(seals & F_SEAL_ALL, F_SEAL_ALL);
    // Nobody writes into it: neither while it runs nor, by the seals, afterwards.
    assert.equal(trySyscall("openat", AT_FDCWD, `${proc}/exe`, O_RDWR, 0), -ETXTBSY);
    assert.deepEqual([...Deno.readDirSync(`${proc}/fd`)].map(({ name }) => name), ["0"]);
    assert.equal([...Deno.readDirSync(`${proc}/task`)].length, 1);
    const resident = Number(/^VmRSS:\s+(\d+) kB$/m.exec(read("status"))![1]);
    assert(resident <= 100, `${resident} kB resident`);
  });
});

Deno.test("no memory of a process can be both written and executed", () => {
  whileItRuns("test", (proc) => {
    const maps = Deno.readTextFileSync(`${proc}/maps`);
    const modes = maps.trim().split("\n").map((line) => line.split(/\s+/)[1]!);
    assert(modes.includes("r-xp") && modes.includes("rw-p"), maps);
    for (const mode of modes) assert.doesNotMatch(mode, /w.*x/, maps);
    assert.match(maps, /rw-p .*\[stack\]/);
  });
});

/** Runs a script that imports this room, where no more than so many descriptors may be open. */
async function script(text: string, limit = 1024): Promise<string> {
  const file = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    const source = `import * as ffi from ${JSON.stringify(import.meta.resolve("./mod.ts"))};\n`;
    await Deno.writeTextFile(file, source + text);
    const args = ["run", "--quiet", "--no-config", "--no-prompt", "--no-check", "-A", file];
    const command = `ulimit -n ${limit}; exec "$0" "$@"`;
    return await run("/bin/sh", ["-c", command, Deno.execPath(), ...args]);
  } finally {
    await Deno.remove(file);
  }
}

Deno.test("a process becomes a program: the same pid, and nothing of the runtime is left", async () => {
  const text = await script(`
    const p = new ffi.ProgramBuilder();
    const failed = p.label("failed");
    p.handler(failed);
    const command = "echo $$; ls /proc/self/fd; grep -E '^(Threads|SigIgn)' /proc/self/status";
    const argv = p.pointers(["sh", "-c", command].map((word) => p.string(word)), "argv");
    p.call("execve", [p.string("/bin/sh"), argv, p.pointers([p.string("PATH=/usr/bin:/bin")], "")]);
    p.place(failed);
    p.call("exit_group", [1]);
    console.log(Deno.pid);
    ffi.become(p.build(), { name: "became", descriptors: [0, 1, 2] });
  `);
  const [before, after, ...rest] = text.trim().split("\n");
  assert.equal(after, before);
  assert.deepEqual(rest.map((line) => line.replace(/\s+/, " ")), [
    "0",
    "1",
    "2",
    "3", // ls's own
    "Threads: 1",
    "SigIgn: 0000000000000000",
  ]);
});

Deno.test("a program that a process becomes begins with every signal blocked: they wait for it", async () => {
  const text = await script(`
    const p = new ffi.ProgramBuilder();
    const failed = p.label("failed");
    p.handler(failed);
    const words = ["/bin/cat", "/proc/self/status"].map((word) => p.string(word));
    p.call("execve", [words[0], p.pointers(words, "argv"), p.pointers([], "envp")]);
    p.place(failed);
    p.call("exit_group", [1]);
    ffi.become(p.build(), { name: "became", descriptors: [0, 1, 2] });
  `);
  // All but SIGKILL and SIGSTOP, which cannot be.
  assert.match(text, /^SigBlk:\tfffffffffffbfeff$/m);
});

Deno.test("a process that cannot become a program is told why, and goes on", async () => {
  const text = await script(`
    const p = new ffi.ProgramBuilder();
    p.call("exit_group", [1]);
    try {
      ffi.become(p.build(), { name: "x", descriptors: [0, 1, 2, 999] });
    } catch (error) {
      console.log(error.name, error.message);
    }
    await Deno.writeTextFile("/dev/null", "still here");
    console.log("on");
  `);
  assert.equal(text, "SyscallError copy descriptor 999: EBADF\non\n");
});

Deno.test("a program starts where few descriptors may be open", async () => {
  const text = await script(
    `
    const p = new ffi.ProgramBuilder();
    p.call("exit_group", [7]);
    const pid = ffi.spawn(p.build(), { name: "x", descriptors: [0, 1, 2] });
    const info = new Uint8Array(128);
    ffi.syscall("waitid", 1, pid, info, 4, null);
    console.log(new DataView(info.buffer).getInt32(24, true));
  `,
    48,
  );
  assert.equal(text, "7\n");
});

/** Becomes a shell that says which children it has, again and again. */
const BECOMES = `
  const p = new ffi.ProgramBuilder();
  const failed = p.label("failed");
  p.handler(failed);
  const command = "for i in 1 2 3 4 5 6 7 8 9; do cat /proc/$$/task/$$/children; echo; sleep 0.1; done";
  const argv = p.pointers(["sh", "-c", command].map((word) => p.string(word)), "argv");
  p.call("execve", [p.string("/bin/sh"), argv, p.pointers([p.string("PATH=/usr/bin:/bin")], "")]);
  p.place(failed);
  p.call("exit_group", [1]);
`;

Deno.test("the memory of before is given back by a child, which ends, and of which nothing is left", async () => {
  const text = await script(`${BECOMES}
    ffi.become(p.build(), { name: "became", descriptors: [0, 1, 2], ignoresChildren: true });
  `);
  // The last time it is cat alone.
  const children = text.trim().split("\n").at(-1)!.trim();
  assert.match(children, /^\d+$/);
});

Deno.test("a process that cannot become a program has its memory back, and nobody is in it besides", async () => {
  const text = await script(`
    const none = new ffi.ProgramBuilder();
    none.call("exit_group", [1]);
    const other = new ffi.ProgramBuilder();
    const calls = other.variable("calls", 4);
    // What would be walked by another process, too, if there were one.
    for (let i = 0; i < 50; i++) other.call("getpid", [], { result: calls, negative: ffi.NEXT });
    other.return();
    const [failing, walked] = [none.build(), other.build()];
    const messages = new Set();
    const pids = new Set();
    for (let i = 0; i < 200; i++) {
      try {
        ffi.become(failing, { name: "x", descriptors: [0, 1, 2, 999], ignoresChildren: true });
      } catch (error) {
        messages.add(error.name + " " + error.message);
      }
      pids.add(ffi.runProgram(walked).value(calls));
    }
    console.log([...messages].join(), [...pids].join() === String(Deno.pid));
    const info = new Uint8Array(128);
    console.log(ffi.trySyscall("waitid", 0, 0, info, ffi.WEXITED, null) === -ffi.ECHILD);
    console.log((await Deno.readTextFile("/proc/self/status")).match(/^SigBlk:\\t(.*)$/m)[1]);
  `);
  assert.equal(text, "SyscallError copy descriptor 999: EBADF true\ntrue\n0000000000000000\n");
});

Deno.test("a process ends at once with its code, and who keeps its memory ends after it, with nothing of it", async () => {
  const text = await script(`
    const file = import.meta.url;
    if (Deno.args.length > 0) {
      globalThis.addEventListener("unload", () => console.log("unload"));
      console.log("said");
      ffi.end(7);
    }
    // Whatever is left of it is this process's.
    ffi.syscall("prctl", ffi.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    const args = ["run", "--quiet", "--no-config", "--no-check", "-A", file, "end"];
    // Its output ends with it: nobody else has it open.
    const { code, stdout } = new Deno.Command(Deno.execPath(), { args }).outputSync();
    console.log(code, new TextDecoder().decode(stdout).trim());
    const info = new Uint8Array(128);
    ffi.syscall("waitid", ffi.P_ALL, 0, info, ffi.WEXITED, null);
    console.log(ffi.siginfo.get(info, "si_status"));
    console.log(ffi.trySyscall("waitid", ffi.P_ALL, 0, info, ffi.WEXITED, null) === -ffi.ECHILD);
  `);
  assert.equal(text, "7 said\n0\ntrue\n");
});
