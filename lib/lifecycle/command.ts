import { close, isInitialUserNamespace, randomHex } from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import { type IdMaps, type RunOptions, type Spec, validateId, validateSpec } from "../spec/mod.ts";
import { prepareContainer, startContainer, type StartOptions } from "./container.ts";
import type { ClaimedNetwork } from "./claimed_network.ts";
import { waitForExit } from "./ended.ts";
import { killContainer } from "./kill.ts";
import { type Requested, requested } from "./network.ts";
import type { UserNamespace } from "./id_ranges.ts";
import { hostView, makeSpec } from "./options.ts";
import { makePipe, readStream, writeStream } from "./pipe.ts";
import { parseSignal, signalName } from "./signals.ts";
import { nullStdio } from "./start.ts";
import type { Exit } from "./state.ts";

/** What a container's standard descriptor is connected to; as in `Deno.CommandOptions`. */
export type ContainerStdio = "inherit" | "null" | "piped";

/** How to make a container; everything has docker's default. */
export interface ContainerOptions extends Partial<Omit<RunOptions, "args" | "tty" | "userns">> {
  /** The arguments of the command. */
  readonly args?: readonly string[];
  /** Its id; made up when left out. */
  readonly id?: string;
  /** The directory of all containers' state, `/run/crate` when left out. */
  readonly stateRoot?: string;
  /** The directory of images and networks, `/var/lib/crate` when left out. */
  readonly imageRoot?: string;
  /** Networks by their names, such as `crate0`, which is made when it is not there; none when left out. */
  readonly networks?: readonly string[];
  /** Ports of this host that are the container's: `8080:80`, as `crate run --publish` takes them. */
  readonly publish?: readonly string[];
  /**
   * Whose users it has: the host's when left out; its own with ids that no other container has (`"auto"`, or so many
   * of them, `{ size: 1000 }`), or by maps.
   */
  readonly userns?: UserNamespace;
  readonly stdin?: ContainerStdio;
  readonly stdout?: ContainerStdio;
  readonly stderr?: ContainerStdio;
}

/** How a container ended; as `Deno.CommandStatus`. */
export interface ContainerStatus {
  readonly success: boolean;
  /** The command's exit code, or 128 + the signal's number. */
  readonly code: number;
  readonly signal: string | null;
}

/** A container's end and what it wrote. */
export interface ContainerOutput extends ContainerStatus {
  readonly stdout: Uint8Array<ArrayBuffer>;
  readonly stderr: Uint8Array<ArrayBuffer>;
}

/** The directory of all containers' state. */
export const DEFAULT_ROOT = "/run/crate";
const DEFAULT_IMAGE_ROOT = "/var/lib/crate";

/** What a container asks for of networks; undefined when nothing. */
async function requestNetworks(
  id: string,
  { networks = [], publish = [], hostname, imageRoot = DEFAULT_IMAGE_ROOT }: ContainerOptions,
): Promise<Requested | undefined> {
  if (networks.length === 0 && publish.length === 0) return undefined;
  const { collectPorts, DEFAULT_NETWORK, parsePublish } = await import("../network/mod.ts");
  const names = networks.length === 0 ? [DEFAULT_NETWORK] : networks;
  return await requested(id, imageRoot, {
    endpoints: names.map((network) => ({ network })),
    ports: collectPorts(publish.flatMap(parsePublish)),
    hostname,
  }, {});
}

/** An open end of ours and what the container gets. */
interface End {
  readonly theirs: number;
  readonly ours?: number;
}

function openEnd(stdio: ContainerStdio, fd: 0 | 1 | 2): End {
  if (stdio === "inherit") return { theirs: fd };
  if (stdio === "null") return { theirs: nullStdio() };
  const { readEnd, writeEnd } = makePipe();
  return fd === 0 ? { theirs: readEnd, ours: writeEnd } : { theirs: writeEnd, ours: readEnd };
}

function closeTheirs(ends: readonly End[]): void {
  ends.forEach(({ theirs }, fd) => {
    if (theirs !== fd) close(theirs);
  });
}

/**
 * A container to be run from a script; shaped like `Deno.Command`.
 *
 * Nothing is started beside the container and a small program that watches over it. When this process
 * ends, so does the container.
 *
 * @example
 * ```ts ignore
 * import { Container } from "jsr:@crate/cli";
 *
 * // In a copy-on-write view of this machine:
 * const { code, stdout } = await new Container("/bin/echo", { args: ["hello"] }).output();
 *
 * // In a root filesystem of its own, with limits:
 * const web = await new Container("/bin/httpd", {
 *   args: ["-f"], rootfs: "/srv/busybox", memory: 64 << 20, pidsLimit: 100,
 * }).spawn();
 * web.kill("SIGTERM");
 * console.log((await web.status).code);
 * ```
 */
