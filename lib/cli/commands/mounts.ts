import { decodeText, readAll, readText, SyscallError } from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import { addMounts, findId, removeMounts } from "../../lifecycle/mod.ts";
import { parseMountPoints, parseMounts } from "../../spec/mod.ts";
import { readConfig } from "../globals.ts";
import type { MountsCall } from "../words/mod.ts";

const MAX_FILE = 1 << 20;

function read<T>(file: string, parse: (text: string, file: string) => T): T {
  try {
    const isInput = file === "-";
    const text = isInput ? decodeText(readAll(0, MAX_FILE)) : readText(file, MAX_FILE);
    return parse(text, isInput ? "standard input" : file);
  } catch (cause) {
    if (!(cause instanceof SyscallError)) throw cause;
    throw new CrateError("INVALID", `${file} cannot be read: ${cause.code}`, { cause });
  }
}

/** `crate mounts add`. */
export async function add({ positionals, globals }: MountsCall): Promise<number> {
  const root = (await readConfig(globals)).root.value;
  const [word, file] = positionals as [string, string];
  await addMounts(root, findId(root, word), read(file, parseMounts));
  return 0;
}

/** `crate mounts remove`. */
export async function remove({ positionals, globals }: MountsCall): Promise<number> {
  const root = (await readConfig(globals)).root.value;
  const [word, file] = positionals as [string, string];
  await removeMounts(root, findId(root, word), read(file, parseMountPoints));
  return 0;
}
