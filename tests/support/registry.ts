import assert from "node:assert/strict";

/** The one user of a registry that asks for a password. */
export const USER = "tester";
/** That user's password. */
export const PASSWORD = "a secret of the tests";
/** The line of htpasswd(1) for both, in bcrypt, which is all that docker-registry reads. */
const HTPASSWD = `${USER}:$2y$05$vluocnft/NpjkQzMxS11xOal5jEHpEzFb1BtBTDlz9javzNyuTPu6\n`;

/** What a registry asks of its clients, and where it keeps its images. */
export interface RegistryOptions {
  /** It wants {@linkcode USER} and {@linkcode PASSWORD}. */
  readonly basicAuth?: boolean;
  /** It speaks TLS, with a certificate of an authority that nobody knows: {@linkcode Registry.ca}. */
  readonly tls?: boolean;
  /** Images that are there already; not removed at the end. None: an empty directory of its own. */
  readonly storage?: string;
}

/** Runs a program to its end, which must be a good one. @returns what it printed. */
export async function execute(
  command: readonly string[],
  options: { readonly env?: Record<string, string>; readonly cwd?: string } = {},
): Promise<string> {
  const [file, ...args] = command;
  const child = new Deno.Command(file!, { ...options, args, stdin: "null" });
  const { code, stdout, stderr } = await child.output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  assert.equal(code, 0, `${command.join(" ")}: exit code ${code}: ${text(stdout)}${text(stderr)}`);
  return text(stdout);
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** A certificate authority and a certificate of its for 127.0.0.1 and localhost, in a directory. */
async function makeCertificates(directory: string): Promise<void> {
  const path = (name: string) => `${directory}/${name}`;
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const request = ["openssl", "req", ...key];
  const [ca, caKey, csr] = [path("ca.crt"), path("ca.key"), path("server.csr")];
  const caWords = ["-x509", "-days", "2", "-subj", "/CN=authority of a test"];
  const files = ["-out", ca, "-keyout", caKey];
  await execute([...request, ...caWords, ...files]);
  const server = ["-subj", "/CN=localhost", "-out", csr, "-keyout", path("server.key")];
  await execute([...request, ...server]);
  Deno.writeTextFileSync(path("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n");
  const sign = ["openssl", "x509", "-req", "-in", csr, "-CA", ca, "-CAkey", caKey, "-days", "2"];
  await execute([...sign, "-extfile", path("names"), "-out", path("server.crt")]);
}

/** Debian's docker-registry on a loopback port of its own, until it is disposed of. */
export class Registry implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #directory: string;
  /** The directory in which it keeps what it has. */
  readonly storage: string;
  /** As in a reference: `127.0.0.1:PORT`. */
  readonly host: string;
  /** With `tls`: a directory that has the authority's `ca.crt`, as skopeo's `--cert-dir` wants it. */
  readonly certificates?: string;

  private constructor(
    child: Deno.ChildProcess,
    directory: string,
    storage: string,
    port: number,
    tls: boolean,
  ) {
    this.#child = child;
    this.#directory = directory;
    this.storage = storage;
    this.host = `127.0.0.1:${port}`;
    if (tls) this.certificates = `${directory}/certs`;
  }

  /** With `tls`: the file with the authority's certificate. */
  get ca(): string {
    assert.ok(this.certificates !== undefined, "this registry has no TLS");
    return `${this.certificates}/ca.crt`;
  }

  /** Starts one, and waits until it answers. */
  static async start(options: RegistryOptions = {}): Promise<Registry> {
    const { basicAuth = false, tls = false } = options;
    const directory = Deno.makeTempDirSync({ prefix: "crate-test-registry-" });
    const port = freePort();
    const http: Record<string, unknown> = { addr: `127.0.0.1:${port}` };
    if (tls) {
      Deno.mkdirSync(`${directory}/keys`);
      await makeCertificates(`${directory}/keys`);
      // skopeo takes every certificate and key in the directory for its own use
      Deno.mkdirSync(`${directory}/certs`);
      Deno.copyFileSync(`${directory}/keys/ca.crt`, `${directory}/certs/ca.crt`);
      const [certificate, key] = [`${directory}/keys/server.crt`, `${directory}/keys/server.key`];
      http.tls = { certificate, key };
    }
    const htpasswd = `${directory}/htpasswd`;
    Deno.writeTextFileSync(htpasswd, HTPASSWD);
    const rootdirectory = options.storage ?? `${directory}/storage`;
    const config = {
      version: "0.1",
      log: { accesslog: { disabled: true }, level: "error" },
      storage: { filesystem: { rootdirectory }, delete: { enabled: true } },
      http,
      ...(basicAuth ? { auth: { htpasswd: { realm: "test", path: htpasswd } } } : {}),
    };
    // JSON is YAML.
    Deno.writeTextFileSync(`${directory}/config.yml`, JSON.stringify(config));
    const child = new Deno.Command("docker-registry", {
      args: ["serve", `${directory}/config.yml`],
      env: { OTEL_TRACES_EXPORTER: "none" },
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    const registry = new Registry(child, directory, rootdirectory, port, tls);
    try {
      await registry.#answering(port);
    } catch (error) {
      await registry[Symbol.asyncDispose]();
      throw error;
    }
    return registry;
  }

  async #answering(port: number): Promise<void> {
    let ended = false;
    this.#child.status.then(() => ended = true);
    for (const end = Date.now() + 20_000;;) {
      try {
        using _ = await Deno.connect({ hostname: "127.0.0.1", port });
        return;
      } catch {
        assert.ok(!ended && Date.now() < end, "docker-registry does not answer");
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    }
  }

  /** The words that skopeo needs for this registry, as `--dest-…` or `--src-…` or neither. */
  skopeoWords(side: "" | "src-" | "dest-", basicAuth = false): string[] {
    const words = this.certificates === undefined
      ? [`--${side}tls-verify=false`]
      : [`--${side}cert-dir=${this.certificates}`];
    return basicAuth ? [...words, `--${side}creds=${USER}:${PASSWORD}`] : words;
  }

  /**
   * Copies an image into it with skopeo, as it is, all platforms of it.
   *
   * @param from in skopeo's words: `oci:DIRECTORY:TAG`.
   * @param name `busybox:latest`
   */
  async push(from: string, name: string, basicAuth = false): Promise<void> {
    const words = ["copy", "--quiet", "--all", ...this.skopeoWords("dest-", basicAuth)];
    await execute(["skopeo", ...words, from, `docker://${this.host}/${name}`]);
  }

  /** Ends it, and removes what is its own. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended by itself.
    }
    await this.#child.status;
    Deno.removeSync(this.#directory, { recursive: true });
  }
}
