import { close, ECONNRESET, EPIPE, SyscallError } from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import { loadCriu } from "../program/mod.ts";
import type { MonitorOptions } from "../program/mod.ts";
import { launch, type Launched, nullStdio, type Stdio } from "../start.ts";
import { findCriu } from "./find.ts";
import type { Directory } from "./images.ts";
import { lastErrors, readTail } from "./log.ts";
import {
  type CriuOptions,
  type CriuRequest,
  type CriuResponse,
  request,
  RequestType,
  response,
} from "./messages.ts";
import { receive, type Received, send } from "./socket.ts";
import { decode, encode } from "./wire.ts";

/** The oldest that says when it is ready for lazy pages and freezes groups of cgroup v2. */
const OLDEST = [3, 15, 0] as const;

/** Which criu, and where. */
export interface CriuProgram {
  /** `--criu`: a path, or a name in `$PATH`. */
  readonly criu: string;
  readonly env: Readonly<Record<string, string>>;
  /** Where an unlinked file may stand. */
  readonly directory: string;
}

/** How criu is to be started. */
export interface CriuSetup extends CriuProgram {
  /** Absent: all three are /dev/null. */
  readonly stdio?: Stdio;
  /** Its images, and where its logs go: absent: there, too. */
  readonly images: Directory;
  readonly work?: Directory | undefined;
  /** What criu finds from 5 on. */
  readonly extra?: readonly number[];
  readonly restore?: Parameters<Awaited<ReturnType<typeof loadCriu>>["compileCriu"]>[0]["restore"];
  readonly monitor?: MonitorOptions;
}

/** A message of criu's while it is at work. @param fd what came with it; closed afterwards. */
export type OnNotify = (
  script: string,
  pid: number | undefined,
  fd: number | undefined,
) => Promise<void> | void;

/** The other side is gone. */
const NOTHING: Received = { bytes: new Uint8Array() };

/** The first descriptor of `extra`. */
const FIRST_EXTRA = 5;

/** A running criu that serves this process. Closing its socket ends it, and undoes what it was at. */
export class Criu {
  readonly launched: Launched;
  readonly #setup: CriuSetup;
  readonly #path: string;
  /** Our end of its socket. */
  #socket: number | undefined;

  private constructor(launched: Launched, path: string, setup: CriuSetup) {
    this.launched = launched;
    this.#path = path;
    this.#setup = setup;
  }

  /** @throws {CrateError} `NOT_FOUND` without criu; `UNSUPPORTED` for one that is too old. */
  static async start(setup: CriuSetup): Promise<Criu> {
    const path = findCriu(setup.criu, setup.env);
    const { compileCriu } = await loadCriu();
    const extra = setup.extra ?? [];
    const env = Object.entries(setup.env).map(([name, value]) => `${name}=${value}`);
    const { restore, monitor, work } = setup;
    const program = compileCriu({
      path,
      env,
      directories: [setup.images, ...work ? [work] : []].map(({ path }) => path),
      next: FIRST_EXTRA + extra.length,
      ...restore && { restore },
      ...monitor && { monitor },
    });
    const none = nullStdio();
    let launched: Launched;
    try {
      const { stdio = [none, none, none], directory } = setup;
      launched = launch(program, { name: "crate-criu", stdio, extra, directory });
    } finally {
      close(none);
    }
    const criu = new Criu(launched, path, setup);
    try {
      await launched.go();
      criu.#socket = receive(launched.control).fd;
      criu.#checkVersion();
      return criu;
    } catch (error) {
      await criu.end();
      throw error;
    }
  }

  #version: readonly number[] = [];

