import assert from "node:assert/strict";
import { has } from "../_tools.ts";
import { AT_FDCWD, ProgramBuilder, valueOf } from "../mod.ts";
import { arch } from "../libc.ts";
import type { Arch } from "../syscalls.ts";
import { encodeElf } from "./encode.ts";
import { compileLoader, encodeMapped, LOADER_FAILED, MAPPED_FILE } from "./mapped.ts";

const KIND = "tst1";

/** A program that says at which entry it began, has a variable and a buffer, and fails at the last one. */
function talker() {
  const p = new ProgramBuilder();
  const entries = ["zero", "one", "fails"].map((name) => p.label(name));
  for (const entry of entries) p.jump(entry);
  const number = p.variable("number", 4, new Uint8Array([7, 0, 0, 0]));
  const buffer = p.variable("buffer", 4096);
  for (const [i, entry] of entries.entries()) {
    p.place(entry);
    if (i === 2) {
      p.call("openat", [AT_FDCWD, p.string("/nonexistent"), 0, 0], { label: "open it" });
      break;
    }
    const text = p.string(`entry ${i}\n`);
    p.call("write", [1, text, text.size - 1]);
    p.subtract(number, valueOf(number), -i);
    p.set(buffer, valueOf(number));
    p.call("close", [MAPPED_FILE]);
    p.call("exit_group", [valueOf(buffer)]);
  }
  return p.build();
}

/** Writes the loaders of an architecture and the file of a program, and starts them. */
function loaded(
  use: (start: (entry: number) => { code: number; out: string }, file: string) => void,
  of: Arch = arch,
  through = "",
): void {
  const folder = Deno.makeTempDirSync();
  const file = `${folder}/file`;
  try {
    Deno.writeFileSync(file, encodeMapped(talker(), of, KIND)!, { mode: 0o600 });
    const start = (entry: number) => {
      const loader = `${folder}/loader-${entry}`;
      const { bytes } = encodeElf(compileLoader(entry, KIND), of);
      Deno.writeFileSync(loader, bytes, { mode: 0o755 });
      const words = ["-c", `${through} "$1" 3<"$2"`, "sh", loader, file];
      const { code, stdout } = new Deno.Command("/bin/sh", { args: words }).outputSync();
      return { code, out: new TextDecoder().decode(stdout) };
    };
    use(start, file);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

const FAILED = { code: LOADER_FAILED, out: "" };

Deno.test("a loader goes on in the file, at its entry, and a step that fails is the loader's failure", () => {
  loaded((start, file) => {
    const before = Deno.readFileSync(file);
    assert.deepEqual(start(0), { code: 7, out: "entry 0\n" });
    assert.deepEqual(start(1), { code: 8, out: "entry 1\n" });
    assert.deepEqual(start(2), FAILED);
    assert.deepEqual(Deno.readFileSync(file), before, "its memory is its own");
  });
});

/** Runs a loader in its caller's place: what it becomes is a script, with the loader's own words and variables. */
function inPlace(of: Arch, through: readonly string[], kind: string): string {
  const folder = Deno.makeTempDirSync();
  try {
    const [file, loader, script] = ["file", "sh", "script"].map((name) => `${folder}/${name}`) as [
      string,
      string,
      string,
    ];
    Deno.writeFileSync(file, encodeMapped(talker(), of, kind)!, { mode: 0o600 });
    const { bytes } = encodeElf(compileLoader(2, KIND, { inPlace: true }), of);
    Deno.writeFileSync(loader, bytes, { mode: 0o755 });
    Deno.writeTextFileSync(
      script,
      'echo "$1" "$2" "$VARIABLE"; readlink /proc/self/fd/3; grep SigBlk /proc/self/status',
    );
    const words = ["-c", 'exec 3<"$1"; shift; exec "$@"', "sh", file, ...through, loader];
    const { stdout } = new Deno.Command("/bin/sh", {
      args: [...words, script, "a word", ""],
      env: { VARIABLE: "its value" },
    }).outputSync();
    return new TextDecoder().decode(stdout);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

// Without descriptor 3, and with no signal blocked: as it was.
const GIVEN_BACK = "a word  its value\nSigBlk:\t0000000000000000\n";

Deno.test("a loader in its caller's place gives it back where it cannot go on, as it was", () => {
  assert.equal(inPlace(arch, [], KIND), GIVEN_BACK, "a step fails");
  assert.equal(inPlace(arch, [], "othr"), GIVEN_BACK, "another kind of file");
});

Deno.test({
  name: "a loader of arm64's in its caller's place gives it back, too",
  ignore: !has("qemu-aarch64-static"),
  fn: () => assert.equal(inPlace("aarch64", ["qemu-aarch64-static"], KIND), GIVEN_BACK),
});

Deno.test({
  name: "a loader of arm64's does the same",
  ignore: !has("qemu-aarch64-static"),
  fn: () =>
    loaded(
      (start) => {
        assert.deepEqual(start(0), { code: 7, out: "entry 0\n" });
        assert.deepEqual(start(1), { code: 8, out: "entry 1\n" });
        assert.deepEqual(start(2), FAILED);
      },
      "aarch64",
      "qemu-aarch64-static",
    ),
});

Deno.test("a file that is no such program, or that others can write, is not for a loader", () => {
  loaded((start, file) => {
    for (const mode of [0o620, 0o602, 0o666]) {
      Deno.chmodSync(file, mode);
      assert.deepEqual(start(0), FAILED, mode.toString(8));
    }
    Deno.chmodSync(file, 0o600);
    assert.equal(start(0).code, 7);
    const bytes = Deno.readFileSync(file);
    const cut = [bytes.subarray(0, 4), bytes.subarray(0, 100), bytes.subarray(0, -8)];
    const more = [...bytes, ...new Uint8Array(8)];
    for (const other of [[], [..."tst"], [..."tst0", ...bytes.subarray(4)], ...cut, more]) {
      const changed = Uint8Array.from(other, (v) => typeof v === "string" ? v.charCodeAt(0) : v);
      Deno.writeFileSync(file, changed);
      assert.deepEqual(start(0), FAILED, `${changed.length} bytes`);
    }
  });
});

Deno.test({
  name: "somebody else's file is not for a loader",
  ignore: Deno.uid() !== 0,
  fn: () =>
    loaded((start, file) => {
      Deno.chownSync(file, 1234, 0);
      assert.deepEqual(start(0), FAILED);
    }),
});

Deno.test("a program that fails by itself, or is too large, is no such file", () => {
  const p = new ProgramBuilder();
  const handler = p.label("handler");
  p.handler(handler);
  p.place(handler);
  assert.throws(() => encodeMapped(p.build(), arch, KIND), /loader's/);
  const large = new ProgramBuilder();
  large.bytes(new Uint8Array(1 << 19));
  assert.equal(encodeMapped(large.build(), arch, KIND), undefined);
});
