import { formatConfig } from "../../config/mod.ts";
import { readConfig } from "../globals.ts";
import { print } from "../print.ts";
import type { ConfigCall } from "../words/mod.ts";

/** `crate config`. */
export default async function config({ options, globals }: ConfigCall): Promise<number> {
  print(formatConfig(await readConfig(globals), options.format ?? "toml").trimEnd());
  return 0;
}
