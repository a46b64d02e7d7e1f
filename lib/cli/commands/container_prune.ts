import type { Effective } from "../../config/mod.ts";
import { CrateError } from "../../errors.ts";
import {
  type ContainerState,
  deleteContainer,
  IMAGE_ANNOTATION,
  listContainers,
  statePaths,
} from "../../lifecycle/mod.ts";
import { isConfirmed } from "../confirm.ts";
import { formatSize } from "../format.ts";
import { readConfig } from "../globals.ts";
import { log } from "../log.ts";
import { parseMoment } from "../moment.ts";
import { print } from "../print.ts";
import type { ContainerPruneCall } from "../words/mod.ts";

/** What a pruning has removed. */
export interface Pruned {
  readonly removed: readonly string[];
  /** Bytes on the disk. */
  readonly freed: number;
}

/** `until=TIME`, once. @throws {CrateError} `INVALID` */
function parseFilter(words: readonly string[]): Date | undefined {
  const [word, more] = words;
  if (word === undefined) return undefined;
  if (more !== undefined) {
    throw new CrateError("INVALID", `--filter ${more}: there is one already, ${word}`);
  }
  const [, until] = /^until=(.+)$/s.exec(word) ?? [];
  if (until !== undefined) return parseMoment(until, "--filter until:");
  throw new CrateError("INVALID", `--filter ${word}: only until=TIME is known here`);
}

/**
 * Deletes the containers that have ended, but for those that engines have created: they delete theirs themselves, and
 * ask for them until then.
 *
 * @param until only those that were made before.
 */
export async function pruneContainers(config: Effective, until?: Date): Promise<Pruned> {
  const root = config.root.value;
  const isOld = ({ record }: ContainerState) =>
    until === undefined || Date.parse(record.created) < until.getTime();
  const ended = (await listContainers(root)).filter((state) =>
    state.status === "stopped" && state.record.engine !== true && isOld(state)
  );
  const ofImages = ended.filter(({ record }) =>
    IMAGE_ANNOTATION in (record.spec.annotations ?? {})
  );
  const sizes = ofImages.length === 0 ? undefined : await sizesIn(config);
  const removed: string[] = [];
  let freed = 0;
  for (const { record: { id } } of ended) {
    try {
      await deleteContainer(root, id, { warn: (message) => log("warn", message) });
    } catch (error) {
      // Started again, or deleted by somebody else, meanwhile.
      const isPassed = error instanceof CrateError &&
        (error.code === "STATE" || error.code === "NOT_FOUND");
      if (isPassed) continue;
      throw error;
    }
    removed.push(id);
    freed += sizes?.get(statePaths(root, id).directory) ?? 0;
  }
  if (sizes === undefined) return { removed, freed };
  // What they have written goes with them, and what they needed of the store.
  const store = await (await import("../images.ts")).storeOf(config);
  for (const id of removed) store.unpin(statePaths(root, id).directory);
  return { removed, freed };
}

async function sizesIn(config: Effective): Promise<ReadonlyMap<string, number>> {
  const { storeOf } = await import("../images.ts");
  return (await storeOf(config, { clean: false })).containerSizes();
}

/** `crate container prune`. */
export default async function command(
  { options, globals }: ContainerPruneCall,
): Promise<number> {
  const until = parseFilter(options.filter);
  const which = until === undefined ? "" : ` and was made before ${until.toISOString()}`;
  if (!isConfirmed(`every container that has ended${which}`, options)) return 1;
  const { removed, freed } = await pruneContainers(await readConfig(globals), until);
  for (const id of removed) print(id);
  print(`Reclaimed: ${formatSize(freed)}`);
  return 0;
}
