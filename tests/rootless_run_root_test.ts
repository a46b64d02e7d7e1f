// Not in the virtual machine: cgroups have no part in it, and its users are many starts of Deno
import assert from "node:assert/strict";
import { Running, type Sandbox, test } from "./support/mod.ts";
import { asUser, USER_ID } from "./support/user.ts";

// `crate run` of an ordinary user: crate becomes root of a user namespace that is the user's.

/** What the user's script does at its end: the namespace goes with the process that keeps it. */
const END = `
kill "$(sed 's/.*"pid":\\([0-9]*\\).*/\\1/' "$XDG_RUNTIME_DIR/crate/userns.json")"
"$CRATE" list >/dev/null # whoever comes next makes another
kill "$(sed 's/.*"pid":\\([0-9]*\\).*/\\1/' "$XDG_RUNTIME_DIR/crate/userns.json")"`;

/** A script in which `crate` is the command. */
async function user(
  box: Sandbox,
  script: string,
  options?: { subordinate?: boolean },
): Promise<string[]> {
  Deno.chmodSync(box.directory, 0o755);
  // Mount points that it lacks are made in it.
  const owned = await new Running(["chown", "-R", String(USER_ID), box.rootfs]).ended;
  assert.equal(owned.code, 0);
  const begin = `cd ~
crate() { "$CRATE" "$@" 2>&1; echo "= $?"; }
run() { crate run --network none "$@"; }
`;
  const out = await asUser(box, `${begin}${script}${END}`, options);
  return out.trimEnd().split("\n");
}

test("an ordinary user is root in his containers, and the users in them are his subordinate ids", async (box) => {
  const lines = await user(
    box,
    `
run --rm -r ${box.rootfs} /bin/sh -c 'id -u; cat /proc/self/uid_map; exit 3'
run --rm --tmpfs /tmp -r ${box.rootfs} -u 5:6 /bin/sh -c 'touch /tmp/file && stat -c %u:%g /tmp/file'
run --rm -r ${box.rootfs} /bin/nope
run --rm -m 64m -r ${box.rootfs} /bin/true
`,
  );
  const maps = lines.slice(1, 3).map((line) => line.trim().split(/\s+/).join(" "));
  assert.equal(lines[0], "0");
  assert.deepEqual(maps, ["0 4711 1", "1 300000 65536"]);
  assert.equal(lines[3], "= 3");
  assert.ok(lines.includes("5:6"), lines.join("\n"));
  assert.ok(lines.includes("= 127"));
  // Limits need groups that somebody has to have given to the user.
  assert.match(lines.at(-2)!, /cgroup/);
  assert.equal(lines.at(-1), "= 125");
});

test("a user's containers are in a user namespace already, and get no other", async (box) => {
  const lines = await user(
    box,
    `
run --rm --userns auto -r ${box.rootfs} /bin/true
run --rm --uidmap 0:1:10 -r ${box.rootfs} /bin/true
run --rm --userns host -r ${box.rootfs} /bin/echo up
CRATE_SECURITY_USERNS=auto run --rm -r ${box.rootfs} /bin/echo up
`,
  );
  const refusal =
    "crate: a user namespace of the container's own needs root: the containers of a user without root " +
    "are in one already, that user's (leave --userns, --uidmap and --gidmap out)";
  assert.deepEqual(lines, [refusal, "= 125", refusal, "= 125", "up", "= 0", "up", "= 0"]);
});

test("a user's containers in the background belong to one namespace, in which later commands find them", async (box) => {
  const lines = await user(
    box,
    `
run -d --name a -r ${box.rootfs} /bin/sh -c 'echo from-a; sleep 1000'
run -d --name b -r ${box.rootfs} /bin/sleep 1000
crate list -q
crate exec a /bin/sh -c 'readlink /proc/self/ns/user; id -u'
crate exec b /bin/sh -c 'readlink /proc/self/ns/user'
crate logs a
crate inspect a | grep -c '"Running": true'
crate stop -t 0 a
crate start a
crate delete --force a b
crate list -q
`,
  );
  const text = lines.join(" ");
  const namespaces = [...text.matchAll(/user:\[\d+\]/g)].map(([name]) => name);
  assert.equal(namespaces.length, 2, text);
  assert.equal(namespaces[0], namespaces[1]);
  assert.equal(
    text.replaceAll(/user:\[\d+\]/g, "ns"),
    "a = 0 b = 0 a b = 0 ns 0 = 0 ns = 0 from-a = 0 1 a = 0 a = 0 a b = 0 = 0",
  );
});

