// Not in the virtual machine: its filesystems have no id-mapped mounts
// Containers of crate run in user namespaces of their own: their root is an ordinary user of the host's.
import assert from "node:assert/strict";
import { delay, type Sandbox, test, until } from "./support/mod.ts";

/** Where ids of containers begin on a host that says nothing of them. */
const FIRST = 0x70000000;
const AUTO = ["--userns", "auto"];

const numbers = (line: string) => line.trim().split(/\s+/).map(Number);

/** The words of `run` with a root of busybox. */
const run = (box: Sandbox, ...words: string[]) => ["run", "--rm", "-r", box.rootfs, ...words];

/** A refusal: nothing but one sentence. */
async function refused(box: Sandbox, words: readonly string[], sentence: RegExp): Promise<void> {
  const { code, stdout, stderr } = await box.crate(words);
  assert.deepEqual([code, stdout], [125, ""], words.join(" "));
  assert.match(stderr, sentence);
  assert.equal(stderr.trimEnd().split("\n").length, 1, stderr);
}

test("--userns auto: root inside is an ordinary user outside, and the root filesystem is its own", async (box) => {
  box.subordinates("somebody:100000:65536\n");
  const script = `cat /proc/self/uid_map /proc/self/gid_map; id -u; stat -c '%u:%g' / /bin/busybox
touch /made && stat -c '%u:%g' /made; chown 33:34 /made && stat -c '%u:%g' /made`;
  const lines = (await box.sh(script, AUTO)).split("\n");
  assert.deepEqual(lines.slice(0, 2).map(numbers), [[0, FIRST, 65536], [0, FIRST, 65536]]);
  assert.deepEqual(lines.slice(2), ["0", "0:0", "0:0", "0:0", "33:34"]);
  // On disk it is as it would be without.
  const made = Deno.statSync(`${box.rootfs}/made`);
  assert.deepEqual([made.uid, made.gid], [33, 34]);
  const id = await box.detached("exec sleep 100", AUTO);
  const pid = await box.running(id);
  assert.match(Deno.readTextFileSync(`/proc/${pid}/status`), new RegExp(`^Uid:\t${FIRST}\t`, "m"));
  await box.ok(["delete", "--force", id]);
});

test("a container in a user namespace sees no mount but its own", async (box) => {
  const count = "cut -d' ' -f5 /proc/self/mountinfo | sort";
  const points = (await box.sh(count, AUTO)).split("\n");
  const devices = ["null", "zero", "full", "random", "urandom", "tty"].map((name) =>
    `/dev/${name}`
  );
  const others = (await box.sh(count)).split("\n");
  assert.deepEqual(points.filter((point) => !devices.includes(point)), others);
  const secret = box.file("secret", "of the host");
  for (const path of [secret, `/proc/1/root${secret}`, `/../..${secret}`]) {
    assert.equal(await box.sh(`cat ${path} 2>/dev/null || echo none`, AUTO), "none");
  }
});

test("containers do not have an id in common, whether they start at once or are started again", async (box) => {
  box.subordinates("containers:3000000:500\nother:100000:65536\n");
  const start = (i: number) =>
    box.ok([
      "run",
      "-d",
      "-r",
      box.rootfs,
      "--name",
      `c${i}`,
      "--userns",
      "auto:size=100",
      "sleep",
      "100",
    ]);
  await Promise.all([0, 1, 2, 3, 4].map(start));
  const rangeOf = async (id: string) =>
    numbers(await box.ok(["exec", id, "cat", "/proc/self/uid_map"]))[1]!;
  const ranges = await Promise.all([0, 1, 2, 3, 4].map((i) => rangeOf(`c${i}`)));
  assert.deepEqual(ranges.sort(), [0, 100, 200, 300, 400].map((more) => 3000000 + more));
  await refused(
    box,
    run(box, "--userns", "auto:size=1", "true"),
    /^crate: --userns auto: no 1 user ids are left for another container: .*\/etc\/subuid.*\n$/,
  );
  const range = await rangeOf("c2");
  await box.ok(["stop", "-t", "0", "c2"]);
  await refused(box, run(box, "--userns", "auto:size=50", "true"), /no 50 user ids are left/);
  await box.ok(["start", "c2"]);
  assert.equal(await rangeOf("c2"), range);
  await box.ok(["delete", "--force", "c2"]);
  // It is free again with its container.
  assert.match(
    await box.sh("cat /proc/self/uid_map", ["--userns", "auto:size=100"]),
    new RegExp(`${range} `),
  );
  for (const i of [0, 1, 3, 4]) await box.ok(["delete", "--force", `c${i}`]);
});

