import assert from "node:assert/strict";
import { CrateError } from "../errors.ts";
import { joinResctrl, makeResctrl, planResctrl, removeResctrl } from "./resctrl.ts";

// No machine that tests crate has resctrl: a plain directory stands for it, with files where the kernel would
// make them.

/** A resctrl of files; its groups have the tasks and schemata that the kernel gives them. */
class Fake implements Disposable {
  readonly root = Deno.makeTempDirSync();
  constructor() {
    Deno.mkdirSync(`${this.root}/info`);
    this.#fill(this.root);
  }

  #fill(directory: string): void {
    Deno.writeTextFileSync(`${directory}/tasks`, "");
    if (directory.includes("mon_groups")) return;
    Deno.writeTextFileSync(`${directory}/schemata`, "    MB:0=100\n    L3:0=0fffff\n");
    Deno.mkdirSync(`${directory}/mon_groups`);
  }

  readonly mkdir = (path: string): void => {
    Deno.mkdirSync(path);
    this.#fill(path);
  };

  read(name: string): string {
    return Deno.readTextFileSync(`${this.root}/${name}`);
  }

  /** As rmdir of a group does in the kernel: its files go with it. */
  empty(name: string): void {
    for (const file of ["tasks", "schemata", "mon_groups"]) {
      try {
        Deno.removeSync(`${this.root}/${name}/${file}`);
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
  }

  groups(): string[] {
    return [...Deno.readDirSync(this.root)].map(({ name }) => name)
      .filter((name) => !["info", "tasks", "schemata", "mon_groups"].includes(name)).sort();
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.root, { recursive: true });
  }
}

function refusal(act: () => void): string {
  try {
    act();
  } catch (error) {
    assert(error instanceof CrateError, String(error));
    return `${error.code} ${error.message}`;
  }
  throw new Error("not refused");
}

Deno.test("a container gets a group of its own id, with its schemata, and goes into it", () => {
  using fake = new Fake();
  const { root } = fake;
  const rdt = { l3CacheSchema: "L3:0=f\nMB:0=5", memBwSchema: "MB:0=20", enableMonitoring: true };
  const plan = planResctrl(rdt, "one", root);
  assert.deepEqual(plan, {
    directory: `${root}/one`,
    made: true,
    schemata: ["L3:0=f", "MB:0=20"],
    monitor: `${root}/one/mon_groups/one`,
  });
  assert.deepEqual(fake.groups(), [], "a plan makes nothing");
  makeResctrl(plan, root, fake.mkdir);
  assert.match(fake.read("one/schemata"), /^L3:0=f\nMB:0=20\n/);
  joinResctrl(plan, 4711);
  assert.equal(fake.read("one/tasks"), "4711");
  assert.equal(fake.read("one/mon_groups/one/tasks"), "4711");
});

Deno.test("schemata say all, and without any the group keeps the kernel's", () => {
  using fake = new Fake();
  const of = (rdt: Parameters<typeof planResctrl>[0]) => planResctrl(rdt, "x", fake.root).schemata;
  assert.deepEqual(of({ schemata: ["L2:0=1", "L3:0=2"], l3CacheSchema: "L3:0=f" }), [
    "L2:0=1",
    "L3:0=2",
  ]);
  assert.deepEqual(of({ l3CacheSchema: "L3:0=f\nMB:0=5\n" }), ["L3:0=f", "MB:0=5"]);
  assert.deepEqual(of({ memBwSchema: "MB:0=20" }), ["MB:0=20"]);
  assert.deepEqual(of({}), []);
  const plan = planResctrl({}, "x", fake.root);
  makeResctrl(plan, fake.root, fake.mkdir);
  assert.match(fake.read("x/schemata"), /0fffff/);
});

Deno.test("a group that is there is joined when it has the schemata, and is not removed", () => {
  using fake = new Fake();
  const { root } = fake;
  fake.mkdir(`${root}/shared`);
  for (const rdt of [{}, { l3CacheSchema: "L3:0=fffff" }, { schemata: ["MB: 0=100"] }]) {
    const plan = planResctrl({ closID: "shared", ...rdt }, "c", root);
    assert.equal(plan.made, false);
    makeResctrl(plan, root, fake.mkdir);
    removeResctrl(plan);
    assert.deepEqual(fake.groups(), ["shared"]);
  }
  const other = planResctrl({ closID: "shared", l3CacheSchema: "L3:0=f" }, "c", root);
  assert.match(
    refusal(() => makeResctrl(other, root, fake.mkdir)),
    /^INVALID .*\/shared is there already, and has not the schemata "L3:0=f"$/,
  );
  assert.match(
    refusal(() => planResctrl({ closID: "none" }, "c", root)),
    /^INVALID linux\.intelRdt\.closID "none": there is no such group/,
  );
});

Deno.test("what was made for a container goes with it, unless others have joined", () => {
  using fake = new Fake();
  const { root } = fake;
  const rdt = { closID: "made", schemata: ["L3:0=f"], enableCMT: true };
  const plan = planResctrl(rdt, "c", root);
  makeResctrl(plan, root, fake.mkdir);
  Deno.writeTextFileSync(`${root}/made/tasks`, "17\n");
  fake.empty("made/mon_groups/c");
  removeResctrl(plan);
  assert.deepEqual(fake.groups(), ["made"]);
  assert.deepEqual([...Deno.readDirSync(`${root}/made/mon_groups`)], []);
  // The kernel's files are no hindrance to it; here they are.
  fake.empty("made");
  removeResctrl(plan);
  removeResctrl(plan);
  assert.deepEqual(fake.groups(), []);
});

Deno.test("without resctrl, and when the kernel refuses, the reason is told and nothing is left", () => {
  using fake = new Fake();
  const { root } = fake;
  assert.equal(
    refusal(() => planResctrl({}, "c", "/no/such")),
    "UNSUPPORTED linux.intelRdt needs resctrl, and this host has none mounted on /no/such",
  );
  const plan = planResctrl({ l3CacheSchema: "L3:0=f" }, "c", root);
  Deno.writeTextFileSync(`${root}/info/last_cmd_status`, "mask f=0 has non-consecutive 1-bits\n");
  // A group without the file that is to be written.
  const bare = (path: string) => Deno.mkdirSync(path);
  assert.equal(
    refusal(() => makeResctrl(plan, root, bare)),
    'INVALID linux.intelRdt: the kernel refuses the schemata "L3:0=f": ENOENT: ' +
      "mask f=0 has non-consecutive 1-bits",
  );
  assert.deepEqual(fake.groups(), []);
  assert.match(refusal(() => joinResctrl(plan, 1)), /^FAILED .* cannot join .*\/c: ENOENT$/);
});
