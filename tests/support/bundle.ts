import type { Hooks, Linux, Process, Spec } from "../../lib/spec/mod.ts";
import { defaultSeccompProfile } from "../../lib/security/mod.ts";
import { arch } from "../../ffi/mod.ts";
import assert from "node:assert/strict";
import { reapOrphans } from "./leftovers.ts";
import { type Sandbox, until } from "./sandbox.ts";

/** What a test's bundle says that others do not. */
export interface BundleChanges {
  readonly process?: Partial<Process>;
  readonly linux?: Partial<Linux>;
  readonly hooks?: Hooks;
  readonly spec?: Partial<Spec>;
}

/** What engines give to a container by default. */
const CAPABILITIES = ["CAP_CHOWN", "CAP_KILL", "CAP_SETUID", "CAP_SETGID", "CAP_DAC_OVERRIDE"];

/** A config as engines write them, with the sandbox's busybox as its root. */
export function engineSpec(
  box: Sandbox,
  id: string,
  script: string,
  { process, linux, hooks, spec }: BundleChanges = {},
): Spec {
  return {
    ociVersion: "1.0.2",
    process: {
      args: ["/bin/sh", "-c", script],
      cwd: "/",
      env: ["PATH=/bin"],
      user: { uid: 0, gid: 0 },
      capabilities: {
        bounding: CAPABILITIES,
        effective: CAPABILITIES,
        permitted: CAPABILITIES,
      },
      noNewPrivileges: true,
      ...process,
    },
    root: { path: box.rootfs },
    hostname: "engine",
    mounts: [
      {
        destination: "/proc",
        type: "proc",
        source: "proc",
        options: ["nosuid", "noexec", "nodev"],
      },
      { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755"] },
      {
        destination: "/dev/pts",
        type: "devpts",
        source: "devpts",
        options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
      },
    ],
    ...hooks && { hooks },
    linux: {
      cgroupsPath: `${box.cgroupParent}/${id}`,
      namespaces: [
        { type: "pid" },
        { type: "network" },
        { type: "ipc" },
        { type: "uts" },
        { type: "mount" },
      ],
      maskedPaths: ["/proc/kcore", "/proc/keys"],
      readonlyPaths: ["/proc/sys"],
      seccomp: defaultSeccompProfile({ capabilities: CAPABILITIES, arch }),
      ...linux,
    },
    ...spec,
  };
}

/** Writes a bundle. @returns its directory. */
export function makeBundle(
  box: Sandbox,
  id: string,
  script: string,
  changes: BundleChanges = {},
): string {
  const directory = box.mkdir(`bundle-${id}`);
  const spec = engineSpec(box, id, script, changes);
  Deno.writeTextFileSync(`${directory}/config.json`, JSON.stringify(spec));
  return directory;
}

/** How `crate create` ended; the container's own output goes to a file. */
export interface Creation {
  readonly code: number;
  readonly stderr: string;
  /** What the container has written up to now. */
  output(): string;
}

/** Creates a container as an engine does: its output is not crate's. */
export async function create(
  box: Sandbox,
  id: string,
  bundle: string,
  options: readonly string[] = [],
  before = "",
): Promise<Creation> {
  const [out, errors] = [box.path(`${id}.out`), box.path(`${id}.err`)];
  const script =
    `${before} "$@" </dev/null >${out} 2>${errors}; code=$?; cat ${errors} >&2; exit $code`;
  const { code, stderr } = await box.host(script, ["create", "--bundle", bundle, ...options, id]);
  return { code, stderr, output: () => Deno.readTextFileSync(out) + Deno.readTextFileSync(errors) };
}

/** Creates and starts a container, both of which must succeed. */
export async function launchBundle(
  box: Sandbox,
  id: string,
  script: string,
  changes: BundleChanges = {},
): Promise<Creation> {
  const creation = await create(box, id, makeBundle(box, id, script, changes));
  assert.deepEqual([creation.code, creation.stderr], [0, ""]);
  assert.equal(await box.ok(["start", id]), "");
  return creation;
}

/** Waits until a container has ended, deletes it, and gives what it has written. */
export async function outcome(box: Sandbox, id: string, creation: Creation): Promise<string> {
  await until(`${id} ends`, async () => {
    reapOrphans();
    return (await box.state(id)).status === "stopped";
  });
  await box.ok(["delete", id]);
  return creation.output().trimEnd();
}
