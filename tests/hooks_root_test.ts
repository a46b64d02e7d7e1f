// Not in the virtual machine: hooks are programs that are started, whatever the cgroups
import assert from "node:assert/strict";
import type { Hook, Hooks } from "../lib/spec/mod.ts";
import { type BundleChanges, create, launchBundle, makeBundle, outcome } from "./support/bundle.ts";
import { type Sandbox, test, until } from "./support/mod.ts";

// The six kinds of hooks: when they run, where, and with which state. config.md, "POSIX-platform Hooks"

const POINTS = [
  "prestart",
  "createRuntime",
  "createContainer",
  "startContainer",
  "poststart",
  "poststop",
] as const;

/** A hook that notes its point, the status, the pid, the namespaces that it is in and the bundle. */
function noting(box: Sandbox, point: keyof Hooks): Hook {
  const script = `state=$(cat)
status=$(echo "$state" | sed 's/.*"status":"\\([a-z]*\\)".*/\\1/')
pid=$(echo "$state" | sed -n 's/.*"pid":\\([0-9]*\\).*/\\1/p')
echo "${point} $status \${pid:-none} $(readlink /proc/self/ns/mnt) $(readlink /proc/self/ns/net) $NOTE" >> "$1"`;
  // A startContainer hook is a program of the container's.
  const file = point === "startContainer" ? "/notes" : box.path("notes");
  return {
    path: "/bin/sh",
    args: ["sh", "-c", script, "sh", file],
    env: [`NOTE=${point}`, "PATH=/bin:/usr/bin"],
  };
}

test("hooks run at their points, in their namespaces, with the container's state", async (box) => {
  const hooks = Object.fromEntries(POINTS.map((point) => [point, [noting(box, point)]])) as Hooks;
  const linux = { readonlyPaths: [] };
  const script =
    "cat /notes; readlink /proc/self/ns/mnt; readlink /proc/self/ns/net; exec sleep 100";
  const bundle = makeBundle(box, "h", script, { hooks, linux });
  const creation = await create(box, "h", bundle);
  assert.deepEqual([creation.code, creation.stderr], [0, ""]);
  const notes = () => Deno.readTextFileSync(box.path("notes")).trim().split("\n");
  const at = (lines: string[]) => lines.map((line) => line.split(" ").slice(0, 2).join(" "));
  assert.deepEqual(at(notes()), [
    "prestart creating",
    "createRuntime creating",
    "createContainer creating",
  ]);
  const { pid } = await box.state("h");
  await box.ok(["start", "h"]);
  await until(
    "its output",
    () => creation.output().includes("net:[4") && creation.output().split("\n").length >= 4,
  );
  const [inside, mnt, net] = creation.output().trim().split("\n");
  assert.match(inside!, /^startContainer created /);
  assert.equal(at(notes()).at(-1), "poststart running");
  await box.ok(["delete", "--force", "h"]);
  assert.equal(at(notes()).at(-1), "poststop stopped");
  const host = [Deno.readLinkSync("/proc/self/ns/mnt"), Deno.readLinkSync("/proc/self/ns/net")];
  for (const line of [...notes(), inside!]) {
    const [point, status, seen, ...rest] = line.split(" ");
    assert.equal(seen, status === "stopped" ? "none" : String(pid), line);
    const isInside = point === "createContainer" || point === "startContainer";
    assert.deepEqual(rest, [...isInside ? [mnt, net] : host, point], line);
  }
});

test("a hook finds the root filesystem at its path, and what it mounts there is the container's", async (box) => {
  const data = box.mkdir("data");
  Deno.writeTextFileSync(`${data}/file`, "mounted by a hook\n");
  const mount = `mkdir -p ${box.rootfs}/added && mount --bind ${data} ${box.rootfs}/added`;
  const hooks = {
    createContainer: [{ path: "/bin/sh", args: ["sh", "-c", mount], env: ["PATH=/bin:/usr/bin"] }],
  };
  const creation = await launchBundle(box, "m", "cat /added/file", { hooks });
  assert.equal(await outcome(box, "m", creation), "mounted by a hook");
});

