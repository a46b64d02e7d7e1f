import assert from "node:assert/strict";
import { commandLine } from "./commands.ts";
import { parseWords } from "./parse.ts";
import type { Parsed } from "./table.ts";

function parse(...argv: string[]): Parsed {
  const parsed = parseWords(commandLine, argv);
  assert(parsed, `not understood: ${argv.join(" ")}`);
  return parsed;
}

function options(...argv: string[]): Parsed["call"]["options"] {
  return parse(...argv).call.options;
}

Deno.test("an option's value stands in the next word, after =, or right after its letter", () => {
  for (
    const words of [
      ["--memory", "1g"],
      ["--memory=1g"],
      ["-m", "1g"],
      ["-m1g"],
      ["-m=1g"],
      ["-itm1g"],
      ["-itm", "1g"],
      ["-m", "2g", "--memory=1g"],
    ]
  ) {
    assert.equal(options("run", ...words, "/bin/true").memory, "1g", words.join(" "));
  }
});

Deno.test("an option has the long name by which fingers know it from elsewhere, too", () => {
  assert.deepEqual(options("run", "--net", "a", "--network=b", "sh").network, ["a", "b"]);
  assert.equal(options("stop", "--timeout=3", "web").time, "3");
  assert.equal(parseWords(commandLine, ["stop", "--timeou", "3", "web"]), undefined);
});

Deno.test("a value may be empty, hold = or begin with a dash", () => {
  assert.equal(options("run", "--name", "", "sh").name, "");
  assert.equal(options("run", "--name=", "sh").name, "");
  assert.equal(options("run", "--name", "--rm", "sh").name, "--rm");
  assert.deepEqual(options("run", "-e", "A=b=c", "--env=D=-e", "sh").env, ["A=b=c", "D=-e"]);
});

Deno.test("flags can share a word, and =false takes one back", () => {
  const { interactive, tty, rm, detach, readOnly } = options("run", "-it", "--rm=true", "sh");
  assert.deepEqual([interactive, tty, rm, detach], [true, true, true, false]);
  assert.equal(readOnly, undefined, "not given: the configuration decides");
  assert.equal(options("run", "--read-only=false", "sh").readOnly, false);
  assert.equal(options("run", "--rm", "--rm=false", "sh").rm, false);
  assert.equal(options("run", "-it=false", "sh").tty, false);
});

Deno.test("an option given twice has its last value, a repeatable one all of them", () => {
  const { name, volume, label } = options(
    ...["run", "--name", "a", "-v", "/a:/a", "--name", "b", "-v/b:/b", "sh"],
  );
  assert.deepEqual([name, volume, label], ["b", ["/a:/a", "/b:/b"], []]);
});

Deno.test("the lists of two calls are not the same list", () => {
  assert.deepEqual(options("run", "-e", "A", "sh").env, ["A"]);
  assert.deepEqual(options("run", "sh").env, []);
});

Deno.test("what follows the command of run and exec is the container's, untouched", () => {
  const run = parse("run", "--rm", "/bin/echo", "-n", "--rm=false", "--", "-m", "--help");
  assert.deepEqual(run.call.positionals, ["/bin/echo", "-n", "--rm=false", "--", "-m", "--help"]);
  assert.equal(run.call.options.rm, true);
  const exec = parse("exec", "-u", "1", "web", "ls", "-u", "x");
  assert.deepEqual([exec.call.options.user, exec.call.positionals], ["1", [
    "web",
    "ls",
    "-u",
    "x",
  ]]);
});

Deno.test("other commands take options after their words, and -- ends them", () => {
  const stop = parse("stop", "web", "-t", "3", "db", "--", "-t");
  assert.deepEqual([stop.call.options.time, stop.call.positionals], ["3", ["web", "db", "-t"]]);
});

Deno.test("-- before run's command is dropped, and - is a word", () => {
  assert.deepEqual(parse("run", "--", "-x", "y").call.positionals, ["-x", "y"]);
  assert.deepEqual(parse("stop", "-").call.positionals, ["-"]);
});

Deno.test("global options stand before the command", () => {
  const { command, call } = parse("--root", "/r", "--log-format=json", "--debug", "ls", "-q");
  assert.equal(command.name, "list");
  assert.deepEqual(call.globals, {
    root: "/r",
    logFormat: "json",
    debug: true,
    systemdCgroup: false,
    version: false,
  });
});

Deno.test("-h is run's host name, as -H is", () => {
  assert.equal(options("run", "-h", "box", "sh").hostname, "box");
  assert.equal(options("run", "-Hbox", "sh").hostname, "box");
});

Deno.test("commands have the names that docker and runc give them", () => {
  assert.equal(parse("ls").command.name, "list");
  assert.equal(parse("rm", "-f", "a", "b").command.name, "delete");
  assert.equal(parse("--version").command.name, "version");
});

Deno.test("docker's longer names are names of the same commands", () => {
  const pairs = [
    ["image ls -q", "images -q"],
    ["image rm -f a b", "rmi -f a b"],
    ["container run --rm alpine ls -l", "run --rm alpine ls -l"],
    ["--debug container rm -f a", "--debug delete -f a"],
  ] as const;
  for (const [long, short] of pairs) {
    assert.deepEqual(parse(...long.split(" ")), parse(...short.split(" ")), long);
  }
  assert.equal(parse("image", "inspect", "a").command.name, "image inspect");
  // Whatever follows run is the container's.
  assert.deepEqual(parse("run", "image", "ls").call.positionals, ["image", "ls"]);
});

Deno.test("what is not a call is left to be explained", () => {
  for (
    const argv of [
      [],
      ["help"],
      ["--help"],
      ["-h"],
      ["help", "run"],
      ["run", "--help"],
      ["stop", "-h"],
      ["stop", "web", "--help"],
      ["rnu"],
      [""],
      ["--debug"],
      ["--nope", "run", "sh"],
      ["run", "--nope", "sh"],
      ["run", "-Z", "sh"],
      ["run", "-iZt", "sh"],
      ["run", "--memory"],
      ["run", "-m"],
      ["run", "--rm=maybe", "sh"],
      ["run", "--pid", "bridge", "sh"],
      ["--log-format", "xml", "list"],
      ["state"],
      ["state", "a", "b"],
      ["list", "a"],
      ["kill", "a", "TERM", "b"],
      ["kill", "a", "-9"],
      ["version", "--version"],
      ["image"],
      ["image", "--help"],
      ["image", "help", "ls"],
      ["image", "images"],
      ["image", "constructor"],
      ["image", "--debug", "ls"],
      ["help", "image", "ls"],
    ]
  ) {
    assert.equal(parseWords(commandLine, argv), undefined, argv.join(" "));
  }
});
