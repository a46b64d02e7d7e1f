import { execute } from "../../tests/support/registry.ts";
import { findProgram } from "./host.ts";
import { installCrate } from "./installed.ts";
import type { Command } from "./timer.ts";

/** One way to bring an image from a registry to where a container can be made of it. */
export interface Puller {
  readonly name: string;
  /** What the table says it is. */
  readonly title: string;
  /** Whether all of its work is done by what is timed, and not by a daemon. */
  readonly ownsAll: boolean;
  command(image: string): Command;
  /**
   * Gives it an empty store, a new one. What was removed just before would be in the way: ext4 passes over every
   * inode that was in use within the last half minute, one by one.
   */
  fresh(): Promise<void>;
}

function versionOf(file: string): string | undefined {
  if (findProgram(file) === undefined) return undefined;
  const { stdout } = new Deno.Command(file, { args: ["--version"], stderr: "null" }).outputSync();
  return /\d+\.\d+[.\d]*/.exec(new TextDecoder().decode(stdout))?.[0];
}

/** The rivals that are installed. */
export function versions(): Record<string, string> {
  const all = ["podman", "skopeo", "umoci", "containerd"].map((name) => [name, versionOf(name)]);
  return Object.fromEntries(all.filter(([, version]) => version !== undefined));
}

/** crate first, then the rivals that this machine has. */
export async function makePullers(
  directory: string,
  ending: AsyncDisposableStack,
): Promise<{ pullers: Puller[]; skipped: string[] }> {
  const skipped: string[] = [];
  const has = (...names: string[]) => {
    const lacking = names.find((name) => findProgram(name) === undefined);
    if (lacking !== undefined) skipped.push(`${lacking}, which is not installed`);
    return lacking === undefined;
  };
  const pullers = [crate(directory)];
  if (has("podman")) pullers.push(podman(directory, ending));
  if (has("skopeo", "umoci")) pullers.push(skopeoAndUmoci(directory));
  if (has("containerd", "ctr")) pullers.push(await containerd(directory, ending));
  return { pullers, skipped };
}

const env = (more: Record<string, string>) => ({ ...Deno.env.toObject(), ...more });

async function remove(path: string): Promise<void> {
  await execute(["rm", "-rf", "--one-file-system", path]);
}

/** Names of directories that are not there yet. */
function stores(directory: string, name: string): { path: string; next(): void } {
  let count = 0;
  return {
    get path() {
      return `${directory}/${name}-${count}`;
    },
    next: () => void count++,
  };
}

function crate(directory: string): Puller {
  const store = stores(directory, "crate");
  const file = installCrate(directory);
  return {
    name: "crate",
    title: "`crate pull`",
    ownsAll: true,
    command: (image) => ({
      file,
      args: ["pull", "-q", image],
      env: env({ CRATE_IMAGE_ROOT: store.path, XDG_CONFIG_HOME: `${directory}/none` }),
    }),
    fresh: () => Promise.resolve(store.next()),
  };
}

function podman(directory: string, ending: AsyncDisposableStack): Puller {
  const store = stores(directory, "podman");
  // podman wants it to be short.
  const run = Deno.makeTempDirSync({ dir: "/run", prefix: "pod" });
  ending.defer(() => remove(run));
  const config = `${directory}/containers.conf`;
  Deno.writeTextFileSync(
    config,
    `[engine]\nevents_logger="file"\nlock_type="file"\ntmp_dir="${run}"\n`,
  );
  const words =
    () => ["--root", store.path, "--runroot", `${run}/run`, "--storage-driver", "overlay"];
  return {
    name: "podman",
    title: "`podman pull`",
    ownsAll: true,
    command: (image) => ({
      file: "/usr/bin/podman",
      args: [...words(), "pull", "-q", "--tls-verify=false", image],
      env: env({ CONTAINERS_CONF: config }),
    }),
    async fresh() {
      // It keeps a mount of its own on its directory, and what it knows of it in the other one.
      await execute(["sh", "-c", 'umount -q "$0/overlay" || true', store.path]);
      await remove(`${run}/run`);
      store.next();
    },
  };
}

function skopeoAndUmoci(directory: string): Puller {
  const store = stores(directory, "umoci");
  const script =
    'mkdir "$0" && skopeo copy --quiet --src-tls-verify=false "docker://$1" "oci:$0/oci:1" && ' +
    'umoci unpack --image "$0/oci:1" "$0/bundle"';
  return {
    name: "skopeo and umoci",
    title: "`skopeo copy`, `umoci unpack`",
    ownsAll: true,
    command: (image) => ({
      file: "/bin/sh",
      args: ["-c", script, store.path, image],
      env: env({}),
    }),
    fresh: () => Promise.resolve(store.next()),
  };
}

async function containerd(directory: string, ending: AsyncDisposableStack): Promise<Puller> {
  const store = stores(directory, "containerd");
  const run = Deno.makeTempDirSync({ dir: "/run", prefix: "ctd" });
  ending.defer(() => remove(run));
  const socket = `${run}/containerd.sock`;
  const config = `${directory}/containerd.toml`;
  const lines = () => [
    "version = 2",
    `root = "${store.path}"`,
    `state = "${run}/state"`,
    'disabled_plugins = ["io.containerd.grpc.v1.cri"]',
    "[grpc]",
    `  address = "${socket}"`,
  ];
  let daemon: Deno.ChildProcess | undefined;
  const stop = async () => {
    daemon?.kill("SIGTERM");
    await daemon?.status;
    daemon = undefined;
  };
  ending.defer(stop);
  const ctr = ["--address", socket];
  const start = async () => {
    Deno.writeTextFileSync(config, `${lines().join("\n")}\n`);
    daemon = new Deno.Command("containerd", {
      args: ["--config", config],
      stdout: "null",
      stderr: "null",
    }).spawn();
    for (const end = Date.now() + 10_000;;) {
      const { success } = await new Deno.Command("ctr", {
        args: [...ctr, "version"],
        stdout: "null",
        stderr: "null",
      }).output();
      if (success) return;
      if (Date.now() > end) throw new Error("containerd does not answer");
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  await start();
  return {
    name: "containerd",
    title: "`ctr image pull` (its daemon runs)",
    ownsAll: false,
    command: (image) => ({
      file: "/usr/bin/ctr",
      args: [...ctr, "image", "pull", "--plain-http", image],
      env: env({}),
    }),
    async fresh() {
      await stop();
      store.next();
      await start();
    },
  };
}
