// Not in the virtual machine: cgroups have no part in it
import assert from "node:assert/strict";
import type { Mount } from "../lib/spec/mod.ts";
import { create, engineSpec, launchBundle, makeBundle, outcome } from "./support/bundle.ts";
import { RUNC } from "./support/engines.ts";
import { Running, type Sandbox, test } from "./support/mod.ts";

// Every option of the runtime-spec's table (config.md, "Mount options"), and the effect that it has.

interface Seen {
  /** The mount's own options, its propagation, and those of its filesystem. */
  readonly own: readonly string[];
  readonly propagation: readonly string[];
  readonly filesystem: readonly string[];
}

const SHOW = "cat /proc/self/mountinfo";
const PROC: Mount = { destination: "/proc", type: "proc", source: "proc" };

function parse(mountinfo: string): Map<string, Seen> {
  const found = new Map<string, Seen>();
  for (const line of mountinfo.trim().split("\n")) {
    const [before, after] = line.split(" - ");
    const words = before!.split(" ");
    found.set(words[4]!, {
      own: words[5]!.split(","),
      propagation: words.slice(6).map((word) => word.replace(/:.*/, "")),
      filesystem: after!.split(" ")[2]!.split(","),
    });
  }
  return found;
}

async function mountsOf(box: Sandbox, mounts: readonly Mount[]): Promise<Map<string, Seen>> {
  const creation = await launchBundle(box, "o", SHOW, { spec: { mounts: [PROC, ...mounts] } });
  return parse(await outcome(box, "o", creation));
}

const has = (word: string) => ({ own }: Seen) => own.includes(word);
const lacks = (word: string) => ({ own }: Seen) => !own.includes(word);
const strict = (seen: Seen) => lacks("relatime")(seen) && lacks("noatime")(seen);
const hasOwn = (word: string) => ({ filesystem }: Seen) => filesystem.includes(word);
const lacksOwn = (word: string) => ({ filesystem }: Seen) => !filesystem.includes(word);
const propagates = (word: string) => ({ propagation }: Seen) => propagation.includes(word);
const isPrivate = ({ propagation }: Seen) => propagation.length === 0;

/** An attribute's word, the word that takes it away, and what each looks like. */
const ATTRIBUTES: [word: string, after: string[], effect: (seen: Seen) => boolean][] = [
  ["ro", [], has("ro")],
  ["rw", ["ro"], has("rw")],
  ["nosuid", [], has("nosuid")],
  ["suid", ["nosuid"], lacks("nosuid")],
  ["nodev", [], has("nodev")],
  ["dev", ["nodev"], lacks("nodev")],
  ["noexec", [], has("noexec")],
  ["exec", ["noexec"], lacks("noexec")],
  ["nodiratime", [], has("nodiratime")],
  ["diratime", ["nodiratime"], lacks("nodiratime")],
  ["nosymfollow", [], has("nosymfollow")],
  ["symfollow", ["nosymfollow"], lacks("nosymfollow")],
  ["relatime", ["strictatime"], has("relatime")],
  ["norelatime", [], strict],
  ["noatime", [], has("noatime")],
  ["atime", ["noatime"], lacks("noatime")],
  ["strictatime", [], strict],
  ["nostrictatime", ["strictatime"], has("relatime")],
];

/** What is a filesystem's, on a tmpfs. */
const OWN: [word: string, after: string[], effect: (seen: Seen) => boolean][] = [
  ["sync", [], hasOwn("sync")],
  ["async", [], lacksOwn("sync")],
  ["dirsync", [], hasOwn("dirsync")],
  ["lazytime", [], hasOwn("lazytime")],
  ["nolazytime", ["lazytime"], lacksOwn("lazytime")],
  ["mand", [], hasOwn("mand")],
  ["nomand", ["mand"], lacksOwn("mand")],
  // What is so anyway.
  ["defaults", [], has("rw")],
  ["loud", [], has("rw")],
  ["silent", [], has("rw")],
  ["noiversion", [], lacksOwn("iversion")],
];

const PROPAGATIONS: [word: string, effect: (seen: Seen) => boolean][] = [
  ["private", isPrivate],
  ["shared", propagates("shared")],
  ["slave", isPrivate],
  ["unbindable", propagates("unbindable")],
];

const tmpfs = (destination: string, options: string[]): Mount => ({
  destination,
  type: "tmpfs",
  source: "tmpfs",
  options,
});

test("every option of the spec's table has its effect on a filesystem", async (box) => {
  const all = [...ATTRIBUTES, ...OWN];
  const mounts = all.map(([word, after]) => tmpfs(`/o/${word}`, [...after, word]));
  const propagations = PROPAGATIONS.map(([word]) => tmpfs(`/o/${word}`, [word]));
  const seen = await mountsOf(box, [...mounts, ...propagations]);
  for (const [word, , effect] of all) {
    const mount = seen.get(`/o/${word}`)!;
    assert(effect(mount), `${word}: ${JSON.stringify(mount)}`);
  }
  for (const [word, effect] of PROPAGATIONS) {
    const mount = seen.get(`/o/${word}`)!;
    assert(effect(mount), `${word}: ${JSON.stringify(mount)}`);
  }
});

