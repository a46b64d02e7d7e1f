import assert from "node:assert/strict";
import fc from "fast-check";
import { CrateError } from "../errors.ts";
import { LEAST_SPEC } from "./testing.ts";
import { validateSpec } from "./validate.ts";
import {
  parseCapability,
  parseDevice,
  parseGroupWord,
  parsePair,
  parseSysctl,
  parseUlimit,
  parseUserWord,
  validateId,
} from "./words_process.ts";

const refused = (start: string) => (error: unknown) => {
  assert(error instanceof CrateError && error.code === "INVALID", String(error));
  assert(error.message.startsWith(start), error.message);
  return true;
};
const UNLIMITED = 2n ** 64n - 1n;

Deno.test("a resource limit is soft and hard, or both at once", () => {
  const limits: [word: string, soft: number | bigint, hard: number | bigint][] = [
    ["nofile=1024:2048", 1024, 2048],
    ["nofile=1024", 1024, 1024],
    ["nofile=0:-1", 0, UNLIMITED],
    ["nofile=unlimited", UNLIMITED, UNLIMITED],
    ["nofile=9007199254740992", 9007199254740992n, 9007199254740992n],
  ];
  for (const [word, soft, hard] of limits) {
    assert.deepEqual(parseUlimit(word), { type: "RLIMIT_NOFILE", soft, hard });
  }
});

Deno.test("what is no resource limit is refused", () => {
  const bad: [word: string, start: string][] = [
    ["nofile", '--ulimit "nofile" is not NAME=SOFT[:HARD]'],
    ["nofile=", '--ulimit "nofile=" is not NAME=SOFT[:HARD]'],
    ["nofile=1:2:3", '--ulimit "nofile=1:2:3" is not NAME=SOFT[:HARD]'],
    ["files=1", '--ulimit "files=1" has no limit\'s name: one of as, core, '],
    ["nofile=2:1", '--ulimit "nofile=2:1" has a soft limit over the hard one'],
    ["nofile=-1:5", '--ulimit "nofile=-1:5" has a soft limit over the hard one'],
    ["nofile=a", '--ulimit "nofile=a" has a limit that is no number'],
    ["nofile=18446744073709551616", '--ulimit "nofile=18446744073709551616" has a limit that is'],
  ];
  for (const [word, start] of bad) assert.throws(() => parseUlimit(word), refused(start));
});

Deno.test("a device has a path on the host, one inside, and an access", () => {
  const devices: [word: string, source: string, destination: string, access: string][] = [
    ["/dev/fuse", "/dev/fuse", "/dev/fuse", "rwm"],
    ["/dev/fuse:/dev/x", "/dev/fuse", "/dev/x", "rwm"],
    ["/dev/fuse:/dev/x:rw", "/dev/fuse", "/dev/x", "rw"],
    ["/dev/fuse:r", "/dev/fuse", "/dev/fuse", "r"],
  ];
  for (const [word, source, destination, access] of devices) {
    assert.deepEqual(parseDevice(word), { source, destination, access });
  }
  const bad: [word: string, start: string][] = [
    ["", '--device "" must name devices by absolute paths, got ""'],
    ["dev/fuse", '--device "dev/fuse" must name devices by absolute paths, got "dev/fuse"'],
    ["/dev/fuse:x", '--device "/dev/fuse:x" must name devices by absolute paths, got "x"'],
    ["/dev/fuse:/dev/x:rx", '--device "/dev/fuse:/dev/x:rx" is not HOST[:PATH[:rwm]]'],
    ["/dev/fuse:/dev/x:rr", '--device "/dev/fuse:/dev/x:rr" is not HOST[:PATH[:rwm]]'],
  ];
  for (const [word, start] of bad) assert.throws(() => parseDevice(word), refused(start));
});

Deno.test("a user in digits is a number, never a name", () => {
  assert.deepEqual(parseUserWord("1000:1000"), { user: 1000, group: 1000 });
  assert.deepEqual(parseUserWord("007"), { user: 7 });
  assert.deepEqual(parseUserWord("4294967294"), { user: 4294967294 });
  assert.deepEqual(parseUserWord("www-data"), { user: "www-data" });
  assert.deepEqual(parseUserWord("me:7"), { user: "me", group: 7 });
  assert.equal(parseGroupWord("audio"), "audio");
  assert.equal(parseGroupWord("29"), 29);
  const bad: [word: string, start: string][] = [
    ["4294967295", '--user "4294967295" has an id over 4294967294'],
    ["99999999999999999999", '--user "99999999999999999999" has an id over 4294967294'],
    ["", '--user "" must have a name or a number, got ""'],
    ["-1", '--user "-1" must have a name or a number, got "-1"'],
    ["+1", '--user "+1" must have a name or a number, got "+1"'],
    ["a b", '--user "a b" must have a name or a number, got "a b"'],
    ["a\n", '--user "a\\n" must have a name or a number, got "a\\n"'],
    ["a:b:c", '--user "a:b:c" is not USER[:GROUP]'],
  ];
  for (const [word, start] of bad) assert.throws(() => parseUserWord(word), refused(start));
});

