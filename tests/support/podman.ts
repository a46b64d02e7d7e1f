import { execute } from "./registry.ts";

/** A podman with a storage of its own, which it leaves no other trace beside. */
export class Podman implements AsyncDisposable {
  readonly #directory: string;
  readonly #env: Record<string, string>;

  private constructor(directory: string) {
    this.#directory = directory;
    this.#env = { CONTAINERS_CONF: `${directory}/containers.conf` };
  }

  /** In a directory of its own, with a short name: podman wants its runroot's to have 50 characters at most. */
  static start(): Podman {
    const directory = Deno.makeTempDirSync({ prefix: "pod" });
    const lines = [
      "[containers]",
      'default_ulimits=["nofile=1024:1024","nproc=1024:1024"]',
      "[engine]",
      'cgroup_manager="cgroupfs"',
      'events_logger="file"',
      'lock_type="file"',
      `tmp_dir="${directory}/tmp"`,
    ];
    Deno.writeTextFileSync(`${directory}/containers.conf`, `${lines.join("\n")}\n`);
    return new Podman(directory);
  }

  /** Runs one of its commands, which must succeed. @returns what it printed. */
  async run(words: readonly string[]): Promise<string> {
    const own = this.#directory;
    const places = ["--root", `${own}/root`, "--runroot", `${own}/run`, "--storage-driver", "vfs"];
    return await execute(["podman", ...places, ...words], { env: this.#env });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // What is mounted below its storage is its own.
    await execute(["sh", "-c", 'umount -q "$0"/root/* "$0"/run/* || true', this.#directory]);
    Deno.removeSync(this.#directory, { recursive: true });
  }
}
