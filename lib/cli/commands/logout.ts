import { CrateError } from "../../errors.ts";
import { logout } from "../../image/mod.ts";
import { readConfig } from "../globals.ts";
import { DEFAULT_REGISTRY } from "../images.ts";
import { print } from "../print.ts";
import type { LogoutCall } from "../words/mod.ts";

/** `crate logout`. */
export default async function command({ positionals, globals }: LogoutCall): Promise<number> {
  await readConfig(globals);
  const [host = DEFAULT_REGISTRY] = positionals;
  if (!await logout(host)) throw new CrateError("NOT_FOUND", `not logged in to ${host}`);
  print(`Logged out of ${host}`);
  return 0;
}
