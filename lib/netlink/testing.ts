import assert from "node:assert/strict";
import { AT_FDCWD, CLONE_NEWNET, close, O_CLOEXEC, O_RDONLY, syscall } from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";

// What the tests of networks share: namespaces of their own, and the programs of others in them.

const THREAD = "/proc/thread-self/ns/net";

function openOwn(): number {
  return syscall("openat", AT_FDCWD, THREAD, O_RDONLY | O_CLOEXEC);
}

/** A network namespace of a test's own, with a loopback link that is down; it goes with the last who uses it. */
export class TestNetwork implements Disposable {
  /** Its descriptor. */
  readonly fd: number;

  constructor() {
    const own = openOwn();
    try {
      syscall("unshare", CLONE_NEWNET);
      try {
        this.fd = openOwn();
      } finally {
        syscall("setns", own, CLONE_NEWNET);
      }
    } finally {
      close(own);
    }
  }

  [Symbol.dispose](): void {
    close(this.fd);
  }

  /** A command line that runs a program in it. */
  words(...command: string[]): [string, ...string[]] {
    return ["nsenter", `--net=/proc/${Deno.pid}/fd/${this.fd}`, ...command];
  }

  /** Runs a program in it, which must succeed; what it prints. */
  run(command: readonly string[], input = ""): string {
    const [program, ...args] = this.words(...command);
    const file = Deno.makeTempFileSync();
    try {
      Deno.writeTextFileSync(file, input);
      const shell = ["-c", 'file=$1; shift; exec "$@" <"$file"', "sh", file, program, ...args];
      const { success, stdout, stderr } = new Deno.Command("sh", { args: shell }).outputSync();
      const text = new TextDecoder();
      assert.ok(success, `${command.join(" ")}: ${text.decode(stderr)}`);
      return text.decode(stdout);
    } finally {
      Deno.removeSync(file);
    }
  }

  /** Whether a program succeeds in it. */
  succeeds(command: readonly string[]): boolean {
    const [program, ...args] = this.words(...command);
    return new Deno.Command(program, { args, stdin: "null" }).outputSync().success;
  }

  /** What `ip -j` prints of it, with all details. */
  ip(...words: string[]): Record<string, unknown>[] {
    return JSON.parse(this.run(["ip", "-d", "-j", ...words]) || "[]");
  }

  /** nft, with a ruleset in its own words. */
  nft(script: string): void {
    this.run(["nft", "-f", "-"], script);
  }

  /** What nft prints of its rules, without white space at the lines' ends. */
  ruleset(): string {
    return this.run(["nft", "list", "ruleset"]).split("\n").map((line) => line.trimEnd())
      .join("\n").trim();
  }
}

/** Runs something that may be refused in one way alone: a CrateError, whose sentence says what is malformed. */
export function refusedOnly<T>(body: () => T): T | undefined {
  try {
    return body();
  } catch (error) {
    assert.ok(error instanceof CrateError, `${error instanceof Error ? error.stack : error}`);
    assert.match(error.message, /malformed: /);
    return undefined;
  }
}

/** Why a test of networks cannot run here, if so. */
export function missingForNetworks(): string | undefined {
  if (Deno.uid() !== 0) return "it needs root";
  for (const tool of ["nsenter", "ip", "nft"]) {
    const { success } = new Deno.Command("sh", { args: ["-c", `command -v ${tool}`] }).outputSync();
    if (!success) return `it needs ${tool}`;
  }
}

/** A test with a network namespace of its own. */
export function networkTest(
  name: string,
  body: (network: TestNetwork) => void | Promise<void>,
): void {
  const reason = missing();
  if (reason !== undefined) console.log(`skip: ${reason}: ${name}`);
  Deno.test({
    name,
    ignore: reason !== undefined,
    async fn() {
      using network = new TestNetwork();
      await body(network);
    },
  });
}

let known: { readonly reason: string | undefined } | undefined;
const missing = () => (known ??= { reason: missingForNetworks() }).reason;
