/**
 * What a network costs a container, by crate, podman and docker on the same machine: `deno task bench:network`.
 *
 * All of it happens in a network namespace of the bench's own. Each row is run with a network and without one, in turn;
 * what counts is the difference.
 *
 * @module
 */
import { findProgram } from "./bench/host.ts";
import { installCrate } from "./bench/installed.ts";
import { missing, Place } from "./bench/place.ts";
import { quantile } from "./bench/statistics.ts";
import { type Command, Timer } from "./bench/timer.ts";

const APART = "_BENCH_APART";
const ROUNDS = Number(Deno.args[0] ?? 30);
const WARMUPS = 3;
/** Neighbours on the network, for the row that has some. */
const NEIGHBOURS = 200;

/** A way to run `/bin/true` in a container, without a network and with one. */
interface Rival {
  readonly title: string;
  readonly without: Command;
  readonly with: Command;
}

/** The same again in a network and a mount namespace of its own, with the loopback up. */
function runApart(): never {
  const words = [Deno.execPath(), "run", "-A", "--no-prompt", import.meta.url, ...Deno.args];
  const script = 'mount --make-rprivate / && ip link set lo up && exec "$@"';
  const { code } = new Deno.Command("unshare", {
    args: ["--net", "--mount", "sh", "-c", script, "sh", ...words],
    env: { [APART]: "1" },
    stdin: "inherit",
    stdout: "inherit",
    stderr: "inherit",
  }).outputSync();
  Deno.exit(code);
}

function crate(place: Place): readonly [Rival, Rival] {
  const file = installCrate(place.directory);
  // With a user it looks into the root's files, and nothing of it is ready from the last time: the same work for both.
  const words = (network: string, user: readonly string[]) => [
    "--root",
    place.mkdir("state"),
    ...["run", "--rm", "--network", network, ...user, "-r", place.rootfs, "/bin/true"],
  ];
  // Each has networks of its own: what one of them changes is not looked at by the other.
  const rival = (title: string, images: string, user: readonly string[]) => {
    const env = { ...place.env, CRATE_IMAGE_ROOT: place.mkdir(images) };
    const command = (network: string) => ({ file, args: words(network, user), env });
    return { title, without: command("none"), with: command("crate0") };
  };
  return [
    rival("`crate run`", "ready", []),
    rival("`crate run --user 0`, never ready", "images", ["--user", "0"]),
  ] as const;
}

function podman(place: Place): Rival | undefined {
  const file = findProgram("podman");
  if (file === undefined) return undefined;
  const directory = place.mkdir("podman");
  const conf = `${directory}/containers.conf`;
  Deno.writeTextFileSync(
    conf,
    [
      "[containers]",
      'default_ulimits=["nofile=20000:20000","nproc=32768:32768"]',
      "[engine]",
      'cgroup_manager="cgroupfs"',
      'events_logger="file"',
      'runtime="runc"',
      "[network]",
      'network_backend="netavark"',
      `network_config_dir="${directory}/networks"`,
    ].join("\n"),
  );
  const env = { ...place.env, CONTAINERS_CONF: conf };
  const roots = ["--root", `${directory}/root`, "--runroot", `${directory}/run`];
  const words = (network: string) => [
    ...[...roots, "--storage-driver", "vfs", "run", "--rm", "--network", network],
    ...["--rootfs", place.rootfs, "/bin/true"],
  ];
  const command = (network: string) => ({ file, args: words(network), env });
  return { title: "`podman run` (netavark)", without: command("none"), with: command("bridge") };
}

