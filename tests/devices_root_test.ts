import assert from "node:assert/strict";
import { type Sandbox, test } from "./support/mod.ts";

// Devices: what a container may open, whatever nodes it makes.

/** A device of the host that no container may use: its disk, or else a device that is always there. */
function hostDisk(): { path: string; type: "b" | "c"; major: number; minor: number } {
  for (const { name } of Deno.readDirSync("/sys/class/block")) {
    const [major, minor] = Deno.readTextFileSync(`/sys/class/block/${name}/dev`).split(":").map(
      Number,
    );
    try {
      if (Deno.lstatSync(`/dev/${name}`).isBlockDevice) {
        return { path: `/dev/${name}`, type: "b", major: major!, minor: minor! };
      }
    } catch {
      // No node of it here.
    }
  }
  return { path: "/dev/kmsg", type: "c", major: 1, minor: 11 };
}

/** What becomes of opening nodes that the container itself makes. */
async function opened(
  box: Sandbox,
  nodes: readonly string[],
  options: readonly string[] = [],
): Promise<string[]> {
  const script = nodes.map((node, i) =>
    `mknod /tmp/n${i} ${node} || echo no mknod; for how in '</tmp/n${i}' '>/tmp/n${i}'; do ` +
    `eval "( : $how )" 2>&1 && echo open; done`
  ).join("\n");
  return (await box.sh(`${script}; true`, ["--tmpfs", "/tmp:dev", ...options])).split("\n");
}

test("a container makes any node, and cannot open the host's disk by it", async (box) => {
  const { type, major, minor } = hostDisk();
  for (
    const node of [`${type} ${major} ${minor}`, "b 8 0", "b 7 0", "c 1 11", "c 1 1", "c 10 237"]
  ) {
    const lines = await opened(box, [node]);
    assert.equal(lines.length, 2, `${node}: ${lines}`);
    for (const line of lines) assert.match(line, /Operation not permitted/, node);
  }
});

test("the default devices can be opened by nodes of one's own, too", async (box) => {
  for (const node of ["c 1 3", "c 1 5", "c 1 7", "c 1 8", "c 1 9"]) {
    assert.deepEqual(await opened(box, [node]), ["open", "open"], node);
  }
});

test("without MKNOD a container makes no node", async (box) => {
  const script = "mknod /dev/x c 1 3 2>/dev/null || echo refused";
  assert.equal(await box.sh(script, ["--cap-drop", "MKNOD"]), "refused");
});

test("--device makes a device of the host and lets it be used", async (box) => {
  const { path, type, major, minor } = hostDisk();
  const node = `${type === "b" ? "block" : "character"} special file ${major}:${minor}`;
  const script = "stat -c '%F' /dev/mine; echo $((0x$(stat -c %t /dev/mine))):" +
    "$((0x$(stat -c %T /dev/mine))); ( : </dev/mine ) && echo read; ( : >/dev/mine ) && echo write";
  // Without it some kernels let nobody read the messages.
  const syslog = ["--cap-add", "SYSLOG"];
  const all = await box.sh(script, [...syslog, "--device", `${path}:/dev/mine`]);
  assert.equal(all, `${node.split(" ").slice(0, 3).join(" ")}\n${major}:${minor}\nread\nwrite`);
  const words = [
    "run",
    "--rm",
    "-r",
    box.rootfs,
    ...syslog,
    "--device",
    `${path}:/dev/mine:r`,
    "sh",
    "-c",
    script,
  ];
  const { stdout, stderr } = await box.crate(words);
  assert.match(stdout, /\nread\n$/);
  assert.match(stderr, /\/dev\/mine: Operation not permitted/);
});

test("--device with a path alone has it at the same place, with the host's owner and mode", async (box) => {
  const own = Deno.lstatSync("/dev/kmsg");
  const script = "stat -c '%a %u:%g %t:%T' /dev/kmsg";
  assert.equal(
    await box.sh(script, ["--device", "/dev/kmsg"]),
    `${(own.mode! & 0o7777).toString(8)} ${own.uid}:${own.gid} 1:b`,
  );
});

test("--device with a directory has all devices below it, and nothing else", async (box) => {
  const directory = box.mkdir("devices");
  box.mkdir("devices/more");
  box.file("devices/file", "");
  for (const [name, minor] of [["one", "11"], ["more/two", "5"]] as const) {
    const args = [`${directory}/${name}`, "c", "1", minor];
    assert((await new Deno.Command("mknod", { args }).output()).success);
  }
  const script =
    "cd /dev/mine; find . -type c | sort; ls; ( : </dev/mine/more/two ) && echo read; " +
    "( : >/dev/mine/one ) 2>/dev/null || echo no";
  const lines = await box.sh(script, ["--device", `${directory}:/dev/mine:r`]);
  assert.equal(lines, "./more/two\n./one\nmore\none\nread\nno");
  const words = ["run", "-r", box.rootfs, "--device", box.mkdir("empty"), "true"];
  assert.match(
    (await box.crate(words)).stderr,
    /^crate: --device .*: no device of this host is below/,
  );
});

test("a device that is none, or not there, is an error that names it", async (box) => {
  const file = box.file("file");
  for (const device of [file, "/dev/none", "relative", "/dev/null:/dev/x:rq"]) {
    const words = ["run", "--rm", "-r", box.rootfs, "--device", device, "true"];
    const { code, stdout, stderr } = await box.crate(words);
    assert.deepEqual([code, stdout], [125, ""], device);
    assert.match(stderr, /^crate: --device .*\n$/);
    assert.ok(stderr.includes(device.split(":")[0]!));
  }
});

test("--privileged may use every device", async (box) => {
  const { path } = hostDisk();
  assert.equal(await box.sh(`( : <${path} ) && echo open`, ["--privileged"]), "open");
});

test("exec can open no more devices than the container", async (box) => {
  const { type, major, minor } = hostDisk();
  const id = await box.detached("sleep 100", ["--tmpfs", "/tmp:dev"]);
  const script = `mknod /tmp/disk ${type} ${major} ${minor}; cat /tmp/disk 2>&1; true`;
  assert.match(await box.ok(["exec", id, "sh", "-c", script]), /Operation not permitted/);
  await box.ok(["delete", "--force", id]);
});

test("a device in the view of the host's root, or in a volume, cannot be used", async (box) => {
  const { type, major, minor } = hostDisk();
  const data = box.mkdir("data");
  await box.host(`mknod ${data}/disk ${type} ${major} ${minor}`);
  const script = "(: </data/disk) 2>&1; true";
  assert.match(
    await box.sh(script, ["-v", `${data}:/data`]),
    /Operation not permitted|Permission denied/,
  );
});
