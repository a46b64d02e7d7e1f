// Not in the virtual machine: the permissions are Deno's, whatever the kernel
// Each command under exactly the permissions that it says it needs, and under those less one.
import assert from "node:assert/strict";
import { exists } from "../ffi/mod.ts";
import {
  type CommandName,
  permissionFlags,
  type PermissionSet,
  permissionsOf,
  type Places,
} from "../lib/cli/permissions.ts";
import { BUSYBOX, makeImage } from "./support/image.ts";
import { Registry } from "./support/registry.ts";
import { assertEnded, type Result, Running, type Sandbox, test, until } from "./support/mod.ts";
import { create, makeBundle } from "./support/bundle.ts";
import { idle, networkTest } from "./support/network.ts";

const checkout = new URL("..", import.meta.url).pathname;
const CONFIG = `${checkout}deno.json`;

let bundled: Promise<string> | undefined;

/** The sources as one file: a virtual machine takes seconds to load as many as there are. */
async function bundle(): Promise<string> {
  const directory = Deno.makeTempDirSync();
  addEventListener("unload", () => Deno.removeSync(directory, { recursive: true }));
  const options = ["--quiet", "--platform", "deno", "--config", CONFIG, "--outdir", directory];
  const { code, stderr } = await new Running([
    Deno.execPath(),
    "bundle",
    ...options,
    `${checkout}cli.ts`,
  ]).ended;
  assert.equal(code, 0, stderr);
  return `${directory}/cli.js`;
}

