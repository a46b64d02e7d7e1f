// A script that starts containers, as a user of the library would write it: for each line of its input
// one container of /bin/true, and the milliseconds from before it was made until it had ended.
// deno run -A scripts/bench/warm.ts ROOTFS STATE_ROOT CGROUP_PARENT [BEFORE]: so many before those that count
import { Container } from "../../mod.ts";

const [rootfs, stateRoot, cgroupParent, before] = Deno.args as [string, string, string, string?];

async function start(id: string): Promise<number> {
  const started = performance.now();
  const options = { id, rootfs, stateRoot, cgroupsPath: `${cgroupParent}/${id}` };
  const container = await new Container("/bin/true", options).spawn();
  const { success } = await container.status;
  const time = performance.now() - started;
  if (!success) throw new Error(`the container ${id} failed`);
  return time;
}

/** Until the container's monitor has cleared away, so that the next row has the machine for itself. */
async function cleared(): Promise<void> {
  while ([...Deno.readDirSync(stateRoot)].length > 1) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

for (let count = 0; count < Number(before ?? 0); count++) {
  await start(`before-${count}`);
  await cleared();
}
const buffer = new Uint8Array(64);
for (let count = 0; await Deno.stdin.read(buffer) !== null; count++) {
  const time = await start(`warm-${count}`);
  await cleared();
  console.log(time);
}
