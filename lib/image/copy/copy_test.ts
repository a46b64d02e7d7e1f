import assert from "node:assert/strict";
import { close, O_DIRECTORY, O_PATH, open } from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import { copyFiles, packFiles, Place, unpackFiles } from "./mod.ts";

/** Two trees: this host's, and a container's. */
async function between(
  act: (trees: { host: string; box: string; here: Place; there: Place }) => void | Promise<void>,
): Promise<void> {
  const top = Deno.makeTempDirSync();
  const [host, box] = [`${top}/host`, `${top}/box`];
  Deno.mkdirSync(host);
  Deno.mkdirSync(`${box}/etc`, { recursive: true });
  const root = open(box, O_PATH | O_DIRECTORY);
  try {
    const there = new Place({ label: "box:", root });
    await act({ host, box, here: new Place({ label: "" }), there });
  } finally {
    close(root);
    Deno.removeSync(top, { recursive: true });
  }
}

/** Paths and contents below a directory: `a/ a/f=text l>target`. */
function shown(directory: string, prefix = ""): string {
  const all: string[] = [];
  const names = [...Deno.readDirSync(directory)].sort((a, b) => a.name < b.name ? -1 : 1);
  for (const { name, isDirectory, isSymlink } of names) {
    const path = `${directory}/${name}`;
    if (isSymlink) all.push(`${prefix}${name}>${Deno.readLinkSync(path)}`);
    else if (isDirectory) all.push(`${prefix}${name}/`, shown(path, `${prefix}${name}/`));
    else all.push(`${prefix}${name}=${Deno.readTextFileSync(path)}`);
  }
  return all.filter((each) => each !== "").join(" ");
}

function refused(act: () => void, sentence: RegExp): void {
  assert.throws(act, (error) => {
    assert.ok(error instanceof CrateError, String(error));
    assert.match(error.message, sentence);
    return true;
  });
}

const warn = (message: string) => assert.fail(message);

// Each row: what is copied, where to, and what is there then (or the sentence): docker's table of `docker cp`.
const FILE = "f=new";
const RULES: readonly (readonly [from: string, to: string, then: string | RegExp])[] = [
  ["src/f", "free", "free=new"],
  ["src/f", "/free", "free=new"],
  ["src/f", "free/", /^box:free\/: there is no such directory$/],
  ["src/f", "no/free", /^box:no\/: there is no such directory$/],
  ["src/f", "old", "old=new"],
  ["src/f", "old/", /^box:old\/: there is no such directory$/],
  ["src/f", "dir", `dir/ dir/${FILE} dir/kept=`],
  ["src/f", "dir/", `dir/ dir/${FILE} dir/kept=`],
  ["src/f", "", FILE],
  ["src/f", "link", `dir/ dir/${FILE} dir/kept=`],
  ["src/f", "filelink", "old=new"],
  ["src/f", "dangling", "made=new"],
  ["src", "free", "free/ free/f=new free/sub/"],
  ["src", "free/", "free/ free/f=new free/sub/"],
  ["src/.", "free", "free/ free/f=new free/sub/"],
  ["src", "dir", "dir/ dir/kept= dir/src/ dir/src/f=new dir/src/sub/"],
  ["src/", "dir", "dir/ dir/kept= dir/src/ dir/src/f=new dir/src/sub/"],
  ["src/.", "dir", "dir/ dir/f=new dir/kept= dir/sub/"],
  ["src/.", "/", "f=new sub/"],
  ["src", "old", /^box:old is a file, and a directory is copied$/],
  ["src/l", "free", "free>f"],
  ["src/l/.", "free", /^\S+src\/l\/\.: there is no such file or directory$/],
  ["none", "free", /^\S+none: there is no such file or directory$/],
];

for (const [from, to, then] of RULES) {
  Deno.test(`a copy of ${from} to ${to || "nothing"} lands where docker's does`, () =>
    between(({ host, box, here, there }) => {
      const isLink = from.startsWith("src/l");
      Deno.mkdirSync(`${host}/src/sub`, { recursive: true });
      Deno.writeTextFileSync(`${host}/src/f`, "new");
      if (isLink) Deno.symlinkSync("f", `${host}/src/l`);
      Deno.mkdirSync(`${box}/dir`);
      Deno.writeTextFileSync(`${box}/dir/kept`, "");
      Deno.writeTextFileSync(`${box}/old`, "old");
      Deno.symlinkSync("/dir", `${box}/link`);
      Deno.symlinkSync("etc/../old", `${box}/filelink`);
      Deno.symlinkSync("/made", `${box}/dangling`);
      const before = shown(box).split(" ");
      const copy = () =>
        copyFiles({ place: here, path: `${host}/${from}` }, { place: there, path: to }, { warn });
      if (then instanceof RegExp) {
        refused(copy, then);
        assert.equal(shown(box), before.join(" "));
        return;
      }
      copy();
      const after = shown(box).split(" ");
      const named = then.split(" ");
      for (const each of named) assert.ok(after.includes(each), `${each} in ${after}`);
      const replaced = (each: string) =>
        named.some((other) => other.split(/[=>]/)[0] === each.split(/[=>]/)[0]);
      const more = after.filter((each) => !before.includes(each) && !named.includes(each));
      assert.deepEqual(more, []);
      const less = before.filter((each) => !after.includes(each) && !replaced(each));
      assert.deepEqual(less, []);
    }));
}

