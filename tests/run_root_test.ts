import assert from "node:assert/strict";
import { assertEnded, delay, EVERYWHERE_THE_SAME, test } from "./support/mod.ts";

// crate run in the foreground: what comes out, what goes in, how it ends.

test("a command in a container prints to crate's own output", async (box) => {
  assertEnded(await box.crate(["run", "--rm", "/bin/echo", "hello"]), { stdout: "hello\n" });
});

test("options end at the command: what follows is the command's own", async (box) => {
  const words = ["run", "--rm", "-r", box.rootfs, "echo", "--rm", "-d", "--", "--no-such-option"];
  assert.equal(await box.ok(words), "--rm -d -- --no-such-option");
}, EVERYWHERE_THE_SAME);

test(
  "the arguments arrive as they are: empty, with spaces, quotes, newlines, not ASCII",
  async (box) => {
    const args = ["", "a b", `"'$HOME\\`, "two\nlines", "čárka 🚢"];
    const words = ["run", "--rm", "-r", box.rootfs, "printf", "<%s>", ...args];
    assert.equal(await box.ok(words), args.map((arg) => `<${arg}>`).join(""));
  },
  EVERYWHERE_THE_SAME,
);

test("the exit code is the container's", async (box) => {
  for (const code of [0, 1, 7, 125, 126, 127, 255]) {
    const words = ["run", "--rm", "-r", box.rootfs, "/bin/sh", "-c", `exit ${code}`];
    assertEnded(await box.crate(words), { code });
  }
}, EVERYWHERE_THE_SAME);

test(
  "the exit code of a command that a signal killed is 128 and the signal's number",
  async (box) => {
    // The first process of a pid namespace dies of no signal that it sends to itself.
    const script = 'sh -c "kill -$0 \\$\\$" $0; exit $?';
    for (const [signal, code] of [["TERM", 143], ["SEGV", 139], ["KILL", 137]] as const) {
      const words = ["run", "--rm", "-r", box.rootfs, "--init", "sh", "-c", `kill -${signal} $$`];
      assertEnded(await box.crate(words), { code });
      const child = ["run", "--rm", "-r", box.rootfs, "sh", "-c", script, signal];
      assert.equal((await box.crate(child)).code, code);
    }
  },
  EVERYWHERE_THE_SAME,
);

test("a first process that is killed from outside ends crate with 137", async (box) => {
  const running = box.start(["run", "--name", "victim", "-r", box.rootfs, "sleep", "100"]);
  Deno.kill(await box.running("victim"), "SIGKILL");
  assertEnded(await running.ended, { code: 137 });
  await box.ok(["delete", "victim"]);
});

test("a command that is not there: 127 and a sentence that names it", async (box) => {
  for (const command of ["/bin/no-such-command", "/etc/passwd/x"]) {
    const { code, stdout, stderr } = await box.crate(["run", "--rm", "-r", box.rootfs, command]);
    assert.deepEqual([code, stdout], [127, ""]);
    assert.match(
      stderr,
      new RegExp(`^crate: ${command}: no such file or directory in the container .*\n$`),
    );
  }
  const { code, stderr } = await box.crate(["run", "--rm", "-r", box.rootfs, "no-such-command"]);
  assert.equal(code, 127);
  assert.match(
    stderr,
    /^crate: no-such-command: executable file not found in \$PATH of the container\n$/,
  );
});

test("a file that cannot be executed: 126 and a sentence that names it", async (box) => {
  Deno.writeTextFileSync(`${box.rootfs}/bin/data`, "no program");
  for (const command of ["/bin/data", "data", "/etc"]) {
    const { code, stdout, stderr } = await box.crate(["run", "--rm", "-r", box.rootfs, command]);
    assert.deepEqual([code, stdout], [126, ""]);
    assert.equal(stderr, `crate: ${command}: permission denied: it is not an executable file\n`);
  }
  Deno.chmodSync(`${box.rootfs}/bin/data`, 0o755);
  const { code, stderr } = await box.crate(["run", "--rm", "-r", box.rootfs, "data"]);
  assert.equal(code, 126);
  assert.match(stderr, /^crate: data: .*ENOEXEC.*\n$/);
}, EVERYWHERE_THE_SAME);

test("a name without a slash is looked for in the container's PATH, in its order", async (box) => {
  for (const directory of ["first", "second"]) {
    Deno.mkdirSync(`${box.rootfs}/${directory}`);
    Deno.writeTextFileSync(`${box.rootfs}/${directory}/tool`, `#!/bin/sh\necho ${directory}\n`);
  }
  Deno.chmodSync(`${box.rootfs}/second/tool`, 0o755);
  const words = ["run", "--rm", "-r", box.rootfs, "-e", "PATH=/none:/first:/second", "tool"];
  assert.equal(await box.ok(words), "second", "one that may not be executed is passed over");
}, EVERYWHERE_THE_SAME);

