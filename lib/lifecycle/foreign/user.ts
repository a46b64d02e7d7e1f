import {
  AT_FDCWD,
  close,
  createFile,
  decodeText,
  EPERM,
  F_DUPFD_CLOEXEC,
  MFD_CLOEXEC,
  MS_BIND,
  O_NONBLOCK,
  O_RDONLY,
  O_RDWR,
  open,
  POLLIN,
  readAll,
  S_IFIFO,
  syscall,
  trySyscall,
} from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import {
  formatAddress,
  formatMac,
  formatSubnet,
  maskAddress,
  RouteSocket,
} from "../../netlink/mod.ts";
import type { Endpoint, Subnet } from "../../network/mod.ts";
import { openProcess } from "../process_id.ts";
import { forget, untilReady } from "../ready.ts";
import { findProgram, USER_NETWORKS } from "../rootless.ts";
import { type Launched, nullStdio } from "../start.ts";
import { endTask, startTask } from "../task.ts";
import { waitForEnd } from "../wait.ts";
import { cannot } from "./refusal.ts";
import { pasta } from "./pasta.ts";
import { NAMESPACE, READY, releaseNamespace } from "./place.ts";
import { slirp } from "./slirp.ts";
import { INTERFACE, type Made, type MakeOptions } from "./types.ts";

// The network of a user without root: a program of his own carries the packets between a tap device in the
// container and sockets of his. It stays as long as the container, with a monitor that ends it when the container's
// monitor lets go of it, by whatever death.

const SEEK_SET = 0;
/** Milliseconds until the network is there, and until a program has ended. */
const PATIENCE = 10_000;

/** One of the programs. */
export interface UserProgram {
  readonly name: keyof typeof USER_NETWORKS;
  /**
   * Its arguments.
   *
   * @param namespace the path of the network namespace.
   * @param ready the path of the pipe into which it writes when the network is there.
   * @throws {CrateError} `INVALID` for what it does not do.
   */
  arguments(options: MakeOptions, namespace: string, ready: string): string[];
  /** The descriptor on which it tells that it is ready, where it takes no path for that. */
  readonly readyBy: "path" | "descriptor";
  /** The resolvers that a container asks, when they are not the host's. */
  dns(): readonly string[] | undefined;
  /** What it is told when it runs. @throws {CrateError} */
  publish?(options: MakeOptions): Promise<void>;
}

const PROGRAMS = { pasta, slirp4netns: slirp } as const;

/** Where the program is. @throws {CrateError} `NOT_FOUND` */
function requireProgram(name: keyof typeof USER_NETWORKS, path: string): string {
  const found = findProgram(name, path);
  if (found !== undefined) return found;
  throw new CrateError(
    "NOT_FOUND",
    `--network ${name}: the program ${name} is not in PATH (Debian's package: ${
      USER_NETWORKS[name]
    })`,
  );
}

/** A path by which a program finds the namespace, whoever may look at crate's descriptors. */
function showNamespace({ directory, namespace }: MakeOptions, name: string): string {
  const path = `${directory}/${NAMESPACE}`;
  createFile(path, "");
  const result = trySyscall("mount", `/proc/self/fd/${namespace.fd}`, path, null, MS_BIND, null);
  if (result === 0) return path;
  throw new CrateError(
    result === -EPERM ? "PERMISSION" : "FAILED",
    `--network ${name} needs a mount namespace that belongs to crate's user namespace (unshare -U -m)`,
  );
}

/** What a program has said of its failure: its last line, but for what is no more than talk. */
function lastWords(text: string): string {
  const talk = /^Failed to send \d+ bytes to syslog|^No external routable interface|^$/;
  return text.split("\n").map((line) => line.trim()).filter((line) => !talk.test(line)).at(-1) ??
    "it has said nothing";
}