Deno.test("a source's link is followed when that is said, and keeps the name it was called by", () =>
  between(({ host, box, here, there }) => {
    Deno.mkdirSync(`${box}/dir`);
    Deno.writeTextFileSync(`${box}/dir/f`, "x");
    Deno.symlinkSync("/dir", `${box}/link`);
    const to = { place: here, path: host };
    copyFiles({ place: there, path: "link" }, to, { warn });
    assert.equal(shown(host), "link>/dir");
    Deno.removeSync(`${host}/link`);
    copyFiles({ place: there, path: "link" }, to, { warn, follow: true });
    copyFiles({ place: there, path: "link/." }, to, { warn });
    assert.equal(shown(host), "f=x link/ link/f=x");
  }));

Deno.test("no link of a container's and no .. leads out of it, as a source or as a target", () =>
  between(({ host, box, here, there }) => {
    Deno.writeTextFileSync(`${host}/secret`, "secret");
    Deno.writeTextFileSync(`${box}/etc/secret`, "own");
    Deno.mkdirSync(`${box}${host}`, { recursive: true });
    Deno.writeTextFileSync(`${box}${host}/secret`, "inner");
    Deno.symlinkSync(`${host}/secret`, `${box}/out`);
    Deno.symlinkSync("../../../../../../../../../../etc", `${box}/up`);
    const take = (path: string) => {
      copyFiles({ place: there, path }, { place: here, path: `${host}/taken` }, {
        warn,
        follow: true,
      });
      return Deno.readTextFileSync(`${host}/taken`);
    };
    assert.equal(take("out"), "inner");
    assert.equal(take("up/secret"), "own");
    assert.equal(take("../../../../etc/secret"), "own");
    Deno.writeTextFileSync(`${host}/new`, "new");
    const from = { place: here, path: `${host}/new` };
    copyFiles(from, { place: there, path: "out" }, { warn });
    assert.equal(Deno.readTextFileSync(`${host}/secret`), "secret");
    assert.equal(Deno.readTextFileSync(`${box}${host}/secret`), "new");
    copyFiles(from, { place: there, path: "/../../../../../../../../../../etc/new" }, { warn });
    assert.equal(Deno.readTextFileSync(`${box}/etc/new`), "new");
  }));

Deno.test("links in what is copied are copied, and nothing is written through one", () =>
  between(({ host, box, here, there }) => {
    Deno.mkdirSync(`${box}/tree/d`, { recursive: true });
    Deno.writeTextFileSync(`${box}/tree/d/f`, "theirs");
    Deno.symlinkSync("/etc/shadow", `${box}/tree/l`);
    Deno.mkdirSync(`${host}/elsewhere`);
    Deno.mkdirSync(`${host}/to/tree`, { recursive: true });
    Deno.symlinkSync(`${host}/elsewhere`, `${host}/to/tree/d`);
    const copy = () =>
      copyFiles({ place: there, path: "tree" }, { place: here, path: `${host}/to` }, { warn });
    refused(copy, /\/to\/tree\/d is not a directory, and one is copied there$/);
    assert.equal(shown(`${host}/elsewhere`), "");
    Deno.removeSync(`${host}/to/tree/d`);
    copy();
    assert.equal(shown(`${host}/to`), "tree/ tree/d/ tree/d/f=theirs tree/l>/etc/shadow");
    // And once more, on what is there.
    copy();
    assert.equal(shown(`${host}/to`), "tree/ tree/d/ tree/d/f=theirs tree/l>/etc/shadow");
  }));

Deno.test("a directory and what is none never replace each other", () =>
  between(({ host, box, here, there }) => {
    Deno.mkdirSync(`${host}/t/name`, { recursive: true });
    Deno.mkdirSync(`${host}/u`);
    Deno.writeTextFileSync(`${host}/u/name`, "");
    Deno.mkdirSync(`${box}/name`);
    const copy = (from: string) =>
      copyFiles({ place: here, path: `${host}/${from}/.` }, { place: there, path: "/" }, { warn });
    refused(() => copy("u"), /^box:\/name is a directory, which no file replaces$/);
    Deno.removeSync(`${box}/name`);
    copy("u");
    refused(() => copy("t"), /^box:\/name is not a directory, and one is copied there$/);
  }));

