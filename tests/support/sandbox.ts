import assert from "node:assert/strict";
import { exists, PR_SET_CHILD_SUBREAPER, syscall } from "../../ffi/mod.ts";
import { networkPlaces } from "../../lib/network/mod.ts";
import { assertNothingLeft, clearAway } from "./leftovers.ts";
import { makeRootfs } from "./rootfs.ts";
import { type Result, Running, type RunningOptions } from "./running.ts";

const checkout = new URL("../..", import.meta.url).pathname;
const installed = Deno.env.get("TEST_CRATE");
/** The command as a user has it: installed, or else this checkout's. */
export const COMMAND = installed ?? `${checkout}scripts/crate`;
/** Where its bundle is. */
export const BUNDLES = installed === undefined
  ? `${checkout}.cache/bundle`
  : new URL("../lib/crate/bundle", `file://${installed}`).pathname;

/**
 * A place of its own for one test: a state directory, a parent of cgroups, a busybox root filesystem.
 * Everything that crate starts in it is a descendant of this process, which is made the subreaper, so
 * that at the end nothing can hide.
 */
export class Sandbox {
  readonly name = `crate-test-${crypto.getRandomValues(new Uint8Array(4)).toHex()}`;
  readonly directory = Deno.makeTempDirSync({ prefix: `${this.name}-` });
  /** `--root`. */
  readonly root = `${this.directory}/state`;
  /** Below this group are those of all containers. */
  readonly cgroupParent = `/${this.name}`;
  /** Where its images are. */
  readonly imageRoot = `${this.directory}/images`;
  #rootfs?: string;
  #host?: number;
  #apart: readonly string[] = [];

  /** A root filesystem with busybox and no more; made when it is first asked for. */
  get rootfs(): string {
    return this.#rootfs ??= makeRootfs(`${this.directory}/rootfs`);
  }

  /** A path in the test's own directory. */
  path(name: string): string {
    return `${this.directory}/${name}`;
  }

  /** A file in the test's own directory. */
  file(name: string, content = "", mode = 0o644): string {
    const path = this.path(name);
    Deno.writeTextFileSync(path, content);
    Deno.chmodSync(path, mode);
    return path;
  }

  /** A directory in the test's own directory. */
  mkdir(name: string): string {
    const path = this.path(name);
    Deno.mkdirSync(path, { recursive: true });
    return path;
  }

  /** What crate has in its environment besides. */
  environment: Readonly<Record<string, string>> = {};

  /** From now on crate runs in the network namespace of a process, and makes networks there. */
  on(pid: number): void {
    this.#host = pid;
  }

  /** From now on this host says so of subordinate ids, to crate in this sandbox. subuid(5) */
  subordinates(lines: string): void {
    const script = 'mount --make-rprivate / && mount --bind "$0" /etc/subuid && ' +
      'mount --bind "$0" /etc/subgid && exec "$@"';
    this.#apart = ["unshare", "-m", "sh", "-c", script, this.file("subordinates", lines)];
  }

