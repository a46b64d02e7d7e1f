// Not in the virtual machine: who is told over a socket that a container is ready knows nothing of groups
import assert from "node:assert/strict";
import {
  AF_UNIX,
  close,
  decodeText,
  EAGAIN,
  exists,
  MSG_DONTWAIT,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  syscall,
  trySyscall,
  withAddress,
} from "../ffi/mod.ts";
import { makeBundle } from "./support/bundle.ts";
import { reapOrphans, type Sandbox, test, until } from "./support/mod.ts";

// A service manager starts crate, and hears from the container when it is ready. sd_notify(3)

const NOTIFY = "/usr/bin/systemd-notify";
const skip = exists(NOTIFY) ? false : "it needs systemd-notify (apt-get install systemd)";

/** The service manager's socket. */
class Manager implements Disposable {
  readonly #fd = syscall("socket", AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  readonly env: { readonly NOTIFY_SOCKET: string };

  constructor(path: string) {
    withAddress(path, (address) => syscall("bind", this.#fd, address, address.length));
    this.env = { NOTIFY_SOCKET: path };
  }

  /** What has come; descriptors that came with it are closed. */
  heard(): string[] {
    const messages: string[] = [];
    for (const bytes = new Uint8Array(4096);;) {
      const count = trySyscall("recvfrom", this.#fd, bytes, 4096, MSG_DONTWAIT, null, 0);
      if (count === -EAGAIN) return messages;
      messages.push(decodeText(bytes.subarray(0, count)));
    }
  }

  /** Waits for a message, and gives all that have come. */
  async hears(text: string): Promise<string[]> {
    const all: string[] = [];
    await until(`the service manager hears ${text}`, () => {
      all.push(...this.heard());
      return all.some((message) => message.includes(text));
    });
    return all;
  }

  [Symbol.dispose](): void {
    close(this.#fd);
  }
}

/** A bundle that has the host's programs. */
function bundle(box: Sandbox, id: string, script: string): string {
  const mounts = ["/usr", "/lib", "/lib64"].filter(exists).map((path) => ({
    destination: path,
    type: "bind",
    source: path,
    options: ["rbind", "ro"],
  }));
  const directory = makeBundle(box, id, script);
  const file = `${directory}/config.json`;
  const spec = JSON.parse(Deno.readTextFileSync(file));
  Deno.writeTextFileSync(file, JSON.stringify({ ...spec, mounts: [...spec.mounts, ...mounts] }));
  return directory;
}

const told = (pid: unknown) => [`READY=1\nMAINPID=${pid}\n`, "BARRIER=1"];
/** Tells when a file says so, and goes on. */
const SCRIPT =
  `while ! test -e /go; do sleep 0.02; done; ${NOTIFY} --ready --status=up; exec sleep 1000`;

test("crate start waits until a created container is ready, and tells who it is", async (box) => {
  using manager = new Manager(box.path("manager"));
  const directory = bundle(box, "a", SCRIPT);
  // What waits on its output would wait for the container.
  const out = box.path("out");
  const created = await box.host(
    `NOTIFY_SOCKET=${manager.env.NOTIFY_SOCKET} "$@" </dev/null >${out} 2>&1`,
    ["create", "--bundle", directory, "a"],
  );
  assert.equal(created.code, 0, Deno.readTextFileSync(out));
  const start = box.start(["start", "a"], { env: manager.env });
  const pid = await box.running("a");
  await until(
    "crate is a small program",
    () => Deno.readTextFileSync(`/proc/${start.pid}/comm`) === "crate-notify\n",
  );
  const size = /^VmRSS:\s*(\d+) kB/m.exec(Deno.readTextFileSync(`/proc/${start.pid}/status`));
  assert.ok(Number(size![1]) < 1000, size![0]);
  assert.deepEqual([start.hasEnded, manager.heard()], [false, []]);
  // Another crate may do something with it meanwhile.
  await box.ok(["update", "--pids-limit", "50", "a"]);
  Deno.writeTextFileSync(`${box.rootfs}/go`, "");
  const heard = await manager.hears("BARRIER");
  assert.deepEqual(heard, told(pid));
  assert.deepEqual(await start.ended, { code: 0, stdout: "", stderr: "" });
  await box.ok(["delete", "--force", "a"]);
  reapOrphans();
}, { skip });

test("crate start does not wait for a container that ends without a word", async (box) => {
  using manager = new Manager(box.path("manager"));
  const directory = bundle(box, "a", "exit 3");
  await box.host(
    `NOTIFY_SOCKET=${manager.env.NOTIFY_SOCKET} "$@" </dev/null >${box.path("out")} 2>&1`,
    ["create", "--bundle", directory, "a"],
  );
  const { code } = await box.crate(["start", "a"], { env: manager.env });
  assert.deepEqual([code, manager.heard()], [0, []]);
  await box.ok(["delete", "--force", "a"]);
  reapOrphans();
}, { skip });

test("crate run waits in the background, and tells in the foreground", async (box) => {
  using manager = new Manager(box.path("manager"));
  const { env } = manager;
  // On the host's own root.
  const options = ["--rm", "--name", "a"];
  const script = `${NOTIFY} --ready && echo told; exec sleep 1000`;
  const background = box.start(["run", "-d", ...options, "/bin/sh", "-c", script], { env });
  const heard = await manager.hears("BARRIER");
  assert.deepEqual(await background.ended, { code: 0, stdout: "a\n", stderr: "" });
  assert.deepEqual(heard, told((await box.state("a")).pid));
  await box.ok(["delete", "--force", "a"]);

  for (const tty of [[], ["-t"]]) {
    const foreground = box.start(["run", ...tty, ...options, "/bin/sh", "-c", script], { env });
    // It says so when systemd-notify has been told that all was read.
    await foreground.printed("told");
    const { pid } = await box.state("a");
    assert.deepEqual(manager.heard(), told(pid).slice(0, 1));
    await box.ok(["kill", "-s", "KILL", "a"]);
    assert.equal((await foreground.ended).code, 137);
  }
}, { skip });

test("a container that is started again tells again", async (box) => {
  using manager = new Manager(box.path("manager"));
  const { env } = manager;
  const script = `${NOTIFY} --ready`;
  const first = box.start(["run", "-d", "--name", "a", "/bin/sh", "-c", script], { env });
  await manager.hears("BARRIER");
  assert.equal((await first.ended).code, 0);
  await until("it ends", async () => (await box.state("a")).status === "stopped");
  const second = box.start(["start", "a"], { env });
  assert.match((await manager.hears("BARRIER")).join(), /^READY=1\nMAINPID=\d+\n,BARRIER=1$/);
  assert.equal((await second.ended).code, 0);
  await until("it ends", async () => (await box.state("a")).status === "stopped");
  await box.ok(["delete", "a"]);
}, { skip });

test("a service manager that is not there is told before anything is made", async (box) => {
  const env = (path: string) => ({ env: { NOTIFY_SOCKET: path } });
  const words = ["run", "--rm", "-r", box.rootfs, "/bin/true"];
  const nobody = await box.crate(words, env(box.path("nobody")));
  assert.equal(nobody.code, 125);
  assert.match(nobody.stderr, /NOTIFY_SOCKET .*\/nobody: nobody listens: ENOENT/);
  const relative = await box.crate(words, env("vsock:2:1"));
  assert.match(relative.stderr, /NOTIFY_SOCKET must be an absolute path, .* got "vsock:2:1"/);
  // Without one there is nothing of it.
  assert.equal(await box.sh("echo ${NOTIFY_SOCKET-none}; ls /run 2>/dev/null; true"), "none");
  using manager = new Manager(`@${box.name}`);
  const abstract = await box.crate(words, { env: manager.env });
  assert.deepEqual([abstract.code, abstract.stderr], [0, ""]);

  await box.host(`"$@" </dev/null >/dev/null 2>&1`, [
    "create",
    "--bundle",
    bundle(box, "a", "exec sleep 1000"),
    "a",
  ]);
  const late = await box.crate(["start", "a"], { env: manager.env });
  assert.match(late.stderr, /NOTIFY_SOCKET is set, and was not when the container was created/);
  assert.equal((await box.state("a")).status, "created");
  const two = await box.crate(["start", "a", "b"], { env: manager.env });
  assert.equal(two.code, 2);
  await box.ok(["delete", "--force", "a"]);
  reapOrphans();
}, { skip });