/** Starts the program for a namespace. @throws {CrateError} Nothing is left then. */
export async function startUserNetwork(options: MakeOptions): Promise<Made> {
  const { request, directory, namespace } = options;
  const { kind, path: searched } = request.network;
  if (kind === "cni") throw new TypeError("a network of CNI plugins has no program that stays");
  const program: UserProgram = PROGRAMS[kind];
  const { ip, ip6, mac } = request.endpoints[0] ?? {};
  for (const [option, value] of [["ip", ip], ["ip6", ip6], ["mac-address", mac]] as const) {
    if (value !== undefined) throw cannot(kind, option, "has addresses of its own");
  }
  const sctp = options.ports.find(({ protocol }) => protocol === "sctp");
  if (sctp !== undefined) throw cannot(kind, "publish", "carries tcp and udp, and no sctp");
  const path = requireProgram(kind, searched);
  const target = showNamespace(options, kind);
  const ready = `${directory}/${READY}`;
  syscall("mknodat", AT_FDCWD, ready, S_IFIFO | 0o600, 0);
  const opened: number[] = [];
  const keep = (fd: number) => {
    opened.push(fd);
    return fd;
  };
  let running: Launched | undefined;
  let pidfd: number | undefined;
  try {
    const said = keep(syscall("memfd_create", "said", MFD_CLOEXEC));
    const reader = keep(open(ready, O_RDONLY | O_NONBLOCK));
    // Another end of the pipe, for a program that takes a descriptor.
    const kept = program.readyBy === "descriptor" ? [keep(open(ready, O_RDWR))] : [];
    running = await startTask(
      {
        name: `crate-${kind}`,
        path,
        args: [kind, ...program.arguments(options, target, ready)],
        env: [`PATH=${searched}`],
        cwd: "/",
        directory,
      },
      [keep(nullStdio()), said, said],
      kept,
    );
    pidfd = openProcess(running.monitor!);
    const isReady = pidfd !== undefined && await comesFirst(reader, pidfd);
    if (!isReady) {
      syscall("lseek", said, 0, SEEK_SET);
      throw new CrateError(
        "START",
        `--network ${kind}: ${kind} ${
          pidfd === undefined || await waitForEnd(pidfd, 0) ? "failed" : "does not get ready"
        }: ${lastWords(decodeText(readAll(said, 1 << 16)))} (--network none needs no program)`,
      );
    }
    await program.publish?.(options);
    return made(program, namespace.routes, running, pidfd!);
  } catch (error) {
    if (running !== undefined) await endNow(running, pidfd);
    throw error;
  } finally {
    opened.forEach(close);
    releaseNamespace(directory);
    trySyscall("unlinkat", AT_FDCWD, ready, 0);
  }
}

/** Whether a pipe has something to read before a process ends, and in time. */
async function comesFirst(reader: number, pidfd: number): Promise<boolean> {
  await Promise.race([untilReady(reader, POLLIN, PATIENCE), waitForEnd(pidfd, PATIENCE)]);
  forget(reader);
  forget(pidfd);
  return trySyscall("read", reader, new Uint8Array(64), 64) > 0;
}

/** Ends a program and waits until it has. */
async function endNow(running: Launched, pidfd: number | undefined): Promise<void> {
  endTask(running);
  if (pidfd !== undefined) {
    await waitForEnd(pidfd, PATIENCE);
    close(pidfd);
  }
  close(running.control);
}

function made(program: UserProgram, routes: number, running: Launched, pidfd: number): Made {
  const { endpoint, subnets } = readInterface(routes, program.name);
  return {
    endpoint,
    subnets,
    dns: { dns: program.dns() },
    held: [running.control, pidfd],
    steps: (first) => [{ kind: "end", name: program.name, control: first, pidfd: first + 1 }],
    undo: async () => {
      endTask(running);
      await waitForEnd(pidfd, PATIENCE);
    },
  };
}

/**
 * What the program has given the container.
 *
 * @param routes a socket in the container's namespace.
 */
function readInterface(
  routes: number,
  network: string,
): { endpoint: Endpoint; subnets: Subnet[] } {
  using socket = RouteSocket.open({ socket: syscall("fcntl", routes, F_DUPFD_CLOEXEC, 0) });
  const link = socket.link(INTERFACE);
  const addresses = (link === undefined ? [] : socket.addresses(link.index))
    .filter(({ scope }) => scope === "universe");
  const four = addresses.find(({ address }) => address.length === 4);
  const six = addresses.find(({ address }) => address.length === 16);
  const gateways = socket.routes().filter(({ index, destination }) =>
    index === link?.index && destination === undefined
  );
  const subnets = [four, six].filter((each) => each !== undefined).map((each) => {
    const gateway = gateways.find((route) => route.gateway?.length === each.address.length);
    return {
      subnet: formatSubnet({ address: maskAddress(each), prefix: each.prefix }),
      gateway: gateway?.gateway === undefined ? "" : formatAddress(gateway.gateway),
    };
  });
  const endpoint: Endpoint = {
    network,
    interface: INTERFACE,
    mac: link?.address === undefined ? "" : formatMac(link.address),
    ip: four && formatAddress(four.address),
    ip6: six && formatAddress(six.address),
    aliases: [],
  };
  return { endpoint, subnets };
}
