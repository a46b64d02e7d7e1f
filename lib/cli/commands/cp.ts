import { syscall } from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import { copyFiles, packFiles, Place, unpackFiles } from "../../image/mod.ts";
import { containerIds, findId, makeFilesAs, openRootView } from "../../lifecycle/mod.ts";
import { openMerged, openWritable } from "../../overlay/mod.ts";
import { stateOf } from "../each.ts";
import { readConfig } from "../globals.ts";
import { log } from "../log.ts";
import { withOutput } from "../output.ts";
import type { CpCall } from "../words/mod.ts";

const CHUNK = 1 << 18;

/** A word of the command line: a path here, or in a container. */
interface Word {
  readonly container?: string;
  readonly path: string;
}

/** As docker: what begins with a slash or a dot is a path here, whatever colons it has. */
function parseWord(word: string): Word {
  const colon = word.indexOf(":");
  if (colon <= 0 || word.startsWith("/") || word.startsWith(".")) return { path: word };
  return { container: word.slice(0, colon), path: word.slice(colon + 1) };
}

/** The two words, one of which names a container. @throws {CrateError} `USAGE` */
function parseWords(from: string, to: string): { source: Word; target: Word; container: string } {
  const [source, target] = [parseWord(from), parseWord(to)];
  const { container = target.container } = source;
  if (container === undefined) {
    throw new CrateError(
      "USAGE",
      `neither ${from} nor ${to} is in a container, which is written CONTAINER:PATH`,
    );
  }
  if (source.container !== undefined && target.container !== undefined) {
    throw new CrateError(
      "USAGE",
      `${from} and ${to} are both in containers: copy to this host first, or pipe ` +
        `(crate cp ${from} - | crate cp - ${to})`,
    );
  }
  const here = source.container === undefined ? source : target;
  if (here.path === "") {
    throw new CrateError("USAGE", "an empty word is no path: . is the working directory");
  }
  return { source, target, container };
}

async function* standardInput(): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  for (;;) {
    const chunk = new Uint8Array(CHUNK);
    const count = syscall("read", 0, chunk, chunk.length);
    if (count === 0) return;
    yield await Promise.resolve(chunk.subarray(0, count));
  }
}

/** `crate cp`. */
export default async function command({ options, positionals, globals }: CpCall): Promise<number> {
  const { source, target, container } = parseWords(positionals[0]!, positionals[1]!);
  const isOut = source.container !== undefined;
  if (!isOut && source.path === "-" && Deno.stdin.isTerminal()) {
    throw new CrateError("USAGE", "an archive is nothing that a terminal has: pipe one in");
  }
  const config = await readConfig(globals);
  const root = config.root.value;
  const id = findId(root, container);
  const { record } = stateOf(root, id);
  const overlays = { openMerged, openWritable };
  using view = await openRootView(root, id, overlays, { writable: !isOut });
  const inside = new Place({ label: `${container}:`, root: view.fd, missing: view.missing });
  const here = new Place({ label: "" });
  const ids = containerIds(view.hasHostIds ? record.spec : {});
  const { archive, followLink: follow } = options;
  const how = { archive, follow, warn: (message: string) => log("warn", message) };
  if (isOut) {
    const from = { place: inside, path: source.path };
    const owner = (uid: number, gid: number) => ids.inside({ uid, gid });
    if (target.path === "-") {
      const produce = (write: (bytes: Uint8Array<ArrayBuffer>) => void) =>
        Promise.resolve(packFiles(from, write, { ...how, owner }));
      await withOutput(undefined, produce);
    } else {
      const to = { place: here, path: target.path };
      copyFiles(from, to, { ...how, ...archive && { owner } });
    }
    return 0;
  }
  const to = { place: inside, path: target.path };
  const rootIds = ids.outside({ uid: 0, gid: 0 });
  if (rootIds.uid !== 0 || rootIds.gid !== 0) makeFilesAs(rootIds);
  const owner = (uid: number, gid: number) => archive ? ids.outside({ uid, gid }) : rootIds;
  if (source.path === "-") await unpackFiles(standardInput(), to, { ...how, owner });
  else copyFiles({ place: here, path: source.path }, to, { ...how, owner });
  return 0;
}