Deno.test("a part of a user that is empty is as if it were not given", () => {
  assert.deepEqual(parseUserWord("1000:"), { user: 1000 });
  assert.deepEqual(parseUserWord("me:"), { user: "me" });
  assert.deepEqual(parseUserWord(":77"), { user: 0, group: 77 });
  assert.deepEqual(parseUserWord(":"), { user: 0 });
  assert.throws(
    () => parseUserWord("1 2:", "USER of the image"),
    refused('USER of the image "1 2:" must have a name or a number, got "1 2"'),
  );
});

Deno.test("a capability may leave out CAP_ and be written small", () => {
  for (const word of ["net_admin", "NET_ADMIN", "cap_net_admin", "CAP_NET_ADMIN"]) {
    assert.equal(parseCapability(word, "--cap-add"), "CAP_NET_ADMIN");
  }
  assert.equal(parseCapability("all", "--cap-drop"), "ALL");
  for (const word of ["net-admin", "", "CAP_", "cap_1"]) {
    assert.throws(
      () => parseCapability(word, "--cap-add"),
      refused(`--cap-add "${word}" is not a capability's name`),
    );
  }
});

Deno.test("pairs are split at the first equals sign", () => {
  assert.deepEqual(parsePair("a=b=c", "--label"), ["a", "b=c"]);
  assert.deepEqual(parsePair("a", "--label"), ["a", ""]);
  assert.throws(() => parsePair("=b", "--label"), refused('--label "=b" is not NAME=VALUE'));
  assert.deepEqual(parseSysctl("net.core.somaxconn=1 2"), ["net.core.somaxconn", "1 2"]);
  for (const word of ["net.core", "=1", "../x=1", "a..b=1"]) {
    assert.throws(() => parseSysctl(word), refused(`--sysctl ${JSON.stringify(word)} is not`));
  }
});

Deno.test("a container's name is one that may be a directory's", () => {
  for (const id of ["a", "web-1", "A_b.c", "0".repeat(128)]) assert.equal(validateId(id), id);
  for (const id of ["", "-a", ".a", "_a", "a/b", "..", "a..b", "a b", "a\n", "é", "a\0"]) {
    assert.throws(
      () => validateId(id),
      refused(`the name ${JSON.stringify(id)} is not a container`),
    );
  }
  assert.throws(
    () => validateId("a".repeat(129)),
    refused('the name "aaaaaaaaaaaaaaaaaaaa..." has 129 characters: 128 at most'),
  );
});

Deno.test("any text is read to something valid, or refused with the option's name", () => {
  const process = LEAST_SPEC.process;
  const parsers: [option: string, use: (word: string) => void][] = [
    [
      "--ulimit",
      (word) =>
        validateSpec({ ...LEAST_SPEC, process: { ...process, rlimits: [parseUlimit(word)] } }),
    ],
    ["--device", (word) => {
      const { source, destination, access } = parseDevice(word);
      assert(source.startsWith("/") && destination.startsWith("/") && /^[rwm]{1,3}$/.test(access));
    }],
    ["--user", (word) => {
      const { user, group } = parseUserWord(word);
      for (const part of [user, group]) {
        if (typeof part === "number") assert(part >= 0 && part <= 0xffff_fffe);
        else assert(part === undefined || !/^\d*$/.test(part));
      }
    }],
    ["--cap-add", (word) => {
      const name = parseCapability(word, "--cap-add");
      if (name === "ALL") return;
      const capabilities = { bounding: [name] };
      validateSpec({ ...LEAST_SPEC, process: { ...process, capabilities } });
    }],
    ["the name", (word) => assert(!validateId(word).includes("/"))],
  ];
  const text = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.stringMatching(/^[a-z=0-9:/_.-]{0,20}$/),
    fc.tuple(fc.constantFrom("nofile=", "/dev/", "1:", "cap_", ""), fc.string()).map((parts) =>
      parts.join("")
    ),
  );
  for (const [option, use] of parsers) {
    fc.assert(
      fc.property(text, (word) => {
        try {
          use(word);
        } catch (error) {
          assert(error instanceof CrateError && error.code === "INVALID", String(error));
          assert(error.message.startsWith(`${option} "`), error.message);
        }
      }),
      { numRuns: 1000 },
    );
  }
});
