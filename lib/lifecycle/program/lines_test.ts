import assert from "node:assert/strict";
import fc from "fast-check";
import {
  identify,
  type Label,
  P_PID,
  type ProcessId,
  ProgramBuilder,
  runProgram,
  spawn,
  syscall,
  trySyscall,
  WEXITED,
} from "../../../ffi/mod.ts";
import { findLine, processCells, readBytes, unlessEnded } from "./lines.ts";
import { Scope } from "./scope.ts";

/** Whether a program takes the way that `write` is given. */
function takes(write: (s: Scope, way: Label) => void): boolean {
  const s = new Scope();
  const { p } = s;
  const taken = p.variable("taken", 4);
  const way = p.label("way");
  const back = p.label("back");
  write(s, way);
  p.jump(back);
  p.place(way);
  p.set(taken, 1);
  p.place(back);
  p.return();
  return runProgram(p.build()).value(taken) === 1;
}

/** Writes a file, and says whether a line is found in it. */
function finder(use: (finds: (text: string, line: string) => boolean) => void): void {
  const file = Deno.makeTempFileSync();
  try {
    use((text, line) => {
      Deno.writeTextFileSync(file, text);
      return takes((s, found) => {
        const absent = s.label("absent");
        findLine(s, line, { ...readBytes(s, file, absent), found, absent });
        s.p.place(absent);
      });
    });
  } finally {
    Deno.removeSync(file);
  }
}

Deno.test("a line is found where it is a whole one, and nowhere else", () => {
  finder((finds) => {
    assert(finds("populated 1\nfrozen 1\n", "frozen 1"));
    assert(!finds("populated 1\nfrozen 0\n", "frozen 1"));
    const texts = fc.array(fc.constantFrom("a", "b", "\n"), { maxLength: 12 });
    const lines = fc.array(fc.constantFrom("a", "b"), { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(texts, lines, (characters, letters) => {
        const [text, line] = [characters.join(""), letters.join("")];
        assert.equal(finds(text, line), text.split("\n").includes(line));
      }),
      { numRuns: 500 },
    );
  });
});

Deno.test("a file that is not there has no line", () => {
  const missing = takes((s, way) => readBytes(s, "/nonexistent", way));
  assert(missing);
});

const ended = (process: ProcessId) =>
  takes((s, way) => unlessEnded(s, processCells(s, process), way));

/** A process that has a name, for as long as it is used. */
async function named(name: string, use: (process: ProcessId) => void | Promise<void>) {
  const child = new Deno.Command("/bin/sh", {
    args: ["-c", 'printf %s "$1" >/proc/$$/comm; echo; read _', "sh", name],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  try {
    await child.stdout.getReader().read();
    const process = identify(child.pid)!;
    assert.equal(Deno.readTextFileSync(`/proc/${child.pid}/comm`), `${name}\n`);
    await use(process);
  } finally {
    await child.stdin.close();
    await child.status;
  }
}

Deno.test("a process is known by when it started, whatever it calls itself", async () => {
  const names = ["sleep", "a) Z 1 1 1 1 1", ") X", ") ) ) ) ) ) ) )", "     (Z)      ", "(((("];
  for (const name of names) {
    await named(name, (process) => {
      assert(!ended(process), name);
      const { pid, startTime } = process;
      for (const other of [startTime + 1, startTime * 10, Math.floor(startTime / 10), 0]) {
        assert(ended({ pid, startTime: other }), `${name} at ${other}`);
      }
    });
  }
});

Deno.test("a process that has ended is no more, reaped or not", async () => {
  let process: ProcessId | undefined;
  await named("short", (found) => {
    process = found;
  });
  assert(ended(process!));
  const p = new ProgramBuilder();
  p.call("exit_group", [0]);
  const pid = spawn(p.build(), { name: "zombie", descriptors: [] });
  while (!/^State:\s+Z/m.test(Deno.readTextFileSync(`/proc/${pid}/status`))) {
    trySyscall("sched_yield");
  }
  assert(ended(identify(pid)!));
  syscall("waitid", P_PID, pid, null, WEXITED, null);
});