  /** What stands before a program that is to run where crate does. */
  get prefix(): string[] {
    const network = this.#host === undefined ? [] : ["nsenter", "-t", `${this.#host}`, "-n", "--"];
    return [...network, ...this.#apart];
  }

  /** crate with these words, as a program and its arguments, and the environment that goes with it. */
  commandLine(words: readonly string[]): { words: string[]; env: Record<string, string> } {
    return {
      words: [...this.prefix, COMMAND, "--root", this.root, ...words],
      // No configuration of this machine's users has a say.
      env: {
        CRATE_CGROUP_PARENT: this.cgroupParent,
        CRATE_IMAGE_ROOT: this.imageRoot,
        // Only the tests of networks make any, in network namespaces of their own.
        CRATE_NETWORK_ENABLED: `${this.#host !== undefined}`,
        XDG_CONFIG_HOME: `${this.directory}/none`,
        ...this.environment,
      },
    };
  }

  /** Starts crate in the background of the test. */
  start(words: readonly string[], options: RunningOptions = {}): Running {
    const line = this.commandLine(words);
    return new Running(line.words, { ...options, env: { ...line.env, ...options.env } });
  }

  /** Runs a script of the host's bash, in which `"$@"` is crate with these words. */
  async host(script: string, words: readonly string[] = []): Promise<Result> {
    const line = this.commandLine(words);
    const { env } = line;
    return await new Running(["bash", "-c", script, "bash", ...line.words], { env }).ended;
  }

  /** Runs crate to its end. */
  async crate(words: readonly string[], options: RunningOptions = {}): Promise<Result> {
    return await this.start(words, options).ended;
  }

  /** Runs crate, which must succeed, and gives what it printed, without the last newline. */
  async ok(words: readonly string[], options: RunningOptions = {}): Promise<string> {
    const { code, stdout, stderr } = await this.crate(words, options);
    assert.deepEqual({ code, stderr }, { code: 0, stderr: "" }, `crate ${words.join(" ")}`);
    return stdout.trimEnd();
  }

  /** What a shell prints in a container made of the busybox root; the script must succeed. */
  async sh(script: string, options: readonly string[] = []): Promise<string> {
    const words = ["run", "--rm", "-r", this.rootfs, ...options, "/bin/sh", "-c", script];
    return await this.ok(words);
  }

  /** A detached container of the busybox root. @returns its id. */
  async detached(script: string, options: readonly string[] = []): Promise<string> {
    return await this.ok(["run", "-d", "-r", this.rootfs, ...options, "/bin/sh", "-c", script]);
  }

  /** What `crate state` says. */
  async state(id: string): Promise<Record<string, unknown>> {
    return JSON.parse(await this.ok(["state", id]));
  }

  /** Waits until a container runs, and gives its first process's pid on the host. */
  async running(id: string): Promise<number> {
    return await until(`${id} runs`, async () => {
      const { code, stdout } = await this.crate(["state", id]);
      const state = code === 0 ? JSON.parse(stdout) : {};
      return state.status === "running" ? Number(state.pid) : undefined;
    });
  }

  /** Waits until a container's log has a text, and gives the whole log. */
  async logged(id: string, text: string): Promise<string> {
    for (const end = Date.now() + 20_000;;) {
      const { stdout } = await this.crate(["logs", id]);
      if (stdout.includes(text)) return stdout;
      assert.ok(Date.now() < end, `${id} has not written ${text}, but ${stdout}`);
      await delay(20);
    }
  }

  /** Removes the directory and whatever may be left; fails, when all went well, if something is. */
  async close(allWell: boolean): Promise<void> {
    try {
      if (allWell) await assertNothingLeft(this);
    } finally {
      await clearAway(this);
      Deno.removeSync(this.directory, { recursive: true });
      const { state } = networkPlaces(this.imageRoot);
      if (exists(state)) Deno.removeSync(state, { recursive: true });
    }
  }
}

/** Milliseconds. */
export function delay(time: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, time));
}

/** In an emulated machine everything takes its time. */
export const EMULATED = Deno.env.has("TEST_SCALE");
// Nobody waits for as long when all is well, and a machine may be slow.
const PATIENCE = 60_000;
const DEADLINE = 480_000;

/** Waits until something is so, and gives what it answered. */
export async function until<T>(
  what: string,
  answer: () => T | Promise<T>,
): Promise<NonNullable<T>> {
  for (const end = Date.now() + PATIENCE;;) {
    const value = await answer();
    if (value) return value;
    assert.ok(Date.now() < end, `not within ${PATIENCE / 1000} s: ${what}`);
    await delay(5);
  }
}

async function withDeadline(body: Promise<void>): Promise<void> {
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(
    () => late.reject(new Error(`not done in ${DEADLINE / 1000} s`)),
    DEADLINE,
  );
  try {
    await Promise.race([body, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

let ready = false;

/** The launcher bundles the sources at its first start, and tells a terminal so: not in a test. */
async function makeReady(): Promise<void> {
  if (ready) return;
  ready = true;
  syscall("prctl", PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  await new Running([COMMAND, "version"]).ended;
}

/** What a test of containers needs of the machine; undefined when all is there. */
function missing(): string | undefined {
  if (Deno.uid() !== 0) return "it needs root";
  if (!exists("/bin/busybox")) return "it needs /bin/busybox (apt-get install busybox-static)";
}

/** Why a test cannot run here, if so. */
export interface TestOptions {
  readonly skip?: string | false;
}

/** For a test of what no kernel and no cgroups change. */
export const EVERYWHERE_THE_SAME: TestOptions = {
  skip: EMULATED && "it is the same on every kernel, and takes seconds in an emulated machine",
};

/** A test with a sandbox of its own; where it cannot run it says so and is ignored. */
export function test(
  name: string,
  body: (box: Sandbox) => Promise<void>,
  { skip }: TestOptions = {},
): void {
  const reason = missing() ?? skip;
  if (reason) console.log(`skip: ${reason}: ${name}`);
  Deno.test({
    name,
    ignore: Boolean(reason),
    async fn() {
      await makeReady();
      const box = new Sandbox();
      let allWell = false;
      try {
        await withDeadline(body(box));
        allWell = true;
      } finally {
        await box.close(allWell);
      }
    },
  });
}
