import assert from "node:assert/strict";
import { commandLine } from "./commands.ts";
import { explainWords } from "./parse.ts";

const explain = (...argv: string[]) => explainWords(commandLine, argv);

Deno.test("a mistake gets one sentence that names it and the remedy, and exit code 2", async () => {
  const sentences: [string, string][] = [
    ["run --memry 1g sh", "crate run: unknown option '--memry' (did you mean --memory?)"],
    ["run --memry=1g sh", "crate run: unknown option '--memry' (did you mean --memory?)"],
    ["run -itZ sh", "crate run: unknown option '-Z' in '-itZ' (see 'crate run --help')"],
    ["kill web -9", "crate kill: unknown option '-9' (see 'crate kill --help')"],
    [
      "list --root /x",
      "crate list: unknown option '--root' (it stands before the command: crate --root DIR list ...)",
    ],
    ["--versoin", "crate: unknown option '--versoin' (did you mean --version?)"],
    ["rnu sh", "crate: unknown command 'rnu' (did you mean run?)"],
    ["frobnicate", "crate: unknown command 'frobnicate' (see 'crate --help')"],
    ["help rnu", "crate: unknown command 'rnu' (did you mean run?)"],
    [
      "run -m",
      "crate run: option '-m, --memory BYTES' needs a value (see 'crate run --help')",
    ],
    [
      "run -h",
      "crate run: option '-h, -H, --hostname NAME' needs a value (see 'crate run --help')",
    ],
    ["run --rm=yes sh", "crate run: option '--rm' takes true or false, got 'yes'"],
    ["run --pid me sh", "crate run: option '--pid' takes private or host, got 'me'"],
    ["state", "crate state: CONTAINER is missing (usage: crate state CONTAINER)"],
    ["version x", "crate version: unexpected word 'x' (usage: crate version)"],
    ["image lss", "crate image: unknown command 'lss' (did you mean ls?)"],
    ["image zzzzzz", "crate image: unknown command 'zzzzzz' (see 'crate image --help')"],
    ["imgae ls", "crate: unknown command 'imgae' (did you mean image?)"],
    [
      "image inspect",
      "crate image inspect: IMAGE is missing (usage: crate image inspect [OPTIONS] IMAGE [IMAGE...])",
    ],
    ["image rm --zzzz a", "crate rmi: unknown option '--zzzz' (see 'crate rmi --help')"],
    ["image help ls x", "crate: unexpected word 'x' (usage: crate help [COMMAND])"],
    ["help run sh", "crate: unexpected word 'sh' (usage: crate help [COMMAND])"],
  ];
  for (const [words, stderr] of sentences) {
    assert.deepEqual(
      await explain(...words.split(" ")),
      { exitCode: 2, stdout: "", stderr: `${stderr}\n` },
    );
  }
});

Deno.test("help that was asked for goes to stdout with exit code 0", async () => {
  const run = await explain("run", "--help");
  assert.deepEqual([run.exitCode, run.stderr], [0, ""]);
  assert.match(
    run.stdout,
    /^Usage: crate run \[OPTIONS\] \[IMAGE\] \[COMMAND\] \[ARG\.\.\.\]\n\nRun a command/,
  );
  assert.match(run.stdout, /\nResources:\n {2}-m, --memory BYTES +limit of memory, such as 512m\n/);
  assert.match(run.stdout.replace(/\s+/g, " "), / --network NETWORK .*\(also --net; default: /);
  assert.match(run.stdout, /\n {2}-h, -H, --hostname NAME +host name inside/);
  assert.match(run.stdout, /\nExamples:\n(?:.*\n)*? {2}# .*\n {2}crate run -it \/bin\/sh\n/);
  assert.deepEqual(await explain("help", "run"), run);
  const all = await explain("--help");
  assert.match(all.stdout, /^Usage: crate \[OPTIONS\] COMMAND/);
  assert.match(all.stdout, /\nContainers:\n {2}run +Run a command in a new container\n/);
  assert.match(all.stdout, /\n {2}list, ls +List/);
  assert.deepEqual(await explain("help"), all);
  assert.deepEqual(await explain("-h"), all);
});

Deno.test("a group has help of its own", async () => {
  const help = await explain("image", "--help");
  assert.deepEqual([help.exitCode, help.stderr], [0, ""]);
  assert.match(help.stdout, /^Usage: crate image COMMAND/);
  assert.match(help.stdout, /\n {2}ls +List/);
  for (const words of ["image -h", "image help", "help image"]) {
    assert.deepEqual(await explain(...words.split(" ")), help, words);
  }
  assert.deepEqual(await explain("image"), { exitCode: 2, stdout: "", stderr: help.stdout });
  const ls = await explain("images", "--help");
  for (const words of ["image ls --help", "image help ls", "help image ls"]) {
    assert.deepEqual(await explain(...words.split(" ")), ls, words);
  }
  assert.match((await explain("--help")).stdout, /\n {2}image +The commands on images/);
});

Deno.test("no command at all is a mistake: the help goes to stderr with exit code 2", async () => {
  const { stdout: help } = await explain("--help");
  assert.deepEqual(await explain(), { exitCode: 2, stdout: "", stderr: help });
});

Deno.test("every help names all of its options and fits 80 columns", async () => {
  for (
    const { name, options, hidden } of [{ ...commandLine, name: "" }, ...commandLine.commands]
      .map((each) => ({ hidden: false, ...each }))
  ) {
    const { stdout } = await explain(...name ? [name] : [], "--help");
    for (const { long } of options) assert.match(stdout, new RegExp(`--${long}\\b`));
    for (const line of stdout.split("\n")) assert(line.length <= 80, line);
    assert.equal((await explain("--help")).stdout.includes(`\n  ${name}`), !hidden);
  }
});

Deno.test("help and mistakes need no permission", async () => {
  const module = new URL("./mod.ts", import.meta.url).href;
  const code = `import { commandLine, explainWords } from ${JSON.stringify(module)};
    const help = await explainWords(commandLine, ["run", "--help"]);
    const mistake = await explainWords(commandLine, ["rnu"]);
    console.log(help.exitCode, mistake.stderr);`;
  const config = new URL("../../../deno.json", import.meta.url).pathname;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--no-check", "--quiet", "--config", config, "-"],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  await new Response(code).body!.pipeTo(child.stdin);
  const { stdout, stderr } = await child.output();
  assert.equal(new TextDecoder().decode(stderr), "");
  assert.equal(
    new TextDecoder().decode(stdout),
    "0 crate: unknown command 'rnu' (did you mean run?)\n\n",
  );
});
