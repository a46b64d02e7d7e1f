// Not in the virtual machine: terminals are the same on every kernel
import assert from "node:assert/strict";
import { assertEnded, Terminal, test, until } from "./support/mod.ts";

// crate run -t on a real terminal.

const CTRL_C = "\x03";
const CTRL_D = "\x04";

test("with -it the container has a terminal of its own as its three descriptors", async (box) => {
  using terminal = new Terminal();
  const script = "test -t 0 && test -t 1 && test -t 2 && tty && echo TERM=$TERM";
  const words = ["run", "--rm", "-it", "-r", box.rootfs, "sh", "-c", script];
  assert.equal((await terminal.ended(terminal.start(box, words))).code, 0);
  assert.equal(terminal.screen, "/dev/pts/0\r\nTERM=xterm\r\n");
});

test("without -t the container has no terminal, even when crate has", async (box) => {
  using terminal = new Terminal();
  // It inherits the descriptors, and in the container they are the host's terminal.
  const script = "test -t 1 && echo inherited; cat </dev/tty || echo no controlling terminal";
  const words = ["run", "--rm", "-r", box.rootfs, "sh", "-c", script];
  assert.equal((await terminal.ended(terminal.start(box, words))).code, 0);
  assert.match(terminal.screen, /^inherited\r\n.*\/dev\/tty.*\r\nno controlling terminal\r\n$/);
});

test("what is typed goes to the container, and its echo comes from there", async (box) => {
  using terminal = new Terminal();
  const script = 'printf "? "; read line; echo "read: $line"';
  const words = ["run", "--rm", "-it", "-r", box.rootfs, "sh", "-c", script];
  const running = terminal.start(box, words);
  await terminal.shows("? ");
  terminal.type("typed\n");
  assert.equal((await terminal.ended(running)).code, 0);
  assert.equal(terminal.screen, "? typed\r\nread: typed\r\n");
});

test("Ctrl-C interrupts the command in the container, and not crate", async (box) => {
  using terminal = new Terminal();
  const script = "trap 'echo interrupted; exit 3' INT; echo up; while :; do sleep 0.02; done";
  const words = ["run", "--rm", "-it", "-r", box.rootfs, "sh", "-c", script];
  const running = terminal.start(box, words);
  await terminal.shows("up");
  await running.forwarding();
  terminal.type(CTRL_C);
  assert.equal((await terminal.ended(running)).code, 3);
  assert.match(terminal.screen, /interrupted/);
});

test("Ctrl-D ends the input of a command in the container", async (box) => {
  using terminal = new Terminal();
  const running = terminal.start(box, ["run", "--rm", "-it", "-r", box.rootfs, "cat"]);
  terminal.type("line\n");
  await terminal.shows("line\r\nline\r\n");
  terminal.type(CTRL_D);
  assert.equal((await terminal.ended(running)).code, 0);
});

test("a shell on a terminal has job control", async (box) => {
  using terminal = new Terminal();
  const running = terminal.start(box, ["run", "--rm", "-it", "-r", box.rootfs, "sh"]);
  await terminal.shows("# ");
  terminal.type("sleep 100\n");
  await terminal.shows("sleep 100\r\n");
  await until("the shell runs sleep", async () => {
    const [id] = (await box.ok(["list", "-q"])).split("\n");
    return (await box.crate(["exec", id!, "sh", "-c", "ps | grep -q '[s]leep 100'"])).code === 0;
  });
  terminal.type("\x1a"); // Ctrl-Z
  await terminal.shows("Stopped");
  terminal.type("fg\n");
  await terminal.shows("fg\r\nsleep 100\r\n");
  terminal.type(CTRL_C);
  await terminal.shows("^C");
  terminal.type("exit 5\n");
  assert.equal((await terminal.ended(running)).code, 5);
});

test("the console has the window's size, and follows it", async (box) => {
  using terminal = new Terminal(40, 100);
  const script = 'trap "stty size" WINCH; trap exit HUP; stty size; while :; do sleep 0.02; done';
  const words = ["run", "--rm", "-it", "-r", box.rootfs, "sh", "-c", script];
  const running = terminal.start(box, words);
  await terminal.shows("40 100");
  await running.forwarding();
  terminal.resize(33, 77);
  await terminal.shows("33 77");
  running.signal("SIGHUP");
  await terminal.ended(running);
});

test("the window's size is right before the command's first instruction", async (box) => {
  using terminal = new Terminal(50, 123);
  const words = ["run", "--rm", "-it", "-r", box.rootfs, "stty", "size"];
  assert.equal((await terminal.ended(terminal.start(box, words))).code, 0);
  assert.equal(terminal.screen, "50 123\r\n");
});

test("the terminal is raw meanwhile, and as before at the end", async (box) => {
  using terminal = new Terminal();
  const before = terminal.settings();
  const words = ["run", "--rm", "-it", "-r", box.rootfs, "sh", "-c", "echo up; read x; exit 7"];
  const running = terminal.start(box, words);
  await terminal.shows("up");
  await until("raw mode", () => terminal.settings() !== before);
  terminal.type("\n");
  assert.equal((await terminal.ended(running)).code, 7);
  assert.equal(terminal.settings(), before);
});

