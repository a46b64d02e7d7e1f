// Not in the virtual machine: nothing here gets as far as criu's own work, which is tried there by others
import assert from "node:assert/strict";
import { exists } from "../ffi/mod.ts";
import { create, launchBundle, makeBundle } from "./support/bundle.ts";
import { reapOrphans, type Sandbox, test, until } from "./support/mod.ts";

// What is refused of checkpoint and restore before criu is asked, and what comes of a criu that fails.

async function refused(box: Sandbox, words: string[], why: RegExp, code = 125): Promise<void> {
  const result = await box.crate(words);
  assert.deepEqual([result.code, result.stdout], [code, ""], words.join(" "));
  assert.match(result.stderr, /^crate: [^\n]*\n$/, words.join(" "));
  assert.match(result.stderr, why);
}

test("a checkpoint that cannot be is refused with a sentence, and makes no directory", async (box) => {
  const images = ["--image-path", box.path("images")];
  const checkpoint = (...words: string[]) => ["checkpoint", ...images, ...words];
  await refused(box, checkpoint("none"), /container "none" does not exist/);
  await create(box, "x", makeBundle(box, "x", "exec sleep 1000"));
  await refused(box, checkpoint("x"), /container not running: "x" is created/);
  await box.ok(["start", "x"]);
  const missing = box.path("no-criu");
  await refused(
    box,
    ["--criu", missing, ...checkpoint("x")],
    /--criu .*: there is no such program/,
  );
  await refused(
    box,
    ["--criu", "no-such-criu", ...checkpoint("x")],
    /not in \$PATH: .*apt-get install criu/,
  );
  await refused(box, checkpoint("--status-fd", "1", "x"), /--status-fd is for --lazy-pages/, 2);
  await refused(
    box,
    checkpoint("--lazy-pages", "--status-fd", "77", "x"),
    /--status-fd 77 is not open/,
  );
  await refused(
    box,
    checkpoint("--lazy-pages", "--status-fd", "0", "x"),
    /--status-fd 0 is not open for writing/,
  );
  await refused(box, checkpoint("--status-fd", "-1", "x"), /--status-fd/);
  await refused(box, checkpoint("--lazy-pages", "--pre-dump", "x"), /give one/, 2);
  await refused(
    box,
    checkpoint("--page-server", "here", "x"),
    /--page-server must be ADDRESS:PORT/,
  );
  await refused(box, checkpoint("--parent-path", "/a", "x"), /--parent-path \/a must be relative/);
  await refused(
    box,
    checkpoint("--parent-path", "../none", "x"),
    /--parent-path .*none: there is no such directory/,
  );
  await refused(box, checkpoint("--empty-ns", "ipc", "x"), /--empty-ns ipc: criu can begin/);
  const mode = await box.crate(checkpoint("--manage-cgroups-mode", "hard", "x"));
  assert.equal(mode.code, 2);
  assert.match(mode.stderr, /soft/);
  assert.equal(exists(box.path("images")), false);
  assert.equal((await box.state("x")).status, "running");
  await box.ok(["delete", "-f", "x"]);
});

test("a restore that cannot be is refused with a sentence, and leaves nothing", async (box) => {
  const bundle = makeBundle(box, "x", "exec sleep 1000");
  const restore = (...words: string[]) => ["restore", "-d", "-b", bundle, ...words, "x"];
  const images = ["--image-path", box.mkdir("images")];
  await refused(box, restore("--image-path", box.path("none")), /none: there is no such directory/);
  await refused(box, restore(...images), /has no checkpoint: there is no inventory\.img/);
  await refused(box, restore(...images, "--no-pivot"), /--no-pivot is not for restore/);
  await refused(box, restore(...images, "--lsm-profile", "x"), /--lsm-profile must be TYPE:NAME/);
  await refused(box, ["--criu", "no-such-criu", ...restore(...images)], /apt-get install criu/);
  await refused(
    box,
    ["restore", "-d", "-b", box.path("nowhere"), ...images, "x"],
    /config\.json cannot be read/,
  );
  await refused(box, ["restore", "-d", ...images, "../x"], /"\.\.\/x"/);
  // There is something to look at, and criu is asked.
  Deno.writeTextFileSync(box.path("images/inventory.img"), "broken");
  await refused(box, restore(...images), /criu/);
  await refused(box, restore(...images, "--empty-ns", "pid"), /--empty-ns pid: criu can begin/);
  await launchBundle(box, "x", "exec sleep 1000");
  await refused(box, restore(...images), /the name "x" is in use by a running container/);
  await box.ok(["delete", "-f", "x"]);
});

