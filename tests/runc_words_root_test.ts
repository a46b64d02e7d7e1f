// Not in the virtual machine: the words are the same wherever they are said
import assert from "node:assert/strict";
import { exists } from "../ffi/mod.ts";
import { engineSpec, makeBundle } from "./support/bundle.ts";
import { RUNC } from "./support/engines.ts";
import { reapOrphans, type Result, Running, type Sandbox, test, until } from "./support/mod.ts";

// `run` by runc's words, and what runc and crun are called with besides. What runc does is what crate must do.

interface Runtime {
  readonly name: string;
  /** Runs it to its end; the words may be followed by a shell's redirections. */
  run(words: readonly string[], redirections?: string): Promise<Result>;
}

function runtimes(box: Sandbox): Runtime[] {
  const shell = async (line: { words: string[]; env?: Record<string, string> }, more: string) => {
    const words = ["/bin/sh", "-c", `"$@" ${more}`, "sh", ...line.words];
    return await new Running(words, { env: line.env ?? {} }).ended;
  };
  return [
    { name: "crate", run: (words, more = "</dev/null") => shell(box.commandLine(words), more) },
    {
      name: "runc",
      run: (words, more = "</dev/null") =>
        shell({ words: [RUNC, "--root", box.path("runc"), ...words] }, more),
    },
  ];
}

function bundleFor(box: Sandbox, id: string, script: string, terminal = false): string {
  const directory = box.mkdir(`bundle-${id}`);
  const { linux, ...spec } = engineSpec(box, id, script, { process: { terminal } });
  // The profile has calls that an older libseccomp does not know.
  const { seccomp: _, ...rest } = linux!;
  Deno.writeTextFileSync(`${directory}/config.json`, JSON.stringify({ ...spec, linux: rest }));
  return directory;
}

const status = async ({ run }: Runtime, id: string): Promise<string | undefined> => {
  const { code, stdout } = await run(["state", id]);
  return code === 0 ? JSON.parse(stdout).status : undefined;
};

test("run by runc's words ends as the container does, and deletes it unless --keep says otherwise", async (box) => {
  for (const runtime of runtimes(box)) {
    const id = `r-${runtime.name}`;
    const bundle = bundleFor(box, id, "echo out; echo err >&2; exit 3");
    for (
      const [keep, after] of [[[], undefined], [["--keep"], "stopped"], [[], undefined]] as const
    ) {
      const words = ["run", "--bundle", bundle, "--no-new-keyring", ...keep, id];
      const { code, stdout, stderr } = await runtime.run(words);
      assert.deepEqual([code, stdout, stderr], [3, "out\n", "err\n"], runtime.name);
      assert.equal(await status(runtime, id), after, runtime.name);
      if (after !== undefined) assert.equal((await runtime.run(["delete", id])).code, 0);
    }
  }
});

