import assert from "node:assert/strict";
import { exists } from "../ffi/mod.ts";
import {
  bundleOf,
  created,
  createdFirst,
  idOf,
  nothingLeft,
  ready,
  readyIn,
  walked,
  wordsOf,
} from "./support/create_verb.ts";
import {
  delay,
  EVERYWHERE_THE_SAME,
  groupDirectories,
  reapOrphans,
  Running,
  stateIn,
  test,
  until,
} from "./support/mod.ts";
import { ASKED, at, breakSteps, CRATE_IS_ASKED, DONE } from "./support/verbs.ts";

// A creation that the launcher walks and that does not succeed, at whatever step: crate is asked, and finds nothing of it.

test("what stands in a creation's way is left to crate, which tells it", async (box) => {
  await ready(box, "exec sleep 100");
  const id = idOf("c");
  bundleOf(box, id, "exec sleep 100");
  const told = async (pattern: RegExp) => {
    assert(!await walked(box, id));
    const { code } = await createdFirst(box, id);
    assert.equal(code, 125);
    assert.match(Deno.readTextFileSync(box.path(`bundles/${id}/out`)), pattern);
    nothingLeft(box, id);
  };
  const hosts = box.path(`bundles/${id}/hosts`);
  Deno.removeSync(hosts);
  await told(/source of the mount on \/etc\/hosts is not there/);
  Deno.mkdirSync(hosts);
  assert(!await walked(box, id));
  Deno.removeSync(hosts);
  Deno.writeTextFileSync(hosts, "");
  Deno.renameSync(box.rootfs, `${box.rootfs}.away`);
  await told(/root/);
  Deno.renameSync(`${box.rootfs}.away`, box.rootfs);
  // Somebody has the group, or the name, already.
  const groups = groupDirectories(box.cgroupParent).map((parent) => `${parent}/${id}`);
  for (const group of groups) {
    Deno.mkdirSync(group);
    assert.deepEqual(await created(box, id, true), ASKED);
    assert.deepEqual(stateIn(box.root), []);
    assert.deepEqual(groups.filter(exists), [group]);
    Deno.removeSync(group);
  }
  assert.deepEqual(await created(box, id, true), DONE);
  assert.deepEqual(await created(box, id, true), ASKED);
  assert.equal((await box.state(id)).status, "created");
  await box.ok(["delete", "--force", id]);
  reapOrphans();
}, EVERYWHERE_THE_SAME);

test("whatever step fails, the container is created or nothing of it is left", async (box) => {
  await ready(box, "exec sleep 100");
  const id = idOf("c");
  bundleOf(box, id, "exec sleep 100");
  const [file] = readyIn(box);
  let [done, left] = [0, 0];
  for (const i of breakSteps(file!)) {
    const result = await created(box, id, true);
    reapOrphans();
    if (result.code === 0) {
      done++;
      await box.ok(["delete", "--force", id]);
    } else {
      left++;
      assert.deepEqual(result, ASKED, `step ${i}`);
    }
    assert.deepEqual(stateIn(box.root), [], `step ${i}`);
    const groups = groupDirectories(`${box.cgroupParent}/${id}`);
    for (const group of groups) Deno.removeSync(group);
    assert(groups.length <= 1, `step ${i}: ${groups}`);
  }
  assert(done > 0 && left > 0, `${done} created, ${left} left to crate`);
});

test("a creation that is killed at any moment is cleared away by the next", async (box) => {
  await ready(box, "exec sleep 100");
  const id = idOf("c");
  bundleOf(box, id, "exec sleep 100");
  const rounds = 12;
  for (let i = 0; i < rounds; i++) {
    const command = [box.path("launcher"), ...at(box, ...wordsOf(box, id))];
    const script =
      '"$@" </dev/null >/dev/null 2>&1 & sleep "$TIME"; kill -9 $! 2>/dev/null; wait $! 2>/dev/null; true';
    const env = {
      TIME: String((i / rounds) * 0.012),
      XDG_CONFIG_HOME: box.path("none"),
    };
    await new Running(["bash", "-c", script, "bash", ...command], { env }).ended;
    await delay(1);
    reapOrphans();
    await box.ok(["delete", "--force", id]).catch(() => undefined);
    await box.ok(["list"]);
    await until("nothing is left", () => {
      reapOrphans();
      return stateIn(box.root).length === 0;
    });
    assert.deepEqual((await createdFirst(box, id)).code, 0, `after ${env.TIME} s`);
    await box.ok(["delete", "--force", id]);
    reapOrphans();
  }
}, EVERYWHERE_THE_SAME);

test("many at once are created, and one of a name", async (box) => {
  await ready(box, "exec sleep 100");
  const ids = [..."cdefghij"].map(idOf);
  for (const id of ids) bundleOf(box, id, "exec sleep 100");
  const results = await Promise.all(ids.map((id) => created(box, id, true)));
  assert.deepEqual(results, ids.map(() => DONE));
  const one = idOf("z");
  bundleOf(box, one, "exec sleep 100");
  const same = await Promise.all(ids.map(() => created(box, one, true)));
  assert.equal(same.filter(({ code }) => code === 0).length, 1);
  assert.equal(same.filter(({ code }) => code === CRATE_IS_ASKED).length, ids.length - 1);
  for (const id of [...ids, one]) {
    assert.equal((await box.state(id)).status, "created");
    await box.ok(["delete", "--force", id]);
  }
  reapOrphans();
}, EVERYWHERE_THE_SAME);
