import assert from "node:assert/strict";
import { CrateError } from "../../errors.ts";
import type { Spec } from "../../spec/mod.ts";
import { parsePageServer } from "./checkpoint.ts";
import { inheritedOf } from "./descriptors.ts";
import { findCriu } from "./find.ts";
import { movedTo } from "./groups.ts";
import { makeImages, openImages, readDescriptors, readOwn, writeRecords } from "./images.ts";
import { lastErrors, readTail } from "./log.ts";
import { mountsToRestore, parseMountinfo } from "./mounts.ts";
import { commonOptions, requireDumpable } from "./options.ts";
import { pagesNeeded, requirePages } from "./pages.ts";

function refused(act: () => unknown, code: string, why: RegExp): void {
  assert.throws(act, (error) => {
    assert(error instanceof CrateError);
    assert.deepEqual([error.code, error.message.includes("\n")], [code, false]);
    assert.match(error.message, why);
    return true;
  });
}

function inDirectory(act: (path: string) => void): void {
  const path = Deno.makeTempDirSync();
  try {
    act(path);
  } finally {
    Deno.removeSync(path, { recursive: true });
  }
}

const common = {
  root: "/r",
  id: "web",
  program: { criu: "criu", env: {} },
  imagePath: "/i",
} as const;

Deno.test("the last errors of a log are told in one line, without what a terminal would obey", () => {
  const log = [
    "(00.000001) Version: 3.17 (gitid 0)",
    "(00.1) Error (criu/a.c:1): first",
    "(00.2)      1: Error (criu/b.c:2): second \u001b[31mred",
    "(00.3) Warn  (criu/b.c:2): Error of somebody else",
    "(00.4) Error (criu/c.c:3): third",
    `(00.5) Error (criu/c.c:3): ${"x".repeat(1000)}`,
    "(00.6) Error (criu/cr-dump.c:2053): Dumping FAILED.",
  ].join("\n");
  assert.equal(lastErrors(log), `second ?[31mred; third; ${"x".repeat(300)}`);
  assert.equal(lastErrors("(00.6) Error (a.c:1): Restoring FAILED.\n"), "Restoring FAILED.");
  assert.equal(lastErrors("all is well\n"), undefined);
});

Deno.test("of a long log the end is read, and none is no trouble", () => {
  inDirectory((path) => {
    Deno.writeTextFileSync(`${path}/dump.log`, `${"a".repeat(3 << 20)}end`);
    using directory = openImages("--work-path", path);
    const tail = readTail(directory.fd, "dump.log");
    assert.deepEqual([tail.length, tail.endsWith("aend")], [1 << 20, true]);
    Deno.symlinkSync("/etc/passwd", `${path}/link`);
    assert.equal(readTail(directory.fd, "link"), "");
    assert.equal(readTail(directory.fd, "none"), "");
  });
});

Deno.test("criu is looked for in $PATH, and what is missing is said with its package", () => {
  inDirectory((path) => {
    Deno.writeTextFileSync(`${path}/criu`, "", { mode: 0o755 });
    Deno.mkdirSync(`${path}/other/criu`, { recursive: true });
    Deno.writeTextFileSync(`${path}/data`, "", { mode: 0o644 });
    const env = { PATH: `relative:${path}/other:${path}` };
    assert.equal(findCriu("criu", env), `${path}/criu`);
    assert.equal(findCriu(`${path}/criu`, {}), `${path}/criu`);
    refused(() => findCriu("criu", { PATH: `${path}/other` }), "NOT_FOUND", /apt-get install criu/);
    refused(() => findCriu(`${path}/none`, env), "NOT_FOUND", /there is no such program/);
    refused(() => findCriu(`${path}/other/criu`, env), "NOT_FOUND", /there is no such program/);
  });
});

Deno.test("a page server is an address and a port", () => {
  assert.deepEqual(parsePageServer("10.0.0.1:27"), { address: "10.0.0.1", port: 27 });
  assert.deepEqual(parsePageServer("[::1]:65535"), { address: "::1", port: 65535 });
  for (const bad of ["", "host", "host:", ":27", "host:0", "host:65536", "::1:27", "host:2 7"]) {
    refused(() => parsePageServer(bad), "INVALID", /--page-server must be ADDRESS:PORT/);
  }
});