test("run --detach by runc's words makes a child of the caller's, with the caller's descriptors", async (box) => {
  for (const runtime of runtimes(box)) {
    const id = `d-${runtime.name}`;
    const script = "echo said; echo handed >&3; exec sleep 100";
    const bundle = bundleFor(box, id, script);
    const [pidFile, out, three] = ["pid", "out", "three"].map((name) => box.path(`${id}.${name}`));
    const words = [
      "run",
      "--bundle",
      bundle,
      "--detach",
      "--pid-file",
      pidFile!,
      "--preserve-fds",
      "1",
    ];
    const result = await runtime.run(
      [...words, "--no-pivot", "--no-subreaper", id],
      `</dev/null >${out} 2>&1 3>${three}`,
    );
    assert.deepEqual([result.code, result.stdout], [0, ""], runtime.name);
    await until("its words", () => Deno.readTextFileSync(three!) === "handed\n");
    assert.equal(Deno.readTextFileSync(out!), "said\n");
    const pid = Number(Deno.readTextFileSync(pidFile!));
    const parent = /^PPid:\s+(\d+)$/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`))![1];
    assert.equal(Number(parent), Deno.pid, runtime.name);
    assert.equal(await status(runtime, id), "running");
    assert.equal((await runtime.run(["kill", id, "KILL"])).code, 0);
    await until("its end", async () => {
      reapOrphans();
      return await status(runtime, id) === "stopped";
    });
    assert.equal((await runtime.run(["delete", id])).code, 0);
  }
});

/** Takes a console and prints what comes of it up to the word `end`. */
const TAKE_CONSOLE = `
import array, os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
s.bind(sys.argv[1])
s.listen(1)
connection, _ = s.accept()
_, data, _, _ = connection.recvmsg(4096, socket.CMSG_SPACE(4))
fd = array.array("i", data[0][2][:4])[0]
text = b""
while b"end" not in text:
    text += os.read(fd, 100)
sys.stdout.write(text.decode())`;

test("run --detach hands a console to whoever waits for it, and is refused without one", async (box) => {
  for (const runtime of runtimes(box)) {
    const id = `c-${runtime.name}`;
    const bundle = bundleFor(box, id, "tty; echo end; exec sleep 100", true);
    const socket = box.path(`${id}.sock`);
    const taker = new Running(["python3", "-c", TAKE_CONSOLE, socket]);
    await until("the socket", () => exists(socket));
    const words = ["run", "--bundle", bundle, "--console-socket", socket, "--detach", id];
    const errors = box.path(`${id}.err`);
    const { code } = await runtime.run(words, `</dev/null >${errors} 2>&1`);
    assert.deepEqual([code, Deno.readTextFileSync(errors)], [0, ""], runtime.name);
    assert.match((await taker.ended).stdout, /\/dev\/pts\/0\r\nend/);
    assert.equal((await runtime.run(["delete", "--force", id])).code, 0);
    reapOrphans();
    const missing = await runtime.run(["run", "--bundle", bundle, "--detach", id]);
    assert.notEqual(missing.code, 0);
    assert.equal(await status(runtime, id), undefined, runtime.name);
  }
});

test("what cannot be started by run --detach leaves nothing", async (box) => {
  const bundle = makeBundle(box, "bad", "", { process: { args: ["/bin/data"] } });
  Deno.writeTextFileSync(`${box.rootfs}/bin/data`, "no program", { mode: 0o755 });
  const { code, stderr } = await box.crate(["run", "--bundle", bundle, "-d", "bad"]);
  assert.equal(code, 126);
  assert.match(stderr, /\/bin\/data: cannot be executed: ENOEXEC/);
  assert.equal(await box.ok(["list", "-q"]), "");
  reapOrphans();
});

test("descriptors and a pidfd are handed on in the foreground, too, and a config has another name", async (box) => {
  const bundle = makeBundle(box, "f", "ls /proc/self/fd; echo three >&3; exit 4");
  Deno.renameSync(`${bundle}/config.json`, `${bundle}/other.json`);
  const three = box.path("three");
  const words = ["run", "--bundle", bundle, "-f", "other.json", "--preserve-fds", "1", "f"];
  const { code, stdout } = await box.host(`"$@" 3>${three} </dev/null`, words);
  // The last is that of the listing itself.
  assert.deepEqual([code, stdout], [4, "0\n1\n2\n3\n4\n"]);
  assert.equal(Deno.readTextFileSync(three), "three\n");
  assert.equal(await box.ok(["list", "-q"]), "");
});

test("runc's words are refused where they have no meaning", async (box) => {
  const bundle = makeBundle(box, "x", "true");
  for (
    const [words, code, reason] of [
      [
        ["run", "--bundle", bundle, "--keep"],
        2,
        /--keep is for runc's words: .* --bundle DIR \[OPTIONS\] ID/,
      ],
      [["run", "--bundle", bundle, "--no-pivot"], 2, /--no-pivot is for runc's words/],
      [["run", "--bundle", bundle, "--keep=dir", "x"], 125, /--keep DIR is not for --bundle/],
      [["run", "--keep", "dir", "--bundle", bundle, "x"], 125, /--keep DIR is not for --bundle/],
      [
        ["run", "--bundle", bundle, "--console-socket", "s", "x"],
        2,
        /--console-socket is for --detach/,
      ],
      [
        ["run", "--bundle", bundle, "--rm", "--keep", "x"],
        2,
        /--rm and --keep contradict each other/,
      ],
      [["run", "--bundle", bundle, "-d", "--rm", "x"], 2, /--rm is not for --detach with an ID/],
      [
        ["run", "--bundle", bundle, "-d", "--cidfile", "f", "x"],
        2,
        /--cidfile is not for --detach with an ID/,
      ],
      [["run", "--preserve-fds", "1", "/bin/true"], 2, /--preserve-fds is for --bundle/],
      [["run", "--no-subreaper", "/bin/true"], 2, /--no-subreaper is for --bundle/],
      [
        ["run", "--bundle", bundle, "--config", "none.json", "x"],
        125,
        /none\.json cannot be read: ENOENT/,
      ],
      [
        ["ps", "x", "-ef"],
        2,
        /crate ps prints process ids and runs no ps\(1\), got "-ef"|unknown option/,
      ],
      [
        ["--log", "journald:x", "list"],
        125,
        /--log journald:x: messages go to standard error or to a file/,
      ],
      [
        ["--cgroup-manager", "systemd", "create", "-b", bundle, "x"],
        125,
        /linux\.cgroupsPath must be SLICE:PREFIX:NAME/,
      ],
      [["--rootless", "maybe", "list"], 2, /--rootless/],
    ] as const
  ) {
    const refused = await box.crate(words);
    assert.equal(refused.code, code, `${words.join(" ")}: ${refused.stderr}`);
    assert.match(refused.stderr, reason);
  }
  assert.equal(await box.ok(["list", "-q"]), "");
});

test("the global options of runc and crun do what they say", async (box) => {
  const log = box.path("log");
  const words = ["--log", `file:${log}`, "--log-format", "json", "--log-level", "debug"];
  const image = ["run", "--rm", "-r", box.rootfs, "/bin/echo", "hello"];
  assert.equal(await box.ok([...words, "--rootless", "auto", ...image]), "hello");
  assert.match(Deno.readTextFileSync(log), /"level":"debug","msg":"container \w+ runs as pid \d+"/);
  assert.match(await box.ok(["-v"]), /^crate \d/);
  const bundle = makeBundle(box, "g", "cat /proc/self/cgroup; grep -c . /proc/self/cgroup");
  const own = await new Running(["cat", "/proc/self/cgroup"]).ended;
  const disabled = ["--cgroup-manager", "disabled", "run", "--bundle", bundle, "g"];
  const inside = (await box.ok(disabled)).split("\n").slice(0, -1);
  const paths = (lines: string[]) => lines.map((line) => line.split(":")[2]).sort();
  assert.deepEqual(paths(inside), paths(own.stdout.trim().split("\n")), "crate's own groups");
  const limited = makeBundle(box, "l", "true", { linux: { resources: { pids: { limit: 5 } } } });
  const refused = await box.crate(["--cgroup-manager", "disabled", "create", "-b", limited, "l"]);
  assert.deepEqual([refused.code, refused.stderr], [
    125,
    "crate: linux.resources has limits, and --cgroup-manager disabled leaves no group that could have them\n",
  ]);
  for (const rootless of ["true", "false"]) {
    const run = ["--rootless", rootless, "run", "--bundle", bundle, "g"];
    assert.match(await box.ok(run), new RegExp(`${box.cgroupParent}/g\n`), "root may make groups");
  }
});

test("spec --rootless is runc's, and runs in a user namespace", async (box) => {
  const [ours, theirs] = [box.mkdir("ours"), box.mkdir("theirs")];
  await box.ok(["spec", "--rootless", "--bundle", ours, "--file", "rootless.json"]);
  const { code } = await new Running([RUNC, "spec", "--rootless", "--bundle", theirs]).ended;
  assert.equal(code, 0);
  const config = JSON.parse(Deno.readTextFileSync(`${ours}/rootless.json`));
  const runc = JSON.parse(Deno.readTextFileSync(`${theirs}/config.json`));
  const { uidMappings, gidMappings, namespaces, resources, cgroupsPath } = config.linux;
  assert.deepEqual([uidMappings, gidMappings], [runc.linux.uidMappings, runc.linux.gidMappings]);
  const types = (list: { type: string }[]) => list.map(({ type }) => type).sort();
  assert.deepEqual(types(namespaces), types(runc.linux.namespaces));
  assert.deepEqual([resources, cgroupsPath], [undefined, undefined]);
  type Mounts = { destination: string }[];
  const sys = (mounts: Mounts) => mounts.find(({ destination }) => destination === "/sys");
  assert.deepEqual(sys(config.mounts), sys(runc.mounts));
  config.process = {
    ...config.process,
    terminal: false,
    args: ["sh", "-c", "cat /proc/self/uid_map"],
  };
  Deno.writeTextFileSync(`${ours}/rootless.json`, JSON.stringify(config));
  Deno.symlinkSync(box.rootfs, `${ours}/rootfs`);
  const said = await box.ok(["run", "--bundle", ours, "--config", "rootless.json", "mine"]);
  assert.match(said, /^\s*0\s+0\s+1$/);
});

test("update takes the schemas of Intel RDT for a container that has a group, and no other", async (box) => {
  const bundle = makeBundle(box, "u", "exec sleep 100");
  const words = ["run", "--bundle", bundle, "--detach", "u"];
  const out = box.path("u.out");
  assert.equal((await box.host(`"$@" </dev/null >${out} 2>&1`, words)).code, 0);
  const refused = await box.crate(["update", "--l3-cache-schema", "L3:0=f", "u"]);
  assert.deepEqual([refused.code, refused.stderr], [
    125,
    'crate: container "u" has no resctrl group: its config has no linux.intelRdt\n',
  ]);
  const kernel = await box.crate(["update", "--kernel-memory", "1m", "u"]);
  assert.equal(kernel.code, 125);
  assert.match(kernel.stderr, /memory\.kernel/);
  await box.ok(["delete", "--force", "u"]);
  reapOrphans();
});
