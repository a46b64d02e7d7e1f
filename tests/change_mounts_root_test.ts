// Not in the virtual machine: cgroups have no part in it
import assert from "node:assert/strict";
import { create, launchBundle, makeBundle } from "./support/bundle.ts";
import { reapOrphans, Running, type Sandbox, test, until } from "./support/mod.ts";

// crate mounts add and remove: what is mounted in a container changes while it runs.

async function change(box: Sandbox, verb: "add" | "remove", id: string, mounts: unknown) {
  const input = JSON.stringify(mounts);
  return await box.crate(["mounts", verb, id, "-"], { input });
}

async function changed(box: Sandbox, verb: "add" | "remove", id: string, mounts: unknown) {
  const { code, stdout, stderr } = await change(box, verb, id, mounts);
  assert.deepEqual([code, stdout, stderr], [0, "", ""]);
}

const inside = (box: Sandbox, id: string, script: string) =>
  box.ok(["exec", id, "/bin/sh", "-c", script]);

async function end(box: Sandbox, id: string): Promise<void> {
  reapOrphans();
  await box.ok(["delete", "--force", id]);
}

test("mounts are added to a running container and removed again", async (box) => {
  const data = box.mkdir("data");
  Deno.writeTextFileSync(`${data}/file`, "of the host\n");
  const file = box.file("one", "one file\n");
  Deno.mkdirSync(`${box.rootfs}/srv/full`, { recursive: true });
  Deno.writeTextFileSync(`${box.rootfs}/srv/full/own`, "of the image\n");
  await launchBundle(box, "c", "exec sleep 100");
  const before = await inside(box, "c", "cat /proc/self/mountinfo");
  const mounts = [
    { destination: "/made/data", type: "bind", source: data, options: ["rbind", "ro", "nosuid"] },
    { destination: "/etc/made", type: "bind", source: file, options: ["bind"] },
    { destination: "/srv/full", type: "tmpfs", source: "tmpfs", options: ["tmpcopyup", "size=1m"] },
    { destination: "/made/proc", type: "proc", source: "proc", options: ["nosuid", "ro"] },
    { destination: "/made/mq", type: "mqueue", source: "mqueue" },
  ];
  await changed(box, "add", "c", { mounts });
  const script =
    "cat /made/data/file /etc/made /srv/full/own; touch /made/data/x 2>/dev/null || echo ro" +
    "; ls /made/proc | grep -c '^[0-9]'; touch /srv/full/x /made/mq/x && ls /srv/full";
  const [one, two, three, ro, processes, ...listed] = (await inside(box, "c", script)).split("\n");
  assert.deepEqual([one, two, three, ro], ["of the host", "one file", "of the image", "ro"]);
  assert.equal(Number(processes) >= 2 && Number(processes) < 9, true, "the container's own");
  assert.deepEqual(listed, ["own", "x"]);
  // Nothing of the host's mounts has changed, and nothing of the image below the tmpfs.
  assert(!Deno.readTextFileSync("/proc/self/mountinfo").includes("/made"));
  assert.deepEqual([...Deno.readDirSync(`${box.rootfs}/srv/full`)].map(({ name }) => name), [
    "own",
  ]);
  await changed(box, "remove", "c", mounts.map(({ destination }) => ({ destination })));
  assert.equal(await inside(box, "c", "cat /proc/self/mountinfo"), before);
  await end(box, "c");
});

test("mounts are added to a container that has been created, before it starts", async (box) => {
  const bundle = makeBundle(box, "c", "cat /made/file; exec sleep 100");
  const file = box.file("one", "one file\n");
  const creation = await create(box, "c", bundle);
  assert.deepEqual([creation.code, creation.stderr], [0, ""]);
  await changed(box, "add", "c", [{ destination: "/made/file", type: "bind", source: file }]);
  await box.ok(["start", "c"]);
  await until("its words", () => creation.output() === "one file\n");
  await box.ok(["kill", "c", "KILL"]);
  await until("its end", async () => {
    reapOrphans();
    return (await box.state("c")).status === "stopped";
  });
  const { code, stderr } = await change(box, "remove", "c", [{ destination: "/made/file" }]);
  assert.deepEqual([code, stderr], [125, 'crate: container not running: "c" is stopped\n']);
  await box.ok(["delete", "c"]);
});