/** A program in criu's place. */
function imposter(box: Sandbox, name: string, body: string): string {
  return box.file(
    name,
    `#!/usr/bin/python3
import os, socket, sys, time
s = socket.socket(fileno=int(sys.argv[2]))
def ask():
    return s.recv(65536)
version = bytes.fromhex("080a100152040803100f")
${body}
`,
    0o755,
  );
}

test("whatever a criu does that is none, the container goes on and nothing stays", async (box) => {
  await launchBundle(box, "x", "exec sleep 1000");
  const images = box.path("images");
  for (
    const [name, body, why] of [
      ["mute", "sys.exit(0)", /ended without an answer/],
      [
        "old",
        'ask(); s.send(bytes.fromhex("080a10015204080310 0b".replace(" ", "")))',
        /is criu 3\.11: .* needs 3\.15 or newer/,
      ],
      ["noise", 'ask(); s.send(b"\\xff" * 100)', /an answer of criu's is malformed at byte \d+/],
      ["long", 'ask(); s.send(b"\\x12" * 60000)', /malformed/],
      [
        "gone",
        "ask(); s.send(version); ask(); sys.exit(1)",
        /criu failed: .* ended without an answer \(log: .*dump\.log\)/,
      ],
      [
        "fails",
        'ask(); s.send(version); ask(); s.send(bytes.fromhex("080110004a026e6f"))',
        /criu failed: no \(log: /,
      ],
      [
        "strange",
        'ask(); s.send(version); ask(); s.send(bytes.fromhex("08021001"))',
        /criu failed: /,
      ],
      [
        "log",
        `ask(); s.send(version); ask()
open("${images}/dump.log", "w").write("(00.1) Error (a.c:1): a reason\\n(00.2) Error (b.c:1): Dumping FAILED.\\n")
open("${images}/core-1.img", "w").write("half")
s.send(bytes.fromhex("08011000"))`,
        /criu failed: a reason \(log: .*images\/dump\.log\)/,
      ],
    ] as const
  ) {
    const criu = imposter(box, name, body);
    await refused(box, ["--criu", criu, "checkpoint", "--image-path", images, "x"], why);
    const left = exists(images) ? [...Deno.readDirSync(images)].map((entry) => entry.name) : [];
    assert.deepEqual(left, name === "log" ? ["dump.log"] : [], name);
    assert.equal((await box.state("x")).status, "running");
    reapOrphans();
  }
  await box.ok(["delete", "-f", "x"]);
});

test("a crate that is killed in the middle of a restore leaves what the next one clears", async (box) => {
  const bundle = makeBundle(box, "x", "exec sleep 1000");
  const images = box.mkdir("images");
  Deno.writeTextFileSync(`${images}/inventory.img`, "");
  const criu = imposter(
    box,
    "slow",
    `ask(); s.send(version); open("${box.path("asked")}", "w"); time.sleep(1000)`,
  );
  const words = ["restore", "-d", "-b", bundle, "--image-path", images, "x"];
  // criu has crate's standard descriptors, and would keep the test's pipes open.
  const script = '"$@" </dev/null >/dev/null 2>&1 & echo $!';
  const { stdout } = await box.host(script, ["--criu", criu, ...words]);
  await until("criu is asked", () => exists(box.path("asked")));
  Deno.kill(Number(stdout), "SIGKILL");
  // criu is in the container's groups, and goes with them.
  assert.equal(await box.ok(["list", "-q"]), "");
  await until("criu is gone", () => {
    reapOrphans();
    return !Deno.readTextFileSync("/proc/self/mountinfo").includes(box.directory);
  });
});
