import assert from "node:assert/strict";
import { assertEnded, Terminal, test, until } from "./support/mod.ts";

// crate run -d, and what becomes of the container without its crate.

test("run -d prints the id and returns while the container runs", async (box) => {
  const start = performance.now();
  const result = await box.crate(["run", "-d", "-r", box.rootfs, "sleep", "100"]);
  assert.ok(performance.now() - start < 20_000);
  const id = result.stdout.trim();
  assertEnded(result, { stdout: `${id}\n` });
  assert.match(id, /^[0-9a-f]{12}$/);
  assert.equal((await box.state(id)).status, "running");
  await box.ok(["delete", "--force", id]);
});

test("run -d with --name prints the name", async (box) => {
  assert.equal(await box.detached("exit 0", ["--name", "web"]), "web");
  await until("its end", async () => (await box.state("web")).status === "stopped");
  await box.ok(["delete", "web"]);
});

test("a command that cannot be executed is an error of run -d, and nothing is left", async (box) => {
  for (const [command, expected] of [["/none", 127], ["/etc/passwd", 126]] as const) {
    const { code, stdout, stderr } = await box.crate(["run", "-d", "-r", box.rootfs, command]);
    assert.deepEqual([code, stdout], [expected, ""]);
    assert.match(stderr, new RegExp(`^crate: ${command}: .*\n$`));
  }
});

test("the end of a detached container is recorded: its code, its time", async (box) => {
  const id = await box.detached("exit 42");
  const ended = await until("its end", async () => {
    const list = JSON.parse(await box.ok(["list", "--format", "json"]));
    return list[0].status === "stopped" && list[0];
  });
  assert.equal(ended.exitCode, 42);
  assert.ok(Math.abs(Date.parse(ended.finished) - Date.now()) < 60_000);
  assert.match(await box.ok(["list"]), /stopped \(42\)/);
  await box.ok(["delete", id]);
});

test("a detached container outlives its session and its terminal", async (box) => {
  const terminal = new Terminal();
  const words = ["run", "-d", "--name", "on", "-r", box.rootfs, "sleep", "100"];
  assert.equal((await terminal.ended(terminal.start(box, words))).code, 0);
  assert.equal(terminal.screen, "on\r\n");
  terminal[Symbol.dispose]();
  assert.equal((await box.state("on")).status, "running");
  const pid = await box.running("on");
  const session = (of: number) => Deno.readTextFileSync(`/proc/${of}/stat`).split(" ")[5];
  assert.notEqual(session(pid), session(Deno.pid));
  await box.ok(["delete", "--force", "on"]);
});

test("a detached container's standard input is empty, its output no terminal", async (box) => {
  const id = await box.detached("wc -c; test -t 1 || echo no terminal; echo end");
  assert.equal(await box.logged(id, "end"), "0\nno terminal\nend\n");
  await box.ok(["delete", id]);
});

test("run -d -t gives a terminal to nobody, and its output is in the log", async (box) => {
  const id = await box.detached("tty; test -t 0 && test -t 2 && echo end", ["-t"]);
  assert.equal(await box.logged(id, "end"), "/dev/pts/0\r\nend\r\n");
  await until("its end", async () => (await box.state(id)).status === "stopped");
  await box.ok(["delete", id]);
});

test("run -dit keeps a shell that waits on a terminal for somebody to type", async (box) => {
  const id = await box.ok(["run", "-dit", "-r", box.rootfs, "sh"]);
  await box.logged(id, "# ");
  assert.equal(await box.ok(["exec", id, "readlink", "/proc/1/fd/0"]), "/dev/pts/0");
  assert.equal((await box.state(id)).status, "running");
  await box.ok(["delete", "--force", id]);
});

test("with --rm a detached container leaves nothing when it ends by itself", async (box) => {
  await box.detached("sleep 0.1", ["--rm"]);
  await until("it is gone", async () => (await box.ok(["list", "-q"])) === "");
});

test("the monitor of a detached container takes less than 100 KB of memory", async (box) => {
  const id = await box.detached("while echo a line; do sleep 0.01; done");
  await box.logged(id, "a line");
  const pid = await box.running(id);
  const parent = Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ")[1]!.split(" ")[1];
  const status = Deno.readTextFileSync(`/proc/${parent}/status`);
  assert.match(status, /^Name:\tcrate-monitor$/m);
  const kilobytes = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)![1]);
  assert.ok(kilobytes < 100, `${kilobytes} KB resident`);
  await box.ok(["delete", "--force", id]);
});

test("the monitor is one thread, with no descriptor of the starter's", async (box) => {
  const id = await box.ok(["run", "-d", "-r", box.rootfs, "sleep", "100"]);
  const pid = await box.running(id);
  const monitor = Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ")[1]!.split(" ")[1];
  const open = await until("the start is over", () => {
    const fds = [...Deno.readDirSync(`/proc/${monitor}/fd`)];
    const targets = fds.map(({ name }) => Deno.readLinkSync(`/proc/${monitor}/fd/${name}`));
    // The report pipe closes with execve, the control socket's other end with the crate.
    return targets.length <= 8 ? targets : undefined;
  });
  for (const target of open) {
    assert.match(
      target,
      // Its directory, too, by whatever name it has when the container ends.
      new RegExp(`^(socket|pipe|anon_inode):|/state/${id}(/log|/exit\\.new)?$`),
      `open in the monitor: ${open}`,
    );
  }
  assert.equal([...Deno.readDirSync(`/proc/${monitor}/task`)].length, 1);
  await box.ok(["delete", "--force", id]);
});

test("a monitor that is killed takes its container with it, and delete clears all", async (box) => {
  const id = await box.ok(["run", "-d", "-r", box.rootfs, "sleep", "100"]);
  const pid = await box.running(id);
  const monitor = Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ")[1]!.split(" ")[1];
  Deno.kill(Number(monitor), "SIGKILL");
  await until("its end", async () => (await box.state(id)).status === "stopped");
  assert.equal(await box.ok(["delete", id]), id);
});