test("a mount that cannot be added leaves none of those before it", async (box) => {
  await launchBundle(box, "c", "exec sleep 100");
  const before = await inside(box, "c", "cat /proc/self/mountinfo");
  const good = { destination: "/good", type: "tmpfs", source: "tmpfs" };
  for (
    const [mounts, code, reason] of [
      [[good, { destination: "/proc/self/no", type: "tmpfs" }], 125, /make \/proc\/self\/no: E/],
      [
        [good, { destination: "/b", type: "bind", source: "/no/such" }],
        125,
        /is not there: \/no\/such/,
      ],
      [
        [good, { destination: "/b", type: "ext4" }],
        125,
        /mounts\[1\]\.type "ext4" is not supported/,
      ],
      [
        [good, { destination: "/b", type: "tmpfs", options: ["size=x"] }],
        125,
        /\(size=x\): EINVAL/,
      ],
      [[{ destination: "/b", type: "cgroup" }], 125, /mounts\[0\]\.type "cgroup" cannot be added/],
      [
        [{ destination: "/x/..", type: "tmpfs" }],
        125,
        /mounts\[0\]\.destination is the container's root/,
      ],
      [{ mount: [] }, 125, /standard input: mounts is missing/],
      [[{ type: "tmpfs" }], 125, /standard input: mounts\[0\]\.destination must be a string/],
      ["x", 125, /standard input: the mounts must be an object/],
    ] as const
  ) {
    const refused = await change(box, "add", "c", mounts);
    assert.equal(refused.code, code, refused.stderr);
    assert.match(refused.stderr, /^crate: [^\n]*\n$/);
    assert.match(refused.stderr, reason);
    assert.equal(await inside(box, "c", "cat /proc/self/mountinfo"), before);
  }
  const nobody = await box.crate(["mounts", "add", "c", box.path("none")]);
  assert.deepEqual([nobody.code, nobody.stderr], [
    125,
    `crate: ${box.path("none")} cannot be read: ENOENT\n`,
  ]);
  await end(box, "c");
  const gone = await change(box, "add", "c", [good]);
  assert.match(gone.stderr, /container "c" does not exist/);
});

test("no link of the container's leads a removal to what hides its host", async (box) => {
  Deno.symlinkSync("/proc/kcore", `${box.rootfs}/data`);
  Deno.symlinkSync("/proc", `${box.rootfs}/way`);
  await launchBundle(box, "c", "exec sleep 100");
  const before = await inside(box, "c", "cat /proc/self/mountinfo");
  for (
    const [destination, reason] of [
      ["/data", /unmount \/data: EINVAL/],
      ["/way/kcore", /unmount \/way\/kcore: ELOOP/],
      ["/bin", /unmount \/bin: EINVAL/],
      ["/no/where", /unmount \/no\/where: ENOENT/],
      ["../..", /mounts\[0\]\.destination is the container's root/],
    ] as const
  ) {
    const { code, stderr } = await change(box, "remove", "c", [{ destination }]);
    assert.equal(code, 125);
    assert.match(stderr, reason);
  }
  assert.equal(await inside(box, "c", "cat /proc/self/mountinfo"), before);
  await end(box, "c");
});

test("mounts are added to a container in a user namespace", async (box) => {
  const maps = {
    uidMappings: [{ containerID: 0, hostID: 100_000, size: 1000 }],
    gidMappings: [{ containerID: 0, hostID: 200_000, size: 1000 }],
  };
  Deno.chmodSync(box.directory, 0o755);
  const namespaces = ["pid", "network", "ipc", "uts", "mount", "user"] as const;
  assert.equal((await new Running(["chown", "-hR", "100000:200000", box.rootfs]).ended).code, 0);
  const data = box.mkdir("data");
  Deno.chownSync(data, 100_000, 200_000);
  const linux = { ...maps, namespaces: namespaces.map((type) => ({ type })) };
  await launchBundle(box, "u", "exec sleep 100", { linux });
  const mounts = [
    { destination: "/data", type: "bind", source: data, options: ["rbind"] },
    { destination: "/tmp/more", type: "tmpfs", source: "tmpfs", options: ["mode=700"] },
  ];
  await changed(box, "add", "u", mounts);
  const script = "echo x > /data/file; stat -c '%u %a' /data/file /tmp/more";
  assert.equal(await inside(box, "u", script), "0 644\n0 700");
  assert.equal(Deno.statSync(`${data}/file`).uid, 100_000);
  await changed(box, "remove", "u", { mounts });
  assert.equal(await inside(box, "u", "ls /data /tmp/more"), "/data:\n\n/tmp/more:");
  await end(box, "u");
});