test("every option of the spec's table has its effect on a bind, and with r on the mounts below", async (box) => {
  const data = box.mkdir("data");
  const bind = (destination: string, options: string[]): Mount => ({
    destination,
    type: "bind",
    source: data,
    options,
  });
  const binds = ATTRIBUTES.map(([word, after]) => bind(`/o/${word}`, ["bind", ...after, word]));
  // A mount with one below it, as a bind of a tree has; then both are changed.
  const trees = ATTRIBUTES.flatMap(([word, after]) => [
    tmpfs(`/r/${word}`, []),
    tmpfs(`/r/${word}/below`, []),
    { destination: `/r/${word}`, options: ["remount", ...after.map((before) => `r${before}`)] },
    { destination: `/r/${word}`, options: ["remount", `r${word}`] },
  ]);
  const spread = PROPAGATIONS.flatMap(([word]) => [
    tmpfs(`/r/${word}`, []),
    tmpfs(`/r/${word}/below`, []),
    { destination: `/r/${word}`, options: ["remount", `r${word}`] },
  ]);
  const seen = await mountsOf(box, [...binds, ...trees, ...spread]);
  const holds = (path: string, effect: (seen: Seen) => boolean) => {
    const mount = seen.get(path)!;
    assert(effect(mount), `${path}: ${JSON.stringify(mount)}`);
  };
  for (const [word, , effect] of ATTRIBUTES) {
    holds(`/o/${word}`, effect);
    holds(`/r/${word}`, effect);
    holds(`/r/${word}/below`, effect);
  }
  for (const [word, effect] of PROPAGATIONS) {
    holds(`/r/${word}`, effect);
    holds(`/r/${word}/below`, effect);
  }
});

test("a bound tree of the host's gets an option with r on all of its mounts", async (box) => {
  const options = (more: string[]) => ["rbind", "rslave", ...more];
  const mount = (destination: string, more: string[]): Mount => ({
    destination,
    type: "bind",
    source: "/sys",
    options: options(more),
  });
  const seen = await mountsOf(box, [
    mount("/all", ["rnosymfollow"]),
    mount("/one", ["nosymfollow"]),
  ]);
  const below = (path: string) => [...seen].filter(([point]) => point.startsWith(`${path}/`));
  assert(below("/all").length > 0 && below("/all").length === below("/one").length);
  assert(below("/all").every(([, mount]) => has("nosymfollow")(mount)));
  assert(below("/one").every(([, mount]) => lacks("nosymfollow")(mount)));
});

test("runc makes the same mounts of what it knows of the table", async (box) => {
  // runc 1.1 knows no symfollow, and hands words without a flag to the filesystem. Its norelatime is relatime,
  // the kernel's default; mount(8) says that it is none.
  const unknown = ["nosymfollow", "symfollow", "defaults", "norelatime"];
  const known = [...ATTRIBUTES, ...OWN].filter(([word]) => !unknown.includes(word));
  const mounts = known.map(([word]) => tmpfs(`/o/${word}`, [word]));
  const crate = await mountsOf(box, mounts);
  const bundle = box.mkdir("bundle-runc");
  const spec = engineSpec(box, "runc", SHOW, { spec: { mounts: [PROC, ...mounts] } });
  const { seccomp: _, ...linux } = spec.linux!;
  Deno.writeTextFileSync(`${bundle}/config.json`, JSON.stringify({ ...spec, linux }));
  const words = [RUNC, "--root", box.path("runc"), "run", "--bundle", bundle, "r"];
  const { code, stdout, stderr } = await new Running(words).ended;
  assert.deepEqual([code, stderr], [0, ""]);
  const runc = parse(stdout);
  for (const [word] of known) {
    const path = `/o/${word}`;
    assert.deepEqual(crate.get(path)!.own, runc.get(path)!.own, word);
    assert.deepEqual(crate.get(path)!.filesystem, runc.get(path)!.filesystem, word);
  }
});