/** Runs crate with these flags of Deno's: as one file, or from the sources. */
async function runWith(
  box: Sandbox,
  flags: readonly string[],
  words: readonly string[],
  program?: string,
): Promise<Result> {
  const { env } = box.commandLine([]);
  const file = program ?? await (bundled ??= bundle());
  const options = ["--quiet", "--config", CONFIG, ...flags];
  const deno = [...box.prefix, Deno.execPath(), "run", ...options, file];
  return await new Running([...deno, "--root", box.root, ...words], {
    env: { ...env, XDG_CONFIG_HOME: box.path("home"), NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
  }).ended;
}

/** A user's configuration, so that there is one to read. */
function configure(box: Sandbox): string {
  box.mkdir("home/crate");
  return box.file("home/crate/config.toml", '[log]\nlevel = "warn"\n');
}

/** The set less one path, one name, or one kind that is given as a whole. */
function* eachLess(set: PermissionSet): Generator<[missing: string, rest: PermissionSet]> {
  for (const kind of Object.keys(set) as (keyof PermissionSet)[]) {
    const { [kind]: all, ...rest } = set;
    if (all === undefined || all === true || kind === "ffi") yield [kind, rest];
    else {
      for (const one of all) {
        const others = all.filter((each) => each !== one);
        yield [`${kind} ${one}`, others.length === 0 ? rest : { ...rest, [kind]: others }];
      }
    }
  }
}

const SYSTEM = "/etc/crate/config.toml";

/** One call of a command, and what it ends with under the command's own permissions. */
interface Call {
  readonly command: CommandName;
  readonly words: readonly string[];
  readonly places?: Partial<Places>;
  readonly expected: Partial<Result>;
}

/** What the state directory holds, which is made for the first container only. */
function stateIn(root: string): string[] {
  const inside = (path: string): string[] =>
    [...Deno.readDirSync(path)].flatMap(({ name, isDirectory }) =>
      isDirectory ? [name, ...inside(`${path}/${name}`)] : [name]
    );
  return exists(root) ? inside(root).sort() : [];
}

/** The same, when the monitors of containers that have ended have cleared away. */
async function settledStateIn(root: string): Promise<string[]> {
  const names = () => exists(root) ? [...Deno.readDirSync(root)].map(({ name }) => name) : [];
  await until("they have", () => !names().some((name) => name.startsWith(".retired-")));
  return stateIn(root);
}

/** First every refusal, and that they left nothing behind; then the whole set. */
async function holds(box: Sandbox, call: Call): Promise<void> {
  const { command, words, places, expected } = call;
  const configFiles = [SYSTEM, configure(box), ...places?.configFiles ?? []];
  const set = permissionsOf(command, { root: box.root, ...places, configFiles });
  const before = await settledStateIn(box.root);
  await Promise.all([...eachLess(set)].map(async ([missing, rest]) => {
    // It is seldom there, and what is not there is not read.
    if (missing === `read ${SYSTEM}`) return;
    const { code, stdout, stderr } = await runWith(box, permissionFlags(rest), words);
    assert.deepEqual([code, stdout], [125, ""], `${command} without ${missing}: ${stderr}`);
    const [kind] = missing.split(" ");
    assert.match(stderr, /^crate: [^\n]+\n$/, `${command} without ${missing}: one sentence`);
    assert.match(stderr, new RegExp(`Requires ${kind} access.*--allow-${kind} flag\n$`));
  }));
  assert.deepEqual(stateIn(box.root), before, "what is refused does nothing");
  assertEnded(await runWith(box, permissionFlags(set), words), expected);
}

test("version needs no permission", async (box) => {
  const result = await runWith(box, permissionFlags(permissionsOf("version")), ["version"]);
  assert.deepEqual([result.code, result.stderr], [0, ""]);
  assert.match(result.stdout, /^crate \d+\.\d+\.\d+\n$/);
});

test("config works under its own flags, and not under fewer", async (box) => {
  const given = box.file("given.toml", 'root = "/given"\n');
  const flags = permissionFlags(permissionsOf("config", {
    root: box.root,
    configFiles: [SYSTEM, configure(box), given],
  }));
  const { stdout } = await runWith(box, flags, ["--config", given, "config"]);
  await holds(box, {
    command: "config",
    words: ["--config", given, "config"],
    places: { configFiles: [given] },
    expected: { stdout },
  });
  assert.match(stdout, /level = "warn" # .*home\/crate\/config\.toml:2\n/);
});

test("run works under its own flags, and not under fewer", async (box) => {
  await holds(box, {
    command: "run",
    words: ["run", "--rm", "-r", box.rootfs, "echo", "hello"],
    expected: { stdout: "hello\n" },
  });
});

test("run reads the files that its options name, and no others", async (box) => {
  const envFile = box.file("env", "GREETING=hello\n");
  const profile = box.file("profile.json", '{"defaultAction":"SCMP_ACT_ALLOW"}');
  const keep = box.path("keep");
  await holds(box, {
    command: "run",
    words: [
      ...["run", "--rm", "--env-file", envFile, "--security-opt", `seccomp=${profile}`],
      ...["--userns", "auto", "--keep", keep, "/bin/sh", "-c", "echo $GREETING; echo kept > /kept"],
    ],
    places: { envFiles: [envFile], seccompProfile: profile },
    expected: { stdout: "hello\n" },
  });
  assert.equal(Deno.readTextFileSync(`${keep}/upper/kept`), "kept\n");
});

test("run may remove the file of --cidfile when the container does not start", async (box) => {
  const cidfile = box.path("id");
  const set = permissionsOf("run", {
    root: box.root,
    configFiles: [SYSTEM, configure(box)],
    cidfile,
  });
  const words = ["run", "--rm", "--cidfile", cidfile, "-r", box.rootfs, "/no-such-command"];
  const result = await runWith(box, permissionFlags(set), words);
  assert.equal(result.code, 127);
  assert.match(result.stderr, /^crate: \/no-such-command: no such file or directory .*\n$/);
  assert.throws(() => Deno.statSync(cidfile), Deno.errors.NotFound);
});

test("a log that may not be written is told, and the container runs", async (box) => {
  const log = box.path("log");
  const { write, ...rest } = permissionsOf("run", {
    root: box.root,
    configFiles: [SYSTEM, configure(box)],
    log,
  });
  const words = ["--log", log, "--debug", "run", "--rm", "-r", box.rootfs, "echo", "hello"];
  const refused = await runWith(box, permissionFlags(rest), words);
  assert.deepEqual([refused.code, refused.stdout], [0, "hello\n"]);
  assert.match(
    refused.stderr,
    /^crate: cannot write to the log \S+: Requires write access[^\n]+\n$/,
  );
  assertEnded(await runWith(box, permissionFlags({ ...rest, write }), words), {
    stdout: "hello\n",
  });
  assert.match(Deno.readTextFileSync(log), / debug container \w+ runs as pid \d+\n$/);
});

test("list works under its own flags, and not under fewer", async (box) => {
  const id = await box.detached("sleep 1000");
  await holds(box, { command: "list", words: ["list", "-q"], expected: { stdout: `${id}\n` } });
  await box.ok(["delete", "-f", id]);
});

test("state works under its own flags, and not under fewer", async (box) => {
  const id = await box.detached("sleep 1000");
  const stdout = `${await box.ok(["state", id])}\n`;
  await holds(box, { command: "state", words: ["state", id], expected: { stdout } });
  await box.ok(["delete", "-f", id]);
});

test("ps, update, mounts and features work under their own flags, and not under fewer", async (box) => {
  const id = await box.detached("sleep 1000");
  const stdout = `${await box.ok(["ps", "-f", "json", id])}\n`;
  await holds(box, { command: "ps", words: ["ps", "-f", "json", id], expected: { stdout } });
  await holds(box, { command: "update", words: ["update", "--pids-limit", "9", id], expected: {} });
  const mounts = box.file("mounts.json", '[{"destination": "/more", "type": "tmpfs"}]');
  for (const verb of ["add", "remove"]) {
    const words = ["mounts", verb, id, mounts];
    await holds(box, { command: "mounts", words, expected: {} });
  }
  await box.ok(["delete", "-f", id]);
  const features = `${await box.ok(["features"])}\n`;
  await holds(box, { command: "features", words: ["features"], expected: { stdout: features } });
});

test("create and start work under their own flags, and create not under fewer", async (box) => {
  const bundle = makeBundle(box, "made", "exec sleep 1000", {
    process: { terminal: true },
  });
  // Its last word: nobody takes the console. Up to there it has needed all that it needs.
  const words = ["create", "-b", bundle, "--console-socket", box.path("none"), "made"];
  const { stderr } = await box.crate(words);
  assert.match(stderr, /nobody listens/);
  await holds(box, { command: "create", words, expected: { code: 125, stderr } });
  await create(box, "made", makeBundle(box, "made", "exec sleep 1000"));
  await holds(box, { command: "start", words: ["start", "made"], expected: {} });
  await box.ok(["delete", "-f", "made"]);
});

test("checkpoint and restore work under their own flags, and not under fewer", async (box) => {
  // As far as criu, which not every kernel lets do its work.
  const bundle = makeBundle(box, "made", "exec sleep 1000");
  const criu = box.file("criu", "#!/bin/sh\nexit 1\n", 0o755);
  const images = box.mkdir("images");
  Deno.writeTextFileSync(`${images}/inventory.img`, "");
  await create(box, "made", bundle);
  await box.ok(["start", "made"]);
  const places = ["--image-path", images, "--work-path", box.path("work")];
  const checkpoint = ["--criu", criu, "checkpoint", ...places, "made"];
  const { stderr } = await box.crate(checkpoint);
  assert.match(stderr, /ended without an answer/);
  await holds(box, { command: "checkpoint", words: checkpoint, expected: { code: 125, stderr } });
  const other = makeBundle(box, "other", "true");
  const restore = ["--criu", criu, "restore", "-d", "-b", other, ...places, "other"];
  const refused = await box.crate(restore);
  assert.match(refused.stderr, /ended without an answer/);
  await holds(box, {
    command: "restore",
    words: restore,
    expected: { code: 125, stderr: refused.stderr },
  });
  await box.ok(["delete", "-f", "made"]);
});

test("logs works under its own flags, and not under fewer", async (box) => {
  const id = await box.detached("echo written");
  await box.logged(id, "written");
  await box.ok(["stop", id]);
  const words = ["logs", "-f", id];
  await holds(box, { command: "logs", words, expected: { stdout: "written\n" } });
  await box.ok(["delete", id]);
});

test("exec works under its own flags, and not under fewer", async (box) => {
  const id = await box.detached("sleep 1000");
  const envFile = box.file("env", "GREETING=hello\n");
  await holds(box, {
    command: "exec",
    words: ["exec", "--env-file", envFile, "-u", "www", id, "sh", "-c", "echo $GREETING; id -u"],
    places: { envFiles: [envFile] },
    expected: { stdout: "hello\n33\n" },
  });
  await box.ok(["delete", "-f", id]);
});

test("stop works under its own flags, and not under fewer", async (box) => {
  const id = await box.detached("trap 'exit 3' TERM; while :; do sleep 0.1; done");
  await holds(box, { command: "stop", words: ["stop", id], expected: { stdout: `${id}\n` } });
  assert.equal((await box.state(id)).status, "stopped");
  await box.ok(["delete", id]);
});

test("kill works under its own flags, and not under fewer", async (box) => {
  const id = await box.detached("trap 'exit 4' HUP; echo ready; while :; do sleep 0.1; done");
  await box.logged(id, "ready");
  await holds(box, { command: "kill", words: ["kill", id, "HUP"], expected: {} });
  await until("it has ended", async () => (await box.state(id)).status === "stopped");
  assert.match(await box.ok(["list"]), /stopped \(4\)/);
  await box.ok(["delete", id]);
});

test("delete works under its own flags, and not under fewer", async (box) => {
  const id = await box.detached("sleep 1000");
  await holds(box, {
    command: "delete",
    words: ["delete", "--force", id],
    expected: { stdout: `${id}\n` },
  });
  assert.equal(await box.ok(["list", "-q"]), "");
});

test("the sets of deno.json are found by -P, and serve the sources", async (box) => {
  const sources = `${checkout}cli.ts`;
  const words = ["run", "--rm", "-r", box.rootfs, "echo", "hello"];
  assertEnded(await runWith(box, ["--no-prompt", "-P=run"], words, sources), {
    stdout: "hello\n",
  });
  const refused = await runWith(box, ["--no-prompt", "-P=version"], words, sources);
  assert.deepEqual([refused.code, refused.stdout], [125, ""]);
  assert.match(refused.stderr, /^crate: Requires ffi access to "[^"]+", [^\n]+\n$/);
});

test("every command on images works under its own flags, and reaches no registry without net", async (box) => {
  const from = await makeImage(box.path("image"), [BUSYBOX], { cmd: ["/bin/echo", "hello"] });
  await using registry = await Registry.start();
  await registry.push(from, "test/image:1");
  const image = `${registry.host}/test/image:1`;
  const configFiles = [SYSTEM, configure(box)];
  const flagsOf = (command: CommandName) => permissionsOf(command, { root: box.root, configFiles });
  const run = async (command: CommandName, ...words: string[]) => {
    const { code, stdout, stderr } = await runWith(box, permissionFlags(flagsOf(command)), words);
    assert.deepEqual([code, stderr], [0, ""], `crate ${words.join(" ")}`);
    return stdout.trimEnd();
  };
  const { net: _, ...offline } = flagsOf("pull");
  const refused = await runWith(box, permissionFlags(offline), ["pull", "-q", image]);
  assert.equal(refused.code, 125);
  assert.match(refused.stderr, /^crate: [^\n]*net access[^\n]*\n$/);

  const digest = await run("pull", "pull", "-q", image);
  assert.match(digest, /^sha256:/);
  await run("tag", "tag", image, "one");
  assert.match(await run("images", "images"), /^one +latest /m);
  assert.match(await run("history", "history", "one"), /^IMAGE/);
  assert.equal(await run("run", "run", "--name", "c", "-v", "data:/data", "one"), "hello");
  assert.equal(JSON.parse(await run("inspect", "inspect", "one", "c")).length, 2);
  await run("diff", "diff", "c");
  await run("commit", "commit", "-q", "c", "two");
  await run("export", "export", "-o", box.path("root.tar"), "c");
  await run("import", "import", "-q", box.path("root.tar"), "three");
  await run("save", "save", "-o", box.path("two.tar"), "two");
  await run("delete", "delete", "c");
  assert.match(await run("volume", "volume", "ls"), /data/);
  await run("rmi", "rmi", "two", "three");
  assert.equal(
    await run("load", "load", "-q", "-i", box.path("two.tar")),
    "Loaded image: two:latest",
  );
  assert.equal(await run("push", "push", "-q", image, `${registry.host}/other:2`), digest);
  assert.match(await run("df", "df"), /^Volumes +1 /m);
  assert.match(await run("prune", "prune", "--all"), /^Reclaimed: /m);
});

networkTest(
  "network, port and a run on a network work under their own flags, and not under fewer",
  async ({ box }) => {
    await holds(box, {
      command: "run",
      words: ["run", "--rm", "-p", "8080:80", "-r", box.rootfs, "ls", "/sys/class/net"],
      expected: { stdout: "eth0\nlo\n" },
    });
    box.environment = { NETCONFPATH: box.mkdir("net.d") };
    box.file("net.d/lo.conf", '{"cniVersion":"0.4.0","name":"plain","type":"loopback"}');
    await holds(box, {
      command: "run",
      words: ["run", "--rm", "--network", "cni:plain", "-r", box.rootfs, "ls", "/sys/class/net"],
      expected: { stdout: "lo\n" },
    });
    const id = await idle(box, "-p", "8080:80", "--network", "crate0");
    const ports = { stdout: "80/tcp -> 0.0.0.0:8080\n" };
    await holds(box, { command: "port", words: ["port", id], expected: ports });
    await holds(box, {
      command: "network",
      words: ["network", "create", "--ipv6", "--subnet", "10.77.0.0/24", "made"],
      expected: { stdout: "made\n" },
    });
    const configFiles = [SYSTEM, configure(box)];
    const flags = permissionFlags(permissionsOf("network", { root: box.root, configFiles }));
    const network = async (words: readonly string[], stdout = "") =>
      assertEnded(await runWith(box, flags, ["network", ...words]), { stdout });
    await network(["connect", "made", id]);
    await network(["ls", "-q"], "crate0\nmade\n");
    await network(["inspect", "made"], `${await box.ok(["network", "inspect", "made"])}\n`);
    await network(["disconnect", "made", id]);
    await network(["rm", "made"], "made\n");
    await box.ok(["delete", "--force", id]);
    await network(["prune"], "crate0\n");
  },
);
