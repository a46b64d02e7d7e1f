// Not in the virtual machine: users are read from files, and set by calls that every kernel has
import assert from "node:assert/strict";
import { type Sandbox, test } from "./support/mod.ts";

// Whom a container's process runs as.

const ids = "id -u; id -g; id -G; grep -E '^(Uid|Gid|Groups)' /proc/self/status | tr -s '\\t ' ' '";

async function user(box: Sandbox, word: string, more: readonly string[] = []): Promise<string[]> {
  return (await box.sh(ids, ["-u", word, ...more])).split("\n").map((line) => line.trim());
}

test("a container runs as root with root's group, without a word", async (box) => {
  const lines = (await box.sh(ids)).split("\n").map((line) => line.trim());
  assert.deepEqual(lines.slice(0, 2), ["0", "0"]);
  assert.deepEqual(lines.slice(3, 5), ["Uid: 0 0 0 0", "Gid: 0 0 0 0"]);
});

test("-u NAME is looked up in the root's own files, with all of its groups", async (box) => {
  assert.deepEqual(await user(box, "www"), [
    "33",
    "34",
    "34 50 51",
    "Uid: 33 33 33 33",
    "Gid: 34 34 34 34",
    "Groups: 34 50 51",
  ]);
});

test("-u NUMBER is that user, in the files or not", async (box) => {
  assert.deepEqual((await user(box, "33")).slice(0, 3), ["33", "34", "34 50 51"]);
  assert.deepEqual((await user(box, "4711")).slice(0, 3), ["4711", "0", "0"]);
});

test("a user of digits is a number, never a name", async (box) => {
  // There is a user with the name 1000, whose number is 77.
  assert.equal((await user(box, "1000"))[0], "1000");
  assert.equal((await user(box, "77"))[0], "77");
  assert.equal((await user(box, "0033"))[0], "33");
});

test("-u USER:GROUP has that group alone", async (box) => {
  assert.deepEqual((await user(box, "www:extra")).slice(0, 3), ["33", "50", "50"]);
  assert.deepEqual((await user(box, "33:1234")).slice(0, 3), ["33", "1234", "1234"]);
  assert.deepEqual((await user(box, "9:web")).slice(0, 3), ["9", "34", "34"]);
});

test("--group-add adds groups, by name or number", async (box) => {
  const more = ["--group-add", "others", "--group-add", "4321"];
  assert.equal((await user(box, "www:web", more))[2], "34 52 4321");
  assert.equal((await user(box, "www", more))[2], "34 50 51 52 4321");
});

test("the last user there is, 2^32-2, works, and a number over it is refused", async (box) => {
  assert.deepEqual((await user(box, "4294967294:4294967294")).slice(0, 2), [
    "4294967294",
    "4294967294",
  ]);
  for (const word of ["4294967295", "4294967296", "99999999999999999999", "0:4294967295"]) {
    const words = ["run", "--rm", "-r", box.rootfs, "-u", word, "id"];
    const { code, stdout, stderr } = await box.crate(words);
    assert.deepEqual([code, stdout], [125, ""]);
    assert.match(stderr, new RegExp(`^crate: .*${word}.*4294967294.*\n$`));
  }
});

test("a user or group that is not in the files is an error that names it", async (box) => {
  for (
    const [word, sentence] of [
      ["nobody-here", /^crate: user "nobody-here" is not in .*\/etc\/passwd.*\n$/],
      ["wwww", /^crate: user "wwww" is not in .*did you mean www\?\n$/],
      ["www:none", /^crate: group "none" is not in .*\/etc\/group.*\n$/],
      ["-1", /^crate: --user "-1" .*\n$/],
      ["a:b:c", /^crate: --user "a:b:c" .*\n$/],
    ] as const
  ) {
    const words = ["run", "--rm", "-r", box.rootfs, `--user=${word}`, "id"];
    const { code, stdout, stderr } = await box.crate(words);
    assert.deepEqual([code, stdout], [125, ""], word);
    assert.match(stderr, sentence);
  }
});

test("without /etc/passwd a number works, and a name is an error that says so", async (box) => {
  Deno.removeSync(`${box.rootfs}/etc/passwd`);
  Deno.removeSync(`${box.rootfs}/etc/group`);
  assert.deepEqual((await user(box, "7:8")).slice(0, 3), ["7", "8", "8"]);
  const words = ["run", "--rm", "-r", box.rootfs, "-u", "www", "id"];
  const { code, stderr } = await box.crate(words);
  assert.equal(code, 125);
  assert.match(stderr, /^crate: user "www" cannot be looked up: .* no \/etc\/passwd.*\n$/);
});

test("the files are those in the root, wherever a link in it leads", async (box) => {
  // A link out of the root is one within it: there is no such file there, and a name of the host's
  // own passwd is not found.
  const secret = box.file("passwd", "outsider:x:55:55::/:/bin/sh\n");
  Deno.removeSync(`${box.rootfs}/etc/passwd`);
  Deno.symlinkSync(secret, `${box.rootfs}/etc/passwd`);
  const words = ["run", "--rm", "-r", box.rootfs, "-u", "outsider", "id", "-u"];
  assert.equal((await box.crate(words)).code, 125);
  Deno.removeSync(`${box.rootfs}/etc/passwd`);
  Deno.symlinkSync("../../../../../passwd", `${box.rootfs}/etc/passwd`);
  Deno.writeTextFileSync(`${box.rootfs}/passwd`, "insider:x:56:56::/:/bin/sh\n");
  assert.equal(await box.ok([...words.slice(0, 5), "insider", "id", "-u"]), "56");
});

test("a passwd that is no file, or endless, is an error and no hang", async (box) => {
  Deno.removeSync(`${box.rootfs}/etc/passwd`);
  await box.host(`mkfifo ${box.rootfs}/etc/passwd`);
  const words = ["run", "--rm", "-r", box.rootfs, "-u", "www", "id"];
  const fifo = await box.crate(words);
  assert.equal(fifo.code, 125);
  assert.match(fifo.stderr, /^crate: .*passwd.*\n$/);
});

test("-u with the view of the host's root is looked up in the host's files", async (box) => {
  const expected = new Deno.Command("id", { args: ["nobody"] }).outputSync().stdout;
  const words = ["run", "--rm", "-u", "nobody", "/usr/bin/id"];
  assert.equal(`${await box.ok(words)}\n`, new TextDecoder().decode(expected));
});

test("a user other than root owns nothing of root's, and can read what others may", async (box) => {
  Deno.writeTextFileSync(`${box.rootfs}/etc/secret`, "secret", { mode: 0o600 });
  const script =
    "cat /etc/secret 2>/dev/null || echo denied; cat /etc/group >/dev/null && echo read; " +
    "(echo x >/etc/x) 2>/dev/null || echo not written; echo x >/tmp/x && stat -c %u:%g /tmp/x";
  assert.equal(await box.sh(script, ["-u", "www"]), "denied\nread\nnot written\n33:34");
});

test("HOME is the user's, unless the environment says so", async (box) => {
  assert.equal(await box.sh("echo $HOME"), "/root");
  assert.equal(await box.sh("echo $HOME", ["-u", "www"]), "/srv/www");
  assert.equal(await box.sh("echo $HOME", ["-u", "4711"]), "/");
  assert.equal(await box.sh("echo $HOME", ["-e", "HOME=/mine"]), "/mine");
});
