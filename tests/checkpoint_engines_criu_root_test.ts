import assert from "node:assert/strict";
import { exists } from "../ffi/mod.ts";
import { create, makeBundle } from "./support/bundle.ts";
import { COUNTER, criuTest, grown, restore } from "./support/criu.ts";
import { IMAGE, plain, PodmanEngine, RUNC } from "./support/engines.ts";
import { reapOrphans, Running, until } from "./support/mod.ts";

// Checkpoints and restores by crate and by runc: of each other's images, on a terminal, and by podman.

/** Takes consoles as an engine's monitor does, one after the other, and writes what comes from them to a file. */
const TAKE_CONSOLES = `
import array, os, socket, sys, threading
s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
s.bind(sys.argv[1])
s.listen(1)
out = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
def read(fd):
    while True:
        try:
            text = os.read(fd, 1000)
        except OSError:
            break
        os.write(out, text)
    os.write(out, b"hung up\\n")
for typed in (b"one\\n", b"two\\n"):
    connection, _ = s.accept()
    _, data, _, _ = connection.recvmsg(4096, socket.CMSG_SPACE(4))
    fd = array.array("i", data[0][2][:4])[0]
    connection.close()
    os.write(fd, typed)
    read(fd)
    os.close(fd)`;

criuTest("a container with a terminal gets a new console at its restore", async (box) => {
  const [socket, screen] = [box.path("console.sock"), box.path("screen")];
  const taker = new Running(["python3", "-c", TAKE_CONSOLES, socket, screen]);
  await until("the socket", () => exists(socket));
  const shown = () => exists(screen) ? Deno.readTextFileSync(screen) : "";
  const script = 'read a; echo "got $a" at $(tty); read b; echo "then $a $b"; exec sleep 1000';
  const bundle = makeBundle(box, "t", script, { process: { terminal: true } });
  const creation = await create(box, "t", bundle, ["--console-socket", socket]);
  assert.deepEqual([creation.code, creation.stderr], [0, ""]);
  await box.ok(["start", "t"]);
  await until("it reads", () => shown().includes("got one at /dev/pts/0"));
  const places = ["--image-path", box.path("images")];
  await box.ok(["checkpoint", ...places, "t"]);
  reapOrphans();
  await until("the end of the first console", () => shown().includes("hung up"));
  const without = await restore(box, box.path("t.out"), ["-d", "-b", bundle, ...places, "t"]);
  assert.match(without.stderr, /process\.terminal is true: give --console-socket/);
  const words = ["-d", "--console-socket", socket, "-b", bundle, ...places, "t"];
  assert.deepEqual(await restore(box, box.path("t.out"), words), { code: 0, stderr: "" });
  await until("it goes on", () => shown().includes("then one two"));
  await box.ok(["delete", "-f", "t"]);
  reapOrphans();
  await taker.ended;
});

/** A runtime in the background, its container's output through a pipe to a file: runc knows no other way. */
async function piped(program: readonly string[], out: string, env: Record<string, string>) {
  const script = '{ "$@" </dev/null 2>&1 | cat >>"$0"; } >/dev/null 2>&1 & sleep 0.1';
  const { code, stderr } = await new Running(["bash", "-c", script, out, ...program], { env })
    .ended;
  assert.deepEqual([code, stderr], [0, ""]);
}

criuTest("crate restores what runc has checkpointed, as each does with its own", async (box) => {
  const runcRoot = box.path("runc");
  const runc = (...words: string[]) => new Running([RUNC, "--root", runcRoot, ...words]).ended;
  const line = (...words: string[]) => box.commandLine(words);
  const counted: Record<string, number> = {};
  for (
    const [from, to] of [["runc", "crate"], ["crate", "crate"], [
      "runc",
      "runc",
    ]] as const
  ) {
    const id = `${from}-${to}`;
    const out = box.file(`${id}.out`);
    const bundle = makeBundle(box, id, COUNTER);
    const words = ["-b", bundle, id];
    if (from === "runc") {
      await piped([RUNC, "--root", runcRoot, "run", "-d", ...words], out, {});
    } else {
      const { words: create, env } = line("create", ...words);
      await piped(create, out, env);
      await until("it is created", async () => (await box.crate(["start", id])).code === 0);
    }
    const before = await grown(out);
    const places = [
      "--image-path",
      box.path(`${id}.images`),
      "--work-path",
      box.path(`${id}.work`),
    ];
    const dumped = from === "runc"
      ? await runc("checkpoint", ...places, id)
      : await box.crate(["checkpoint", ...places, id]);
    assert.deepEqual([dumped.code, dumped.stderr], [0, ""], id);
    reapOrphans();
    if (from === "crate") await box.ok(["delete", id]);
    const again = ["restore", "-d", ...places, ...words];
    if (to === "runc") await piped([RUNC, "--root", runcRoot, ...again], out, {});
    else {
      const { words: restore, env } = line(...again);
      await piped(restore, out, env);
    }
    await grown(out);
    const all = Deno.readTextFileSync(out).trim().split("\n").map(Number);
    assert.deepEqual(
      all,
      all.map((_, i) => i + 1),
      `${id}: ${Deno.readTextFileSync(out)}`,
    );
    counted[id] = all.length - before;
    if (to === "runc") assert.equal((await runc("delete", "-f", id)).code, 0);
    else await box.ok(["delete", "-f", id]);
    reapOrphans();
  }
  assert.deepEqual(Object.values(counted).map((count) => count > 0), [true, true, true]);
});

criuTest(
  "podman container checkpoint and restore do with crate what they do with runc",
  async (box) => {
    await using podman = await PodmanEngine.start(box);
    const seen: string[][] = [];
    for (const runtime of ["crate", "runc"] as const) {
      const engine = podman.engine(runtime);
      const said: string[] = [];
      const say = async (...words: string[]) => {
        const { code, stdout, stderr } = await engine(words);
        said.push(
          `${words.slice(0, 3).join(" ")}: ${code} ${plain(stdout)}`,
        );
        assert.equal(code, 0, `${runtime}: podman ${words.join(" ")}: ${stderr}`);
        return stdout;
      };
      const script = "i=0; while :; do i=$((i+1)); echo $i >/out/count; sleep 0.1; done";
      const out = box.mkdir(runtime);
      const beyond = (least: number) => () => {
        const count = exists(`${out}/count`) ? Number(Deno.readTextFileSync(`${out}/count`)) : 0;
        return count > least ? count : 0;
      };
      const options = ["--name", "web", "--net", "none", "-v", `${out}:/out`];
      await say("run", "-d", ...options, IMAGE, "/bin/sh", "-c", script);
      const before = await until("it counts", beyond(3));
      await say("container", "checkpoint", "web");
      await say("ps", "-a", "--format", "{{.Names}} {{.State}}");
      await say("container", "restore", "web");
      const after = await until("it counts on", beyond(before));
      seen.push([...said]);
      // An archive of it is podman's own work, and takes a minute in an emulated machine.
      if (runtime === "crate") {
        await say("container", "checkpoint", "--export", box.path("web.tar.gz"), "web");
        await say("rm", "web");
        await say("container", "restore", "--import", box.path("web.tar.gz"), "--name", "web");
        await until("it counts on", beyond(after));
      }
      await say("rm", "-f", "-t", "0", "web");
    }
    assert.deepEqual(seen[0], seen[1]);
  },
);
