import assert from "node:assert/strict";
import fc from "fast-check";
import { CrateError } from "../errors.ts";
import { requireSupported } from "./supported.ts";
import { LEAST_SPEC } from "./testing.ts";
import type { Mount } from "./types.ts";
import { validateSpec } from "./validate.ts";
import { parseMountFlag, parseTmpfs, parseVolume, splitMount } from "./words_mounts.ts";

const refused = (start: string) => (error: unknown) => {
  assert(error instanceof CrateError, String(error));
  assert(error.message.startsWith(start), error.message);
  return true;
};

Deno.test("errors quote what was typed, when a word was made of it", () => {
  assert.throws(
    () => parseVolume("/store/v:x", "/", "--volume", "v:x"),
    refused('--volume "v:x" must have an absolute path in the container, got "x"'),
  );
  assert.throws(
    () => parseMountFlag("type=bind,src=/store/v,dst=/", "/", "--mount", "src=v,dst=/"),
    refused('--mount "src=v,dst=/" must not be mounted over the container\'s root, /'),
  );
});

Deno.test("a part of --mount in double quotes may hold commas and quotes", () => {
  assert.deepEqual(splitMount('type=bind,"src=/a,b",dst=/c'), ["type=bind", "src=/a,b", "dst=/c"]);
  assert.deepEqual(splitMount('"a""b",'), ['a"b', ""]);
  assert.throws(
    () => splitMount('a"b'),
    refused('--mount "a\\"b" has a double quote out of place'),
  );
});

Deno.test("a volume is a bind of everything below, private and writable unless it says more", () => {
  const volumes: [word: string, source: string, destination: string, options: string][] = [
    ["/a:/b", "/a", "/b", "rbind,rprivate"],
    ["/a:/b:ro", "/a", "/b", "rbind,rro,rprivate"],
    ["/a:/b:rw,rslave", "/a", "/b", "rbind,rslave"],
    ["/a:/b:ro,bind,shared,nosuid,noexec", "/a", "/b", "bind,nosuid,noexec,rro,shared"],
    ["./a:/b", "/cwd/a", "/b", "rbind,rprivate"],
    ["../a/:/b/", "/a", "/b", "rbind,rprivate"],
    [".:/b", "/cwd", "/b", "rbind,rprivate"],
    ["/a/./b//../c:/x/../y", "/a/c", "/y", "rbind,rprivate"],
    ["/:/host", "/", "/host", "rbind,rprivate"],
  ];
  for (const [word, source, destination, options] of volumes) {
    assert.deepEqual(parseVolume(word, "/cwd"), {
      mount: { destination, type: "bind", source, options: options.split(",") },
    });
  }
});

Deno.test("z and Z are told apart and change nothing else", () => {
  const plain = parseVolume("/a:/b:ro", "/");
  assert.deepEqual(parseVolume("/a:/b:ro,z", "/"), { ...plain, relabel: "shared" });
  assert.deepEqual(parseVolume("/a:/b:Z,ro", "/"), { ...plain, relabel: "private" });
});

Deno.test("what is no volume is refused", () => {
  const bad: [word: string, start: string][] = [
    ["", '--volume "" is not HOST:PATH[:OPTIONS], such as /srv/www:/www:ro'],
    ["/a", '--volume "/a" is not HOST:PATH[:OPTIONS]'],
    [":/b", '--volume ":/b" is not HOST:PATH[:OPTIONS]'],
    ["/a:/b:ro:x", '--volume "/a:/b:ro:x" is not HOST:PATH[:OPTIONS]'],
    ["/a:b", '--volume "/a:b" must have an absolute path in the container, got "b"'],
    ["/a:/", '--volume "/a:/" must not be mounted over the container\'s root, /'],
    ["/a:/b/..", '--volume "/a:/b/.." must not be mounted over the container\'s root, /'],
    ["data:/b", '--volume "data:/b": its source is no path of the host'],
    ["/a:/b:nocopy", '--volume "/a:/b:nocopy" has an option "nocopy" that a bind does not know'],
    ["/a:/b:", '--volume "/a:/b:" has an option "" that a bind does not know'],
    ["/a:/b:ro,rw", '--volume "/a:/b:ro,rw" says twice what rw says'],
    ["/a:/b:z,Z", '--volume "/a:/b:z,Z" says twice what Z says'],
    ["/a:/b:slave,shared", '--volume "/a:/b:slave,shared" says twice what shared says'],
  ];
  for (const [word, start] of bad) assert.throws(() => parseVolume(word, "/"), refused(start));
});

