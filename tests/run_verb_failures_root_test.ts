import assert from "node:assert/strict";
import { EVERYWHERE_THE_SAME, reapOrphans, test } from "./support/mod.ts";
import {
  deleteOthers,
  killedAfter,
  nothingLeft,
  ready,
  readyIn,
  readyOfRunning,
  walk,
  wordsOf,
} from "./support/run_verb.ts";
import { breakSteps, CRATE_IS_ASKED } from "./support/verbs.ts";

// A `crate run` that the launcher walks and that does not succeed, at whatever step: crate is asked, and finds nothing of
// it; or the container has run.

test("whatever step of a walked run fails, the container has run once, or crate is asked", async (box) => {
  const mark = box.file("mark", "");
  const words = wordsOf(box, "echo ran >>/mark", ["--rm", "-v", `${mark}:/mark`]);
  await ready(box, words);
  const [file] = readyIn(box);
  let [done, left] = [0, 0];
  for (const i of breakSteps(file!)) {
    Deno.writeTextFileSync(mark, "");
    const { code, stdout, stderr } = await walk(box, words).ended;
    await nothingLeft(box);
    const ran = Deno.readTextFileSync(mark);
    assert.deepEqual([stdout, stderr], ["", ""], `step ${i}`);
    if (code === CRATE_IS_ASKED) {
      left++;
      assert.equal(ran, "", `step ${i}`);
    } else {
      done++;
      // A relay that has lost its monitor ends as one whose container is killed.
      assert(code === 137 || code === 0 && ran === "ran\n", `step ${i}: ${code}, ${ran}`);
    }
  }
  assert(done > 0 && left > 0, `${done} have run, ${left} were left to crate`);
});

test(
  "whatever step of a walked run in the background fails, it runs, or crate is asked",
  async (box) => {
    const words = wordsOf(box, "exec sleep 100", ["-d", "--name", "web"]);
    const remove = () => box.ok(["delete", "--force", "web"]);
    await ready(box, words, remove);
    const [file] = readyIn(box);
    let [done, left] = [0, 0];
    for (const i of breakSteps(file!)) {
      const { code, stdout, stderr } = await walk(box, words).ended;
      reapOrphans();
      if (code === CRATE_IS_ASKED) {
        left++;
        assert.deepEqual([stdout, stderr], ["", ""], `step ${i}`);
      } else {
        done++;
        assert.equal((await box.state("web")).status, "running", `step ${i}`);
        // Where it cannot be printed it runs all the same.
        if (code === 0) assert.deepEqual([stdout, stderr], ["web\n", ""], `step ${i}`);
        else assert.match(stderr, /^(crate: standard output does not take|$)/, `step ${i}`);
        await remove();
      }
      await nothingLeft(box);
    }
    assert(done > 0 && left > 0, `${done} run, ${left} were left to crate`);
  },
  EVERYWHERE_THE_SAME,
);

test(
  "a walked run that is killed at any moment is cleared away by the next command",
  async (box) => {
    const calls = [
      wordsOf(box, "exec sleep 100"),
      wordsOf(box, "exec sleep 100", ["-d", "--name", "web"]),
    ];
    for (const words of calls) {
      const isDetached = words.includes("-d");
      await readyOfRunning(box, words);
      await nothingLeft(box);
      const rounds = 10;
      for (let i = 0; i < rounds; i++) {
        await killedAfter(box, words, (i / rounds) * 0.02);
        reapOrphans();
        await box.ok(["list"]);
        if (isDetached) await box.crate(["delete", "--force", "web"]);
        else await deleteOthers(box);
        await nothingLeft(box);
      }
    }
  },
  EVERYWHERE_THE_SAME,
);