export class Container {
  readonly #options: ContainerOptions;
  readonly #spec: Spec | undefined;
  readonly #command: string | undefined;

  /**
   * @param command an absolute path, or a name to look up in the container's `PATH`; or a whole OCI
   *   config, made from as it is.
   * @param options of a config, only `id`, `stateRoot` and the standard descriptors count.
   * @throws {CrateError} `INVALID` for a config that is not valid.
   */
  constructor(command: string | Spec, options: ContainerOptions = {}) {
    this.#options = options;
    if (typeof command === "string") this.#command = command;
    else this.#spec = validateSpec(command, "the config");
  }

  #makeSpec(
    id: string,
    network: Requested | undefined,
    userns: IdMaps | undefined,
    options = this.#options,
  ): Spec {
    if (this.#spec !== undefined) return this.#spec;
    const { args = [], rootfs, mounts: own = [], ...rest } = options;
    const mounts = [...network?.mounts ?? [], ...own];
    const spec = makeSpec({
      hostname: id.slice(0, 63),
      noNewPrivileges: !rest.privileged,
      seccomp: rest.privileged ? null : undefined,
      ...rest,
      userns,
      args: [this.#command!, ...args],
      rootfs: rootfs ?? "/",
      mounts: rootfs === undefined ? [...hostView(), ...mounts] : mounts,
    });
    return validateSpec(spec, "the options");
  }

  /**
   * All that a container is made from but its id, the same for those of one kind; undefined for one that is made from
   * more than its options.
   */
  #kind(id: string, root: string): string | undefined {
    if (this.#spec !== undefined || !root.startsWith("/") || !isInitialUserNamespace()) {
      return undefined;
    }
    const { stdin: _, stdout: __, stderr: ___, id: given, ...options } = this.#options;
    // What the host has of these may be another thing each time.
    if ((options.cpusetCpus ?? options.cpusetMems) !== undefined) return undefined;
    let text: string;
    try {
      text = JSON.stringify([this.#command, options, root, Deno.cwd(), id.length]);
    } catch (error) {
      if (error instanceof TypeError) return undefined; // a BigInt
      throw error;
    }
    // It may be part of the others.
    return given === undefined ? text : text.replaceAll(id, "\0");
  }

  /**
   * Starts the container; standard descriptors are the script's own unless the options say otherwise.
   *
   * @returns when the command has been executed.
   * @throws {CrateError} naming what is wrong, or the step of the set-up that failed; nothing is left
   *   then.
   */
  async spawn(): Promise<ContainerProcess> {
    const { id: given, stateRoot: root = DEFAULT_ROOT } = this.#options;
    const id = given === undefined ? randomHex(6) : validateId(given);
    const network = await requestNetworks(id, this.#options);
    const { userns = "host" } = this.#spec === undefined ? this.#options : {};
    const kind = network === undefined && userns === "host" ? this.#kind(id, root) : undefined;
    const resident = kind === undefined
      ? undefined
      : (await import("./resident.ts")).residentStart(kind);
    const make = (maps?: IdMaps) => this.#makeSpec(id, network, maps);
    // Until there is a record of them, nobody else gets its ids.
    using ids = userns === "host"
      ? undefined
      : (await import("./id_ranges.ts")).withIds(root, userns, make);
    const { stdin = "inherit", stdout = "inherit", stderr = "inherit" } = this.#options;
    const ends: End[] = [];
    let claim: ClaimedNetwork | undefined;
    try {
      ends.push(openEnd(stdin, 0));
      ends.push(openEnd(stdout, 1));
      ends.push(openEnd(stderr, 2));
      const [a, b, c] = ends as [End, End, End];
      const stdio = [a.theirs, b.theirs, c.theirs] as const;
      const end = ({ code, signal }: Exit): ContainerStatus => ({
        success: code === 0,
        code,
        signal: signal === undefined ? null : signalName(signal),
      });
      const process = (pid: number, exit: Promise<Exit>) =>
        new ContainerProcess(id, root, pid, exit.then(end), [a.ours, b.ours, c.ours]);
      const running = resident?.start(id, root, stdio);
      if (running !== undefined) return process(running.init, waitForExit(running));
      const spec = ids?.made ?? make();
      if (spec.process?.terminal) {
        throw new CrateError("UNSUPPORTED", "process.terminal: a script has no terminal to give");
      }
      claim = await network?.claim();
      const options: StartOptions = {
        id,
        token: resident?.token,
        root,
        spec,
        bundle: Deno.cwd(),
        detached: false,
        remove: true,
        stdio,
        network: claim,
        networkRequest: network?.recorded,
      };
      const prepared = await prepareContainer(options);
      const { launched } = await startContainer(
        prepared,
        (_, record) => resident?.look(prepared, record),
      );
      const started = process(launched.init.pid, waitForExit(launched));
      await resident?.keep((other) => ({
        ...options,
        id: other,
        spec: this.#makeSpec(other, undefined, undefined, renamed(this.#options, id, other)),
      }));
      return started;
    } catch (error) {
      for (const { ours } of ends) if (ours !== undefined) close(ours);
      resident?.giveUp();
      await claim?.release();
      throw error;
    } finally {
      closeTheirs(ends);
    }
  }

  /**
   * Runs the container to its end and collects what it wrote; standard input is empty unless the
   * options say otherwise.
   *
   * @throws {CrateError} as {@linkcode spawn}.
   * @throws {TypeError} when standard input is piped: nobody could write into it.
   */
  async output(): Promise<ContainerOutput> {
    if (this.#options.stdin === "piped") {
      throw new TypeError(
        'stdin is "piped": use spawn(), with output() nobody could write into it',
      );
    }
    const process = await new Container(this.#spec ?? this.#command!, {
      stdin: "null",
      ...this.#options,
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const collect = async (stream: ReadableStream<Uint8Array<ArrayBuffer>>) =>
      new Uint8Array(await new Response(stream).arrayBuffer());
    const [status, stdout, stderr] = await Promise.all([
      process.status,
      collect(process.stdout),
      collect(process.stderr),
    ]);
    return { ...status, stdout, stderr };
  }
}

/** A container's options, as they were for one of another id. */
function renamed(options: ContainerOptions, from: string, to: string): ContainerOptions {
  const rename = (_key: string, value: unknown) =>
    typeof value === "string" ? value.replaceAll(from, to) : value;
  return JSON.parse(JSON.stringify(options), rename);
}

/** A container that has been started; shaped like `Deno.ChildProcess`. */
export class ContainerProcess implements AsyncDisposable {
  readonly #root: string;
  readonly #fds: readonly (number | undefined)[];
  #stdin?: WritableStream<Uint8Array<ArrayBuffer>>;
  #stdout?: ReadableStream<Uint8Array<ArrayBuffer>>;
  #stderr?: ReadableStream<Uint8Array<ArrayBuffer>>;

  /** Made by {@linkcode Container.spawn}. */
  constructor(
    /** The container's id. */
    readonly id: string,
    root: string,
    /** The pid of its first process, as the host sees it. */
    readonly pid: number,
    /** How it ended, when it has. */
    readonly status: Promise<ContainerStatus>,
    fds: readonly (number | undefined)[],
  ) {
    this.#root = root;
    this.#fds = fds;
  }

  #fd(index: 0 | 1 | 2, name: string): number {
    const fd = this.#fds[index];
    if (fd === undefined) throw new TypeError(`${name} is not piped`);
    return fd;
  }

  /** The way into its standard input. @throws {TypeError} when it is not piped. */
  get stdin(): WritableStream<Uint8Array<ArrayBuffer>> {
    return this.#stdin ??= writeStream(this.#fd(0, "stdin"));
  }

  /** Its standard output. @throws {TypeError} when it is not piped. */
  get stdout(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return this.#stdout ??= readStream(this.#fd(1, "stdout"));
  }

  /** Its standard error. @throws {TypeError} when it is not piped. */
  get stderr(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return this.#stderr ??= readStream(this.#fd(2, "stderr"));
  }

  /**
   * Sends a signal to its first process.
   *
   * @throws {CrateError} `NOT_FOUND` or `STATE` when it has ended.
   */
  kill(signal = "SIGTERM"): void {
    killContainer(this.#root, this.id, parseSignal(signal));
  }

  /** Kills it, waits for its end, and lets go of the streams that nobody is using. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.kill("SIGKILL");
    } catch (error) {
      if (!(error instanceof CrateError)) throw error;
    }
    await this.status;
    if (!this.#stdin?.locked) await this.#stdin?.abort();
    for (const stream of [this.#stdout, this.#stderr]) if (!stream?.locked) await stream?.cancel();
    [this.#stdin, this.#stdout, this.#stderr].forEach((stream, i) => {
      const fd = this.#fds[i];
      if (stream === undefined && fd !== undefined) close(fd);
    });
  }
}