test("a user has a view of the host's root of his own, and what he changes in it is gone at the end", async (box) => {
  const lines = await user(
    box,
    `
run --rm /bin/sh -c 'id -un; echo mine > /opt/mine; rm /bin/sh; mkdir /new && ls -d /opt/mine /new; readlink /bin'
ls -d /opt/mine /new /bin/sh
run --rm --keep ./kept /bin/true
`,
  );
  // Others' files stay theirs, in the view too.
  assert.match(lines[1]!, /cannot remove '\/bin\/sh'/);
  assert.deepEqual([lines[0], ...lines.slice(2, 6)], [
    "root",
    "/new",
    "/opt/mine",
    "usr/bin",
    "= 0",
  ]);
  assert.deepEqual(lines.filter((line) => line === "/bin/sh" || line === "/new"), [
    "/new",
    "/bin/sh",
  ]);
  assert.match(lines.at(-2)!, /--keep .* needs root/);
});

test("a user has images of his own, and what a container removes of one is gone in the next", async (box) => {
  const root = box.rootfs;
  const lines = await user(
    box,
    `
mkdir -p new/below && cp -r ${root}/. new/ 2>/dev/null; echo 1 > new/below/one
tar -C new -cf r.tar .
crate import -q r.tar one:1 | grep -c sha256
run --name x one:1 /bin/sh -c 'rm -r /below && mkdir /below && echo 2 > /below/two; chown 7 /below/two; rm /below/nope'
crate diff x
crate commit -q x two:1 | grep -c sha256
run --rm two:1 /bin/sh -c 'ls -n /below | tail -n +2'
run --rm one:1 /bin/ls /below
crate delete x
crate rmi one:1 two:1 | grep -c Untagged
chmod -R u+rwX new; rm -rf new
`,
  );
  const text = lines.join("\n");
  assert.match(text, /^C \/below$/m);
  assert.match(text, /^-rw-r--r--\s+1 7\s+0 .* two$/m);
  assert.match(text, /^one$/m);
  assert.match(text, /^2$/m);
});

test("a user without subordinate ids has one id in his containers", async (box) => {
  const lines = await user(
    box,
    `
run --rm -r ${box.rootfs} /bin/sh -c 'cat /proc/self/uid_map'
run --rm -r ${box.rootfs} -u 5 /bin/true
`,
    { subordinate: false },
  );
  assert.equal(lines[0]!.trim().split(/\s+/).join(" "), "0 4711 1");
  assert.match(lines[2]!, /^crate: /);
  assert.match(lines[3]!, /^= 12[56]$/);
});

test("a user's copies are the user's own, from and to containers that run or have ended", async (box) => {
  const lines = await user(
    box,
    `
run -d --name a --tmpfs /tmp -r ${box.rootfs} /bin/sh -c 'echo x > /x; chown 5:6 /x; echo m > /tmp/m; echo ready; sleep 1000'
until crate logs a | grep -q ready; do sleep 0.1; done
crate cp a:/x ./mine
stat -c %u:%g mine
crate cp a:/tmp/m ./m
crate cp ./mine a:/etc/mine
crate exec a /bin/stat -c %u:%g /etc/mine
crate stop -t 0 a
crate cp a:/etc/mine ./again
crate cp ./again a:/
crate cp a:/tmp/m ./none
crate rename a b
crate container prune
`,
  );
  const own = `${USER_ID}:${USER_ID}`;
  assert.deepEqual(lines.filter((line) => !/^(a|= 0)$/.test(line)), [
    own,
    "0:0",
    "crate: a:/tmp was in memory, at /tmp, and is gone with the container",
    "= 125",
    "b",
    "Reclaimed: 0B",
  ]);
});
