import assert from "node:assert/strict";
import { test } from "./support/mod.ts";

// The container's own view of processes, names, IPC, network and groups; or the host's.

const TYPES = ["cgroup", "ipc", "mnt", "net", "pid", "uts"] as const;
const LIST = TYPES.map((type) => `/proc/self/ns/${type}`).join(" ");
const PRINT = `for n in ${LIST}; do readlink $n; done`;

/** A server and a client that asks until there is an answer. */
function answerOn(port: number): string {
  // The asker's end of input comes late: at it nc -l ends, whether it has answered or not.
  const ask = `sleep 0.5 | nc -w 5 127.0.0.1 ${port} 2>/dev/null`;
  return `(echo answered | nc -l -p ${port}) & until ${ask}; do sleep 0.02; done`;
}

const own = () => TYPES.map((type) => Deno.readLinkSync(`/proc/self/ns/${type}`));

test("a container has namespaces of its own", async (box) => {
  const inside = (await box.sh(PRINT)).split("\n");
  const outside = own();
  assert.equal(inside.length, TYPES.length);
  inside.forEach((name, i) => {
    assert.match(name, new RegExp(`^${TYPES[i]}:\\[\\d+\\]$`));
    assert.notEqual(name, outside[i]);
  });
  assert.equal(
    await box.sh("readlink /proc/self/ns/user"),
    Deno.readLinkSync("/proc/self/ns/user"),
  );
});

test("--pid, --ipc, --uts, --network and --cgroupns host share one namespace each", async (box) => {
  const outside = own();
  for (
    const [option, type] of [
      ["--pid", "pid"],
      ["--ipc", "ipc"],
      ["--uts", "uts"],
      ["--network", "net"],
      ["--cgroupns", "cgroup"],
    ] as const
  ) {
    const inside = (await box.sh(PRINT, [option, "host"])).split("\n");
    const shared = TYPES.filter((_, i) => inside[i] === outside[i]);
    assert.deepEqual(shared, [type], option);
  }
});

test("a container sees its own processes only, and with --pid host all", async (box) => {
  // The word PID, the shell and ps itself.
  assert.equal(await box.sh("echo $$; set -- $(ps -o pid); echo $#"), "1\n3");
  const inside = await box.sh(`cat /proc/${Deno.pid}/comm; echo $$`, ["--pid", "host"]);
  const [comm, pid] = inside.split("\n");
  assert.equal(`${comm}\n`, Deno.readTextFileSync(`/proc/${Deno.pid}/comm`));
  assert.notEqual(pid, "1");
});

test("with --pid host a container's processes end with the first one", async (box) => {
  const script = "sleep 100 >/dev/null 2>&1 & echo started";
  assert.equal(await box.sh(script, ["--pid", "host"]), "started");
  // The sandbox sees that none is left.
});

test("the host name is the id, or what -h says, and the host's stays as it is", async (box) => {
  const before = Deno.hostname();
  const printed = await box.sh("hostname; echo $HOSTNAME; cat /proc/sys/kernel/hostname");
  const [name, variable, proc] = printed.split("\n");
  assert.match(name!, /^[0-9a-f]{12}$/);
  assert.deepEqual([variable, proc], [name, name]);
  for (const option of ["-h", "-H", "--hostname"]) {
    assert.equal(await box.sh("hostname; echo $HOSTNAME", [option, "web-1"]), "web-1\nweb-1");
  }
  assert.equal(await box.sh("hostname", ["--name", "named"]), "named");
  assert.equal(Deno.hostname(), before);
});

test("with --uts host the host's name is seen, and cannot be changed", async (box) => {
  assert.equal(await box.sh("hostname", ["--uts", "host"]), Deno.hostname());
  const script = "hostname changed 2>/dev/null || hostname";
  assert.equal(await box.sh(script, ["--uts", "host"]), Deno.hostname());
});

test("the network has a loopback that is up, and nothing else", async (box) => {
  const script = "ls /sys/class/net; ip -o addr show lo; cat /proc/net/route | wc -l";
  const [devices, first, ...rest] = (await box.sh(script)).split("\n");
  assert.equal(devices, "lo");
  assert.match(first!, /inet 127\.0\.0\.1\/8/);
  assert.equal(rest.at(-1), "1", "no route but the head of the table");
  assert.equal(await box.sh(answerOn(4321)), "answered");
});

test("with --network host the host's devices are there", async (box) => {
  const devices = (await box.sh("ls /sys/class/net", ["--network", "host"])).split(/\s+/);
  assert.deepEqual(
    devices.sort(),
    [...Deno.readDirSync("/sys/class/net")].map((d) => d.name).sort(),
  );
});

test("a ping of its own address works, and a low port is open to it", async (box) => {
  assert.match(await box.sh("ping -c 1 -w 5 127.0.0.1"), /1 packets received/);
  assert.equal(await box.sh(answerOn(80)), "answered");
});

test("--sysctl sets a parameter of the container's namespaces, and not the host's", async (box) => {
  const file = "/proc/sys/net/ipv4/ip_default_ttl";
  const before = Deno.readTextFileSync(file);
  const options = ["--sysctl", "net.ipv4.ip_default_ttl=33", "--sysctl", "kernel.msgmax=4321"];
  assert.equal(await box.sh(`cat ${file} /proc/sys/kernel/msgmax`, options), "33\n4321");
  assert.equal(Deno.readTextFileSync(file), before);
});

test("--sysctl of what is the host's is refused", async (box) => {
  for (
    const [options, name] of [
      [["--sysctl", "kernel.panic=1"], "kernel.panic"],
      [["--sysctl", "vm.swappiness=1"], "vm.swappiness"],
      [["--network", "host", "--sysctl", "net.ipv4.ip_forward=1"], "net.ipv4.ip_forward"],
      [["--ipc", "host", "--sysctl", "kernel.msgmax=1"], "kernel.msgmax"],
      [["--sysctl", "net.ipv4.no_such_thing=1"], "net.ipv4.no_such_thing"],
    ] as const
  ) {
    const words = ["run", "--rm", "-r", box.rootfs, ...options, "true"];
    const { code, stdout, stderr } = await box.crate(words);
    assert.deepEqual([code, stdout], [125, ""], options.join(" "));
    assert.match(stderr, new RegExp(`^crate: .*${name.replaceAll(".", "\\.")}.*\n$`));
  }
});

test("System V IPC and message queues are the container's own", async (box) => {
  const script = "cat /proc/sysvipc/shm | wc -l; ls /dev/mqueue | wc -l";
  assert.equal(await box.sh(script), "1\n0");
});

test("a container's groups are the root of what it sees of the groups", async (box) => {
  const lines = (await box.sh("cat /proc/self/cgroup")).split("\n");
  for (const line of lines) assert.match(line, /^\d+:[^:]*:\/$/);
  const host = (await box.sh("cat /proc/self/cgroup", ["--cgroupns", "host"])).split("\n");
  assert.ok(host.every((line) => line.includes(`:${box.cgroupParent}/`)), host.join());
});
