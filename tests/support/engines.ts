import assert from "node:assert/strict";
import { exists } from "../../ffi/mod.ts";
import { reapMonitors } from "./leftovers.ts";
import { type Result, Running } from "./running.ts";
import { makeRootfs } from "./rootfs.ts";
import { COMMAND, delay, type Sandbox, until } from "./sandbox.ts";
import { Terminal } from "./terminal.ts";

// Engines as their users have them: podman, containerd and Docker, each with a storage of its own, and
// told by a word which runtime to call. What they do with runc is what they must do with crate.

/** Where a container sees its limits of memory, processes and processors, on v1 or v2. */
export const CGROUP_FILES = [
  "memory/memory.limit_in_bytes",
  "pids/pids.max",
  "cpu/cpu.cfs_quota_us",
  "memory.max",
  "pids.max",
  "cpu.max",
].map((file) => `/sys/fs/cgroup/${file}`);
/** Debian's. */
export const RUNC = "/usr/sbin/runc";
/** What the busybox image is called in each engine. */
export const IMAGE = "localhost/busybox:test";

/** How long shims may take to end when their containers are gone: milliseconds. */
const SHIMS_END = 3000;

/** A program with words, run to its end. */
export type Engine = (words: readonly string[]) => Promise<Result>;

async function must(words: readonly string[], env: Record<string, string> = {}): Promise<string> {
  const { code, stdout, stderr } = await new Running(words, { env }).ended;
  assert.equal(code, 0, `${words.join(" ")}: ${stderr}`);
  // What `script` types for the end of its own input.
  return stdout;
}

/** What was printed, without what differs from one container to the next: ids, times. */
export function plain(text: string): string {
  return text.replace(/\b[0-9a-f]{12,64}\b/g, "ID")
    .replace(/Up (Less than a second|\d+ seconds?|About a minute)( ago)?/g, "Up")
    .replace(/(Less than a second|\d+ seconds?|About a minute) ago/g, "AGO");
}

/** An answer, and whether there was a complaint. */
function answer({ code, stdout, stderr }: Result): Record<string, unknown> {
  return { code, stdout: plain(stdout), complains: stderr !== "" };
}

/** Has both runtimes do the same, and the same must come of it. @returns what crate's printed. */
export async function same(
  engines: { readonly crate: Engine; readonly runc: Engine },
  ...words: string[]
): Promise<string> {
  const [crate, runc] = [await engines.crate(words), await engines.runc(words)];
  assert.deepEqual(
    answer(crate),
    answer(runc),
    `${words.join(" ")}: ${crate.stderr} / ${runc.stderr}`,
  );
  return crate.stdout;
}

/** The busybox root as an archive. */
async function archive(box: Sandbox): Promise<string> {
  const file = box.path("busybox.tar");
  if (exists(file)) return file;
  makeRootfs(box.path("image"));
  await must(["tar", "-C", box.path("image"), "-cf", file, "."]);
  return file;
}

/** podman in a directory of its own; `engine` calls it with one of the two runtimes. */
export class PodmanEngine implements AsyncDisposable {
  readonly #directory: string;
  readonly #inside: (words: string[]) => string[];

  private constructor(directory: string, inside: (words: string[]) => string[]) {
    this.#directory = directory;
    this.#inside = inside;
  }

  /** @param inside words to be run where a systemd is, which makes the groups then; absent: here, by cgroupfs. */
  static async start(
    box: Sandbox,
    inside?: (words: readonly string[]) => string[],
  ): Promise<PodmanEngine> {
    // Of a short name: podman wants its runroot's to have 50 characters at most.
    const directory = inside === undefined
      ? Deno.makeTempDirSync({ prefix: "pod" })
      : box.mkdir("p");
    const lines = [
      "[containers]",
      'default_ulimits=["nofile=1024:1024","nproc=1024:1024"]',
      "[engine]",
      `cgroup_manager="${inside === undefined ? "cgroupfs" : "systemd"}"`,
      'events_logger="file"',
      'lock_type="file"',
      `tmp_dir="${directory}/tmp"`,
      `volume_path="${directory}/volumes"`,
      "[network]",
      `network_config_dir="${directory}/networks"`,
      "[engine.runtimes]",
      `crate=["${COMMAND}"]`,
      `runc=["${RUNC}"]`,
    ];
    Deno.writeTextFileSync(`${directory}/containers.conf`, `${lines.join("\n")}\n`);
    const engine = new PodmanEngine(directory, inside ?? ((words) => words));
    const imported = await engine.engine("runc")(["import", await archive(box), IMAGE]);
    assert.equal(imported.code, 0, imported.stderr);
    return engine;
  }

  /** podman with these words, and the environment that goes with it. */
  commandLine(
    runtime: "crate" | "runc",
    words: readonly string[],
  ): { words: string[]; env: Record<string, string> } {
    const own = this.#directory;
    const places = ["--root", `${own}/root`, "--runroot", `${own}/run`, "--storage-driver", "vfs"];
    return {
      words: this.#inside(["podman", "--runtime", runtime, ...places, ...words]),
      env: { CONTAINERS_CONF: `${own}/containers.conf` },
    };
  }