Deno.test("a mount by name is a bind or a tmpfs", () => {
  const bind = (options: string): Mount => ({
    destination: "/b",
    type: "bind",
    source: "/a",
    options: options.split(","),
  });
  const mounts: [word: string, mount: Mount][] = [
    ["type=bind,src=/a,dst=/b", bind("rbind,rprivate")],
    ["type=bind,source=/a,target=/b,readonly", bind("rbind,rro,rprivate")],
    ["type=bind,src=a/..,destination=/b,ro=false".replace("a/..", "./a"), bind("rbind,rprivate")],
    ["TYPE=bind,src=/a,dst=/b,ro=1", bind("rbind,rro,rprivate")],
    ["type=bind,src=/a,dst=/b,bind-propagation=rslave", bind("rbind,rslave")],
    ["type=bind,src=/a,dst=/b,bind-nonrecursive", bind("bind,rprivate")],
    ["type=bind,src=/a,dst=/b,bind-recursive=disabled,ro", bind("bind,rro,rprivate")],
    ["type=bind,src=/a,dst=/b,ro,bind-recursive=writable", bind("rbind,ro,rprivate")],
    ["type=bind,src=/a,dst=/b,ro,bind-recursive=readonly", bind("rbind,rro,rprivate")],
    ['type=bind,"src=/a,b""c",dst=/b', { ...bind("rbind,rprivate"), source: '/a,b"c' }],
    [
      "type=tmpfs,dst=/t",
      {
        destination: "/t",
        type: "tmpfs",
        source: "tmpfs",
        options: ["nosuid", "nodev", "noexec"],
      },
    ],
    [
      "type=tmpfs,dst=/t,tmpfs-size=64m,tmpfs-mode=1777,ro",
      {
        destination: "/t",
        type: "tmpfs",
        source: "tmpfs",
        options: ["nosuid", "nodev", "noexec", "ro", "size=67108864", "mode=1777"],
      },
    ],
  ];
  for (const [word, mount] of mounts) assert.deepEqual(parseMountFlag(word, "/"), mount, word);
});

Deno.test("what is no mount by name is refused", () => {
  const bad: [word: string, problem: string][] = [
    ["", 'has "", which it does not know'],
    ["dst=/b", "must have type=bind, type=tmpfs or type=volume"],
    ["type=volume,src=a,dst=/b", "must have type=bind, type=tmpfs or type=volume"],
    ["type=bind,src=/a", "must have dst=PATH"],
    ["type=bind,dst=/b", "must have src=PATH"],
    ["type=bind,src,dst=/b", "must have a value for src: src=..."],
    ["type=bind,src=/a,dst=/b,dst=/c", "says target twice"],
    ["type=bind,src=/a,dst=/b,rw", 'has "rw", which it does not know'],
    ["type=bind,src=/a,dst=/b,constructor=1", 'has "constructor", which it does not know'],
    ["type=bind,src=/a,dst=/b,__proto__=1", 'has "__proto__", which it does not know'],
    ["type=bind,src=/a,dst=/b,tmpfs-size=1", "has tmpfs-size, which does not go with type=bind"],
    ["type=tmpfs,src=/a,dst=/b", "has source, which does not go with type=tmpfs"],
    ["type=bind,src=/a,dst=/b,ro=maybe", 'must have true or false for readonly, got "maybe"'],
    ["type=bind,src=/a,dst=/b,bind-propagation=x", "must have a bind-propagation of private, "],
    ["type=bind,src=/a,dst=/b,bind-recursive=x", "must have a bind-recursive of enabled, "],
    ["type=bind,src=/a,dst=/b,bind-recursive=readonly", "must have readonly for bind-recursive"],
    [
      "type=bind,src=/a,dst=/b,bind-recursive=enabled,bind-nonrecursive",
      "says twice how deep to bind",
    ],
    ['type=bind,"src=/a,dst=/b', "has a double quote out of place"],
    ["type=tmpfs,dst=/b,tmpfs-mode=8", 'has an option "mode=8" that a tmpfs does not know'],
  ];
  for (const [word, problem] of bad) {
    assert.throws(
      () => parseMountFlag(word, "/"),
      refused(`--mount ${JSON.stringify(word)} ${problem}`),
    );
  }
  assert.throws(
    () => parseMountFlag("type=tmpfs,dst=/b,tmpfs-size=1q", "/"),
    refused('--mount tmpfs-size "1q" is not a size'),
  );
});

