import { close, exists, mkdirAll, O_DIRECTORY, O_PATH, open } from "../../../ffi/mod.ts";
import type { Effective } from "../../config/mod.ts";
import { CrateError } from "../../errors.ts";
import {
  hostView,
  IMAGE_ANNOTATION,
  INIT_ANNOTATION,
  isDirectory,
  makeSpec,
  parseSignal,
  windowSize,
} from "../../lifecycle/mod.ts";
import { readInRoot, resolveUser } from "../../security/mod.ts";
import {
  type IdMaps,
  type LinuxSeccomp,
  type Mount,
  parseCapability,
  parseCpus,
  parseGroupWord,
  parseInteger,
  parseJson,
  parseMountFlag,
  parsePair,
  parseSize,
  parseSizeOrUnlimited,
  parseSysctl,
  parseTmpfs,
  parseUlimit,
  parseUserWord,
  parseVolume,
  type RunOptions,
  type Share,
  type Spec,
  type User,
} from "../../spec/mod.ts";
import type { ExecutionConfig } from "../../image/mod.ts";
import { groupPath } from "../group.ts";
import { readGiven } from "../given.ts";
import type { RunCall } from "../words/mod.ts";
import { hostDevices, hostDevicesOf } from "./devices.ts";
import { environment } from "./environment.ts";

type Options = RunCall["options"];

const MAX_USER_FILE = 1 << 20;

/** Only there when selinuxfs is mounted: the kernel has its directory even where no policy is in force. */
const SELINUX = "/sys/fs/selinux/enforce";

/** An image that is in the store, as a container is made of it. */
export interface RunImage {
  /** `docker.io/library/alpine:latest`. */
  readonly name: string;
  readonly config: ExecutionConfig;
  /** The layers' directories, the uppermost first. */
  readonly layers: readonly string[];
  /** The mounts that make its root. */
  readonly mounts: readonly Mount[];
  /** Reads a file of the image as the container will see it; undefined when it is not there. */
  readonly readFile: (path: string) => string | undefined;
}

/** What other rooms give to a container, besides the words. */
export interface RunParts {
  readonly image?: RunImage;
  readonly network?: {
    readonly namespace: RunOptions["network"];
    readonly mounts: readonly Mount[];
  };
  /** The maps of its own user namespace. */
  readonly userns?: IdMaps;
}

/** Where the container's root filesystem comes from. */
interface RootFilesystem {
  /** `root.path` of the config. */
  readonly path: string;
  /** The mounts that are the root, in its place. */
  readonly mounts: readonly Mount[];
  /** Directories of the host in which the root's files are, the upper ones first. */
  readonly layers: readonly string[];
}

function absolute(path: string): string {
  return path.startsWith("/") ? path : `${Deno.cwd()}/${path}`;
}

function rootFilesystem({ rootfs, keep }: Options, image?: RunImage): RootFilesystem {
  if (image !== undefined) return { path: "/", layers: image.layers, mounts: image.mounts };
  if (rootfs !== undefined) {
    if (keep !== undefined) {
      throw new CrateError(
        "INVALID",
        "--keep is for the view of the host's root: not with --rootfs",
      );
    }
    const path = absolute(rootfs);
    const directory = isDirectory(path);
    if (!directory) {
      const wrong = directory === undefined ? "does not exist" : "is not a directory";
      throw new CrateError("INVALID", `the root filesystem ${rootfs} ${wrong} (--rootfs)`);
    }
    return { path, layers: [path], mounts: [] };
  }
  const directory = keptPath({ keep });
  if (directory === undefined) return { path: "/", layers: ["/"], mounts: hostView() };
  const upper = `${directory}/upper`;
  const layers = isDirectory(upper) ? [upper, "/"] : ["/"];
  return { path: "/", layers, mounts: hostView(directory) };
}

/** `--keep`'s directory, absolute. @throws {CrateError} `INVALID` when an overlay cannot name it. */
export function keptPath({ keep }: Pick<Options, "keep">): string | undefined {
  if (keep === undefined) return undefined;
  const directory = absolute(keep);
  if (!/[,:\\]/.test(directory)) return directory;
  throw new CrateError(
    "INVALID",
    `--keep ${keep}: its path must have no comma, colon, backslash`,
  );
}

/** Makes the directories in which --keep keeps what is written. @throws {SyscallError} */
export function makeKept(keep: string): void {
  for (const name of ["upper", "work"]) mkdirAll(`${absolute(keep)}/${name}`);
}