Deno.test("fifos are copied without being opened, holes stay holes, hard links stay links, times stay", () =>
  between(async ({ host, box, here, there }) => {
    const script =
      `mkdir t; cd t; mkfifo p; truncate -s 3M hole; printf x >> hole; echo a > a; ln a b
      touch -d 2001-02-03 a; mkdir d; touch -d 2002-03-04 d; chmod 4751 a`;
    const made = await new Deno.Command("sh", { args: ["-ec", script], cwd: box }).output();
    assert.ok(made.success);
    copyFiles({ place: there, path: "t" }, { place: here, path: `${host}/t` }, { warn });
    const at = (name: string) => Deno.lstatSync(`${host}/t/${name}`);
    assert.equal(at("p").isFifo, true);
    assert.equal(at("hole").size, (3 << 20) + 1);
    assert.ok(at("hole").blocks! < 100);
    assert.equal(at("a").ino, at("b").ino);
    assert.equal(at("a").mtime!.getFullYear(), 2001);
    assert.equal(at("d").mtime!.getFullYear(), 2002);
    assert.equal(at("a").mode! & 0o7777, 0o751, "no set-id bit without its owner");
  }));

Deno.test("an archive goes out under the source's name and comes in through the container's links", () =>
  between(async ({ box, there }) => {
    Deno.mkdirSync(`${box}/usr/bin`, { recursive: true });
    Deno.symlinkSync("/usr/bin", `${box}/bin`);
    Deno.mkdirSync(`${box}/pack/bin`, { recursive: true });
    Deno.writeTextFileSync(`${box}/pack/bin/tool`, "tool");
    const pack = (path: string) => {
      const pieces: Uint8Array<ArrayBuffer>[] = [];
      packFiles({ place: there, path }, (bytes) => pieces.push(bytes.slice()), { warn });
      return new Blob(pieces);
    };
    const unpack = (archive: Blob, path: string) =>
      unpackFiles(archive.stream(), { place: there, path }, { warn });
    await unpack(pack("pack"), "etc");
    assert.equal(Deno.readTextFileSync(`${box}/etc/pack/bin/tool`), "tool");
    Deno.removeSync(`${box}/pack/bin/tool`);
    await unpack(pack("etc/pack/bin/tool"), "/bin/");
    assert.equal(Deno.readTextFileSync(`${box}/usr/bin/tool`), "tool");
    Deno.removeSync(`${box}/usr/bin/tool`);
    // `./bin/` is a link there: as a directory it is refused, as what a file lies in it is followed.
    await assert.rejects(unpack(pack("etc/pack/."), "/"), /bin is not a directory/);
    const { stdout } = await new Deno.Command("tar", {
      args: ["-czf", "-", "bin/tool"],
      cwd: `${box}/etc/pack`,
    }).output();
    await unpack(new Blob([stdout]), "/");
    assert.equal(Deno.readTextFileSync(`${box}/usr/bin/tool`), "tool");
    await assert.rejects(
      unpack(new Blob([stdout]), "/none"),
      /^CrateError: box:\/none: there is no/,
    );
    await assert.rejects(unpack(new Blob(["no archive".repeat(99)]), "/"), /not a tar archive/);
  }));

Deno.test("the kernel's own files are not copied", () =>
  between(({ host, here, there }) => {
    const root = open("/", O_PATH | O_DIRECTORY);
    const all = new Place({ label: "all:", root });
    const to = { place: here, path: host };
    refused(
      () => copyFiles({ place: all, path: "proc/cpuinfo" }, to, { warn }),
      /^all:proc\/cpuinfo is the kernel's own, which is not copied$/,
    );
    refused(
      () => copyFiles({ place: all, path: `proc/${Deno.pid}/root/etc` }, to, { warn }),
      /leads through links in a circle, or through \/proc's$/,
    );
    refused(
      () => copyFiles({ place: there, path: "etc" }, { place: all, path: "/proc/sys/" }, { warn }),
      /^all:\/proc\/sys\/ is the kernel's own/,
    );
    close(root);
  }));

Deno.test("a file that is not whole is removed", () =>
  between(async ({ host, box, here }) => {
    const bytes = new Uint8Array(4096);
    const name = new TextEncoder().encode("cut");
    bytes.set(name);
    const header = new Deno.Command("sh", {
      args: ["-c", "head -c 100000 /dev/zero > cut; tar -cf - cut | head -c 40000"],
      cwd: box,
    });
    const { stdout } = await header.output();
    await assert.rejects(
      unpackFiles(new Blob([stdout]).stream(), { place: here, path: host }, { warn }),
      /the archive ends too early/,
    );
    assert.equal(shown(host), "");
  }));
