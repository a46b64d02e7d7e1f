import { createFile, SyscallError } from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import { makeSpec } from "../../lifecycle/mod.ts";
import { formatSpec } from "../../spec/mod.ts";
import { readConfig } from "../globals.ts";
import type { SpecCall } from "../words/mod.ts";

/** `crate spec`. */
export default async function command({ options, globals }: SpecCall): Promise<number> {
  await readConfig(globals);
  const { bundle = "." } = options;
  const file = `${bundle}/config.json`;
  const spec = makeSpec({
    args: ["sh"],
    rootfs: "rootfs",
    hostname: "crate",
    tty: true,
    noNewPrivileges: true,
  });
  try {
    createFile(file, `${formatSpec(spec, 2)}\n`);
  } catch (cause) {
    if (!(cause instanceof SyscallError)) throw cause;
    const why = cause.code === "EEXIST"
      ? "is there already: remove it first"
      : `cannot be made: ${cause.code}`;
    throw new CrateError("INVALID", `${file} ${why}`, { cause });
  }
  return 0;
}
