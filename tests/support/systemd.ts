import assert from "node:assert/strict";
import { AT_FDCWD, AT_REMOVEDIR, exists, trySyscall } from "../../ffi/mod.ts";
import { groupDirectories } from "./cgroups.ts";
import { type Result, Running } from "./running.ts";
import { COMMAND, type Sandbox, until } from "./sandbox.ts";

// Debian's systemd as the first process of namespaces of its own, whose groups are below a sandbox's. What runs
// in there has it for its machine's.

const PROGRAM = "/lib/systemd/systemd";

/** Why there can be none here, if so. */
export function withoutSystemd(): string | undefined {
  if (!exists(PROGRAM)) return "it needs systemd (apt-get install systemd)";
  const mounts = Deno.readTextFileSync("/proc/self/mountinfo");
  const isV2 = / \/sys\/fs\/cgroup \S+.* - cgroup2 /m.test(mounts);
  if (!isV2 && !mounts.includes("name=systemd")) {
    return "it needs cgroup v2, or systemd's hierarchy of v1";
  }
}

/** What holds crate itself. */
const CHECKOUT = new URL("../..", import.meta.url).pathname.replace(/\/$/, "");

// $1: the group below every mount point, $2: the program, $3: the sandbox's directory. In the mount namespace every
// hierarchy is mounted from that group on, as systemd finds it on a machine.
//
// It must not be able to do anything to the machine: it is root, and what Debian has it do at a boot (empty /tmp, set
// sysctls, make devices) would happen here. So it is given no unit of Debian's, no generator, and nothing to write to
// but the sandbox: all else is read-only, or a filesystem of its own.
const SCRIPT = `set -e
hierarchies=$(findmnt -rn -t cgroup,cgroup2 -o TARGET,FSTYPE,FS-OPTIONS | grep '^/sys/fs/cgroup')
export hierarchies
while read -r at type options; do
  mkdir -p "$at$1"
  if [ -e "$at$1/cpuset.cpus" ] && [ $type = cgroup ]; then
    cat "$at/cpuset.cpus" >"$at$1/cpuset.cpus"
    cat "$at/cpuset.mems" >"$at$1/cpuset.mems"
  fi
  echo $$ >"$at$1/cgroup.procs"
done <<<"$hierarchies"
exec unshare -C -m -p -u -i -n --fork --kill-child bash -ec '
umount -R /sys/fs/cgroup
mount -t proc proc /proc
# The sandbox, which a private /tmp would hide, as it would a checkout in there, and devices.
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/keep/sandbox /run/keep/checkout /run/keep/dev
mount --bind "$1" /run/keep/sandbox
mount --bind "$2" /run/keep/checkout
mount --bind /dev /run/keep/dev
for at in /tmp /var/tmp /var/lib/cni /var/lib/containers; do
  [ ! -d $at ] || mount -t tmpfs -o mode=1777 tmpfs $at
done
mkdir -p "$1"
mount --move /run/keep/sandbox "$1"
if [ -e "$2/scripts/crate" ]; then umount /run/keep/checkout; else
  mkdir -p "$2"
  mount --move /run/keep/checkout "$2"
fi
mount -t tmpfs -o mode=755 tmpfs /dev
for name in null zero full random urandom tty kmsg; do
  touch /dev/$name
  mount --bind /run/keep/dev/$name /dev/$name
done
mkdir /dev/pts /dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts /dev/pts
ln -s pts/ptmx /dev/ptmx
ln -s /proc/self/fd /dev/fd
umount /run/keep/dev
mount --bind /proc/sys /proc/sys
findmnt -rn -o TARGET | while read -r at; do
  case $at in
  /run | /run/* | /tmp | "$1" | "$1"/* | /var/tmp | /var/lib/cni | /var/lib/containers | /dev | /dev/* | /proc) ;;
  *) mount -o remount,bind,ro "$at" ;;
  esac
done
touch /read-only 2>/dev/null && { echo "the root is not read-only" >&2; exit 1; }
if ! grep -q " cgroup " <<<"$hierarchies"; then
  mount -t cgroup2 cgroup2 /sys/fs/cgroup
else
  mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
  while read -r at type options; do
    [ $type = cgroup ] || continue
    mkdir "$at"
    name=$(grep -o "name=[^,]*" <<<"$options" || true)
    if [ -n "$name" ]; then options=none,$name; else options=$(basename "$at"); fi
    mount -t cgroup -o "$options" cgroup "$at"
  done <<<"$hierarchies"
fi
ip link set lo up
mkdir -p /run/units /run/systemd/system
printf "[Unit]\\nDefaultDependencies=no\\n" >/run/units/test.target
none=/run/units/none
exec env -i container=oci PATH="$PATH" SYSTEMD_UNIT_PATH=/run/units SYSTEMD_GENERATOR_PATH=$none \
  SYSTEMD_ENVIRONMENT_GENERATOR_PATH=$none \
  "$0" --system --unit=test.target --log-target=null --show-status=no
' "$2" "$3" "$4"`;

/** systemd that runs; disposing of it ends it and all that is in its namespaces. */
export class Systemd implements AsyncDisposable {
  readonly #box: Sandbox;
  readonly #running: Running;
  readonly #pid: number;
  #calls = 0;

  private constructor(box: Sandbox, running: Running, pid: number) {
    this.#box = box;
    this.#running = running;
    this.#pid = pid;
  }