  /** Runs one of its commands with a runtime. */
  engine(runtime: "crate" | "runc"): Engine {
    return async (words) => {
      using _ = reapMonitors();
      const line = this.commandLine(runtime, words);
      return await new Running(line.words, { env: line.env }).ended;
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.engine("runc")(["rm", "-a", "-f", "-t", "0"]);
    await new Running([
      "sh",
      "-c",
      'umount -q "$0"/root/* "$0"/run/* "$0"/root/vfs-containers/*/userdata/shm || true',
      this.#directory,
    ]).ended;
    Deno.removeSync(this.#directory, { recursive: true });
  }
}

/** Ends a daemon by its pid, and waits for it. */
async function end(daemon: Running): Promise<void> {
  daemon.signal("SIGTERM");
  await daemon.ended;
}

/** containerd with sockets and storage of its own. */
export class ContainerdEngine implements AsyncDisposable {
  readonly #directory: string;
  readonly #daemon: Running;

  private constructor(directory: string, daemon: Running) {
    this.#directory = directory;
    this.#daemon = daemon;
  }

  static async start(box: Sandbox): Promise<ContainerdEngine> {
    const directory = Deno.makeTempDirSync({ prefix: "ctd" });
    const lines = [
      "version = 2",
      `root = "${directory}/root"`,
      `state = "${directory}/state"`,
      'disabled_plugins = ["io.containerd.grpc.v1.cri"]',
      "[grpc]",
      `address = "${directory}/sock"`,
    ];
    Deno.writeTextFileSync(`${directory}/config.toml`, `${lines.join("\n")}\n`);
    const daemon = new Running(["containerd", "-c", `${directory}/config.toml`]);
    const engine = new ContainerdEngine(directory, daemon);
    await until("containerd listens", () => exists(`${directory}/sock`));
    const image = box.path("busybox.oci");
    const layout = await ociArchive(box, image);
    const imported = await engine.ctr(["images", "import", "--snapshotter", "native", layout]);
    assert.equal(imported.code, 0, imported.stderr);
    return engine;
  }

  /** `ctr` with these words. */
  async ctr(words: readonly string[]): Promise<Result> {
    return await new Running(["ctr", "-a", `${this.#directory}/sock`, ...words]).ended;
  }

  /** `ctr run` with a runtime. */
  runner(runtime: "crate" | "runc"): Engine {
    const binary = runtime === "crate" ? COMMAND : RUNC;
    return (words) =>
      this.ctr(["run", "--snapshotter", "native", "--runc-binary", binary, ...words]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await end(this.#daemon);
    Deno.removeSync(this.#directory, { recursive: true });
  }
}

/** The busybox image as an archive that containerd imports. */
async function ociArchive(box: Sandbox, file: string): Promise<string> {
  const tar = await archive(box);
  await box.ok(["import", "-q", tar, IMAGE]);
  await box.ok(["save", "-o", file, IMAGE]);
  return file;
}

/** dockerd in mount and network namespaces of its own. */
export class DockerEngine implements AsyncDisposable {
  readonly #directory: string;
  readonly #daemon: Running;

  private constructor(directory: string, daemon: Running) {
    this.#directory = directory;
    this.#daemon = daemon;
  }

  static async start(box: Sandbox, options: readonly string[] = []): Promise<DockerEngine> {
    const directory = Deno.makeTempDirSync({ prefix: "dkr" });
    const script = `mount --make-rprivate / && mount -t tmpfs tmpfs /run && ip link set lo up
exec dockerd --data-root "$0/root" --exec-root "$0/exec" -p "$0/pid" -H "unix://$0/sock" \
  --default-ulimit nofile=1024:1024 --storage-driver vfs --add-runtime crate=${COMMAND} "$@"`;
    const daemon = new Running([
      "unshare",
      "-m",
      "-n",
      "bash",
      "-c",
      script,
      directory,
      ...options,
    ]);
    const engine = new DockerEngine(directory, daemon);
    const tar = await archive(box);
    await until("dockerd answers", async () => {
      assert.equal(daemon.hasEnded, false, daemon.stderr);
      return exists(`${directory}/sock`) && (await engine.docker(["version"])).code === 0;
    });
    const imported = await engine.docker(["import", tar, IMAGE]);
    assert.equal(imported.code, 0, imported.stderr);
    return engine;
  }

  /** `docker` with these words, as a program and its arguments. */
  commandLine(words: readonly string[]): string[] {
    return ["docker", "-H", `unix://${this.#directory}/sock`, ...words];
  }

  /** `docker` with these words. */
  async docker(words: readonly string[]): Promise<Result> {
    return await new Running(this.commandLine(words)).ended;
  }

  /** `docker run` with a runtime. */
  runner(runtime: "crate" | "runc"): Engine {
    return (words) => this.docker(["run", "--runtime", runtime, ...words]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // A shim that is about to end when its containerd goes stays for ever. Those of what still runs, Docker ends.
    for (const end = Date.now() + SHIMS_END; this.#hasShims() && Date.now() < end;) await delay(20);
    await end(this.#daemon);
    await delay(100);
    Deno.removeSync(this.#directory, { recursive: true });
  }

  #hasShims(): boolean {
    return [...Deno.readDirSync("/proc")].some(({ name }) => {
      if (!/^[0-9]+$/.test(name)) return false;
      try {
        const words = Deno.readTextFileSync(`/proc/${name}/cmdline`);
        return words.includes("containerd-shim") && words.includes(`${this.#directory}/`);
      } catch {
        return false; // it has ended meanwhile
      }
    });
  }
}

/** What words of a terminal's user show on it. */
export async function onTerminal(
  words: readonly string[],
  env: Record<string, string>,
): Promise<string> {
  using terminal = new Terminal();
  await terminal.ended(terminal.startProgram(words, env));
  return terminal.screen;
}
