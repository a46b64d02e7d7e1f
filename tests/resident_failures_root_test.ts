import assert from "node:assert/strict";
import { EPERM, type Program, randomHex, ResidentProgram } from "../ffi/mod.ts";
import { nullStdio, prepareContainer, startContainer, waitForExit } from "../lib/lifecycle/mod.ts";
import { compileResident, type ResidentInput } from "../lib/lifecycle/program/mod.ts";
import { lookAt, walkResident } from "../lib/lifecycle/resident.ts";
import { makeSpec } from "../lib/lifecycle/options.ts";
import { EMULATED, type Sandbox, test } from "./support/mod.ts";
import { failOnce, faultPoints, showStep } from "./support/faults.ts";
import { assertUnchanged, descriptorCount, takeQuietSnapshot, warmUp } from "./support/snapshot.ts";

// Every step of the program by which a script starts a container fails once: the container runs, or nothing is left of it
// and the script starts it otherwise.

const CODE = 7;

function started(box: Sandbox, none: number): Promise<ResidentInput> {
  const [id, token] = [randomHex(6), randomHex(4)];
  const spec = makeSpec({
    args: ["/bin/sh", "-c", `exit ${CODE}`],
    rootfs: box.rootfs,
    hostname: id,
    cgroupsPath: `${box.cgroupParent}/${id}`,
    pidsLimit: 100,
  });
  const options = {
    id,
    token,
    root: box.root,
    spec,
    bundle: "/",
    detached: false,
    remove: true,
    stdio: [none, none, none],
  } as const;
  return prepareContainer(options).then(async (prepared) => {
    let input: ResidentInput | undefined;
    const { launched } = await startContainer(prepared, (_, record) => {
      input = lookAt(prepared, record, token)?.input;
    });
    assert.equal((await waitForExit(launched)).code, CODE);
    return input!;
  });
}

test("whatever step of a script's walked start fails, the container has run or nothing is left", async (box) => {
  const none = nullStdio();
  await warmUp(box);
  const resident = compileResident(await started(box, none));
  const walk = async (program: Program, what: string): Promise<boolean> => {
    using walked = new ResidentProgram(program);
    const words = { id: randomHex(6), token: randomHex(4), root: box.root };
    const running = walkResident(walked, resident, { ...words, stdio: [none, none, none] });
    if (running === undefined) return false;
    assert.equal((await waitForExit(running)).code, CODE, what);
    return true;
  };
  assert(await walk(resident.program, "the whole program"));
  const before = await takeQuietSnapshot(box);
  const descriptors = descriptorCount();
  const points = faultPoints(resident.program);
  const every = Math.ceil(points.length / (EMULATED ? 8 : 80));
  const first = Math.floor(Math.random() * every);
  let [ran, left] = [0, 0];
  for (const i of points.filter((_, at) => at % every === first)) {
    const what = showStep(resident.program, i, EPERM);
    if (await walk(failOnce(resident.program, i, EPERM), what)) ran++;
    else left++;
    await assertUnchanged(box, before, what, { all: true });
    assert.equal(descriptorCount(), descriptors, what);
  }
  assert(ran > 0 && left > 0, `${ran} have run, ${left} have not`);
});
