// Not in the virtual machine: the permissions are Deno's, whatever the kernel
// Each command under exactly the permissions that it says it needs, and under those less one.
import assert from "node:assert/strict";
import { permissionFlags, permissionsOf } from "../lib/cli/permissions.ts";
import { assertEnded, test, until } from "./support/mod.ts";
import { create, makeBundle } from "./support/bundle.ts";
import { checkout, configure, holds, runWith, SYSTEM } from "./support/permissions.ts";

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
