import { formatAge, formatSize, formatTable, printable, shorten } from "../format.ts";
import { readConfig } from "../globals.ts";
import { storeOf } from "../images.ts";
import { print } from "../print.ts";
import type { HistoryCall } from "../words/mod.ts";

/** `crate history`. */
export default async function history(call: HistoryCall): Promise<number> {
  const { options, positionals, globals } = call;
  const store = await storeOf(await readConfig(globals), { clean: false });
  const text = (words: string) => options.noTrunc ? words : shorten(words, 45);
  const rows = store.history(positionals[0]!).map((line) => [
    line.id === undefined ? "<missing>" : options.noTrunc ? line.id : line.id.slice(7, 19),
    formatAge(line.created),
    text(printable(line.createdBy)),
    formatSize(line.size),
    text(printable(line.comment)),
  ]);
  print(formatTable([["IMAGE", "CREATED", "CREATED BY", "SIZE", "COMMENT"], ...rows]));
  return 0;
}
