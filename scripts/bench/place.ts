import { detectLayout, locateCgroup, removeCgroup } from "../../lib/cgroup/mod.ts";
import type { ContainerRecord } from "../../lib/lifecycle/mod.ts";
import { Container } from "../../mod.ts";

const BUSYBOX = "/bin/busybox";
/** The versions of the runtime-spec that every runtime knows. */
const COMMON_VERSION = "1.0.2";

/** What the machine lacks, if so. */
export function missing(): string | undefined {
  if (Deno.uid() !== 0) return "it needs root";
  try {
    Deno.statSync(BUSYBOX);
  } catch {
    return `it needs ${BUSYBOX} (apt-get install busybox-static)`;
  }
}

/** Where the bench works: all below one directory, one cgroup parent; removed at the end. */
export class Place implements AsyncDisposable {
  readonly directory = Deno.makeTempDirSync({ dir: "/run", prefix: "crate-bench-" });
  readonly name = this.directory.slice("/run/".length);
  readonly rootfs = `${this.directory}/rootfs`;
  readonly cgroupParent = `/${this.name}`;
  /** What every command gets: no configuration of this machine's users has a say. */
  readonly env: Readonly<Record<string, string>>;

  constructor() {
    this.env = {
      ...Deno.env.toObject(),
      CRATE_CGROUP_PARENT: this.cgroupParent,
      // No network is what the peers have too; scripts/bench_network.ts measures those.
      CRATE_NETWORK_ENABLED: "false",
      XDG_CONFIG_HOME: `${this.directory}/none`,
    };
    Deno.mkdirSync(`${this.rootfs}/bin`, { recursive: true });
    Deno.copyFileSync(BUSYBOX, `${this.rootfs}/bin/busybox`);
    for (const name of ["sh", "sleep", "true"]) {
      Deno.symlinkSync("busybox", `${this.rootfs}/bin/${name}`);
    }
  }

  /** A directory of this name, made when it is missing. */
  mkdir(name: string): string {
    const path = `${this.directory}/${name}`;
    Deno.mkdirSync(path, { recursive: true });
    return path;
  }

  /** What crate itself records of a container of `/bin/true` with all of its defaults. */
  async record(): Promise<ContainerRecord> {
    const stateRoot = this.mkdir("state");
    const id = "sample";
    await using _ = await new Container("/bin/sleep", {
      args: ["600"],
      id,
      rootfs: this.rootfs,
      stateRoot,
      cgroupsPath: `${this.cgroupParent}/${id}`,
    }).spawn();
    const text = Deno.readTextFileSync(`${stateRoot}/${id}/container.json`);
    const record: ContainerRecord = JSON.parse(text);
    const process = { ...record.spec.process!, args: ["/bin/true"] };
    return { ...record, spec: { ...record.spec, process } };
  }

  /**
   * A bundle of the record's config, with the given command.
   *
   * The version is all that is changed: crun 1.8 refuses a config that does not say 1.0.
   *
   * @returns its directory.
   */
  bundle(record: ContainerRecord, name: string, args: readonly string[]): string {
    const { spec } = record;
    const directory = this.mkdir(`bundle-${name}`);
    const config = {
      ...spec,
      ociVersion: COMMON_VERSION,
      process: { ...spec.process, args },
      linux: { ...spec.linux, cgroupsPath: `${this.cgroupParent}/${name}` },
    };
    Deno.writeTextFileSync(`${directory}/config.json`, JSON.stringify(config));
    return directory;
  }

  /** Removes it all, and kills what is still in its cgroups. */
  async [Symbol.asyncDispose](): Promise<void> {
    await removeCgroup(locateCgroup(detectLayout(), this.cgroupParent).directories);
    Deno.removeSync(this.directory, { recursive: true });
  }
}