test("ids of a container that is killed with its monitor, or of a crate that is killed, are free again", async (box) => {
  box.subordinates("containers:3000000:100\n");
  const size = ["--userns", "auto:size=100"];
  const id = await box.detached("exec sleep 100", [...size, "--rm"]);
  const process = JSON.parse(Deno.readTextFileSync(`${box.root}/${id}/process.json`));
  Deno.kill(process.monitor.pid, "SIGKILL");
  Deno.kill(process.init.pid, "SIGKILL");
  await until("it is gone", async () => (await box.ok(["list", "-q"])) === "");
  for (let i = 0; i < 10; i++) {
    const script = `"$@" & sleep ${(0.02 + 0.008 * i).toFixed(3)}; kill -9 $!; wait`;
    await box.host(script, run(box, ...size, "true"));
  }
  await until("the ends", async () => (await box.ok(["list", "-q"])) === "");
  assert.equal(await box.sh("echo up", size), "up");
});

test("--uidmap and --gidmap are the maps, and one alone is for both", async (box) => {
  const maps = ["--uidmap", "0:500000:1000", "--uidmap", "1000:600000:10"];
  const script = "cat /proc/self/uid_map /proc/self/gid_map; id -u; touch /made; stat -c %u /made";
  const lines = (await box.sh(script, maps)).split("\n");
  const expected = [[0, 500000, 1000], [1000, 600000, 10]];
  assert.deepEqual(lines.slice(0, 4).map(numbers), [...expected, ...expected]);
  assert.deepEqual(lines.slice(4), ["0", "0"]);
  const both = await box.sh("cat /proc/self/uid_map /proc/self/gid_map", [
    "--uidmap",
    "0:7:1",
    "--gidmap",
    "0:9:2",
  ]);
  assert.deepEqual(both.split("\n").map(numbers), [[0, 7, 1], [0, 9, 2]]);
  assert.equal(
    await box.sh("stat -c %u /x; id", [...maps, "-u", "1000", "--tmpfs", "/x"]),
    "0\nuid=1000 gid=0(root) groups=0(root)",
  );
});

test("what contradicts itself, or is no map, is refused in one sentence", async (box) => {
  for (
    const [words, sentence] of [
      [["--userns", "keep-id"], /--userns "keep-id" is not host, auto or auto:size=N/],
      [["--userns", "auto:size=0"], /--userns "auto:size=0" has no size from 1 to/],
      [
        ["--userns", "auto", "--uidmap", "0:1:1"],
        /--userns auto and --uidmap both say whose users/,
      ],
      [["--uidmap", "0:1"], /root:/],
      [
        ["--uidmap", "x:1:1"],
        /--uidmap "x:1:1" is not CONTAINER:HOST:SIZE, such as 0:100000:65536/,
      ],
      [["--gidmap", "0:1:0"], /--gidmap "0:1:0" has a size of 0/],
      [["--uidmap", "0:4294967290:10"], /goes over 4294967294/],
      [
        ["--uidmap", "1:100000:10"],
        /--uidmap: the container's root, id 0, is in no range: add 0:HOST:SIZE/,
      ],
      [
        ["--uidmap", "0:9:5", "--uidmap", "4:100:1"],
        /--uidmap: id 4 of the container is in two ranges/,
      ],
      [["--uidmap", "0:9:5", "--uidmap", "5:10:1"], /--uidmap: id 10 of the host is in two ranges/],
      [
        ["--userns", "auto:size=1000", "-u", "1000"],
        /user 1000 is not in the container's user namespace, which has 0 to 999/,
      ],
      [
        ["--userns", "auto:size=10", "--group-add", "50"],
        /group 50 is not in the container's user namespace/,
      ],
      [
        [...AUTO, "--pid", "host", "--sysctl", "net.ipv4.ip_forward=1"],
        /--sysctl in a user namespace needs/,
      ],
      [
        ["-v", `${box.directory}:/data:idmap`],
        /\/data: idmap is by the maps of the container's user namespace, and it has none/,
      ],
    ] as const
  ) {
    if (words.at(-1) === "0:1") {
      assert.equal(await box.sh("cat /proc/self/uid_map | wc -l", words), "1");
    } else await refused(box, run(box, ...words, "true"), sentence);
  }
});

test("security.userns of the configuration is the default, and words go before it", async (box) => {
  const config = box.file("c.toml", '[security]\nuserns = "auto"\n');
  const map = async (...words: string[]) =>
    numbers(await box.ok(["--config", config, ...run(box, ...words, "cat", "/proc/self/uid_map")]));
  assert.equal((await map())[2], 65536);
  assert.deepEqual(
    await map("--userns", "host"),
    numbers(Deno.readTextFileSync("/proc/self/uid_map")),
  );
  assert.deepEqual(await map("--uidmap", "0:5000:3"), [0, 5000, 3]);
});