test("a script's interpreter is executed, and one that is missing is not found", async (box) => {
  const script = (name: string, text: string) =>
    Deno.writeTextFileSync(`${box.rootfs}/${name}`, text, { mode: 0o755 });
  script("good", "#!/bin/sh\necho from a script\n");
  script("bad", "#!/no/interpreter\n");
  assert.equal(await box.ok(["run", "--rm", "-r", box.rootfs, "/good"]), "from a script");
  const { code, stderr } = await box.crate(["run", "--rm", "-r", box.rootfs, "/bad"]);
  assert.equal(code, 127);
  assert.match(stderr, /^crate: \/bad: no such file or directory .*interpreter\)\n$/);
}, EVERYWHERE_THE_SAME);

test("--entrypoint is the program, and the words after the options its arguments", async (box) => {
  const words = ["run", "--rm", "-r", box.rootfs, "--entrypoint", "/bin/echo", "one", "two"];
  assert.equal(await box.ok(words), "one two");
}, EVERYWHERE_THE_SAME);

test("standard input is passed on, to its end", async (box) => {
  const input = "line\n".repeat(50_000);
  const words = ["run", "--rm", "-r", box.rootfs, "wc", "-l"];
  assertEnded(await box.crate(words, { input }), { stdout: "50000\n" });
}, EVERYWHERE_THE_SAME);

test("with -i=false standard input is empty", async (box) => {
  const words = ["run", "--rm", "-i=false", "-r", box.rootfs, "wc", "-c"];
  assertEnded(await box.crate(words, { input: "not for the container" }), { stdout: "0\n" });
}, EVERYWHERE_THE_SAME);

test("standard output and standard error stay apart", async (box) => {
  const words = ["run", "--rm", "-r", box.rootfs, "sh", "-c", "echo out; echo err >&2"];
  assertEnded(await box.crate(words), { stdout: "out\n", stderr: "err\n" });
}, EVERYWHERE_THE_SAME);

test("the three descriptors are crate's own: pipes and files, not copies", async (box) => {
  const input = box.file("in", "input\n");
  const output = box.path("out");
  const script = "cat; readlink /proc/self/fd/0 >&2; echo $((1 + 1))";
  const words = ["run", "--rm", "-r", box.rootfs, "sh", "-c", script];
  assertEnded(await box.host(`"$@" <${input} >${output} 2>${output}.err`, words), {});
  assert.equal(Deno.readTextFileSync(output), "input\n2\n");
  // Its path on the host means nothing in there, but it is that file.
  assert.match(Deno.readTextFileSync(`${output}.err`), /\/in\n$/);
});

test(
  "a standard descriptor that crate does not have is /dev/null in the container",
  async (box) => {
    for (const fd of [0, 1, 2]) {
      const script = `where=$(readlink /proc/$$/fd/${fd}); echo $where >/result`;
      const words = ["run", "--rm", "-r", box.rootfs, "sh", "-c", script];
      assertEnded(await box.host(`"$@" ${fd}>&-`, words), {});
      assert.equal(Deno.readTextFileSync(`${box.rootfs}/result`), "/dev/null\n");
    }
  },
  EVERYWHERE_THE_SAME,
);

test("output that nobody reads any more ends the writer by SIGPIPE", async (box) => {
  const words = ["run", "--rm", "-r", box.rootfs, "--init", "yes"];
  const { stdout } = await box.host('"$@" | head -n 1; echo "${PIPESTATUS[0]}"', words);
  assert.equal(stdout, "y\n141\n");
}, EVERYWHERE_THE_SAME);

test("megabytes go through without a loss", async (box) => {
  const words = [
    "run",
    "--rm",
    "-r",
    box.rootfs,
    "sh",
    "-c",
    "head -c 5000000 /dev/zero | tr '\\0' x",
  ];
  const { code, stdout } = await box.crate(words);
  assert.equal(code, 0);
  assert.ok(stdout === "x".repeat(5_000_000));
}, EVERYWHERE_THE_SAME);

test("crate waits for the first process, and the others end with it", async (box) => {
  const start = performance.now();
  const words = [
    "run",
    "--rm",
    "-r",
    box.rootfs,
    "sh",
    "-c",
    "sleep 100 >/dev/null 2>&1 & echo on",
  ];
  assertEnded(await box.crate(words), { stdout: "on\n" });
  assert.ok(performance.now() - start < 20_000);
});

test("a crate that is killed takes its container with it", async (box) => {
  const running = box.start(["run", "--rm", "-r", box.rootfs, "sh", "-c", "echo up; sleep 100"]);
  await running.printed("up");
  running.signal("SIGKILL");
  assert.equal((await running.ended).code, 137);
  await delay(1); // the sandbox sees that nothing is left
});

test("without --rm a container that has ended stays until it is deleted", async (box) => {
  assert.equal((await box.crate(["run", "--name", "kept", "-r", box.rootfs, "false"])).code, 1);
  assert.equal((await box.state("kept")).status, "stopped");
  assert.equal(await box.ok(["delete", "kept"]), "kept");
  assert.equal((await box.crate(["state", "kept"])).code, 125);
});
