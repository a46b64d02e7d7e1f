import assert from "node:assert/strict";
import { exists } from "../ffi/mod.ts";
import { launchBundle, makeBundle } from "./support/bundle.ts";
import { assertGoesOn, COUNTER, criuTest, grown, restore } from "./support/criu.ts";
import { reapOrphans, type Sandbox, until } from "./support/mod.ts";

// Checkpoints and restores of engines' containers, by criu.

const status = async (box: Sandbox, id: string) => (await box.state(id)).status;

criuTest(
  "a counter goes on from where it was, after checkpoint, delete and restore",
  async (box) => {
    const out = box.path("web.out");
    await launchBundle(box, "web", COUNTER);
    const before = await grown(out);
    const { pid, bundle } = await box.state("web");
    const places = ["--image-path", box.path("images"), "--work-path", box.path("work")];
    assert.equal(await box.ok(["checkpoint", ...places, "web"]), "");
    reapOrphans();
    assert.equal(await status(box, "web"), "stopped");
    assert(exists(box.path("work/dump.log")) && exists(box.path("images/inventory.img")));
    await box.ok(["delete", "web"]);
    const stopped = Deno.readTextFileSync(out);

    const pidFile = box.path("pid");
    const words = ["-d", "--bundle", String(bundle), "--pid-file", pidFile, ...places, "web"];
    assert.deepEqual(await restore(box, out, words), { code: 0, stderr: "" });
    await grown(out);
    assertGoesOn(Deno.readTextFileSync(out), before);
    assert(Deno.readTextFileSync(out).startsWith(stopped));

    const state = await box.state("web");
    assert.equal(state.status, "running");
    assert.notEqual(state.pid, pid);
    assert.equal(state.pid, Number(Deno.readTextFileSync(pidFile)));
    assert.match(
      Deno.readTextFileSync(`/proc/${state.pid}/cgroup`),
      new RegExp(`^0::${box.cgroupParent}/web$`, "m"),
    );
    assert.match(await box.ok(["ps", "web"]), new RegExp(`\\b${state.pid}\\b`));
    assert.equal(await box.ok(["exec", "web", "/bin/hostname"]), "engine");
    const events = JSON.parse(await box.ok(["events", "--stats", "web"]));
    assert(events.data.pids.current > 0);
    await box.ok(["pause", "web"]);
    assert.equal(await status(box, "web"), "paused");
    await box.ok(["resume", "web"]);
    await box.ok(["kill", "web", "KILL"]);
    await until("its end", async () => {
      reapOrphans();
      return await status(box, "web") === "stopped";
    });
    await box.ok(["delete", "web"]);
  },
);

criuTest("--leave-running lets it go on, and its images are as good", async (box) => {
  // Directories, because a file that is open and then grows is no longer the one that criu knows.
  const made = `${box.rootfs}/made`;
  Deno.mkdirSync(made);
  const script = "i=0; while :; do i=$((i+1)); mkdir -p /made/$i; sleep 0.1; done";
  const count = () => [...Deno.readDirSync(made)].map(({ name }) => Number(name));
  const highest = () => Math.max(0, ...count());
  const counts = async () => {
    const before = highest();
    await until("it counts", () => highest() > before + 3);
    return highest();
  };
  await launchBundle(box, "web", script);
  const before = await counts();
  const images = ["--image-path", box.path("images")];
  await box.ok(["checkpoint", "--leave-running", ...images, "web"]);
  assert.equal(await status(box, "web"), "running");
  const then = await counts();
  await box.ok(["delete", "-f", "web"]);
  reapOrphans();
  for (const number of count()) Deno.removeSync(`${made}/${number}`);
  const bundle = makeBundle(box, "new", script);
  const words = ["-d", "-b", bundle, ...images, "new"];
  assert.deepEqual(await restore(box, box.file("out"), words), { code: 0, stderr: "" });
  const { pid } = await box.state("new");
  // It is another container, with other groups, and goes on from the checkpoint, which was before.
  const group = Deno.readTextFileSync(`/proc/${pid}/cgroup`);
  assert.match(group, new RegExp(`^0::${box.cgroupParent}/new$`, "m"));
  await counts();
  const first = Math.min(...count());
  assert(first >= before && first <= then, `${first}, and ${before} to ${then}`);
  await box.ok(["delete", "-f", "new"]);
});

