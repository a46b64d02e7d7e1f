import { close, O_DIRECTORY, O_RDONLY, open } from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import { ownXattrs, treeChanges } from "../../image/mod.ts";
import { overlayOf } from "../../lifecycle/mod.ts";
import { openMerged } from "../../overlay/mod.ts";
import { stateOf } from "../each.ts";
import { printable } from "../format.ts";
import { readConfig } from "../globals.ts";
import { print } from "../print.ts";
import type { DiffCall } from "../words/mod.ts";

const LETTERS = { added: "A", changed: "C", deleted: "D" } as const;

/** `crate diff`. */
export default async function command({ positionals, globals }: DiffCall) {
  const config = await readConfig(globals);
  const { record } = stateOf(config.root.value, positionals[0]!);
  const overlay = overlayOf(record);
  if (overlay?.upper === undefined) {
    throw new CrateError(
      "UNSUPPORTED",
      `what container "${record.id}" changes is not kept apart: it takes an image, or --keep`,
    );
  }
  using stack = new DisposableStack();
  const upper = stack.adopt(open(overlay.upper, O_RDONLY | O_DIRECTORY), close);
  const lower = stack.adopt(openMerged(overlay.lowers), close);
  for (const { kind, path } of treeChanges(upper, lower, ownXattrs())) {
    print(`${LETTERS[kind]} ${printable(path)}`);
  }
  return 0;
}