Deno.test("a configuration file of criu's is runc's, the annotation's, or none", () => {
  const of = (annotations?: Record<string, string>) =>
    commonOptions(common, { ociVersion: "1.0.2", annotations } as Spec, "l").config_file;
  assert.equal(of(), "/etc/criu/runc.conf");
  assert.equal(of({ "org.criu.config": "/etc/my.conf" }), "/etc/my.conf");
  assert.equal(of({ "org.criu.config": "" }), undefined);
});

Deno.test("options go to criu as they are given; another empty namespace is refused", () => {
  const spec: Spec = { ociVersion: "1.0.2" };
  const options = commonOptions(
    { ...common, tcpEstablished: true, manageCgroupsMode: "strict", emptyNs: ["network"] },
    spec,
    "log",
  );
  assert.deepEqual(
    [options.tcp_established, options.manage_cgroups_mode, options.empty_ns, options.shell_job],
    [true, 5, 0x40000000, false],
  );
  assert.equal(commonOptions(common, spec, "log").manage_cgroups_mode, undefined);
  const ipc = { ...common, emptyNs: ["network", "ipc"] };
  refused(() => commonOptions(ipc, spec, "log"), "UNSUPPORTED", /--empty-ns ipc/);
});

Deno.test("what no image would have is not checkpointed", () => {
  const spec = (mounts: Spec["mounts"]): Spec => ({ ociVersion: "1.0.2", mounts });
  const overlay = { destination: "/", type: "overlay", source: "overlay" };
  const memory = spec([{ ...overlay, options: ["lowerdir=/a"] }]);
  refused(() => requireDumpable({ id: "c", spec: memory }), "UNSUPPORTED", /is in memory/);
  requireDumpable({
    id: "c",
    spec: spec([{ ...overlay, options: ["lowerdir=/a", "upperdir=/b", "workdir=/c"] }]),
  });
  const mapped = spec([{
    destination: "/a",
    type: "bind",
    source: "/b",
    options: ["bind", "idmap"],
  }]);
  refused(
    () => requireDumpable({ id: "c", spec: mapped }),
    "UNSUPPORTED",
    /mounts\[0\].*id-mapped/,
  );
});

Deno.test("lines of mountinfo are read, those that are cut off passed over", () => {
  const text =
    `36 35 98:0 /mnt1 /mnt2\\134a\\012b rw,noatime master:1 - ext3 /dev/root rw,errors=continue
37 36 0:5 /null /proc/kcore rw - devtmpfs udev rw
38 36 0
`;
  assert.deepEqual([...parseMountinfo(text)], [
    [36, { id: 36, root: "/mnt1", point: "/mnt2\\a\nb", type: "ext3" }],
    [37, { id: 37, root: "/null", point: "/proc/kcore", type: "devtmpfs" }],
  ]);
});

