import assert from "node:assert/strict";
import { isThere, run } from "./_tools.ts";

const NOEXEC = "/proc/sys/vm/memfd_noexec";

Deno.test({
  name:
    "where memfds may not be executed, a program starts from an unlinked file that nobody can write",
  ignore: Deno.uid() !== 0 || !isThere(NOEXEC),
  fn: async () => {
    const directory = await Deno.makeTempDir();
    try {
      const script = `${directory}/script.ts`;
      await Deno.writeTextFile(
        script,
        `import * as ffi from ${JSON.stringify(import.meta.resolve("./mod.ts"))};
        const p = new ffi.ProgramBuilder();
        const failed = p.label("failed");
        p.handler(failed);
        const link = p.variable("link", 200);
        const count = p.variable("count", 4);
        p.call("readlinkat", [-100, p.string("/proc/self/exe"), link, 200], { result: count });
        p.call("write", [1, link, ffi.valueOf(count)]);
        p.call("openat", [-100, p.string("/proc/self/exe"), 1, 0], { negative: ffi.NEXT, result: count });
        p.call("exit_group", [ffi.valueOf(count)]);
        p.place(failed);
        p.call("exit_group", [99]);
        const options = { name: "x", descriptors: [0, 1, 2], directory: ${
          JSON.stringify(directory)
        } };
        const pid = ffi.spawn(p.build(), options);
        const info = new Uint8Array(128);
        ffi.syscall("waitid", 1, pid, info, 4, null);
        console.log("", new DataView(info.buffer).getInt32(24, true));`,
      );
      // The setting is one of a pid namespace, and here of one that ends with the test.
      const command = `echo 2 > ${NOEXEC} && exec "$0" "$@"`;
      const args = ["run", "-A", "--quiet", "--no-config", "--no-check", script];
      const text = await run("unshare", [
        "--pid",
        "--fork",
        "--mount-proc",
        "sh",
        "-c",
        command,
        Deno.execPath(),
        ...args,
      ]);
      const [exe, code] = text.trim().split(/ (?=-?\d+$)/);
      assert(exe!.startsWith(directory) && exe!.endsWith(" (deleted)"), exe);
      assert.equal(code, String(256 - 26)); // ETXTBSY
      assert.deepEqual([...Deno.readDirSync(directory)].map(({ name }) => name), ["script.ts"]);
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});
