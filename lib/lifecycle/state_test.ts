import assert from "node:assert/strict";
import { CrateError } from "../errors.ts";
import { claim, isOwn, ownDirectory, recordProcess, tryLock } from "./claim.ts";
import { identify } from "./process_id.ts";
import {
  decodeExit,
  findId,
  listIds,
  listMaking,
  listRetired,
  makingPath,
  mountPoint,
  prepareRoot,
  readRetired,
  readState,
  removeDirectory,
  retiredPath,
  statePaths,
} from "./state.ts";

const SPEC = {
  ociVersion: "1.2.0",
  process: {
    args: ["/bin/true"],
    cwd: "/",
    rlimits: [{ type: "RLIMIT_CORE", soft: 0, hard: 2n ** 64n - 1n }],
  },
};

function record(id: string) {
  return {
    id,
    created: "2026-01-02T03:04:05.678Z",
    bundle: "/srv",
    spec: SPEC,
    detached: true,
    remove: false,
  };
}

/** A test with a state directory of its own. */
function test(name: string, body: (root: string) => void | Promise<void>): void {
  Deno.test(name, async () => {
    const directory = await Deno.makeTempDir();
    try {
      const root = `${directory}/state`;
      prepareRoot(root);
      await body(root);
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  });
}

function fails(call: () => unknown, code: CrateError["code"], message: RegExp): void {
  assert.throws(call, (error) => {
    assert(error instanceof CrateError, `${error}`);
    assert.equal(error.code, code);
    assert.match(error.message, message);
    return true;
  });
}

/** What waitid(2) and the clock tell, as a monitor writes it. */
function exitRecord(code: number, status: number, seconds: number): Uint8Array {
  const bytes = new Uint8Array(48);
  const view = new DataView(bytes.buffer);
  view.setInt32(8, code, true);
  view.setInt32(24, status, true);
  view.setBigInt64(32, BigInt(seconds), true);
  view.setBigInt64(40, 500_000_000n, true);
  return bytes;
}

test("the state directory is made once, with a place to mount on that is nobody else's", (root) => {
  assert.equal(Deno.statSync(root).mode! & 0o777, 0o711);
  assert.equal(Deno.statSync(mountPoint(root)).mode! & 0o777, 0o700);
  prepareRoot(root);
  assert.deepEqual([listIds(root), listRetired(root), listMaking(root)], [[], [], []]);
  Deno.writeTextFileSync(`${root}/file`, "");
  fails(() => prepareRoot(`${root}/file`), "INVALID", /file: ENOTDIR; --root names another/);
  for (const list of [listIds, listRetired, listMaking]) {
    fails(() => list(`${root}/file`), "INVALID", /is not a directory; --root names another/);
  }
});

test("a claimed container is being made, and its record is what was asked for", (root) => {
  using lock = claim(root, record("one"));
  assert(lock.fd > 2);
  const state = readState(root, "one")!;
  assert.equal(state.status, "creating");
  assert.deepEqual(state.record, { version: 1, ...record("one") }, "64-bit numbers stay exact");
  assert.deepEqual(listIds(root), ["one"]);
  assert.deepEqual(listMaking(root), []);
  const { directory, container } = statePaths(root, "one");
  assert.equal(Deno.statSync(directory).mode! & 0o777, 0o700);
  assert.equal(Deno.statSync(container).mode! & 0o777, 0o600);
  assert.equal(readState(root, "two"), undefined);
});

test("a container's lock is held until it is let go", (root) => {
  const { directory } = statePaths(root, "one");
  const lock = claim(root, record("one"));
  assert.equal(tryLock(directory), undefined);
  lock[Symbol.dispose]();
  using again = tryLock(directory);
  assert(again !== undefined);
  assert.equal(tryLock(`${root}/nothing`), undefined);
});

test("a name in use is refused, and the container that has it is as it was", (root) => {
  using lock = claim(root, record("one"));
  fails(
    () => claim(root, record("one")),
    "EXISTS",
    /"one" is in use by a creating container.*--force one/,
  );
  recordProcess(lock, root, "one", { init: identify(Deno.pid)!, monitor: identify(Deno.pid)! });
  fails(() => claim(root, record("one")), "EXISTS", /by a running container/);
  Deno.writeFileSync(statePaths(root, "one").exit, exitRecord(1, 0, 1));
  fails(() => claim(root, record("one")), "EXISTS", /by a stopped container.*\(crate delete one\)/);
  assert.deepEqual(listMaking(root), [], "nothing is left of the attempts");
  assert.equal(readState(root, "one")!.record.bundle, "/srv");
});

test("what a dead crate left without a record does not hold the name", (root) => {
  Deno.mkdirSync(`${root}/one`);
  using _ = claim(root, record("one"));
  assert.deepEqual([...Deno.readDirSync(`${root}/one`)].map(({ name }) => name), [
    "container.json",
  ]);
});

test("a directory with something in it that no container has is not crate's", (root) => {
  Deno.mkdirSync(`${root}/one`);
  Deno.writeTextFileSync(`${root}/one/log`, "somebody's");
  fails(() => claim(root, record("one")), "EXISTS", /one is there, and not a container's/);
  assert.equal(Deno.readTextFileSync(`${root}/one/log`), "somebody's");
});

test("a directory that somebody is just clearing is not taken from him", (root) => {
  Deno.mkdirSync(`${root}/one`);
  using _ = tryLock(`${root}/one`);
  fails(() => claim(root, record("one")), "EXISTS", /in use/);
  assert.deepEqual(listMaking(root), []);
});

test("a container runs while its first process does, and a later one of that pid is another", (root) => {
  const me = identify(Deno.pid)!;
  using lock = claim(root, record("one"));
  recordProcess(lock, root, "one", { init: me, monitor: me });
  assert.equal(readState(root, "one")!.status, "running");
  assert.deepEqual(readState(root, "one")!.process, { init: me, monitor: me });
  const other = { ...me, startTime: me.startTime + 1 };
  recordProcess(lock, root, "one", { init: other, monitor: me });
  const stopped = readState(root, "one")!;
  assert.deepEqual([stopped.status, stopped.exit], ["stopped", undefined]);
});

test("a container that has ended tells how and when", (root) => {
  using lock = claim(root, record("one"));
  const me = identify(Deno.pid)!;
  recordProcess(lock, root, "one", { init: me, monitor: me });
  const { exit } = statePaths(root, "one");
  Deno.writeFileSync(exit, exitRecord(1, 3, 1_700_000_000));
  const state = readState(root, "one")!;
  assert.equal(state.status, "stopped");
  assert.deepEqual(state.exit, { code: 3, at: new Date(1_700_000_000_500) });
  Deno.writeFileSync(exit, exitRecord(2, 9, 1_700_000_000));
  assert.deepEqual(readState(root, "one")!.exit!.signal, 9);
});

Deno.test("an end is a code, or 128 and a signal, with a core or without", () => {
  const end = (code: number, status: number) =>
    decodeExit(new Uint8Array(exitRecord(code, status, 0)));
  assert.deepEqual(end(1, 0), { code: 0 });
  assert.deepEqual(end(1, 255), { code: 255 });
  assert.deepEqual(end(2, 15), { code: 143, signal: 15 });
  assert.deepEqual(end(3, 11), { code: 139, signal: 11 }); // CLD_DUMPED
});

test("a container is found by its name or by how only one begins", (root) => {
  for (const id of ["web", "web-2", "worker"]) claim(root, record(id))[Symbol.dispose]();
  assert.equal(findId(root, "web"), "web");
  assert.equal(findId(root, "web-"), "web-2");
  assert.equal(findId(root, "wo"), "worker");
  fails(() => findId(root, "w"), "INVALID", /^"w" begins 3 ids: /);
  for (const word of ["x", "", ".", "..", "web/", "../state/web", ".mount"]) {
    fails(() => findId(root, word), "NOT_FOUND", /does not exist/);
  }
  assert.deepEqual(listIds(root).sort(), ["web", "web-2", "worker"]);
});

test("files that are not whole are told by name", (root) => {
  claim(root, record("one"))[Symbol.dispose]();
  const { container, process, exit } = statePaths(root, "one");
  const whole = Deno.readTextFileSync(container);
  for (const content of ["", "{", whole.slice(0, -1), "\0\0\0", `${whole}x`]) {
    Deno.writeTextFileSync(container, content);
    fails(() => readState(root, "one"), "FAILED", /one\/container\.json is not whole/);
  }
  Deno.writeTextFileSync(container, whole.replace('"version":1', '"version":2'));
  fails(() => readState(root, "one"), "UNSUPPORTED", /has version 2, this crate knows 1/);
  Deno.writeTextFileSync(container, whole);
  Deno.writeTextFileSync(process, '{"init":');
  fails(() => readState(root, "one"), "FAILED", /one\/process\.json is not whole/);
  Deno.removeSync(process);
  Deno.writeFileSync(exit, exitRecord(1, 3, 1).slice(0, 40));
  assert.equal(readState(root, "one")!.status, "creating", "half an end is none yet");
});

test("a record of who runs goes to the directory that was claimed, whatever has its name now", (root) => {
  const me = identify(Deno.pid)!;
  const { directory, process } = statePaths(root, "one");
  using lock = claim(root, record("one"));
  assert(isOwn(lock, directory));
  const retired = retiredPath(root, "one");
  Deno.renameSync(directory, retired);
  using other = claim(root, record("one"));
  assert.deepEqual([isOwn(lock, directory), isOwn(other, directory)], [false, true]);
  assert.deepEqual([ownDirectory(lock), ownDirectory(other)], [retired, directory]);
  recordProcess(lock, root, "one", { init: me, monitor: me });
  assert.deepEqual(listRetired(root), [retired]);
  assert.equal(readRetired(retired)!.id, "one");
  assert.deepEqual([...Deno.readDirSync(retired)].length, 2);
  assert.throws(() => Deno.statSync(process), Deno.errors.NotFound);
  removeDirectory(retired);
  recordProcess(lock, root, "one", { init: me, monitor: me }); // it was cleared away: that is all
  assert.deepEqual(listRetired(root), []);
});

test("a directory is removed with whatever is in it, and one that is gone is fine", (root) => {
  claim(root, record("one"))[Symbol.dispose]();
  const { directory, log } = statePaths(root, "one");
  for (const file of [log, `${directory}/exit.new`, `${directory}/of a later version`]) {
    Deno.writeTextFileSync(file, "");
  }
  removeDirectory(directory);
  removeDirectory(directory);
  assert.deepEqual(listIds(root), []);
});

test("of many that claim a name at once one gets it, even when a dead crate's leavings hold it", async (root) => {
  const NAMES = 30;
  for (let i = 0; i < NAMES; i += 3) Deno.mkdirSync(`${root}/c${i}`);
  const script = `
    import { claim } from ${JSON.stringify(import.meta.resolve("./claim.ts"))};
    const [root, count] = [${JSON.stringify(root)}, ${NAMES}];
    const won = [];
    Deno.stdin.readSync(new Uint8Array(1));
    for (let i = 0; i < count; i++) {
      try {
        claim(root, ${
    JSON.stringify({ ...record("x"), spec: { ociVersion: "1.2.0" } })
      .replace('"x"', "`c${i}`")
  });
        won.push(i);
      } catch (error) {
        if (error.code !== "EXISTS") throw error;
      }
    }
    console.log(JSON.stringify(won));
    Deno.stdin.readSync(new Uint8Array(1)); // the locks are held until all are done`;
  const file = `${root}.ts`;
  await Deno.writeTextFile(file, script);
  const children = Array.from({ length: 5 }, () =>
    new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--quiet", "--no-config", "--no-check", file],
      stdin: "piped",
      stdout: "piped",
    }).spawn());
  const inputs = children.map(({ stdin }) => stdin.getWriter());
  const go = new Uint8Array(1);
  await Promise.all(inputs.map((input) => input.write(go)));
  const lines = await Promise.all(children.map(async ({ stdout }) => {
    let text = "";
    for await (const part of stdout.pipeThrough(new TextDecoderStream())) {
      if ((text += part).endsWith("\n")) break;
    }
    return JSON.parse(text) as number[];
  }));
  await Promise.all(inputs.map((input) => input.close()));
  const codes = await Promise.all(children.map(async ({ status }) => (await status).code));
  assert.deepEqual(codes, [0, 0, 0, 0, 0]);
  assert.deepEqual(lines.flat().sort((a, b) => a - b), [...Array(NAMES).keys()]);
  assert.equal(listIds(root).length, NAMES);
  for (const id of listIds(root)) assert.equal(readState(root, id)!.record.id, id);
  assert.deepEqual(listMaking(root), []);
});

Deno.test("names for what is not yet, or no more, a container's are new every time", () => {
  const paths = Array.from({ length: 50 }, () => [makingPath("/r"), retiredPath("/r", "x")]).flat();
  assert.equal(new Set(paths).size, 100);
  for (const path of paths) assert.match(path, /^\/r\/\.(making|retired-x)-[0-9a-f]{8}$/);
});
