import { exists } from "../../ffi/mod.ts";
import { hostView, INIT_ANNOTATION, makeSpec } from "../../lib/lifecycle/mod.ts";
import { type Mount, type RunOptions, type Spec, validateSpec } from "../../lib/spec/mod.ts";
import type { Sandbox } from "./sandbox.ts";

// Containers that use everything a config can say, so that their programs have every kind of step.

const EVERYWHERE: Partial<RunOptions> = {
  hostname: "featured",
  domainname: "example.org",
  cwd: "/made/for/work",
  env: ["PATH=/nowhere:/bin", "NAME=value"],
  ulimits: [
    { type: "RLIMIT_NOFILE", soft: 1024, hard: 2048 },
    { type: "RLIMIT_CORE", soft: 0, hard: 0 },
  ],
  oomScoreAdj: 500,
  sysctls: { "net.core.somaxconn": "1024", "kernel.msgmax": "16384" },
  memory: 64 << 20,
  pidsLimit: 50,
  cpus: 0.5,
  noNewPrivileges: true,
};

/** A change of one of them. */
const REMOUNT: Mount = { destination: "/scratch", options: ["remount", "rnodev", "size=2m"] };

/** Mounts of each kind, on points that are there and on points that have to be made. */
function mounts(box: Sandbox): Mount[] {
  const directory = box.mkdir("shared");
  const file = box.file("injected", "hello\n");
  const link = box.path("link");
  if (!exists(link)) Deno.symlinkSync("injected", link);
  return [
    { destination: "/made/data", type: "bind", source: directory, options: ["rbind", "rro"] },
    { destination: "/etc/made", type: "bind", source: file, options: ["bind", "ro", "nosuid"] },
    { destination: "/slave", type: "bind", source: directory, options: ["rbind", "rslave"] },
    { destination: "/scratch", type: "tmpfs", source: "tmpfs", options: ["size=1m", "noexec"] },
    { destination: "/made/link", type: "bind", source: link, options: ["bind", "copy-symlink"] },
  ];
}

/** The config of a container in a directory: an ordinary user, a reaping init, a read-only root. */
export function featuredDirectory(box: Sandbox, args: readonly string[], group: string): Spec {
  Deno.mkdirSync(`${box.rootfs}/srv`, { recursive: true });
  Deno.writeTextFileSync(`${box.rootfs}/srv/replaced`, "the image's own");
  const spec = makeSpec({
    ...EVERYWHERE,
    args,
    rootfs: box.rootfs,
    rootReadonly: true,
    user: { uid: 1000, gid: 1001, umask: 0o027, additionalGids: [50, 51] },
    capAdd: ["CAP_NET_ADMIN"],
    mounts: mounts(box),
    devices: [
      { device: { path: "/dev/mine/null", type: "c", major: 1, minor: 3, uid: 1000, gid: 50 } },
      { device: { path: "/srv/replaced", type: "c", major: 1, minor: 3 } },
      { device: { path: "/srv/pipe", type: "p" } },
    ],
    labels: { [INIT_ANNOTATION]: "true" },
    cgroupsPath: `${box.cgroupParent}/${group}`,
  });
  const { process, linux } = spec;
  const ambient = ["CAP_NET_BIND_SERVICE", "CAP_KILL"];
  return validateSpec({
    ...spec,
    mounts: [...spec.mounts ?? [], REMOUNT],
    process: {
      ...process,
      capabilities: {
        ...process?.capabilities,
        effective: ambient,
        permitted: ambient,
        inheritable: ambient,
        ambient,
      },
    },
    linux: {
      ...linux,
      rootfsPropagation: "rslave",
      maskedPaths: [...linux?.maskedPaths ?? [], "/etc/group", "/not/there"],
      readonlyPaths: [...linux?.readonlyPaths ?? [], "/etc", "/not/there"],
    },
  }, "a test's config");
}

/** The config of a container in a view of the host, in the host's own network namespace by its path. */
export function featuredView(
  box: Sandbox,
  args: readonly string[],
  group: string,
  tty: boolean,
): Spec {
  const spec = makeSpec({
    ...EVERYWHERE,
    args,
    rootfs: "/",
    tty,
    consoleSize: tty ? { height: 24, width: 80 } : undefined,
    user: { uid: 1000, gid: 1000 },
    mounts: [...hostView(), ...mounts(box)],
    sysctls: {},
    cgroupsPath: `${box.cgroupParent}/${group}`,
  });
  const namespaces = spec.linux?.namespaces?.map((namespace) =>
    namespace.type === "network" ? { ...namespace, path: "/proc/self/ns/net" } : namespace
  );
  const all = [...spec.mounts ?? [], REMOUNT];
  const document = { ...spec, mounts: all, linux: { ...spec.linux, namespaces } };
  return validateSpec(document, "a test's config");
}
