import { createFile, syscall, SyscallError } from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import { makeSpec } from "../../lifecycle/mod.ts";
import { formatSpec, rootlessSpec } from "../../spec/mod.ts";
import { readConfig } from "../globals.ts";
import type { SpecCall } from "../words/mod.ts";

/** `crate spec`. */
export default async function command({ options, globals }: SpecCall): Promise<number> {
  await readConfig(globals);
  const { bundle = ".", file: name = "config.json" } = options;
  const file = name.startsWith("/") ? name : `${bundle}/${name}`;
  const usual = makeSpec({
    args: ["sh"],
    rootfs: "rootfs",
    hostname: "crate",
    tty: true,
    noNewPrivileges: true,
  });
  const spec = options.rootless
    ? rootlessSpec(usual, syscall("geteuid"), syscall("getegid"))
    : usual;
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
