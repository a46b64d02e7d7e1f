import assert from "node:assert/strict";
import { exists } from "../ffi/mod.ts";
import { create, launchBundle, makeBundle } from "./support/bundle.ts";
import { assertGoesOn, COUNTER, criuTest, grown, numbers, restore } from "./support/criu.ts";
import { assertEnded, reapOrphans, Running, type Sandbox, until } from "./support/mod.ts";

// Checkpoints and restores of containers of every kind, by criu.

const status = async (box: Sandbox, id: string) => (await box.state(id)).status;

/** Checkpoints a counter and restores it under its name, and sees that it has gone on. */
async function goesOn(box: Sandbox, out: string, options: readonly string[] = []): Promise<void> {
  const before = await grown(out);
  const places = ["--image-path", box.path("images")];
  await box.ok(["checkpoint", ...places, "c"]);
  reapOrphans();
  assert.deepEqual(await restore(box, out, ["-d", ...places, ...options, "c"]), {
    code: 0,
    stderr: "",
  });
  await grown(out);
  assertGoesOn(Deno.readTextFileSync(out), before);
}

criuTest(
  "binds, tmpfs, masks, a read-only root and a cgroup namespace are as they were",
  async (box) => {
    box.mkdir("data");
    const file = box.file("file", "of the host");
    const bundle = makeBundle(box, "c", `echo kept >/scratch/it; ${COUNTER}`, {
      linux: {
        namespaces: ["pid", "network", "ipc", "uts", "mount", "cgroup"].map((type) => ({
          type,
        })) as never,
        maskedPaths: ["/proc/kcore", "/proc/keys", "/proc/acpi", "/sys/firmware", "/none"],
        readonlyPaths: ["/proc/sys", "/proc/bus"],
        resources: { pids: { limit: 50 }, memory: { limit: 200 << 20 } },
      },
      spec: { root: { path: box.rootfs, readonly: true } },
    });
    const config = JSON.parse(Deno.readTextFileSync(`${bundle}/config.json`));
    // Through a link of the image's.
    Deno.mkdirSync(`${box.rootfs}/srv`);
    Deno.symlinkSync("srv", `${box.rootfs}/link`);
    config.mounts.push(
      { destination: "/scratch", type: "tmpfs", source: "tmpfs", options: ["size=1m"] },
      {
        destination: "/link/data",
        type: "bind",
        source: box.path("data"),
        options: ["rbind", "ro"],
      },
      { destination: "/etc/file", type: "bind", source: file, options: ["bind"] },
      { destination: "/sys", type: "sysfs", source: "sysfs", options: ["ro", "nosuid"] },
      { destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["ro"] },
      { destination: "/dev/mqueue", type: "mqueue", source: "mqueue" },
      { destination: "/dev/shm", type: "tmpfs", source: "shm", options: ["mode=1777"] },
    );
    Deno.writeTextFileSync(`${bundle}/config.json`, JSON.stringify(config));
    const out = box.path("c.out");
    const creation = await create(box, "c", bundle);
    assert.deepEqual([creation.code, creation.stderr], [0, ""]);
    await box.ok(["start", "c"]);
    const look = () =>
      box.ok([
        "exec",
        "c",
        "/bin/sh",
        "-c",
        `cut -d' ' -f2-4 /proc/mounts | sed 's/inode64//; s/,size=[^, ]*//' | sort
      cat /scratch/it /etc/file /proc/self/cgroup; ls /proc/acpi /sys/firmware; wc -c </proc/keys
      (echo x >/new) 2>&1; (echo x >/srv/data/new) 2>&1; (echo x >/proc/sys/kernel/hostname) 2>&1; hostname`,
      ]);
    const before = await look();
    // The host's own mount of the groups has the same options.
    const host = () => /^.* cgroup2 (.*)$/m.exec(Deno.readTextFileSync("/proc/mounts"))![1];
    const options = host();
    await goesOn(box, out);
    assert.equal(host(), options);
    assert.equal(await look(), before);
    assert.match(before, /kept\nof the host/);
    const group = `/sys/fs/cgroup${box.cgroupParent}/c`;
    assert.equal(Deno.readTextFileSync(`${group}/pids.max`), "50\n");
    assert.equal(Deno.readTextFileSync(`${group}/memory.max`), `${200 << 20}\n`);
    await box.ok(["delete", "-f", "c"]);
  },
);

criuTest(
  "a container in a user namespace keeps its ids, on a host that shares its mounts",
  async (box) => {
    await box.host("mount --make-rshared /");
    try {
      const map = [{ containerID: 0, hostID: 100000, size: 65536 }];
      await box.host(`chown -R 100000:100000 ${box.rootfs} && chmod 755 ${box.directory}`);
      const types = ["pid", "network", "ipc", "uts", "mount", "user"] as const;
      await launchBundle(box, "c", COUNTER, {
        linux: {
          namespaces: types.map((type) => ({ type })),
          uidMappings: map,
          gidMappings: map,
          maskedPaths: ["/proc/kcore"],
          readonlyPaths: [],
        },
      });
      // They are opened again, by the container's root.
      await box.host(`chmod 666 ${box.path("c.out")} ${box.path("c.err")}`);
      await goesOn(box, box.path("c.out"));
      const ids = await box.ok(["exec", "c", "/bin/cat", "/proc/self/uid_map"]);
      assert.equal(ids.trim().replace(/ +/g, " "), "0 100000 65536");
      await box.ok(["delete", "-f", "c"]);
    } finally {
      await box.host("mount --make-rprivate /");
    }
  },
);