/** The user that `--user`, or the image, means, by the container's own files, and its home. */
function userOf(
  options: Options,
  layers: readonly string[],
  image?: RunImage,
): { user: User; home: string } {
  // An empty word, which a shell's unset variable leaves, is none.
  const name = options.user || image?.config.User;
  const where = options.user ? "--user" : "USER of the image";
  const word = name ? parseUserWord(name, where) : undefined;
  const groups = options.groupAdd.map((group) => parseGroupWord(group));
  // The usual case needs no look at the files: root is 0, and at home in /root.
  if (word === undefined && groups.length === 0) return { user: { uid: 0, gid: 0 }, home: "/root" };
  const read = image?.readFile ?? ((file: string): string | undefined => {
    for (const layer of layers) {
      const fd = open(layer, O_PATH | O_DIRECTORY);
      try {
        const text = readInRoot(fd, file, MAX_USER_FILE);
        if (text !== undefined) return text;
      } finally {
        close(fd);
      }
    }
  });
  const { home, ...user } = resolveUser(
    word,
    read("/etc/passwd"),
    read("/etc/group"),
    groups,
  );
  return { user, home };
}

/** The image's name: the first word, when it is no command and there is no --rootfs. */
export function imageWord({ options, positionals }: RunCall): string | undefined {
  const [first] = positionals;
  const isPath = first === undefined || /^(\/|\.\.?\/)/.test(first);
  return options.rootfs === undefined && !isPath ? first : undefined;
}

/** What to execute: the words after the options, with --entrypoint before them. */
function argsOf({ options, positionals }: RunCall, image?: RunImage): string[] {
  const { entrypoint } = options;
  const words = image === undefined ? positionals : positionals.slice(1);
  // As docker has it: words replace the image's Cmd, and --entrypoint both of its own.
  const own = image?.config;
  const before = entrypoint === undefined ? own?.Entrypoint ?? [] : [entrypoint].filter(Boolean);
  const after = words.length > 0 || entrypoint !== undefined ? words : own?.Cmd ?? [];
  const args = [...before, ...after];
  if (args[0] === "") throw new CrateError("INVALID", "the command is empty: name a program");
  if (args.length > 0) return args;
  throw image === undefined
    ? new CrateError("USAGE", "crate run: what to run is missing, such as crate run /bin/sh")
    : new CrateError("INVALID", `the image ${image.name} has no command of its own: give one`);
}

function mountsOf(options: Options, own: readonly Mount[], cwd: string): Mount[] {
  const mounts: Mount[] = [];
  for (const word of options.volume) {
    const { mount, relabel } = parseVolume(word, cwd);
    if (relabel !== undefined && exists(SELINUX)) {
      throw new CrateError("UNSUPPORTED", `--volume ${word}: SELinux labels are not supported yet`);
    }
    mounts.push(mount);
  }
  mounts.push(...options.mount.map((word) => parseMountFlag(word, cwd)));
  mounts.push(...options.tmpfs.map((word) => parseTmpfs(word)));
  const taken = new Set(mounts.map(({ destination }) => destination));
  return [...own.filter(({ destination }) => !taken.has(destination)), ...mounts];
}

/** `--security-opt`: what it may say of privileges and of the filter. */
function securityOptions(words: readonly string[]): {
  noNewPrivileges?: boolean;
  seccomp?: LinuxSeccomp | null;
} {
  const found: { noNewPrivileges?: boolean; seccomp?: LinuxSeccomp | null } = {};
  for (const word of words) {
    const [name, value] = word.split(/[=:](.*)/s);
    if (name === "no-new-privileges" && [undefined, "true", "false"].includes(value)) {
      found.noNewPrivileges = value !== "false";
    } else if (name === "seccomp" && value === "unconfined") found.seccomp = null;
    else if (name === "seccomp" && value) found.seccomp = readProfile(value);
    else if (name === "label" && value === "disable") continue; // A container gets no label.
    else if (name === "apparmor" && value === "unconfined") continue; // Nor a profile.
    else {
      throw new CrateError(
        "INVALID",
        `--security-opt ${word}: it is no-new-privileges[=false], seccomp=FILE, seccomp=unconfined, ` +
          "label=disable or apparmor=unconfined",
      );
    }
  }
  return found;
}

function readProfile(file: string): LinuxSeccomp {
  let profile: unknown;
  try {
    profile = parseJson(readGiven("--security-opt", file), file);
  } catch (cause) {
    if (!(cause instanceof CrateError)) throw cause;
    throw new CrateError("INVALID", `--security-opt seccomp=${file}: ${cause.message}`, { cause });
  }
  if (typeof profile !== "object" || profile === null || !("defaultAction" in profile)) {
    throw new CrateError(
      "INVALID",
      `--security-opt seccomp=${file}: not a profile: it must have a "defaultAction"`,
    );
  }
  // Its fields are checked with the config it becomes part of.
  return profile as LinuxSeccomp;
}