test("exec, stop, a terminal, init and limits are as without a user namespace", async (box) => {
  const id = await box.ok([
    ...[
      "run",
      "-d",
      "--name",
      "one",
      "-r",
      box.rootfs,
      ...AUTO,
      "--init",
      "-m",
      "64m",
      "--pids-limit",
      "20",
    ],
    ...[
      "--tmpfs",
      "/scratch",
      "-e",
      "A=b",
      "--ulimit",
      "nofile=100",
      "sh",
      "-c",
      "sleep 100; exit 3",
    ],
  ]);
  const own = await box.ok(["exec", id, "cat", "/proc/self/uid_map"]);
  assert.equal(own, await box.ok(["exec", id, "cat", "/proc/1/uid_map"]));
  assert.equal(
    await box.ok([
      "exec",
      id,
      "sh",
      "-c",
      "id -u; ulimit -n; touch /scratch/a && stat -c %u /scratch/a",
    ]),
    "0\n100\n0",
  );
  assert.equal(
    await box.ok(["exec", "-u", "www", id, "id"]),
    "uid=33(www) gid=34(web) groups=34(web),50(extra),51(more)",
  );
  assert.equal(await box.ok(["exec", id, "cat", "/proc/1/comm"]), "crate-monitor");
  const inspected = JSON.parse(await box.ok(["inspect", id]))[0].HostConfig;
  assert.equal(inspected.UsernsMode, "private");
  assert.match(inspected.IDMappings.UidMap[0], /^0:\d+:65536$/);
  await box.ok(["stop", "-t", "5", id]);
  assert.match(await box.ok(["list"]), /one +stopped/);
  await box.ok(["delete", id]);
  const { code } = await box.crate(run(box, ...AUTO, "-m", "20m", "sh", "-c", "tail /dev/zero"));
  assert.equal(code, 137);
  const many = await box.crate(
    run(
      box,
      ...AUTO,
      "--pids-limit",
      "3",
      "sh",
      "-c",
      "sleep 1 & sleep 1 & sleep 1 & sleep 1; true",
    ),
  );
  assert.match(many.stderr, /can't fork/);
});

test("a detached container with a terminal has it as its own", async (box) => {
  const id = await box.detached("tty; stat -c %u $(tty); test -t 0 && echo terminal", [
    ...AUTO,
    "-t",
  ]);
  assert.match(await box.logged(id, "terminal"), /^\/dev\/pts\/0\r?\n0\r?\nterminal/);
  await box.ok(["delete", "--force", id]);
});

test("with the host's network, processes, IPC or groups it sees the host's /sys, /proc, queues", async (box) => {
  const net = await box.sh("ls /sys/class/net; touch /sys/x 2>/dev/null || echo ro", [
    ...AUTO,
    "--network",
    "host",
  ]);
  const devices = [...Deno.readDirSync("/sys/class/net")].map(({ name }) => name);
  assert.deepEqual(net.split("\n").sort(), [...devices, "ro"].sort());
  assert.equal(
    await box.sh(`cat /proc/${Deno.pid}/comm`, [...AUTO, "--pid", "host"]),
    Deno.readTextFileSync(`/proc/${Deno.pid}/comm`).trim(),
  );
  const groups = await box.sh("cat /proc/self/cgroup", [...AUTO, "--cgroupns", "host"]);
  assert.ok(groups.split("\n").every((line) => line.includes(`:${box.cgroupParent}/`)), groups);
  assert.equal(await box.sh("hostname", [...AUTO, "--uts", "host"]), Deno.hostname());
  const ipc = await box.crate(run(box, ...AUTO, "--ipc", "host", "readlink", "/proc/self/ns/ipc"));
  if (ipc.code === 0) assert.equal(ipc.stdout.trim(), Deno.readLinkSync("/proc/self/ns/ipc"));
  else assert.match(ipc.stderr, /source of the mount on \/dev\/mqueue is not there/);
  const other = await box.detached("sleep 100", AUTO);
  const joined = await box.sh("readlink /proc/self/ns/net", [
    ...AUTO,
    "--network",
    `container:${other}`,
  ]);
  assert.equal(joined, await box.ok(["exec", other, "readlink", "/proc/self/ns/net"]));
  await box.ok(["delete", "--force", other]);
});

test("--privileged has all rights over what is the user namespace's, and none over the host", async (box) => {
  const script =
    "mount -t tmpfs x /tmp && echo mounted; hostname new && hostname; grep CapEff /proc/self/status; " +
    "chroot / true && echo chroot; mknod /tmp/x b 254 0 2>/dev/null || echo refused; ls /dev/null";
  const lines = (await box.sh(script, [...AUTO, "--privileged"])).split("\n");
  assert.deepEqual([...lines.slice(0, 2), ...lines.slice(3)], [
    "mounted",
    "new",
    "chroot",
    "refused",
    "/dev/null",
  ]);
  assert.equal(lines[2], await box.sh("grep CapEff /proc/self/status", ["--privileged"]));
});

test("--explain names the ids, and takes none", async (box) => {
  const text = await box.ok(["run", "--explain", ...AUTO, "/bin/true"]);
  assert.match(text, /# map the ids of \/ for the root/);
  assert.throws(() => Deno.statSync(`${box.root}/.ids`), Deno.errors.NotFound);
});

test("a start that fails leaves nothing", async (box) => {
  for (
    const words of [["/bin/nope"], ["-w", "/bin/busybox", "true"], [
      "--sysctl",
      "net.no.such=1",
      "true",
    ]]
  ) {
    const { code } = await box.crate(run(box, ...AUTO, ...words));
    assert.notEqual(code, 0);
  }
  await delay(10);
  assert.equal(await box.ok(["list", "-q"]), "");
});
