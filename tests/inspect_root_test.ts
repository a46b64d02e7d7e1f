// Not in the virtual machine: what inspect shows is read from files that are the same everywhere
// crate inspect: containers and images by one word, and each by docker's longer names.
import assert from "node:assert/strict";
import { execute } from "./support/registry.ts";
import { type Sandbox, test, until } from "./support/mod.ts";

/** An image `web:1` of an archive that holds nothing but busybox. */
async function importImage(box: Sandbox): Promise<void> {
  const archive = box.path("rootfs.tar");
  await execute(["tar", "-C", box.rootfs, "-cf", archive, "."]);
  await box.ok(["import", "-q", archive, "web:1"]);
}

const inspect = async (box: Sandbox, ...words: string[]) =>
  JSON.parse(await box.ok(["inspect", ...words]));

test("inspect tells of a container what docker's does", async (box) => {
  const data = box.mkdir("data");
  const options = ["-v", `${data}:/data:ro`, "-l", "kind=test", "-u", "3:4", "-e", "A=1"];
  const end = ["sh", "-c", "read x < /data/go; exit 5"];
  await execute(["mkfifo", `${data}/go`]);
  const words = ["--name", "one", "-h", "host", ...options, "-r", box.rootfs, ...end];
  await box.ok(["run", "-d", ...words]);
  const [running] = await inspect(box, "one");
  assert.equal(running.Id, "one");
  assert.deepEqual([running.Path, ...running.Args], end);
  assert.deepEqual(running.State, {
    Status: "running",
    Running: true,
    Pid: await box.running("one"),
    ExitCode: 0,
  });
  const { Hostname, User, Labels, Env, Rootfs } = running.Config;
  assert.deepEqual([Hostname, User, Labels, Rootfs], ["host", "3:4", { kind: "test" }, box.rootfs]);
  assert.ok(Env.includes("A=1"));
  const { Type, Source, RW } = running.Mounts.find(
    ({ Destination }: { Destination: string }) => Destination === "/data",
  );
  assert.deepEqual([Type, Source, RW], ["bind", data, false]);
  Deno.writeTextFileSync(`${data}/go`, "\n");
  const { State } = await until("its end", async () => {
    const [found] = await inspect(box, "--type", "container", "on");
    return found.State.Running ? undefined : found;
  });
  const { FinishedAt, ...state } = State;
  assert.deepEqual(state, { Status: "exited", Running: false, Pid: 0, ExitCode: 5 });
  assert.ok(Math.abs(Date.now() - Date.parse(FinishedAt)) < 60_000);
  assert.deepEqual(
    await inspect(box, "one"),
    JSON.parse(await box.ok(["container", "inspect", "one"])),
  );
  await box.ok(["delete", "one"]);
});

test("a container's whole name comes before an image's, an image's before a part of one", async (box) => {
  await importImage(box);
  const start = (name: string) =>
    box.ok(["run", "-d", "--name", name, "web:1", "/bin/sleep", "100"]);
  await start("web2");
  const [image] = await inspect(box, "web:1");
  assert.deepEqual(await inspect(box, "web"), await inspect(box, "web2"), "no image is web:latest");
  await box.ok(["tag", "web:1", "web"]);
  const [tagged] = await inspect(box, "web");
  assert.deepEqual([tagged.Id, tagged.RepoTags], [image.Id, ["web:1", "web:latest"]]);
  await start("web");
  const [container, other] = await inspect(box, "web", "web:1");
  assert.deepEqual([container.Id, container.Config.Image], ["web", "web:1"]);
  assert.equal(other.Id, image.Id);
  const { UpperDir, LowerDir } = container.GraphDriver.Data;
  assert.deepEqual([UpperDir.startsWith(box.imageRoot), LowerDir], [
    true,
    image.GraphDriver.Data.LowerDir,
  ]);
  for (const words of [["inspect", "--type", "image"], ["image", "inspect"]]) {
    assert.equal(JSON.parse(await box.ok([...words, "web"]))[0].Id, image.Id);
  }
  assert.equal((await inspect(box, "--type", "container", "web"))[0].Id, "web");
  await box.ok(["container", "rm", "-f", "web", "web2"]);
  assert.match(await box.ok(["image", "ls"]), /^web +1 /m);
  await box.ok(["image", "rm", "web", "web:1"]);
});

test("what is neither is told, and the others are shown", async (box) => {
  await box.ok(["run", "-d", "--name", "one", "-r", box.rootfs, "true"]);
  const cases: [words: string[], count: number, sentence: RegExp][] = [
    [["inspect", "none", "one"], 1, /^crate: neither a container nor an image is called "none": /],
    [["inspect", "--type=container", "none"], 0, /^crate: container "none" does not exist/],
    [["image", "inspect", "one"], 0, /^crate: image "one" is not in the store/],
    [["container", "inspect", ""], 0, /^crate: container "" does not exist/],
  ];
  for (const [words, count, sentence] of cases) {
    const { code, stdout, stderr } = await box.crate(words);
    assert.deepEqual([code, JSON.parse(stdout).length], [125, count], words.join(" "));
    assert.match(stderr, sentence);
  }
  const both = await box.crate(["inspect", "--type=container", "--platform=linux/arm64", "one"]);
  assert.deepEqual([both.code, both.stdout], [125, ""]);
  await box.ok(["delete", "-f", "one"]);
});
