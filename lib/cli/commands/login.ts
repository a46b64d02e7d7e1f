import { decodeText, readAll } from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import { login } from "../../image/mod.ts";
import { printable } from "../format.ts";
import { readConfig } from "../globals.ts";
import { DEFAULT_REGISTRY, interruptible, registryOptions } from "../images.ts";
import { print } from "../print.ts";
import type { LoginCall } from "../words/mod.ts";

const MAX_PASSWORD = 64 << 10;

/** `crate login`. */
export default async function command({ options, positionals, globals }: LoginCall) {
  const config = await readConfig(globals);
  const [host = DEFAULT_REGISTRY] = positionals;
  const { username, passwordStdin } = options;
  if (passwordStdin && username === undefined) throw usage("--password-stdin wants --username");
  const credentials = passwordStdin
    ? { username: username!, password: readPassword() }
    : await askCredentials(host, username);
  const registry = registryOptions(config, options.insecureRegistry);
  const place = await login(host, credentials, registry);
  print(`Logged in to ${host}; the credentials are in ${place}`);
  return 0;
}

/** From standard input, but for the end of its line. */
function readPassword(): string {
  const bytes = readAll(0, MAX_PASSWORD + 1, "standard input");
  const password = decodeText(bytes).replace(/\r?\n$/, "");
  if (password !== "" && bytes.length <= MAX_PASSWORD) return password;
  const wrong = password === "" ? "no password" : `more than ${MAX_PASSWORD} bytes`;
  throw new CrateError("INVALID", `crate login: ${wrong} on standard input`);
}

/** From whoever sits at the terminal. */
async function askCredentials(
  host: string,
  given: string | undefined,
): Promise<{ username: string; password: string }> {
  if (!Deno.stdin.isTerminal()) {
    throw usage("without a terminal give --username NAME --password-stdin");
  }
  const username = given ?? prompt(`User name for ${printable(host)}:`) ?? "";
  if (username === "") throw usage("no user name was given");
  const { askSecret } = await import("../prompt.ts");
  const password = await interruptible(
    "interrupted",
    (signal) => askSecret(`Password for ${printable(username)}: `, signal),
  );
  if (!password) throw new CrateError("INVALID", "crate login: no password was given");
  return { username, password };
}

const usage = (what: string) => new CrateError("USAGE", `crate login: ${what}`);