  #checkVersion(): void {
    const { version } = this.ask({ type: RequestType.VERSION, keep_open: true });
    const { major_number = 0, minor_number = 0, sublevel = 0 } = version ?? {};
    this.#version = [major_number, minor_number, sublevel];
    this.requireVersion(OLDEST, "checkpoint and restore");
  }

  /** @throws {CrateError} `UNSUPPORTED` */
  requireVersion(least: readonly [number, number, number], what: string): void {
    const at = least.findIndex((number, i) => number !== this.#version[i]);
    if (at < 0 || this.#version[at]! > least[at]!) return;
    const words = (version: readonly number[]) => version.join(".").replace(/\.0$/, "");
    throw new CrateError(
      "UNSUPPORTED",
      `${this.#path} is criu ${words(this.#version)}: ${what} needs ${words(least)} or newer`,
    );
  }

  /** @throws {CrateError} `UNSUPPORTED` when this criu or this kernel has not this feature. */
  requireFeature(feature: "mem_track" | "lazy_pages", option: string): void {
    const { success, features } = this.ask({
      type: RequestType.FEATURE_CHECK,
      keep_open: true,
      features: { [feature]: true },
    });
    if (success && features?.[feature]) return;
    const missing = feature === "mem_track"
      ? "cannot tell which memory has changed (CONFIG_MEM_SOFT_DIRTY)"
      : "cannot hand over memory later (userfaultfd)";
    throw new CrateError("UNSUPPORTED", `${option}: criu says that this kernel ${missing}`);
  }

  #send(message: CriuRequest): void {
    try {
      send(this.#socket ?? -1, encode(request, message));
    } catch (cause) {
      if (!(cause instanceof SyscallError)) throw cause;
      // One that is gone may have said something before.
      if (cause.errno === EPIPE || cause.errno === ECONNRESET) return;
      throw new CrateError("FAILED", `${this.#path} takes no request: ${cause.code}`, { cause });
    }
  }

  #next(): Received {
    try {
      return receive(this.#socket ?? -1);
    } catch (error) {
      // What it had not read is lost with it.
      if (error instanceof SyscallError && error.errno === ECONNRESET) return NOTHING;
      throw error;
    }
  }

  #receive(): { answer: CriuResponse; fd: number | undefined } {
    const { bytes, fd } = this.#next();
    if (bytes.length > 0) return { answer: decode(response, bytes), fd };
    if (fd !== undefined) close(fd);
    throw new CrateError("FAILED", `${this.#path} ended without an answer`);
  }

  /** Sends a request, and gives its answer. @throws {CrateError} `FAILED` */
  ask(message: CriuRequest): CriuResponse {
    this.#send(message);
    const { answer, fd } = this.#receive();
    if (fd !== undefined) close(fd);
    return answer;
  }

  /**
   * Has criu dump or restore, and answers its notifications meanwhile.
   *
   * @throws {CrateError} `FAILED` with the last errors of its log; whatever `onNotify` throws, after which criu
   *   undoes what it has done.
   */
  async work(
    type: number,
    opts: CriuOptions,
    onNotify: OnNotify,
  ): Promise<CriuResponse> {
    try {
      const { extra = [], work } = this.#setup;
      const first = FIRST_EXTRA + extra.length;
      const directories = { images_dir_fd: first, ...work && { work_dir_fd: first + 1 } };
      this.#send({ type, opts: { ...opts, ...directories } });
      for (;;) {
        const { answer, fd } = this.#receive();
        try {
          if (answer.type !== RequestType.NOTIFY || answer.success === false) {
            if (answer.success && answer.type === type) return answer;
            throw new CrateError("FAILED", answer.cr_errmsg?.split("\n")[0] ?? "");
          }
          await onNotify(answer.notify?.script ?? "", answer.notify?.pid, fd);
        } catch (error) {
          if (answer.type !== RequestType.NOTIFY || answer.success === false) throw error;
          throw new Refused(error);
        } finally {
          if (fd !== undefined) close(fd);
        }
        this.#send({ type: RequestType.NOTIFY, notify_success: true });
      }
    } catch (error) {
      if (error instanceof Refused) throw error.cause;
      if (!(error instanceof CrateError)) throw error;
      // It may still be writing it.
      await this.end();
      throw this.#failure(error, opts.log_file ?? "");
    }
  }

  #ended = false;

  /** Ends it; one whose monitor has taken over stays. */
  async end(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    this.#close();
    await this.launched.abandon();
  }

  /** Lets go of it and of its monitor, who stays. */
  release(): void {
    this.#ended = true;
    this.#close();
    close(this.launched.control);
  }

  #close(): void {
    if (this.#socket !== undefined) close(this.#socket);
    this.#socket = undefined;
  }

  #failure(cause: CrateError, name: string): CrateError {
    const { images, work = images } = this.#setup;
    const told = lastErrors(readTail(work.fd, name)) ?? (cause.message || "it says nothing");
    return new CrateError("FAILED", `criu failed: ${told} (log: ${work.path}/${name})`, { cause });
  }
}

/** This process has failed at a notification, not criu. */
class Refused extends Error {
  constructor(cause: unknown) {
    super("refused", { cause });
  }
}
