import assert from "node:assert/strict";
import fc from "fast-check";
import { CrateError } from "../errors.ts";
import { resolveUser } from "./users.ts";

const PASSWD = `root:x:0:0:root:/root:/bin/sh
# a comment: with:1:2:colons:/x:
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin

  alice:x:1000:100:Alice:/home/alice:/bin/sh
alice:x:2000:200:a second one:/elsewhere:/bin/sh
homeless:x:1001:100::relative:/bin/sh
1000000:x:7:7:a name of digits:/seven:/bin/sh
-bad:x:8:8::/:
+nis::::::
broken
nouid:x:abc:1::/:
big:x:4294967295:1::/:
`;
const GROUP = `root:x:0:
users:x:100:
wheel:x:10:root,alice,bob
audio:x:29:bob,alice
video:x:44:alicette
dup:x:100:alice
broken
nogid:x:abc:alice
500:x:7:
`;

function invalid(message: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof CrateError && error.code === "INVALID");
    assert.match(error.message, message);
    return true;
  };
}

Deno.test("without a word a process is root, in root's groups", () => {
  assert.deepEqual(resolveUser(undefined, PASSWD, GROUP), {
    uid: 0,
    gid: 0,
    additionalGids: [0, 10],
    home: "/root",
  });
  assert.deepEqual(resolveUser(undefined, undefined, undefined), {
    uid: 0,
    gid: 0,
    additionalGids: [0],
    home: "/",
  });
});

Deno.test("a name gives its first entry's ids and home, and the groups that list it", () => {
  assert.deepEqual(resolveUser({ user: "alice" }, PASSWD, GROUP), {
    uid: 1000,
    gid: 100,
    additionalGids: [100, 10, 29],
    home: "/home/alice",
  });
});

Deno.test("a number that is in the file is that user, groups and all", () => {
  for (const user of [1000, "1000"]) {
    const { gid, additionalGids, home } = resolveUser({ user }, PASSWD, GROUP);
    assert.deepEqual([gid, additionalGids, home], [100, [100, 10, 29], "/home/alice"]);
  }
});

Deno.test("a number that is in no file is taken as it is, with gid 0", () => {
  for (const passwd of [PASSWD, undefined]) {
    assert.deepEqual(resolveUser({ user: 12345 }, passwd, GROUP), {
      uid: 12345,
      gid: 0,
      additionalGids: [0],
      home: "/",
    });
  }
});

Deno.test("digits are a number and never a name", () => {
  assert.equal(resolveUser({ user: "1000000" }, PASSWD, GROUP).uid, 1000000);
  assert.equal(resolveUser({ user: 0, group: "500" }, PASSWD, GROUP).gid, 500);
  assert.deepEqual(resolveUser({ user: 5 }, "", GROUP, ["500"]).additionalGids, [0, 500]);
});

Deno.test("with a group given, the user's other groups are not joined", () => {
  for (const group of ["audio", 29, "29"]) {
    const { gid, additionalGids } = resolveUser({ user: "alice", group }, PASSWD, GROUP);
    assert.deepEqual([gid, additionalGids], [29, [29]]);
  }
  assert.equal(resolveUser({ user: "alice", group: 31337 }, PASSWD, undefined).gid, 31337);
});

Deno.test("added groups join the user's, by name or number, none twice", () => {
  const { additionalGids } = resolveUser({ user: "alice" }, PASSWD, GROUP, [
    "video",
    10,
    9999,
    "9999",
  ]);
  assert.deepEqual(additionalGids, [100, 10, 29, 44, 9999]);
});

Deno.test("a name that is not there is refused with the file, and the one that was meant", () => {
  assert.throws(
    () => resolveUser({ user: "alise" }, PASSWD, GROUP),
    invalid(/^user "alise" is not in the image's \/etc\/passwd: did you mean alice\?$/),
  );
  assert.throws(
    () => resolveUser({ user: "nobody" }, PASSWD, GROUP),
    invalid(
      /^user "nobody" is not in the image's \/etc\/passwd: name one that is, or give a number$/,
    ),
  );
  assert.throws(
    () => resolveUser({ user: "alice" }, undefined, GROUP),
    invalid(/the image has no \/etc\/passwd; give a number$/),
  );
  assert.throws(
    () => resolveUser({ user: 0, group: "whee" }, PASSWD, GROUP),
    invalid(/^group "whee" is not in the image's \/etc\/group: did you mean wheel\?$/),
  );
  assert.throws(() => resolveUser({ user: 0 }, PASSWD, GROUP, ["nope"]), invalid(/^group "nope"/));
});

Deno.test("an id that setresuid would take for no change is refused", () => {
  assert.equal(resolveUser({ user: 4294967294 }, PASSWD, GROUP).uid, 4294967294);
  for (const user of [4294967295, "4294967295", "99999999999999999999", -1, 1.5, NaN]) {
    assert.throws(() => resolveUser({ user }, PASSWD, GROUP), invalid(/must be 0 to 4294967294/));
    assert.throws(() => resolveUser({ user: 0, group: user }, PASSWD, GROUP), CrateError);
  }
});

Deno.test("lines that are no entries give nobody an identity", () => {
  for (
    const user of ["broken", "nouid", "big", "-bad", "+nis", "", "# a comment", "-1", "__proto__"]
  ) {
    assert.throws(
      () => resolveUser({ user }, PASSWD, GROUP),
      invalid(/is not in the image's/),
      user,
    );
  }
});

Deno.test("a home that is no absolute path is the root directory", () => {
  assert.equal(resolveUser({ user: "homeless" }, PASSWD, GROUP).home, "/");
  assert.equal(resolveUser({ user: "x" }, "x:x:1:1::/a\0b:/bin/sh", GROUP).home, "/");
});

Deno.test("more groups than a process can be in are refused", () => {
  const group = Array.from({ length: 65537 }, (_, i) => `g${i}:x:${i}:x`).join("\n");
  assert.throws(() => resolveUser({ user: "x" }, "x:x:1:1::/:", group), invalid(/65537 groups/));
});

Deno.test("whatever stands in the files, a user is found or refused, quickly", () => {
  const text = fc.array(
    fc.constantFrom(":", ",", "\n", "root", "x", "0", "99999999999", "\0", " ", "é"),
  )
    .map((parts) => parts.join(""));
  const word = fc.oneof(fc.constantFrom("root", "x", "0", "é"), fc.nat(), fc.string());
  fc.assert(fc.property(text, text, word, (passwd, group, user) => {
    try {
      const { uid, gid, additionalGids, home } = resolveUser({ user }, passwd, group);
      for (const id of [uid, gid, ...additionalGids]) {
        assert.ok(Number.isInteger(id) && id >= 0 && id < 2 ** 32 - 1);
      }
      assert.ok(home.startsWith("/"));
    } catch (error) {
      assert.ok(error instanceof CrateError, String(error));
    }
  }));
  for (const hostile of [":", ",", "a", "\n", "a:", "x:x:1:1:\n", "\0"]) {
    const megabyte = hostile.repeat((1 << 20) / hostile.length);
    const before = performance.now();
    assert.throws(() => resolveUser({ user: "nobody" }, megabyte, megabyte), CrateError);
    assert.ok(performance.now() - before < 2000, JSON.stringify(hostile));
  }
});
