// Not in the virtual machine: cgroups have no part in it
import assert from "node:assert/strict";
import { type Probe, probe, type Sandbox, test } from "./support/mod.ts";

// The five capability sets and no_new_privs, as the kernel has them in the container.

/** capabilities(7): the bits of linux/capability.h. */
const BITS = {
  CHOWN: 0,
  DAC_OVERRIDE: 1,
  FOWNER: 3,
  FSETID: 4,
  KILL: 5,
  SETGID: 6,
  SETUID: 7,
  SETPCAP: 8,
  NET_BIND_SERVICE: 10,
  NET_ADMIN: 12,
  NET_RAW: 13,
  SYS_CHROOT: 18,
  SYS_ADMIN: 21,
  SYS_TIME: 25,
  MKNOD: 27,
  AUDIT_WRITE: 29,
  SETFCAP: 31,
} as const;

type Name = keyof typeof BITS;

const DEFAULT: readonly Name[] = [
  "CHOWN",
  "DAC_OVERRIDE",
  "FOWNER",
  "FSETID",
  "KILL",
  "SETGID",
  "SETUID",
  "SETPCAP",
  "NET_BIND_SERVICE",
  "NET_RAW",
  "SYS_CHROOT",
  "MKNOD",
  "AUDIT_WRITE",
  "SETFCAP",
];

const mask = (names: readonly Name[]) =>
  names.reduce((all, name) => all | 1n << BigInt(BITS[name]), 0n);

interface Sets {
  readonly inheritable: bigint;
  readonly permitted: bigint;
  readonly effective: bigint;
  readonly bounding: bigint;
  readonly ambient: bigint;
}

function parse(status: string): Sets {
  const set = (name: string) =>
    BigInt(`0x${new RegExp(`^Cap${name}:\\s*(\\w+)$`, "m").exec(status)![1]}`);
  return {
    inheritable: set("Inh"),
    permitted: set("Prm"),
    effective: set("Eff"),
    bounding: set("Bnd"),
    ambient: set("Amb"),
  };
}

async function sets(box: Sandbox, options: readonly string[] = []): Promise<Sets> {
  return parse(await box.sh("cat /proc/self/status", options));
}

/** As execve leaves root's: the bounding set is what there is, and nothing is inherited. */
const root = (all: bigint): Sets => ({
  inheritable: 0n,
  permitted: all,
  effective: all,
  bounding: all,
  ambient: 0n,
});

/** Whether the filesystem of the sandboxes ignores setuid bits. */
function isNosuid(): boolean {
  const directory = Deno.makeTempDirSync();
  const { stdout } = new Deno.Command("findmnt", {
    args: ["-n", "-o", "OPTIONS", "--target", directory],
  }).outputSync();
  Deno.removeSync(directory);
  return new TextDecoder().decode(stdout).split(",").includes("nosuid");
}

/** What crate itself has to give. */
const available = () => parse(Deno.readTextFileSync("/proc/self/status")).permitted;

test("a container has Docker's fourteen capabilities, and nothing inheritable or ambient", async (box) => {
  assert.deepEqual(await sets(box), root(mask(DEFAULT)));
});

test("--cap-add and --cap-drop add and drop, whatever the spelling", async (box) => {
  const options = ["--cap-add", "NET_ADMIN", "--cap-add", "cap_sys_time", "--cap-drop", "chown"];
  const expected = [
    ...DEFAULT.filter((name) => name !== "CHOWN"),
    "NET_ADMIN",
    "SYS_TIME",
  ] as Name[];
  assert.deepEqual(await sets(box, options), root(mask(expected)));
});

test("--cap-drop ALL leaves nothing, and --cap-add with it only what is added", async (box) => {
  assert.deepEqual(await sets(box, ["--cap-drop", "ALL"]), root(0n));
  const one = ["--cap-drop", "ALL", "--cap-add", "KILL"];
  assert.deepEqual(await sets(box, one), root(mask(["KILL"])));
});

test("--cap-add ALL gives all that crate has, less what is dropped", async (box) => {
  assert.deepEqual(await sets(box, ["--cap-add", "ALL"]), root(available()));
  const less = ["--cap-add", "ALL", "--cap-drop", "MKNOD"];
  assert.deepEqual(await sets(box, less), root(available() & ~mask(["MKNOD"])));
});