async function docker(place: Place, ending: AsyncDisposableStack): Promise<Rival | undefined> {
  const [file, daemon] = [findProgram("docker"), findProgram("dockerd")];
  if (file === undefined || daemon === undefined) return undefined;
  const directory = place.mkdir("docker");
  const socket = `unix://${directory}/socket`;
  const args = ["--data-root", `${directory}/data`, "--exec-root", `${directory}/exec`];
  const more = [
    "--pidfile",
    `${directory}/pid`,
    "-H",
    socket,
    "--default-ulimit",
    "nofile=20000:20000",
  ];
  const child = new Deno.Command(daemon, {
    args: [...args, ...more],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  ending.defer(async () => {
    child.kill("SIGTERM");
    await child.status;
  });
  const client = (...words: string[]) =>
    new Deno.Command(file, { args: ["-H", socket, ...words], stdin: "null" }).output();
  for (let tries = 0; tries < 100 && !(await client("info")).success; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const tar = `${directory}/root.tar`;
  await new Deno.Command("tar", { args: ["-C", place.rootfs, "-cf", tar, "."] }).output();
  if (!(await client("import", tar, "bench")).success) return undefined;
  const words = (network: string) => [
    ...["-H", socket, "run", "--rm", "--network", network, "bench", "/bin/true"],
  ];
  const command = (network: string) => ({ file, args: words(network), env: place.env });
  return { title: "`docker run`", without: command("none"), with: command("bridge") };
}

/** Containers that stay on crate's network until the end. */
async function addNeighbours(place: Place, ending: AsyncDisposableStack, rival: Rival) {
  const { file, env, args } = rival.with;
  const root = args.slice(0, 2);
  const run = async (...words: string[]) => {
    const output = await new Deno.Command(file, { args: [...root, ...words], env, stdin: "null" })
      .output();
    if (!output.success) throw new Error(new TextDecoder().decode(output.stderr));
  };
  const names = Array.from({ length: NEIGHBOURS }, (_, i) => `neighbour${i}`);
  ending.defer(() => run("delete", "--force", ...names));
  for (const name of names) {
    const what = ["--network", "crate0", "-r", place.rootfs, "/bin/sleep", "3600"];
    await run("run", "-d", "--name", name, ...what);
  }
}

/** Medians without a network and with one, and of the differences within a round: milliseconds. */
function compare(timer: Timer, rivals: readonly Rival[]): Map<string, [number, number, number]> {
  const taken = rivals.map(() => [[] as number[], [] as number[], [] as number[]] as const);
  for (let round = -WARMUPS; round < ROUNDS; round++) {
    rivals.forEach((rival, i) => {
      const without = timer.run(rival.without).time;
      const network = timer.run(rival.with).time;
      if (round < 0) return;
      [without, network, network - without].forEach((time, j) => taken[i]![j]!.push(time));
    });
  }
  const median = (times: readonly number[]) => quantile([...times].sort((a, b) => a - b), 0.5);
  return new Map(
    rivals.map(({ title }, i) => [title, [...taken[i]!.map(median)] as [number, number, number]]),
  );
}

async function main(): Promise<void> {
  await using ending = new AsyncDisposableStack();
  const place = ending.use(new Place());
  const timer = ending.use(new Timer(place.directory));
  const [ready, own] = crate(place);
  const results = compare(timer, [ready, own]);
  // Others change the firewall with each container, and then crate looks at all of it again.
  const peers = [podman(place), await docker(place, ending)].filter((peer) => peer !== undefined);
  for (const [key, value] of compare(timer, peers)) results.set(key, value);
  await addNeighbours(place, ending, own);
  const title = `${own.title}, with ${NEIGHBOURS} neighbours on the network`;
  for (const [key, value] of compare(timer, [{ ...own, title }])) results.set(key, value);
  console.log(
    `${ROUNDS} rounds, crate's interleaved and then the others'; medians in milliseconds.\n`,
  );
  console.log("| `/bin/true`, to its end | no network | on a bridge | the network's cost |");
  console.log("| --- | ---: | ---: | ---: |");
  for (const [name, [without, network, cost]] of results) {
    console.log(`| ${name} | ${[without, network, cost].map((t) => t.toFixed(1)).join(" | ")} |`);
  }
}

if (import.meta.main) {
  const reason = missing();
  if (reason !== undefined) {
    console.error(`bench: ${reason}`);
    Deno.exit(1);
  }
  if (!Deno.env.has(APART)) runApart();
  await main();
  Deno.exit(0);
}
