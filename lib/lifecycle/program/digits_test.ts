import assert from "node:assert/strict";
import fc from "fast-check";
import {
  arch,
  compileLoader,
  encodeElf,
  encodeMapped,
  identify,
  valueOf,
} from "../../../ffi/mod.ts";
import { formatTime } from "../time.ts";
import { CLOCK, readStartTime, type Text, writeClock, writePid } from "./digits.ts";
import { Scope } from "./scope.ts";

const KIND = "test";

/** What a mapped program prints, whose addresses are as small as its texts want. */
async function printed(write: (s: Scope) => void): Promise<string> {
  const folder = Deno.makeTempDirSync();
  try {
    const s = new Scope();
    const begin = s.p.label("begin");
    s.p.jump(begin);
    s.p.place(begin);
    write(s);
    s.p.call("exit_group", [0]);
    s.writeAsides();
    const [file, loader] = [`${folder}/file`, `${folder}/loader`];
    Deno.writeFileSync(file, encodeMapped(s.p.build(), arch, KIND)!, { mode: 0o600 });
    Deno.writeFileSync(loader, encodeElf(compileLoader(0, KIND), arch).bytes, { mode: 0o755 });
    const { code, stdout } = await new Deno.Command("/bin/sh", {
      args: ["-c", '"$1" 3<"$2"', "sh", loader, file],
    }).output();
    assert.equal(code, 0);
    return new TextDecoder().decode(stdout);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

function print({ p }: Scope, { base, length }: Text): void {
  p.call("write", [1, valueOf(base), valueOf(length)]);
  p.call("write", [1, p.string("\n"), 1]);
}

const DAY = 86_400_000;

Deno.test("a time of day is written as in a record", async () => {
  const times = [0, 1, 999, 1000, 59_999, 3_599_999, 3_600_000, 35_999_999, 36_000_000, DAY - 1];
  times.push(...fc.sample(fc.integer({ min: 0, max: DAY - 1 }), 30));
  const text = await printed((s) => {
    const [seconds, nanoseconds] = [s.p.variable("seconds", 4), s.p.variable("nanoseconds", 4)];
    for (const time of times) {
      s.p.set(seconds, Math.floor(time / 1000));
      s.p.set(nanoseconds, time % 1000 * 1_000_000 + 999_999);
      const to = writeClock(s, seconds, nanoseconds);
      s.p.call("write", [1, to, CLOCK.length]);
      s.p.call("write", [1, s.p.string("\n"), 1]);
    }
  });
  assert.deepEqual(text.trimEnd().split("\n"), times.map((time) => formatTime(time).slice(11, 23)));
});

Deno.test("a pid is written in as many digits as it has", async () => {
  const pids = [1, 9, 10, 99, 100, 12345, 99999, 100000, 999999, 1000000, 4194304, 9999999];
  const text = await printed((s) => {
    const pid = s.p.variable("pid", 4);
    for (const number of pids) {
      s.p.set(pid, number);
      print(s, writePid(s, pid));
    }
  });
  assert.equal(text, `${pids.join("\n")}\n`);
});

Deno.test("when a process started is read from its folder", async () => {
  const text = await printed((s) => {
    const { p } = s;
    const [fd, missing, end] = [s.descriptor("folder"), s.label("missing"), s.label("end")];
    p.call("openat", [-100, p.string(`/proc/${Deno.pid}`), 0, 0], { result: fd });
    print(s, readStartTime(s, valueOf(fd), missing));
    p.jump(end);
    p.place(missing);
    p.call("exit_group", [1]);
    p.place(end);
  });
  assert.equal(text, `${identify(Deno.pid)!.startTime}\n`);
});