test("the terminal is as before when the container is killed", async (box) => {
  using terminal = new Terminal();
  const before = terminal.settings();
  const words = ["run", "--name", "k", "-it", "-r", box.rootfs, "sh", "-c", "echo up; sleep 100"];
  const running = terminal.start(box, words);
  await terminal.shows("up");
  await until("raw mode", () => terminal.settings() !== before);
  await box.ok(["kill", "k"]);
  assert.equal((await terminal.ended(running)).code, 137);
  assert.equal(terminal.settings(), before);
  await box.ok(["delete", "k"]);
});

test("the terminal is as before when a signal to crate ends the container", async (box) => {
  for (const signal of ["SIGTERM", "SIGHUP", "SIGINT"] as const) {
    using terminal = new Terminal();
    const before = terminal.settings();
    const script = "echo up; exec sleep 100";
    const words = ["run", "--rm", "-it", "--init", "-r", box.rootfs, "sh", "-c", script];
    const running = terminal.start(box, words);
    await terminal.shows("up");
    await until("raw mode", () => terminal.settings() !== before);
    running.signal(signal);
    const codes = { SIGTERM: 143, SIGHUP: 129, SIGINT: 130 };
    assert.equal((await terminal.ended(running)).code, codes[signal]);
    assert.equal(terminal.settings(), before);
  }
});

test("the terminal is as before when the container cannot start", async (box) => {
  using terminal = new Terminal();
  const before = terminal.settings();
  const words = ["run", "--rm", "-it", "-r", box.rootfs, "/no/such/command"];
  assert.equal((await terminal.ended(terminal.start(box, words))).code, 127);
  assert.match(terminal.screen, /^crate: \/no\/such\/command: no such file or directory .*\r\n$/);
  assert.equal(terminal.settings(), before);
});

test("a terminal that hangs up ends the container", async (box) => {
  const terminal = new Terminal();
  const script = "echo up; exec sleep 100";
  const words = ["run", "--rm", "-it", "--init", "-r", box.rootfs, "sh", "-c", script];
  const running = terminal.start(box, words);
  await terminal.shows("up");
  await running.forwarding();
  terminal[Symbol.dispose]();
  assert.equal((await running.ended).code, 129);
});

test("with -t and no -i the container has a terminal and nobody types", async (box) => {
  const words = ["run", "--rm", "-t", "-r", box.rootfs, "sh", "-c", "tty; stty -echo; echo done"];
  assertEnded(await box.crate(words, { input: "typed" }), { stdout: "/dev/pts/0\r\ndone\r\n" });
});

test("with -it and no terminal there is a sentence, and no container", async (box) => {
  const { code, stderr } = await box.crate(["run", "--rm", "-it", "-r", box.rootfs, "true"]);
  assert.equal(code, 125);
  assert.match(stderr, /^crate: -it needs a terminal as standard input.*\n$/);
});

test("/dev/console is the container's terminal", async (box) => {
  using terminal = new Terminal();
  const script = "echo written >/dev/console; stat -c %t:%T /dev/console; ls /dev/pts";
  const words = ["run", "--rm", "-it", "-r", box.rootfs, "sh", "-c", script];
  assert.equal((await terminal.ended(terminal.start(box, words))).code, 0);
  assert.equal(terminal.screen, "written\r\n88:0\r\n0     ptmx\r\n");
});

test("another user's terminal is that user's", async (box) => {
  using terminal = new Terminal();
  const script = "echo $(id -u) $(stat -c %u /dev/pts/0); echo works >/dev/pts/0";
  const words = ["run", "--rm", "-it", "-u", "www", "-r", box.rootfs, "sh", "-c", script];
  assert.equal((await terminal.ended(terminal.start(box, words))).code, 0);
  assert.equal(terminal.screen, "33 33\r\nworks\r\n");
});

test("much output to a terminal arrives whole", async (box) => {
  using terminal = new Terminal();
  const words = ["run", "--rm", "-it", "-r", box.rootfs, "seq", "20000"];
  assert.equal((await terminal.ended(terminal.start(box, words))).code, 0);
  const lines = terminal.screen.split("\r\n");
  assert.equal(lines.length, 20_001);
  assert.equal(lines.at(-2), "20000");
});

test("much input through a terminal arrives whole", async (box) => {
  using terminal = new Terminal();
  const script = "stty raw -echo; echo up; head -c 100000 | md5sum";
  const words = ["run", "--rm", "-it", "-r", box.rootfs, "sh", "-c", script];
  const running = terminal.start(box, words);
  await terminal.shows("up");
  await terminal.typeAll("0123456789".repeat(10_000));
  assert.equal((await terminal.ended(running)).code, 0);
  const expected = await box.host(`for i in {1..10000}; do printf 0123456789; done | md5sum`);
  assert.match(terminal.screen, new RegExp(expected.stdout.trim().split(" ")[0]!));
});
