// Not in the virtual machine: the engines that are tried there call the same verbs
import assert from "node:assert/strict";
import { create, launchBundle, makeBundle, outcome } from "./support/bundle.ts";
import { exists } from "../ffi/mod.ts";
import { reapOrphans, Running, type Sandbox, test, until } from "./support/mod.ts";

// The verbs that engines call: create, start, state, kill, delete.

const status = async (box: Sandbox, id: string) => (await box.state(id)).status;

async function refused(box: Sandbox, words: string[], reason: RegExp, code = 125): Promise<void> {
  const result = await box.crate(words);
  assert.deepEqual([result.code, result.stdout], [code, ""], words.join(" "));
  assert.match(result.stderr, /^crate: [^\n]*\n$/);
  assert.match(result.stderr, reason);
}

test("a container is created, started, killed and deleted, each by a command of its own", async (box) => {
  const pidFile = box.path("pid");
  const bundle = makeBundle(box, "one", "echo hello; exec sleep 100");
  const creation = await create(box, "one", bundle, ["--pid-file", pidFile]);
  assert.deepEqual([creation.code, creation.stderr, creation.output()], [0, "", ""]);
  const pid = Number(Deno.readTextFileSync(pidFile));
  const { ociVersion, created, ...state } = await box.state("one");
  assert.deepEqual(state, { id: "one", status: "created", pid, bundle, rootfs: box.rootfs });
  assert.equal(ociVersion, "1.0.2");
  assert(Math.abs(Date.parse(String(created)) - Date.now()) < 60_000);

  assert.match(await box.ok(["list"]), new RegExp(`one +created +${pid} `));

  // What waits is a small program, the child of whoever called, in the container already.
  const parent = /^PPid:\s+(\d+)$/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`))![1];
  assert.equal(Number(parent), Deno.pid);
  const rollup = Deno.readTextFileSync(`/proc/${pid}/smaps_rollup`);
  const pss = Number(/^Pss:\s+(\d+) kB$/m.exec(rollup)![1]);
  assert(pss < 200, `${pss} KB`);
  assert.deepEqual([...Deno.readDirSync(`/proc/${pid}/root/bin`)].length > 10, true);
  const open = [...Deno.readDirSync(`/proc/${pid}/fd`)].map(({ name }) => Number(name)).sort();
  assert.equal(open.length, 4, `standard three, and the socket: ${open}`);
  assert.equal(Deno.readLinkSync(`/proc/${pid}/exe`), "/memfd:crate (deleted)");

  assert.equal(await box.ok(["start", "one"]), "");
  await until("it runs", () => creation.output() === "hello\n");
  assert.equal(await status(box, "one"), "running");
  assert.equal((await box.state("one")).pid, pid);
  assert.equal(await box.ok(["kill", "one", "KILL"]), "");
  await until("its end", async () => await status(box, "one") === "stopped");
  assert.equal("pid" in await box.state("one"), false);
  assert.equal(await box.ok(["delete", "one"]), "");
  await refused(box, ["state", "one"], /container "one" does not exist/);
});

test("each verb is refused in the wrong state, and changes nothing then", async (box) => {
  const bundle = makeBundle(box, "x", "exec sleep 100");
  await refused(box, ["start", "x"], /does not exist/);
  await create(box, "x", bundle);
  const again = await create(box, "x", bundle);
  assert.equal(again.code, 125);
  assert.match(again.stderr, /the name "x" is in use by a created container/);
  assert.equal(await status(box, "x"), "created");
  await box.ok(["start", "x"]);
  await refused(box, ["start", "x"], /container "x" cannot be started: it runs already/);
  await refused(box, ["delete", "x"], /container "x" is running/);
  assert.equal(await status(box, "x"), "running");
  await box.ok(["kill", "x", "9"]);
  await until("its end", async () => await status(box, "x") === "stopped");
  await refused(box, ["start", "x"], /container "x" cannot be started: it has ended/);
  await refused(box, ["kill", "x"], /container not running: "x" is stopped/);
  await refused(box, ["exec", "x", "/bin/true"], /container not running: "x" is stopped/);
  await refused(box, ["pause", "x"], /container not running: "x" is stopped/);
  await refused(box, ["update", "--pids-limit", "5", "x"], /container not running: "x" is stopped/);
  await refused(box, ["ps", "x"], /container not running: "x" is stopped/);
  await refused(box, ["events", "--stats", "x"], /container not running: "x" is stopped/);
  await refused(box, ["restart", "-t", "0", "x"], /container "x" was created by an engine/);
  await refused(box, ["wait", "x"], /left no exit code: the engine that created it has it/);
  // As for one that has ended, and as runc: all that is left of it.
  await box.ok(["kill", "--all", "x", "9"]);
  await box.ok(["delete", "x"]);
  await box.ok(["delete", "--force", "x"]);
});

test("a created container is deleted without --force, and killed as any other", async (box) => {
  const bundle = makeBundle(box, "x", "true");
  await create(box, "x", bundle);
  const { pid } = await box.state("x");
  await box.ok(["delete", "x"]);
  const ended = () => {
    try {
      return /^State:\s+Z/m.test(Deno.readTextFileSync(`/proc/${pid}/status`));
    } catch {
      return true;
    }
  };
  assert(ended());
  await create(box, "x", bundle);
  // Not of a pid namespace's first process, which takes no signal that it has no handler for.
  await box.ok(["kill", "x", "KILL"]);
  await until("its end", async () => await status(box, "x") === "stopped");
  await box.ok(["delete", "x"]);
});

test("a program that is not there fails at create, one that the kernel cannot execute at start", async (box) => {
  for (
    const [args, code, reason] of [
      [["nope"], 127, /nope: executable file not found in \$PATH/],
      [["/nope"], 127, /\/nope: no such file or directory/],
      [["/etc/passwd"], 126, /\/etc\/passwd: permission denied/],
    ] as const
  ) {
    const bundle = makeBundle(box, "bad", "", { process: { args } });
    const creation = await create(box, "bad", bundle);
    assert.equal(creation.code, code);
    assert.match(creation.stderr, reason);
    await refused(box, ["state", "bad"], /does not exist/);
  }
  Deno.writeTextFileSync(`${box.rootfs}/bin/data`, "no program", { mode: 0o755 });
  await create(box, "bad", makeBundle(box, "bad", "", { process: { args: ["/bin/data"] } }));
  await refused(box, ["start", "bad"], /\/bin\/data: cannot be executed: ENOEXEC/, 126);
  await until("its end", async () => await status(box, "bad") === "stopped");
  await box.ok(["delete", "bad"]);
});

test("a create that is killed at any moment leaves nothing that is in the way", async (box) => {
  const bundle = makeBundle(box, "k", "exec sleep 100");
  let made = 0;
  for (let i = 0; i < 24; i++) {
    const script = '"$@" </dev/null >/dev/null 2>&1 & sleep $0; kill -9 $! 2>/dev/null; wait $!';
    const line = box.commandLine(["create", "--bundle", bundle, "k"]);
    const { code } = await new Deno.Command("bash", {
      args: ["-c", script, String(0.01 + 0.004 * (i % 12)), ...line.words],
      env: line.env,
      stdout: "null",
      stderr: "null",
    }).output();
    if (code === 0) made++;
    const { code: found } = await box.crate(["state", "k"]);
    assert.equal(
      await box.crate(["delete", "--force", "k"]).then((result) => result.code),
      0,
      `${found}`,
    );
  }
  const creation = await launchBundle(box, "k", "echo fine");
  assert.equal(await outcome(box, "k", creation), "fine");
  assert(made < 24, "some were killed in the middle");
  // What was not even begun is cleared by the next command that looks at all.
  assert.equal(await box.ok(["list", "-q"]), "");
});

test("a start that is killed before it has started leaves a container that can be started", async (box) => {
  const creation = await create(box, "s", makeBundle(box, "s", "echo up; exec sleep 100"));
  const { pid } = await box.state("s");
  // A starter that connects and says nothing, and goes.
  const connect = `import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect("${box.root}/s/start")`;
  for (let i = 0; i < 3; i++) {
    assert.equal((await new Running(["python3", "-c", connect]).ended).code, 0);
  }
  assert.equal(await status(box, "s"), "created");
  await box.ok(["start", "s"]);
  await until("it runs", () => creation.output() === "up\n");
  assert.equal((await box.state("s")).pid, pid);
  await box.ok(["delete", "--force", "s"]);
});

/** Takes a console as an engine's monitor does, and reads it up to the word `end`. */
const TAKE_CONSOLE = `
import array, os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
s.bind(sys.argv[1])
s.listen(1)
connection, _ = s.accept()
_, data, _, _ = connection.recvmsg(64, socket.CMSG_SPACE(4))
fd = array.array("i", data[0][2][:4])[0]
text = b""
while b"end" not in text:
    try:
        text += os.read(fd, 100)
    except OSError:
        break
sys.stdout.write(text.decode())`;

async function consoleAt(path: string): Promise<{ readonly text: Promise<string> }> {
  const taker = new Running(["python3", "-c", TAKE_CONSOLE, path]);
  await until("the socket", () => exists(path));
  return { text: taker.ended.then(({ stdout }) => stdout) };
}

test("a console goes to the engine's socket, for the container and for exec", async (box) => {
  const [one, two] = [box.path("one.sock"), box.path("two.sock")];
  const bundle = makeBundle(box, "t", "tty; stty size; echo end; exec sleep 100", {
    process: { terminal: true, consoleSize: { height: 33, width: 44 } },
  });
  const first = await consoleAt(one);
  const creation = await create(box, "t", bundle, ["--console-socket", one]);
  assert.deepEqual([creation.code, creation.stderr], [0, ""]);
  await box.ok(["start", "t"]);
  assert.match(await first.text, /\/dev\/pts\/0\r\n33 44\r\nend/);
  const process = box.file(
    "process.json",
    JSON.stringify({
      terminal: true,
      args: ["/bin/sh", "-c", "tty; echo end"],
      cwd: "/",
      env: ["PATH=/bin"],
      user: { uid: 0, gid: 0 },
    }),
  );
  const second = await consoleAt(two);
  const words = ["exec", "-d", "--process", process, "--console-socket", two, "t"];
  assert.equal(await box.ok(words), "");
  assert.match(await second.text, /\/dev\/pts\/1\r\nend/);
  await refused(box, ["exec", "-d", "--process", process, "t"], /give --console-socket/, 2);
  const without = await create(box, "u", bundle);
  assert.equal(without.code, 2);
  assert.match(without.stderr, /process.terminal is true: give --console-socket/);
  const other = makeBundle(box, "u", "true", { process: { terminal: true } });
  const nobody = await create(box, "u", other, ["--console-socket", box.path("nobody")]);
  assert.equal(nobody.code, 125);
  assert.match(nobody.stderr, /--console-socket .*: nobody listens: ENOENT/);
  await until("the end of exec", async () => {
    reapOrphans();
    return (await box.ok(["ps", "-f", "json", "t"])).split(",").length === 1;
  });
  await box.ok(["delete", "--force", "t"]);
});

/** Takes a pidfd as an engine does, waits for the process's end by it, and says the process's pid. */
const TAKE_PIDFD = `
import array, os, re, select, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
s.bind(sys.argv[1])
s.listen(1)
connection, _ = s.accept()
_, data, _, _ = connection.recvmsg(64, socket.CMSG_SPACE(4))
fd = array.array("i", data[0][2][:4])[0]
pid = re.search(r"Pid:\\s+(\\d+)", open(f"/proc/self/fdinfo/{fd}").read())[1]
poll = select.poll()
poll.register(fd, select.POLLIN)
print(pid, len(poll.poll(0)), flush=True)
poll.poll(20000)
print("ended", len(poll.poll(0)))`;

test("the pidfd of a created container's init, and of exec's process, goes to the engine's socket", async (box) => {
  const sockets = [box.path("one.sock"), box.path("two.sock")];
  const takers = sockets.map((path) => new Running(["python3", "-c", TAKE_PIDFD, path]));
  await until("the sockets", () => sockets.every((path) => exists(path)));
  const bundle = makeBundle(box, "p", "exec sleep 100");
  const creation = await create(box, "p", bundle, ["--pidfd-socket", sockets[0]!]);
  assert.deepEqual([creation.code, creation.stderr], [0, ""]);
  const { pid } = await box.state("p");
  await until("the pidfd", () => takers[0]!.stdout === `${pid} 0\n`);
  await box.ok(["start", "p"]);
  const words = ["exec", "--pidfd-socket", sockets[1]!, "p", "/bin/sh", "-c", "exec sleep 0.2"];
  assert.equal(await box.ok(words), "");
  assert.match((await takers[1]!.ended).stdout, /^[1-9]\d* 0\nended 1\n$/);
  await box.ok(["kill", "p", "KILL"]);
  assert.equal((await takers[0]!.ended).stdout, `${pid} 0\nended 1\n`);
  reapOrphans();
  await box.ok(["delete", "--force", "p"]);
  const nobody = box.path("nobody");
  const missed = await create(box, "q", makeBundle(box, "q", "true"), ["--pidfd-socket", nobody]);
  assert.deepEqual([missed.code, missed.stderr], [
    125,
    `crate: --pidfd-socket ${nobody}: nobody listens: ENOENT\n`,
  ]);
  await refused(box, ["state", "q"], /does not exist/);
});

test("descriptors are handed on by number, and those that systemd gives by its protocol", async (box) => {
  const script = "ls /proc/self/fd; echo 1 >&3; echo 2 >&4";
  const bundle = makeBundle(box, "f", script, { process: { args: ["/bin/sh", "-c", script] } });
  const [three, four] = [box.path("three"), box.path("four")];
  const before = `exec 3>${three} 4>${four} 5>/dev/null;`;
  const creation = await create(box, "f", bundle, ["--preserve-fds", "2"], before);
  assert.deepEqual([creation.code, creation.stderr], [0, ""]);
  await box.ok(["start", "f"]);
  // The last is that of the listing itself.
  assert.equal(await outcome(box, "f", creation), "0\n1\n2\n3\n4\n5");
  assert.deepEqual([three, four].map((file) => Deno.readTextFileSync(file)), ["1\n", "2\n"]);
  const closed = await create(
    box,
    "f",
    bundle,
    ["--preserve-fds", "3"],
    `exec 3>${three} 4>${four};`,
  );
  assert.deepEqual([closed.code, closed.stderr], [
    125,
    "crate: --preserve-fds 3: descriptor 5 is not open\n",
  ]);
  const activated = makeBundle(box, "a", "echo $LISTEN_FDS $LISTEN_PID; echo 3 >&3", {});
  const asSystemd =
    `exec 3>${three}; env LISTEN_FDS=1 sh -c 'LISTEN_PID=$$; export LISTEN_PID; exec "$@"' sh`;
  const second = await create(box, "a", activated, [], asSystemd);
  assert.deepEqual([second.code, second.stderr], [0, ""]);
  await box.ok(["start", "a"]);
  assert.equal(await outcome(box, "a", second), "1 1");
  assert.equal(Deno.readTextFileSync(three), "3\n");
});

test("--no-pivot moves the root, and a session keyring is the container's own", async (box) => {
  const script = "ls / | head -n 3; echo; cat /proc/keys 2>/dev/null | wc -l";
  const bundle = makeBundle(box, "p", script, { linux: { maskedPaths: [] } });
  const creation = await create(box, "p", bundle, ["--no-pivot"]);
  await box.ok(["start", "p"]);
  assert.match(await outcome(box, "p", creation), /^bin\ndev\n/);
  for (const [id, options, own] of [["k", [], true], ["n", ["--no-new-keyring"], false]] as const) {
    const keys = makeBundle(box, id, "cat /proc/keys", { linux: { maskedPaths: [] } });
    const creation = await create(box, id, keys, options);
    await box.ok(["start", id]);
    assert.equal((await outcome(box, id, creation)).includes(`_ses.${id}`), own);
  }
});