criuTest("a pre-dump leaves less for the checkpoint, which names it as its parent", async (box) => {
  const out = box.path("web.out");
  // Memory that does not change any more.
  await launchBundle(box, "web", `x=$(head -c 3000000 /dev/zero | tr '\\0' x); ${COUNTER}`);
  await grown(out);
  const images = box.mkdir("images");
  await box.ok(["checkpoint", "--pre-dump", "--image-path", `${images}/one`, "web"]);
  assert.equal(await status(box, "web"), "running");
  const before = await grown(out);
  await box.ok(["checkpoint", "--parent-path", "../one", "--image-path", `${images}/two`, "web"]);
  const size = (name: string) =>
    [...Deno.readDirSync(`${images}/${name}`)].filter((each) => each.name.startsWith("pages-"))
      .reduce((sum, each) => sum + Deno.statSync(`${images}/${name}/${each.name}`).size, 0);
  assert(size("one") > 3_000_000 && size("two") < 1_000_000, `${size("one")} ${size("two")}`);
  assert.equal(Deno.readLinkSync(`${images}/two/parent`), "../one");
  // An engine's container that has ended makes room for itself.
  assert.deepEqual(await restore(box, out, ["-d", "--image-path", `${images}/two`, "web"]), {
    code: 0,
    stderr: "",
  });
  await grown(out);
  assertGoesOn(Deno.readTextFileSync(out), before);
  await box.ok(["delete", "-f", "web"]);
});

criuTest("images that are missing, empty or broken are told, and leave nothing", async (box) => {
  const out = box.path("web.out");
  await launchBundle(box, "web", COUNTER);
  await grown(out);
  const { bundle } = await box.state("web");
  const images = box.path("images");
  await box.ok(["checkpoint", "--image-path", images, "web"]);
  await box.ok(["delete", "web"]);
  const refused = async (directory: string, why: RegExp) => {
    const { code, stderr } = await restore(box, out, [
      "-d",
      "-b",
      String(bundle),
      "--image-path",
      directory,
      "web",
    ]);
    assert.equal(code, 125, stderr);
    assert.match(stderr, /^crate: [^\n]*\n$/);
    assert.match(stderr, why);
    assert.equal((await box.crate(["state", "web"])).code, 125);
    assert.equal(await box.ok(["list", "-q"]), "");
  };
  await refused(box.path("none"), /--image-path .*none: there is no such directory/);
  await refused(box.mkdir("empty"), /has no checkpoint: there is no inventory\.img/);
  for (
    const [name, change] of [
      ["core-1.img", (bytes: Uint8Array) => bytes.subarray(0, bytes.length / 2)],
      ["pstree.img", () => new Uint8Array(100).fill(0xff)],
      ["inventory.img", () => new Uint8Array()],
    ] as const
  ) {
    const copy = box.path(`bad-${name}`);
    await box.host(`cp -r ${images} ${copy}`);
    Deno.writeFileSync(`${copy}/${name}`, change(Deno.readFileSync(`${copy}/${name}`)));
    await refused(copy, new RegExp(`criu failed: .*\\(log: ${copy}/restore\\.log\\)`));
  }
  // On this one criu 3.17 would never end.
  await box.host(`cp -r ${images} ${box.path("short")}`);
  Deno.truncateSync(box.path("short/pages-1.img"), 4096);
  await refused(
    box.path("short"),
    /pages-1\.img is cut off: it has 4096 bytes, and pagemap-\d+\.img needs \d+\n/,
  );
  await box.host(`cp -r ${images} ${box.path("own")}`);
  Deno.writeTextFileSync(box.path("own/crate.json"), '{"monitored": 1}');
  await refused(box.path("own"), /crate\.json must have monitored/);
  Deno.writeTextFileSync(box.path("own/crate.json"), "{");
  await refused(box.path("own"), /crate\.json/);
});

criuTest(
  "what criu cannot dump is told by its log; the container goes on, and no image stays",
  async (box) => {
    const out = box.path("web.out");
    const script =
      `(sleep 1000 | nc -l -p 5000 >/tmp/got) & (sleep 1; while :; do echo x; sleep 0.1; done | nc 127.0.0.1 5000) & ${COUNTER}`;
    await launchBundle(box, "web", script);
    await grown(out);
    const got = () =>
      box.ok(["exec", "web", "/bin/sh", "-c", "cat /tmp/got 2>/dev/null | wc -l"]).then(Number);
    await until("there is a connection", async () => await got() > 0);
    const images = box.path("images");
    const refused = await box.crate(["checkpoint", "--image-path", images, "web"]);
    assert.equal(refused.code, 125);
    assert.match(
      refused.stderr,
      /^crate: criu failed: .*[Cc]onnected TCP socket.*\(log: .*\/images\/dump\.log\)\n$/,
    );
    assert.deepEqual([...Deno.readDirSync(images)].map(({ name }) => name), ["dump.log"]);
    assert.equal(await status(box, "web"), "running");
    const before = await grown(out);
    const places = ["--tcp-established", "--image-path", images];
    await box.ok(["checkpoint", ...places, "web"]);
    assert.deepEqual(await restore(box, out, ["-d", ...places, "web"]), { code: 0, stderr: "" });
    await grown(out);
    assertGoesOn(Deno.readTextFileSync(out), before);
    const at = await got();
    await until("the connection goes on", async () => await got() > at);
    await box.ok(["delete", "-f", "web"]);
  },
);