Deno.test("a tmpfs is nosuid, nodev and noexec unless it says otherwise", () => {
  const options = (word: string) => parseTmpfs(word).options?.join();
  assert.equal(options("/x"), "nosuid,nodev,noexec");
  assert.equal(options("/x:"), "nosuid,nodev,noexec");
  assert.equal(options("/x:size=64m,mode=1777"), "nosuid,nodev,noexec,size=64m,mode=1777");
  assert.equal(options("/x:exec,nodev,uid=5"), "nosuid,exec,nodev,uid=5");
  assert.equal(options("/x:size=50%"), "nosuid,nodev,noexec,size=50%");
  assert.equal(parseTmpfs("/x/../y/").destination, "/y");
  assert.throws(() => parseTmpfs("x"), refused('--tmpfs "x" must have an absolute path'));
  assert.throws(() => parseTmpfs("/"), refused('--tmpfs "/" must not be mounted over'));
  for (const option of ["size=1q", "size=", "huge=always", "mode=9", "", "size=1m=2", "a\0"]) {
    assert.throws(
      () => parseTmpfs(`/x:ro,${option}`),
      refused(`--tmpfs ${JSON.stringify(`/x:ro,${option}`)} has an option`),
    );
  }
});

Deno.test("any text is a mount that a config may have, or refused with the option's name", () => {
  const linux = { namespaces: [{ type: "mount" }] };
  const parsers: [option: string, parse: (word: string) => Mount][] = [
    ["--volume", (word) => parseVolume(word, "/cwd").mount],
    ["--mount", (word) => parseMountFlag(word, "/cwd")],
    ["--tmpfs", (word) => parseTmpfs(word)],
  ];
  const piece = fc.constantFrom(
    ...'/ . .. a : , = " ro rw z Z rbind rslave private nocopy nosuid size=64m mode=1777 \0'.split(
      " ",
    ),
    ..."type=bind type=tmpfs src=/a dst=/b target=/ ro=true tmpfs-size=1g bind-recursive=readonly"
      .split(" "),
  );
  const text = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join("")),
    fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join(",")),
    fc.array(piece, { maxLength: 8 }).map((pieces) => `/a:/b:${pieces.join(",")}`),
  );
  for (const [option, parse] of parsers) {
    fc.assert(
      fc.property(text, (word) => {
        let mount: Mount;
        try {
          mount = parse(word);
        } catch (error) {
          assert(error instanceof CrateError, String(error));
          assert(["INVALID", "UNSUPPORTED"].includes(error.code), error.code);
          assert(error.message.startsWith(`${option} `), error.message);
          return;
        }
        assert.match(mount.destination, /^\/[^\0]+$/);
        requireSupported(validateSpec({ ...LEAST_SPEC, linux, mounts: [mount] }));
      }),
      { numRuns: 2000 },
    );
  }
});