criuTest("a network namespace of the host's making is joined again", async (box) => {
  await box.host(`ip netns add ${box.name}`);
  try {
    const others = (["pid", "ipc", "uts", "mount"] as const).map((type) => ({ type }));
    const network = { type: "network", path: `/run/netns/${box.name}` } as const;
    await launchBundle(box, "c", COUNTER, { linux: { namespaces: [...others, network] } });
    const inode = async () => Deno.readLinkSync(`/proc/${(await box.state("c")).pid}/ns/net`);
    const before = await inode();
    await goesOn(box, box.path("c.out"));
    assert.equal(await inode(), before);
    await box.ok(["delete", "-f", "c"]);
  } finally {
    await box.host(`ip netns del ${box.name}`);
  }
});

criuTest("hooks run at a restore; one that fails ends it, and nothing is left", async (box) => {
  const out = box.path("c.out");
  const note = (point: string) => ({
    path: "/bin/sh",
    args: [
      "sh",
      "-c",
      `echo ${point} $(sed 's/.*"status":"\\([a-z]*\\)","pid":[1-9].*/\\1/') >>${
        box.path("notes")
      }; test ! -e ${box.path("fail")}`,
    ],
  });
  const hooks = Object.fromEntries(
    ["prestart", "createRuntime", "poststart", "poststop"].map((point) => [point, [note(point)]]),
  );
  const { bundle } = await launchBundle(box, "c", COUNTER, { hooks }).then(() => box.state("c"));
  await grown(out);
  Deno.removeSync(box.path("notes"));
  await goesOn(box, out, ["--bundle", String(bundle)]);
  const notes = () => Deno.readTextFileSync(box.path("notes")).split("\n").slice(0, -1);
  assert.deepEqual(notes().slice(1), ["prestart creating", "createRuntime creating"]);
  assert.match(notes()[0]!, /^poststop/);
  await box.ok(["checkpoint", "--image-path", box.path("again"), "c"]);
  reapOrphans();
  await box.ok(["delete", "c"]);
  box.file("fail");
  const failed = await restore(box, out, [
    "-d",
    "-b",
    String(bundle),
    "--image-path",
    box.path("again"),
    "c",
  ]);
  assert.equal(failed.code, 125);
  assert.match(failed.stderr, /^crate: hooks\.prestart\[0\] \(\/bin\/sh\) exited with 1\n$/);
  assert.equal(await box.ok(["list", "-q"]), "");
});

criuTest(
  "without --detach the container's end is crate's, and its signals go through",
  async (box) => {
    const out = box.path("c.out");
    const script = `trap 'exit 7' TERM; ${COUNTER}`;
    const { bundle } = await launchBundle(box, "c", script).then(() => box.state("c"));
    const before = await grown(out);
    const places = ["--image-path", box.path("images")];
    await box.ok(["checkpoint", ...places, "c"]);
    reapOrphans();
    await box.ok(["delete", "c"]);
    const line = box.commandLine(["restore", "-b", String(bundle), ...places, "c"]);
    const running = new Running([
      "sh",
      "-c",
      `exec "$@" </dev/null >>${out} 2>>${box.path("c.err")}`,
      "sh",
      ...line.words,
    ], { env: line.env });
    await until(
      "it runs",
      async () =>
        (await box.crate(["state", "c"])).code === 0 && await status(box, "c") === "running",
    );
    await grown(out);
    running.signal("SIGTERM");
    assertEnded(await running.ended, { code: 7 });
    assertGoesOn(Deno.readTextFileSync(out), before);
    assert.equal(await box.ok(["list", "-q"]), "");
  },
);

criuTest(
  "crate run's own container goes on with its log, its monitor and its name",
  async (box) => {
    const script = `trap 'exit 9' TERM; echo x >/file; ${COUNTER}`;
    const id = await box.ok([
      "run",
      "-d",
      "--name",
      "own",
      "-r",
      box.rootfs,
      "/bin/sh",
      "-c",
      script,
    ]);
    await box.logged(id, "5\n");
    const places = ["--image-path", box.path("images")];
    assert.match((await box.crate(["checkpoint", ...places, "own"])).stderr, /^$/);
    assert.equal(await status(box, "own"), "stopped");
    const before = numbers(await box.ok(["logs", "own"])).length;
    assert.match((await box.crate(["restore", ...places, "own"])).stderr, /give --detach/);
    assert.equal(await box.ok(["restore", "-d", ...places, "own"]), "");
    await box.logged("own", `\n${before + 3}\n`);
    assertGoesOn(`${await box.ok(["logs", "own"])}\n`, before);
    assert.equal(await box.ok(["exec", "own", "/bin/cat", "/file"]), "x");
    assert.equal(exists(`${box.rootfs}/file`), true);
    assert.equal(await box.ok(["stop", "own"]), "own");
    assert.equal((await box.crate(["wait", "own"])).stdout, "9\n");
    assert.equal(await box.ok(["list", "-q"]), "own");
    await box.ok(["delete", "own"]);
    // What is in memory alone cannot be in an image.
    const other = await box.ok(["run", "-d", "/bin/sleep", "100"]);
    const refused = await box.crate(["checkpoint", ...places, other]);
    assert.match(
      refused.stderr,
      /writes is in memory, and no image of criu's has it: crate run --keep/,
    );
    await box.ok(["delete", "-f", other]);
  },
);
