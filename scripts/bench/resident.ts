import { cgroupProcesses, detectLayout, locateCgroup } from "../../lib/cgroup/mod.ts";
import { readState } from "../../lib/lifecycle/mod.ts";
import { findProgram } from "./host.ts";
import type { Place } from "./place.ts";
import { background, execute, foreground, type Runtime, verbPidFile } from "./runtimes.ts";

/** What stays in memory beside a container while it runs. */
export interface Resident {
  readonly title: string;
  /** KiB; proc_pid_smaps(5). */
  readonly rss: number;
  /** The same with each page divided by how many processes have it: KiB. */
  readonly pss: number;
}

function memoryOf(title: string, pids: readonly number[]): Resident {
  let rss = 0;
  let pss = 0;
  for (const pid of pids) {
    const text = Deno.readTextFileSync(`/proc/${pid}/smaps_rollup`);
    rss += Number(/^Rss:\s+(\d+) kB$/m.exec(text)?.[1]);
    pss += Number(/^Pss:\s+(\d+) kB$/m.exec(text)?.[1]);
  }
  return { title, rss, pss };
}

function commandOf(pid: number): string | undefined {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/comm`).trim();
  } catch {
    return undefined; // it has ended
  }
}

/** Gone, or waiting to be reaped: without memory it has no words. */
function hasEnded(pid: number): boolean {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/cmdline`) === "";
  } catch {
    return true;
  }
}

/** Waits for something that another process does. */
async function until<T>(what: string, look: () => T | undefined): Promise<T> {
  for (const end = performance.now() + 20_000; performance.now() < end;) {
    const found = look();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error(`${what}: not within 20 s`);
}

/** The first process of a container that stays, once its command has been executed. */
async function sleeper(group: string): Promise<number> {
  const location = locateCgroup(detectLayout(), group);
  return await until(
    group,
    () => cgroupProcesses(location).find((pid) => commandOf(pid) === "sleep"),
  );
}

/** A command in the foreground whose container runs. */
interface Foreground {
  /** The container's first process. */
  readonly init: number;
  /** What stays beside it. */
  readonly beside: readonly number[];
}

/** What stays for a command in the foreground; its container is killed then. */
async function inForeground(
  title: string,
  place: Place,
  { file, stay }: Runtime,
  find: (pid: number) => Promise<Foreground>,
): Promise<Resident> {
  const child = new Deno.Command(file, {
    args: [...stay],
    env: place.env,
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  const { init, beside } = await find(child.pid);
  try {
    return memoryOf(title, beside);
  } finally {
    Deno.kill(init, "SIGKILL");
    await child.status;
  }
}

async function pidIn(file: string): Promise<number> {
  const text = await until(file, () => {
    try {
      return Deno.readTextFileSync(file) || undefined;
    } catch {
      return undefined; // not yet
    }
  });
  return Number(text);
}

/** What waits for the start of a created container. */
async function whenCreated(place: Place, runtime: Runtime): Promise<Resident> {
  await execute(place, runtime.file, runtime.verbs.create);
  try {
    const pid = await pidIn(verbPidFile(place, runtime.name));
    return memoryOf(`\`${runtime.name} create\`: what waits for the start`, [pid]);
  } finally {
    await execute(place, runtime.file, runtime.remove("verbs"));
  }
}

/** conmon, as podman starts it, around a container of a peer's. */
async function besideConmon(place: Place, conmon: string, peer: Runtime): Promise<Resident> {
  const id = "conmon";
  const [option, root] = peer.exec as [string, string];
  const bundle = place.bundle(await place.record(), id, ["/bin/sleep", "3600"]);
  const pidFile = `${bundle}/conmon.pid`;
  const files = ["-p", `${bundle}/pid`, "-P", pidFile, "-l", `k8s-file:${bundle}/log`];
  const runtime = ["-r", peer.file, "--runtime-arg", option, "--runtime-arg", root];
  const words = ["--api-version", "1", "-c", id, "-u", id, "-n", id, "-b", bundle];
  const directories = ["--exit-dir", bundle, "--socket-dir-path", bundle];
  await execute(place, conmon, [...words, ...files, ...runtime, ...directories]);
  const pid = await pidIn(pidFile);
  try {
    await pidIn(`${bundle}/pid`); // it has been created
    await execute(place, peer.file, [option, root, "start", id]);
    await sleeper(`${place.cgroupParent}/${id}`);
    return memoryOf(`\`conmon\`, podman's monitor, with ${peer.name}`, [pid]);
  } finally {
    await execute(place, peer.file, peer.remove(id));
    await until("conmon's end", () => hasEnded(pid) || undefined);
  }
}

/** All that stays, one line for each way to keep a container. The one in the background is there. */
export async function measureResident(
  place: Place,
  crate: Runtime,
  peers: readonly Runtime[],
): Promise<Resident[]> {
  const processes = (id: string) => readState(place.mkdir("state-crate"), id)?.process;
  const found = [memoryOf("`crate run -d`: its monitor", [processes(background)!.monitor!.pid])];
  // The third with the same options is another program.
  const relays = ["`crate run`, the first: itself and its monitor", "", "`crate run`: the same"];
  for (const title of relays) {
    const relay = await inForeground(title, place, crate, async (pid) => {
      await until("crate run", () => commandOf(pid) === "crate-run" || undefined);
      const { init, monitor } = await until("crate run", () => processes(foreground));
      return { init: init.pid, beside: [pid, monitor!.pid] };
    });
    await until("its end", () => processes(foreground) === undefined || undefined);
    if (title !== "") found.push(relay);
  }
  for (const peer of peers) {
    const group = `${place.cgroupParent}/${peer.name}-${foreground}`;
    found.push(
      await inForeground(`\`${peer.name} run\`: itself`, place, peer, async (pid) => ({
        init: await sleeper(group),
        beside: [pid],
      })),
    );
  }
  for (const runtime of [crate, ...peers]) {
    found.push(await whenCreated(place, runtime));
  }
  const conmon = findProgram("conmon");
  const [peer] = peers;
  if (conmon !== undefined && peer !== undefined) {
    found.push(await besideConmon(place, conmon, peer));
  }
  return found;
}