function limitsOf(options: Options, config: Effective): Partial<RunOptions> {
  const size = (word: string | undefined, name: string) =>
    word === undefined ? undefined : parseSize(word, name);
  const integer = (word: string | undefined, name: string, min: number, max: number) =>
    word === undefined ? undefined : parseInteger(word, name, min, max);
  const most = Number.MAX_SAFE_INTEGER;
  return {
    memory: size(options.memory, "--memory") ?? config["cgroup.memory_limit"].value,
    memoryReservation: size(options.memoryReservation, "--memory-reservation"),
    memorySwap: options.memorySwap === undefined
      ? undefined
      : parseSizeOrUnlimited(options.memorySwap, "--memory-swap"),
    cpus: options.cpus === undefined ? undefined : parseCpus(options.cpus),
    cpuShares: integer(options.cpuShares, "--cpu-shares", 2, 262144),
    cpuPeriod: integer(options.cpuPeriod, "--cpu-period", 1000, 1_000_000) ??
      (options.cpus === undefined ? config["cgroup.cpu_period"].value : undefined),
    cpuQuota: integer(options.cpuQuota, "--cpu-quota", -1, most) ??
      (options.cpus === undefined ? config["cgroup.cpu_quota"].value : undefined),
    cpusetCpus: options.cpusetCpus,
    cpusetMems: options.cpusetMems,
    pidsLimit: integer(options.pidsLimit, "--pids-limit", -1, most) ??
      config["cgroup.pids_max"].value,
    shmSize: size(options.shmSize, "--shm-size"),
    oomScoreAdj: integer(options.oomScoreAdj, "--oom-score-adj", -1000, 1000),
  };
}

const share = (word: string | undefined): Share | undefined =>
  word === undefined ? undefined : word === "host" ? "host" : "private";

/**
 * The OCI config that a command line and the configuration mean.
 *
 * @param token eight digits that nobody else has: a name is free again before its last container's groups are gone.
 * @throws {CrateError}
 */
export function runSpec(
  call: RunCall,
  config: Effective,
  { id, token }: { readonly id: string; readonly token: string },
  { image, network, userns }: RunParts,
): Spec {
  const { options } = call;
  const cwd = Deno.cwd();
  const args = argsOf(call, image);
  if (options.stopSignal !== undefined) parseSignal(options.stopSignal);
  const root = rootFilesystem(options, image);
  const { user, home } = userOf(options, root.layers, image);
  const security = securityOptions(options.securityOpt);
  const { privileged } = options;
  const labels: Record<string, string> = Object.fromEntries([
    ...Object.entries(image?.config.Labels ?? {}),
    ...options.label.map((word) => parsePair(word, "--label")),
    ...options.annotation.map((word) => parsePair(word, "--annotation")),
  ]);
  if (image !== undefined) labels[IMAGE_ANNOTATION] = image.name;
  if (options.init) labels[INIT_ANNOTATION] = "true";
  const unfiltered = !config["security.enable_seccomp"].value || privileged;
  const seccomp = security.seccomp === undefined && unfiltered ? null : security.seccomp;
  const high = config["cgroup.memory_high"].value;
  const spec = makeSpec({
    args,
    rootfs: root.path,
    rootReadonly: options.readOnly ?? config["security.read_only_rootfs"].value,
    env: [`HOME=${home}`, ...image?.config.Env ?? [], ...environment(options)],
    cwd: options.workdir || image?.config.WorkingDir || undefined,
    hostname: options.hostname || (options.uts === "host" ? undefined : id.slice(0, 63)),
    user,
    tty: options.tty,
    consoleSize: options.tty && !options.detach ? windowSize() : undefined,
    mounts: mountsOf(options, [...root.mounts, ...network?.mounts ?? []], cwd),
    capAdd: options.capAdd.map((word) => parseCapability(word, "--cap-add")),
    capDrop: [
      ...config["security.drop_capabilities"].value,
      ...options.capDrop.map((word) => parseCapability(word, "--cap-drop")),
    ],
    privileged,
    noNewPrivileges: security.noNewPrivileges ?? !privileged,
    seccomp,
    ulimits: options.ulimit.map((word) => parseUlimit(word)),
    devices: options.device.flatMap(hostDevicesOf),
    ...limitsOf(options, config),
    network: network?.namespace,
    pid: share(options.pid),
    ipc: share(options.ipc),
    uts: share(options.uts),
    cgroupns: share(options.cgroupns),
    userns,
    sysctls: Object.fromEntries(options.sysctl.map((word) => parseSysctl(word))),
    labels,
    cgroupsPath: groupPath(
      call.globals,
      config,
      options.name === undefined ? id : `${id}.${token}`,
    ),
  }, hostDevices);
  if (high === undefined) return spec;
  const resources = spec.linux!.resources;
  const unified = { ...resources?.unified, "memory.high": String(high) };
  return { ...spec, linux: { ...spec.linux, resources: { ...resources, unified } } };
}