Deno.test("a restore is told of every bind, of the null device of masks, and of device nodes", () => {
  const found = mountsToRestore({
    ociVersion: "1.0.2",
    mounts: [
      { destination: "/data//x/", type: "bind", source: "/host/x" },
      { destination: "/opt", type: "none", source: "/host/opt", options: ["rbind"] },
      { destination: "/proc", type: "proc", source: "proc" },
      { destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup" },
    ],
    linux: { devices: [{ path: "/dev/fuse", type: "c", major: 10, minor: 229 }] },
  }, "/sys/fs/cgroup/web");
  const map = new Map(found.map(({ key, val }) => [key, val]));
  assert.deepEqual(
    ["/data/x", "/opt", "/proc", "/dev/null", "/dev/fuse", "/sys/fs/cgroup"].map((key) =>
      map.get(key)
    ),
    ["/host/x", "/host/opt", undefined, "/dev/null", "/dev/fuse", "/sys/fs/cgroup/web"],
  );
});

Deno.test("what leads out of a container is inherited, each once; what an image says else is not", () => {
  const names = ["file[2a:1f]", "pipe:[7]", "pipe:[7]"];
  assert.deepEqual(inheritedOf(names), [{ key: "file[2a:1f]", fd: 0 }, { key: "pipe:[7]", fd: 1 }]);
  assert.deepEqual(inheritedOf(["/dev/pts/0", "", "socket:[5]"]), []);
});

Deno.test("groups that are elsewhere than at the checkpoint are moved, and no others", () => {
  const plan = { path: "/a/b" } as Parameters<typeof movedTo>[0];
  assert.deepEqual(movedTo(plan, { monitored: false, cgroupsPath: "a//b" }), []);
  assert.deepEqual(movedTo(plan, { monitored: false, cgroupsPath: "/a/c" }), [{ path: "/a/b" }]);
  assert.deepEqual(movedTo(plan, undefined), [{ path: "/a/b" }]);
});

Deno.test("records beside the images are read as they were written, and nothing else is", () => {
  inDirectory((path) => {
    using images = openImages("--image-path", path);
    assert.deepEqual([readDescriptors(images), readOwn(images)], [[], undefined]);
    writeRecords(images, ["", "pipe:[1]", "x"], { monitored: true, cgroupsPath: "/a" });
    assert.deepEqual(readDescriptors(images), ["", "pipe:[1]", "x"]);
    assert.deepEqual(readOwn(images), { monitored: true, cgroupsPath: "/a" });
    for (const bad of ["null", "{}", "[1]", '["","","",""]', '"pipe:[1]"']) {
      Deno.writeTextFileSync(`${path}/descriptors.json`, bad);
      if (bad === "null") assert.deepEqual(readDescriptors(images), []);
      else refused(() => readDescriptors(images), "INVALID", /descriptors\.json must be a list/);
    }
    for (
      const bad of ["null", "[]", "{}", '{"monitored":0}', '{"monitored":true,"cgroupsPath":1}']
    ) {
      Deno.writeTextFileSync(`${path}/crate.json`, bad);
      refused(() => readOwn(images), "INVALID", /crate\.json must have monitored/);
    }
  });
});

Deno.test("images that are given up go, with the directory that was made for them; the log and others' files stay", () => {
  inDirectory((path) => {
    {
      using images = makeImages("--image-path", `${path}/a/b`);
      Deno.writeTextFileSync(`${images.path}/core-1.img`, "");
      images.giveUp(undefined);
    }
    assert.deepEqual([...Deno.readDirSync(`${path}/a`)], []);
    Deno.mkdirSync(`${path}/c`);
    Deno.writeTextFileSync(`${path}/c/before`, "");
    using images = makeImages("--image-path", `${path}/c`);
    for (const name of ["core-1.img", "dump.log"]) Deno.writeTextFileSync(`${path}/c/${name}`, "");
    images.giveUp("dump.log");
    const names = [...Deno.readDirSync(`${path}/c`)].map(({ name }) => name).sort();
    assert.deepEqual(names, ["before", "dump.log"]);
    refused(() => openImages("--image-path", `${path}/none`), "NOT_FOUND", /no such directory/);
    refused(() => makeImages("--image-path", `${path}/c/before`), "NOT_FOUND", /no such directory/);
  });
});

/** A pagemap-*.img with these entries: [pages, flags]. */
function pagemap(id: number, entries: readonly (readonly [number, number])[]) {
  const parts = [[8, id], ...entries.map(([pages, flags]) => [8, 0, 16, pages, 32, flags])];
  const bytes = parts.flatMap((part) => [part.length, 0, 0, 0, ...part]);
  return new Uint8Array([0x19, 0x43, 0x56, 0x54, 1, 2, 3, 4, ...bytes]);
}

Deno.test("memory that was cut off is found, and what an earlier checkpoint has left is not asked for", () => {
  const image = pagemap(7, [[3, 4], [5, 1], [2, 6]]);
  assert.deepEqual(pagesNeeded(image), { id: 7, size: 5 * 4096 });
  for (let length = 0; length < image.length; length++) pagesNeeded(image.slice(0, length));
  assert.equal(pagesNeeded(image.slice(0, image.length - 1)), undefined);
  assert.equal(pagesNeeded(new Uint8Array(100)), undefined);
  inDirectory((path) => {
    using images = openImages("--image-path", path);
    requirePages(images);
    const tree = [0x19, 0x43, 0x56, 0x54, 1, 2, 3, 4, 2, 0, 0, 0, 8, 1];
    Deno.writeFileSync(`${path}/pstree.img`, new Uint8Array(tree));
    Deno.writeFileSync(`${path}/pagemap-1.img`, image);
    Deno.writeFileSync(`${path}/pagemap-2.img`, pagemap(7, [[100, 4]]));
    Deno.writeFileSync(`${path}/pages-7.img`, new Uint8Array(5 * 4096));
    requirePages(images);
    Deno.truncateSync(`${path}/pages-7.img`, 4096);
    refused(() => requirePages(images), "INVALID", /pages-7\.img is cut off: it has 4096/);
  });
});
