import { decodeText, readAll } from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import { login } from "../../image/mod.ts";
import { readConfig } from "../globals.ts";
import { DEFAULT_REGISTRY } from "../images.ts";
import type { LoginCall } from "../words/mod.ts";

const MAX_PASSWORD = 64 << 10;

/** `crate login`. */
export default async function command({ options, positionals, globals }: LoginCall) {
  await readConfig(globals);
  const { username, passwordStdin } = options;
  if (username === undefined || !passwordStdin) {
    throw new CrateError(
      "USAGE",
      "crate login: give --username NAME --password-stdin, and the password on standard input",
    );
  }
  const bytes = readAll(0, MAX_PASSWORD + 1, "standard input");
  const password = decodeText(bytes).replace(/\r?\n$/, "");
  if (password === "" || bytes.length > MAX_PASSWORD) {
    const wrong = password === "" ? "no password" : `more than ${MAX_PASSWORD} bytes`;
    throw new CrateError("INVALID", `crate login: ${wrong} on standard input`);
  }
  const [host = DEFAULT_REGISTRY] = positionals;
  const registry = { insecureRegistries: options.insecureRegistry };
  const place = await login(host, { username, password }, registry);
  console.log(`Logged in to ${host}; the credentials are in ${place}`);
  return 0;
}
