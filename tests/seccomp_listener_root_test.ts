// Not in the virtual machine: a filter does not know of cgroups
import assert from "node:assert/strict";
import { exists } from "../ffi/mod.ts";
import type { LinuxSeccomp } from "../lib/spec/mod.ts";
import { create, launchBundle, makeBundle, outcome } from "./support/bundle.ts";
import { Running, test, until } from "./support/mod.ts";

// SCMP_ACT_NOTIFY: an agent of the test's gets each filter's listener, and answers for mkdir.

/** Takes listeners, prints what it is told with each, and answers every call with an error number. */
const AGENT = `
import array, fcntl, json, os, socket, struct, sys, threading
ANSWER = int(sys.argv[2])
# asm-generic/ioctl.h and linux/seccomp.h: SECCOMP_IOCTL_NOTIF_RECV and _SEND
RECV, SEND = 0xc0502100, 0xc0182101
def answer(fd):
    while True:
        request = bytearray(80)
        try:
            fcntl.ioctl(fd, RECV, request)
            identity = struct.unpack_from("Q", request)[0]
            fcntl.ioctl(fd, SEND, bytearray(struct.pack("QqiI", identity, 0, -ANSWER, 0)))
        except OSError:
            return
s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
s.bind(sys.argv[1])
s.listen(8)
while True:
    connection, _ = s.accept()
    text, data, _, _ = connection.recvmsg(16384, socket.CMSG_SPACE(4))
    if not data:
        continue
    fd = array.array("i", data[0][2][:4])[0]
    print(text.decode(), flush=True)
    threading.Thread(target=answer, args=(fd,), daemon=True).start()
`;
const EMFILE = 24;

async function agentAt(path: string): Promise<Running> {
  const agent = new Running(["python3", "-c", AGENT, path, String(EMFILE)]);
  await until("the agent", () => exists(path));
  return agent;
}

function profile(listenerPath: string): LinuxSeccomp {
  return {
    defaultAction: "SCMP_ACT_ALLOW",
    listenerPath,
    listenerMetadata: "of the test",
    syscalls: [{ names: ["mkdir", "mkdirat"], action: "SCMP_ACT_NOTIFY" }],
  };
}

const TRY = "mkdir /made 2>&1 | sed 's/.*: //'";

test("a seccomp listener gets the container's state, and answers in its place and in exec's", async (box) => {
  const path = box.path("agent");
  const agent = await agentAt(path);
  const linux = { seccomp: profile(path) };
  const [three, socket] = [box.path("three"), "echo handed on >&3"];
  const bundle = makeBundle(box, "s", `${TRY}; ${socket}; exec sleep 100`, { linux });
  const creation = await create(box, "s", bundle, ["--preserve-fds", "1"], `exec 3>${three};`);
  assert.deepEqual([creation.code, creation.stderr], [0, ""]);
  const { pid } = await box.state("s");
  await box.ok(["start", "s"]);
  await until("its answer", () => creation.output() === "Too many open files\n");
  await until("the descriptor", () => Deno.readTextFileSync(three) === "handed on\n");
  const told = () => agent.stdout.trim().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(told(), [{
    ociVersion: "1.0.2",
    fds: ["seccompFd"],
    pid,
    metadata: "of the test",
    state: { ociVersion: "1.0.2", id: "s", status: "creating", pid, bundle },
  }]);
  assert.equal(await box.ok(["exec", "s", "/bin/sh", "-c", TRY]), "Too many open files");
  const [, second] = told();
  assert.equal(second.state.status, "running");
  assert.notEqual(second.pid, pid);
  assert.equal(second.state.pid, pid);
  // One without a filter has nobody to ask.
  await box.ok(["exec", "--privileged", "s", "/bin/mkdir", "/made"]);
  assert.equal(told().length, 2);
  await box.ok(["kill", "s", "KILL"]);
  await outcome(box, "s", creation);

  // With a monitor of crate's, too.
  const { code, stdout } = await box.crate([
    "run",
    "--bundle",
    makeBundle(box, "m", TRY, { linux }),
    "--name",
    "m",
  ]);
  assert.deepEqual([code, stdout], [0, "Too many open files\n"]);
  await box.ok(["delete", "m"]);
  agent.signal("SIGKILL");
  await agent.ended;
});

test("without anybody who listens, or room for what he is told, there is no container", async (box) => {
  const path = box.path("nobody");
  const seccomp = profile(path);
  const { code, stderr } = await create(
    box,
    "n",
    makeBundle(box, "n", "true", { linux: { seccomp } }),
  );
  assert.deepEqual([code, stderr], [
    125,
    `crate: linux.seccomp.listenerPath ${path}: nobody listens: ENOENT\n`,
  ]);
  const agent = await agentAt(path);
  const large = { seccomp: { ...seccomp, listenerMetadata: "x".repeat(20_000) } };
  const refused = await create(box, "l", makeBundle(box, "l", "true", { linux: large }));
  assert.equal(refused.code, 125);
  assert.match(
    refused.stderr,
    /listenerMetadata take \d+ bytes, and a seccomp listener can be told 16384/,
  );
  agent.signal("SIGKILL");
  await agent.ended;
  // A filter that asks nobody needs nobody's answer, and still a socket that is there.
  const quiet = { seccomp: { defaultAction: "SCMP_ACT_ALLOW" as const } };
  assert.equal(
    await outcome(box, "q", await launchBundle(box, "q", "echo fine", { linux: quiet })),
    "fine",
  );
});
