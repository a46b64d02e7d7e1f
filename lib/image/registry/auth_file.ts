import {
  AT_FDCWD,
  close,
  ENOENT,
  ENOTDIR,
  mkdirAll,
  O_CREAT,
  O_EXCL,
  O_WRONLY,
  open,
  randomHex,
  readText,
  syscall,
  SyscallError,
  trySyscall,
  unlink,
  writeAll,
} from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import type { Credentials } from "./credentials.ts";
import { isObject } from "./json.ts";

/** The most bytes of a file with credentials. */
const MAX_FILE = 4 << 20;

/** What a file with credentials says; Docker's and podman's have one form. */
export interface AuthFile {
  readonly path: string;
  /** By the key as it is written. */
  readonly credentials: ReadonlyMap<string, Credentials>;
  /** Helpers for single registries. */
  readonly helpers: ReadonlyMap<string, string>;
  /** The helper for all others. */
  readonly store?: string;
  /** All that it says, for writing it again. */
  readonly content: Readonly<Record<string, unknown>>;
}

/** The files that count, the first first. */
export function authFiles(
  options: { readonly authFile?: string; readonly env: (name: string) => string | undefined },
): string[] {
  const { authFile, env } = options;
  const only = authFile ?? env("REGISTRY_AUTH_FILE");
  if (only) return [only];
  const home = env("HOME") || "/root";
  const runtime = env("XDG_RUNTIME_DIR");
  return [
    runtime ? `${runtime}/containers/auth.json` : `/run/containers/${syscall("getuid")}/auth.json`,
    `${env("XDG_CONFIG_HOME") || `${home}/.config`}/containers/auth.json`,
    dockerFile(env),
  ];
}

/** Docker's own file. */
export function dockerFile(env: (name: string) => string | undefined): string {
  return `${env("DOCKER_CONFIG") || `${env("HOME") || "/root"}/.docker`}/config.json`;
}

/**
 * Reads a file with credentials.
 *
 * @returns undefined when it is not there.
 * @throws {CrateError} `INVALID`, `FAILED`: it cannot be read. Nothing of its content is in the sentence.
 */
export function readAuthFile(path: string): AuthFile | undefined {
  let text: string;
  try {
    text = readText(path, MAX_FILE + 1);
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    if (error.errno === ENOENT || error.errno === ENOTDIR) return undefined;
    throw new CrateError("FAILED", `cannot read the credentials in ${path}: ${error.message}`);
  }
  const invalid = (why: string) =>
    new CrateError("INVALID", `${path}, which has credentials for registries, ${why}`);
  if (text.length > MAX_FILE) throw invalid(`has more than ${MAX_FILE} bytes`);
  if (text.trim() === "") text = "{}";
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    throw invalid("is not JSON");
  }
  if (!isObject(content)) throw invalid("is not a JSON object");

  const credentials = new Map<string, Credentials>();
  for (const [key, entry] of Object.entries(isObject(content.auths) ? content.auths : {})) {
    if (!isObject(entry)) continue;
    const found = readEntry(entry);
    if (found === "wrong") {
      throw invalid(`has an entry for ${key} that is not base64 of NAME:PASSWORD`);
    }
    if (found !== undefined) credentials.set(key, found);
  }
  const helpers = new Map<string, string>();
  for (
    const [key, name] of Object.entries(isObject(content.credHelpers) ? content.credHelpers : {})
  ) {
    if (typeof name === "string" && name !== "") helpers.set(key, name);
  }
  const store = content.credsStore;
  return {
    path,
    credentials,
    helpers,
    ...(typeof store === "string" && store !== "" ? { store } : {}),
    content,
  };
}

function readEntry(entry: Record<string, unknown>): Credentials | "wrong" | undefined {
  const { auth, identitytoken, username, password } = entry;
  if (typeof identitytoken === "string" && identitytoken !== "") {
    return { identityToken: identitytoken };
  }
  if (typeof auth === "string" && auth !== "") {
    let text: string;
    try {
      text = new TextDecoder().decode(Uint8Array.from(atob(auth), (c) => c.charCodeAt(0)));
    } catch {
      return "wrong";
    }
    const colon = text.indexOf(":");
    if (colon < 1) return "wrong";
    // Docker wrote passwords with zeros at the end once.
    return { username: text.slice(0, colon), password: text.slice(colon + 1).replace(/\0+$/, "") };
  }
  if (typeof username === "string" && typeof password === "string" && username !== "") {
    return { username, password };
  }
  return undefined;
}

/** The value of `auth` for a name and its password. */
export function encodeAuth(username: string, password: string): string {
  return btoa(
    Array.from(new TextEncoder().encode(`${username}:${password}`), (b) => String.fromCharCode(b))
      .join(""),
  );
}

/**
 * Replaces a file with credentials as a whole, on disk before it counts; nobody else can read it. A link to it stays one.
 *
 * @throws {CrateError} `FAILED`
 */
export function writeAuthFile(path: string, content: Readonly<Record<string, unknown>>): void {
  let target = path;
  try {
    target = Deno.realPathSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const directory = target.slice(0, Math.max(1, target.lastIndexOf("/")));
  const temporary = `${target}.${randomHex(8)}`;
  try {
    mkdirAll(directory, 0o700);
    const fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL, 0o600);
    try {
      writeAll(fd, `${JSON.stringify(content, null, "\t")}\n`, temporary);
      syscall("fsync", fd);
    } finally {
      close(fd);
    }
    syscall("renameat2", AT_FDCWD, temporary, AT_FDCWD, target, 0);
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    if (trySyscall("faccessat", AT_FDCWD, temporary, 0) === 0) unlink(temporary);
    throw new CrateError("FAILED", `cannot write credentials to ${path}: ${error.message}`);
  }
}