  static async start(box: Sandbox): Promise<Systemd> {
    const words = [
      "bash",
      "-c",
      SCRIPT,
      "bash",
      box.cgroupParent,
      PROGRAM,
      box.directory,
      CHECKOUT,
    ];
    const running = new Running(words);
    const pid = await until("systemd runs", () => {
      assert.equal(running.hasEnded, false, running.stderr);
      const { pid } = running;
      const child = Deno.readTextFileSync(`/proc/${pid}/task/${pid}/children`).trim();
      return exists(`/proc/${child}/root/run/systemd/private`) ? Number(child) : undefined;
    });
    leave(box, running.pid);
    const systemd = new Systemd(box, running, pid);
    await until(
      "systemd answers",
      async () => (await systemd.run(["systemctl", "is-active", "test.target"])).code === 0,
    );
    return systemd;
  }

  /** Words to be run in its namespaces. */
  inside(words: readonly string[]): string[] {
    const namespaces = ["-m", "-p", "-u", "-i", "-n", "-C"];
    // From a group of its namespace: the kernel lets no process into it from outside. cgroups(7), "nsdelegate"
    const script =
      'while [ "$1" != -- ]; do echo $$ >"$1/cgroup.procs"; shift; done; shift; exec "$@"';
    const groups = groupDirectories(this.#box.cgroupParent).map((directory) =>
      exists(`${directory}/cgroup.controllers`) ? `${directory}/init.scope` : directory
    );
    const enter = ["nsenter", "-t", String(this.#pid), ...namespaces];
    const path = `PATH=${Deno.env.get("PATH")}`;
    return ["bash", "-c", script, "bash", ...groups, "--", ...enter, "--", "env", path, ...words];
  }

  /** Runs words in its namespaces to their end. */
  async run(words: readonly string[], env: Record<string, string> = {}): Promise<Result> {
    return await new Running(this.inside(words), { env }).ended;
  }

  /** crate, or runc, with systemd's groups. Their containers' output goes to a file of the sandbox. */
  async runtime(name: "crate" | "runc", words: readonly string[]): Promise<Result> {
    const files = this.#box.path(`call-${++this.#calls}`);
    const [out, errors] = [`${files}.out`, `${files}.err`];
    const root = this.#box.path(`root-${name}`);
    const script =
      `"$@" </dev/null >${out} 2>${errors}; code=$?; cat ${out}; cat ${errors} >&2; exit $code`;
    const command = name === "crate" ? COMMAND : "runc";
    const all = [command, "--root", root, "--systemd-cgroup", ...words];
    return await this.run(["bash", "-c", script, "bash", ...all], {
      XDG_CONFIG_HOME: this.#box.path("none"),
      // As a user would have it in the configuration.
      CRATE_CGROUP_PARENT: "/test.slice",
      CRATE_NETWORK_ENABLED: "false",
      CRATE_IMAGE_ROOT: this.#box.imageRoot,
    });
  }

  /** crate, which must succeed. @returns what it printed. */
  async crate(...words: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.runtime("crate", words);
    assert.deepEqual({ code, stderr }, { code: 0, stderr: "" }, words.join(" "));
    return stdout.trimEnd();
  }

  /** A unit's properties as `systemctl show` prints them; one that comes several times is sorted. */
  async show(unit: string): Promise<Record<string, string>> {
    const { stdout } = await this.run(["systemctl", "show", unit]);
    const found: Record<string, string[]> = {};
    for (const line of stdout.trimEnd().split("\n")) {
      const at = line.indexOf("=");
      (found[line.slice(0, at)] ??= []).push(line.slice(at + 1));
    }
    return Object.fromEntries(
      Object.entries(found).map(([name, values]) => [name, values.sort().join("; ")]),
    );
  }

  /** The scopes that there are, but for systemd's own. */
  async scopes(): Promise<string[]> {
    const words = ["systemctl", "list-units", "--all", "--plain", "--no-legend", "--type=scope"];
    const { stdout } = await this.run(words);
    return stdout.trimEnd().split("\n").map((line) => line.trim().split(" ")[0]!)
      .filter((name) => name !== "init.scope" && name !== "");
  }

  /** A file of a unit's group; undefined where there is none. */
  async groupFile(path: string, controller: string, file: string): Promise<string | undefined> {
    const script =
      `cat /sys/fs/cgroup${path}/${file} 2>/dev/null || cat /sys/fs/cgroup/${controller}${path}/${file}`;
    const { code, stdout } = await this.run(["sh", "-c", script]);
    return code === 0 ? stdout.trimEnd() : undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    Deno.kill(this.#pid, "SIGKILL");
    await this.#running.ended;
    await until(
      "systemd's groups are gone",
      () => groupDirectories(this.#box.cgroupParent).map(removeBelow).every(Boolean),
    );
  }
}

/** Takes the process that waits for systemd out of its v2 group, in which only groups may be then. cgroups(7) */
function leave({ cgroupParent }: Sandbox, pid: number): void {
  const own = /^0::(.*)$/m.exec(Deno.readTextFileSync("/proc/self/cgroup"))?.[1] ?? "/";
  for (const directory of groupDirectories(cgroupParent)) {
    if (!exists(`${directory}/cgroup.controllers`)) continue;
    const mount = directory.slice(0, -cgroupParent.length);
    Deno.writeTextFileSync(`${mount}${own}/cgroup.procs`, String(pid));
  }
}

/** Removes the groups below one, and tells whether none is left. */
function removeBelow(directory: string): boolean {
  const below = [...Deno.readDirSync(directory)].filter((entry) => entry.isDirectory);
  return below.map(({ name }) => {
    const group = `${directory}/${name}`;
    return removeBelow(group) && trySyscall("unlinkat", AT_FDCWD, group, AT_REMOVEDIR) === 0;
  }).every(Boolean);
}