test("remount changes what it names, and leaves the rest", async (box) => {
  const mounts: Mount[] = [
    tmpfs("/t", ["nosuid", "nodev", "size=1m", "mode=700"]),
    { destination: "/t", type: "tmpfs", options: ["remount", "ro", "size=2m"] },
    tmpfs("/u", ["ro", "noexec"]),
    { destination: "/u", options: ["remount", "bind", "rw"] },
    { destination: "/", options: ["remount", "nosuid"] },
  ];
  const seen = await mountsOf(box, mounts);
  const t = seen.get("/t")!;
  for (const word of ["ro", "nosuid", "nodev"]) assert(has(word)(t), word);
  assert(hasOwn("size=2048k")(t) && hasOwn("mode=700")(t) && hasOwn("rw")(t), JSON.stringify(t));
  assert(has("rw")(seen.get("/u")!) && has("noexec")(seen.get("/u")!));
  assert(has("nosuid")(seen.get("/")!));
  for (
    const [mount, reason] of [
      [{ destination: "/no", options: ["remount", "ro"] }, /remount \/no: ENOENT/],
      [{ destination: "/bin", options: ["remount", "ro"] }, /remount \/bin: EINVAL/],
      [
        { destination: "/proc", options: ["remount", "no=such"] },
        /remount \/proc \(no=such\): EINVAL/,
      ],
    ] as const
  ) {
    const bundle = makeBundle(box, "n", "true", { spec: { mounts: [PROC, mount as Mount] } });
    const { code, stderr } = await create(box, "n", bundle);
    assert.equal(code, 125);
    assert.match(stderr, reason);
  }
});

test("links of a bind mount are copied, or not followed, as the options say", async (box) => {
  const target = box.file("target", "of the host\n");
  Deno.symlinkSync("target", box.path("link"));
  Deno.symlinkSync("/bin/busybox", box.path("short"));
  Deno.mkdirSync(`${box.rootfs}/at`);
  Deno.symlinkSync("/at/real", `${box.rootfs}/at/link`);
  Deno.writeTextFileSync(`${box.rootfs}/at/real`, "of the image\n");
  Deno.symlinkSync("/bin/busybox", `${box.rootfs}/at/same`);
  Deno.symlinkSync("/bin/busybo", `${box.rootfs}/at/shorter`);
  Deno.symlinkSync("/bin/busybox/x", `${box.rootfs}/at/longer`);
  const bind = (destination: string, source: string, ...options: string[]): Mount => ({
    destination,
    type: "bind",
    source,
    options: ["bind", ...options],
  });
  const mounts = [
    PROC,
    bind("/made/copied", box.path("link"), "copy-symlink"),
    bind("/at/same", box.path("short"), "copy-symlink"),
    bind("/made/plain", target, "copy-symlink"),
    bind("/made/itself", box.path("link"), "src-nofollow"),
    bind("/at/link", target, "dest-nofollow"),
  ];
  const script =
    "readlink /made/copied; readlink /at/same; cat /made/plain; readlink /made/itself; " +
    "cat /at/real /at/link; grep -c ' /made/copied ' /proc/self/mountinfo";
  const creation = await launchBundle(box, "l", script, { spec: { mounts } });
  assert.deepEqual((await outcome(box, "l", creation)).split("\n"), [
    "target",
    "/bin/busybox",
    "of the host",
    "target",
    "of the image",
    "of the host",
    "0",
  ]);
  for (const name of ["shorter", "longer", "real"]) {
    const bundle = makeBundle(box, "n", "true", {
      spec: { mounts: [PROC, bind(`/at/${name}`, box.path("short"), "copy-symlink")] },
    });
    const { code, stderr } = await create(box, "n", bundle);
    const label = `link /at/${name} to /bin/busybox: there is something else`;
    assert.deepEqual([code, stderr.startsWith(`crate: ${label}: E`)], [125, true], stderr);
  }
});

test("iversion is refused: nothing comes of it", async (box) => {
  const bundle = makeBundle(box, "n", "true", {
    spec: { mounts: [PROC, tmpfs("/t", ["iversion"])] },
  });
  const { code, stderr } = await create(box, "n", bundle);
  assert.equal(code, 125);
  assert.match(
    stderr,
    /mounts\[1\]\.options "iversion" is not supported yet: no filesystem counts/,
  );
});

test("maps of an id-mapped mount stand in its option as crun has them", async (box) => {
  const data = box.mkdir("data");
  Deno.writeTextFileSync(`${data}/file`, "x");
  Deno.chownSync(`${data}/file`, 1000, 2000);
  const mounts = [
    PROC,
    {
      destination: "/data",
      type: "bind",
      source: data,
      options: ["rbind", "idmap=uids=0-0-1#1000-7-5;gids=0-0-1#2000-8-5"],
    },
  ];
  const { stdout: filesystem } = await new Running(["stat", "-f", "-c", "%T", data]).ended;
  if (!filesystem.startsWith("ext")) return;
  const creation = await launchBundle(box, "i", "stat -c '%u %g' /data/file", { spec: { mounts } });
  assert.equal(await outcome(box, "i", creation), "7 8");
  const relative = [PROC, { ...mounts[1]!, options: ["bind", "idmap=uids=@0-5-1;gids=0-0-1"] }];
  const refused = await create(
    box,
    "j",
    makeBundle(box, "j", "true", { spec: { mounts: relative } }),
  );
  assert.deepEqual([refused.code, refused.stderr], [
    125,
    'crate: mounts[1].options "idmap=uids=@0-5-1;gids=0-0-1": the container\'s user namespace has no one range ' +
    "with 5 to 5\n",
  ]);
});