test("--privileged gives all that crate has", async (box) => {
  assert.deepEqual(await sets(box, ["--privileged"]), root(available()));
});

test("a user other than root has none, and may get back no more than the bounding set", async (box) => {
  assert.deepEqual(await sets(box, ["-u", "www"]), {
    inheritable: 0n,
    permitted: 0n,
    effective: 0n,
    bounding: mask(DEFAULT),
    ambient: 0n,
  });
  const added = await sets(box, ["-u", "www", "--cap-add", "NET_ADMIN"]);
  assert.deepEqual([added.effective, added.permitted], [0n, 0n]);
  assert.equal(added.bounding, mask([...DEFAULT, "NET_ADMIN"]));
});

test("what a capability is for is refused without it and works with it", async (box) => {
  const script = "chown 5 /tmp/x 2>/dev/null && echo done || echo refused";
  const made = `touch /tmp/x; ${script}`;
  assert.equal(await box.sh(made), "done");
  assert.equal(await box.sh(made, ["--cap-drop", "CHOWN"]), "refused");
  const mount = "mount -t tmpfs tmpfs /tmp 2>/dev/null && echo done || echo refused";
  assert.equal(await box.sh(mount), "refused");
  assert.equal(await box.sh(mount, ["--cap-add", "SYS_ADMIN"]), "done");
});

test("a capability that there is not is an error that says which was meant", async (box) => {
  for (const option of ["--cap-add", "--cap-drop"]) {
    const words = ["run", "--rm", "-r", box.rootfs, option, "NET_ADMN", "true"];
    const { code, stdout, stderr } = await box.crate(words);
    assert.deepEqual([code, stdout], [125, ""], option);
    assert.match(stderr, /^crate: .*NET_ADMN.*NET_ADMIN.*\n$/);
  }
});

test("a capability that crate has not itself is an error that names it", async (box) => {
  // setpriv takes one away, as a container or a sandboxed machine does.
  const { code, stdout, stderr } = await box.host(
    'setpriv --bounding-set -sys_time --inh-caps -all "$@"',
    ["run", "--rm", "-r", box.rootfs, "--cap-add", "SYS_TIME", "true"],
  );
  assert.deepEqual([code, stdout], [125, ""]);
  assert.match(stderr, /^crate: CAP_SYS_TIME .*\n$/);
});

test("where crate has not all of the fourteen, a container gets what there is", async (box) => {
  const { stdout, stderr } = await box.host(
    'setpriv --bounding-set -audit_write --inh-caps -all "$@"',
    ["run", "--rm", "-r", box.rootfs, "cat", "/proc/self/status"],
  );
  assert.equal(stderr, "");
  const expected = DEFAULT.filter((name) => name !== "AUDIT_WRITE");
  assert.deepEqual(parse(stdout), root(mask(expected)));
});

test("no_new_privs is set: a setuid program gains nothing", async (box) => {
  const script = "grep NoNewPrivs /proc/self/status | tr '\\t' ' '";
  assert.equal(await box.sh(script), "NoNewPrivs: 1");
  const become: Probe = ["setresuid", 0, 0, 0];
  assert.deepEqual(await probe(box, [become], ["-u", "www"], 0o4755), [-1]);
  const off = ["--security-opt", "no-new-privileges=false"];
  assert.equal(await box.sh(script, off), "NoNewPrivs: 0");
  assert.deepEqual(await probe(box, [become], ["-u", "www", ...off], 0o4755), [0]);
}, { skip: isNosuid() && "setuid programs do not work where temporary files are" });

test("security.drop_capabilities of the configuration is dropped everywhere", async (box) => {
  const words = ["run", "--rm", "-r", box.rootfs, "cat", "/proc/self/status"];
  const env = { CRATE_SECURITY_DROP_CAPABILITIES: "CAP_MKNOD,CAP_NET_RAW" };
  const expected = DEFAULT.filter((name) => name !== "MKNOD" && name !== "NET_RAW");
  assert.deepEqual(parse(await box.ok(words, { env })), root(mask(expected)));
});