test("a hook that fails before the start ends the container, one that fails after it does not", async (box) => {
  const failing = { path: "/bin/sh", args: ["sh", "-c", "echo why >&2; exit 3"] };
  for (const point of ["prestart", "createRuntime", "createContainer"] as const) {
    const bundle = makeBundle(box, point, "true", { hooks: { [point]: [failing] } });
    const { code, stderr } = await create(box, point, bundle);
    assert.equal(code, 125);
    assert.equal(stderr, `crate: hooks.${point}[0] (/bin/sh) exited with 3: why\n`);
    assert.equal((await box.crate(["state", point])).code, 125);
  }
  const changes: BundleChanges = { hooks: { startContainer: [failing] } };
  await create(box, "s", makeBundle(box, "s", "echo never", changes));
  const { code, stderr } = await box.crate(["start", "s"]);
  assert.deepEqual([code, stderr], [
    125,
    "crate: hooks.startContainer[0] (/bin/sh): exited with 3\n",
  ]);
  await until("its end", async () => (await box.state("s")).status === "stopped");
  await box.ok(["delete", "s"]);

  const late = makeBundle(box, "p", "echo ran", {
    hooks: { poststart: [failing], poststop: [failing] },
  });
  const creation = await create(box, "p", late);
  const start = await box.crate(["start", "p"]);
  assert.deepEqual([start.code, start.stderr], [
    0,
    "crate: warn: hooks.poststart[0] (/bin/sh) exited with 3: why\n",
  ]);
  await until("its end", async () => (await box.state("p")).status === "stopped");
  const deleted = await box.crate(["delete", "p"]);
  assert.deepEqual([deleted.code, deleted.stderr], [
    0,
    "crate: warn: hooks.poststop[0] (/bin/sh) exited with 3: why\n",
  ]);
  assert.equal(creation.output(), "ran\n");
});

test("a hook that is not there, is killed or takes too long is told so", async (box) => {
  for (
    const [hook, reason] of [
      [{ path: "/no/hook" }, "(/no/hook) cannot run: /no/hook: no such file or directory"],
      [{ path: "/bin/sh", args: ["sh", "-c", "kill -9 $$"] }, "(/bin/sh) was killed (9)"],
      [
        { path: "/bin/sleep", args: ["sleep", "100"], timeout: 1 },
        "(/bin/sleep) did not end within its timeout of 1 s",
      ],
    ] as const
  ) {
    const bundle = makeBundle(box, "x", "true", { hooks: { createRuntime: [hook] } });
    const { code, stderr } = await create(box, "x", bundle);
    assert.equal(code, 125);
    assert(stderr.startsWith(`crate: hooks.createRuntime[0] ${reason}`), stderr);
  }
});

test("crate run --bundle runs hooks too, those of its end when it is deleted by itself", async (box) => {
  const hooks = {
    createRuntime: [noting(box, "createRuntime")],
    poststop: [noting(box, "poststop")],
  };
  const bundle = makeBundle(box, "r", "echo ran", { hooks });
  const notes = () => {
    const lines = Deno.readTextFileSync(box.path("notes")).trim().split("\n");
    Deno.removeSync(box.path("notes"));
    return lines.map((line) => line.split(" ")[0]);
  };
  for (
    const [words, deleted] of [[["--name", "r"], false], [["r"], true], [["--rm"], true]] as const
  ) {
    const { code, stdout, stderr } = await box.crate(["run", "--bundle", bundle, ...words]);
    assert.deepEqual([code, stdout, stderr], [0, "ran\n", ""]);
    if (!deleted) await box.ok(["delete", "r"]);
    assert.deepEqual(notes(), ["createRuntime", "poststop"]);
    assert.equal(await box.ok(["list", "-q"]), "");
  }
  const refused = await box.crate(["run", "--bundle", bundle, "--rm", "-d"]);
  assert.equal(refused.code, 125);
  assert.match(refused.stderr, /hooks\.poststop run when the container is deleted: with --detach/);
  // Whoever stays for the hooks passes on what is sent to it.
  const script = "trap 'exit 7' TERM; echo up; while :; do sleep 0.05; done";
  const waiting = makeBundle(box, "s", script, { hooks: { poststop: hooks.poststop } });
  const running = box.start(["run", "--bundle", waiting, "s"]);
  await until("it runs", () => running.stdout === "up\n");
  running.signal("SIGTERM");
  assert.equal((await running.ended).code, 7);
  assert.deepEqual(notes(), ["poststop"]);
});
