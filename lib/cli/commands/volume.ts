import { randomHex } from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import type { Store, VolumeInfo } from "../../image/mod.ts";
import { parsePair } from "../../spec/mod.ts";
import { isConfirmed } from "../confirm.ts";
import { formatAge, formatSize, formatTable } from "../format.ts";
import { readConfig } from "../globals.ts";
import { forEachImage, storeOf } from "../images.ts";
import { print } from "../print.ts";
import type {
  Globals,
  VolumeCreateCall,
  VolumeInspectCall,
  VolumeListCall,
  VolumePruneCall,
  VolumeRemoveCall,
} from "../words/mod.ts";

/** A volume that nobody named has 64 digits, as docker's have. */
const NO_NAME = /^[0-9a-f]{64}$/;

const open = async (globals: Globals): Promise<Store> =>
  storeOf(await readConfig(globals), { clean: false });

/** As docker shows one. */
function shown({ name, path, created, labels }: VolumeInfo): object {
  return {
    Name: name,
    Driver: "local",
    Mountpoint: path,
    CreatedAt: created,
    Labels: labels,
    Scope: "local",
    Options: {},
  };
}

/** `crate volume create`. */
export async function create({ options, positionals, globals }: VolumeCreateCall): Promise<number> {
  const { label } = options;
  const [name = randomHex(32)] = positionals;
  const labels = Object.fromEntries(label.map((word) => parsePair(word, "--label")));
  await (await open(globals)).createVolume(name, labels);
  print(name);
  return 0;
}

/** `crate volume ls`. */
export async function list({ options, globals }: VolumeListCall): Promise<number> {
  const volumes = (await open(globals)).volumes();
  if (options.quiet) { for (const { name } of volumes) print(name); }
  else if (options.format === "json") print(JSON.stringify(volumes.map(shown)));
  else {
    const rows = volumes.map(({ name, created, users }) => [
      name,
      formatAge(created),
      users.join(", "),
    ]);
    print(formatTable([["VOLUME NAME", "CREATED", "USED BY"], ...rows]));
  }
  return 0;
}

/** `crate volume inspect`. */
export async function inspect({ positionals, globals }: VolumeInspectCall): Promise<number> {
  const store = await open(globals);
  const found: object[] = [];
  const code = await forEachImage(positionals, (name) => {
    const volume = store.volume(name);
    if (volume === undefined) {
      throw new CrateError(
        "NOT_FOUND",
        `volume "${name}" does not exist: crate volume ls shows them`,
      );
    }
    found.push(shown(volume));
  });
  print(JSON.stringify(found, undefined, 4));
  return code;
}

/** `crate volume rm`. */
export async function remove({ options, positionals, globals }: VolumeRemoveCall): Promise<number> {
  const store = await open(globals);
  return await forEachImage(positionals, async (name) => {
    if (options.force && store.volume(name) === undefined) return;
    await store.removeVolumes([name]);
    print(name);
  });
}

/** `crate volume prune`. */
export async function prune({ options, globals }: VolumePruneCall): Promise<number> {
  const which = options.all ? "that no container uses" : "without a name that no container uses";
  if (!isConfirmed(`every volume ${which}, and all that is in them`, options)) return 1;
  const { removed, freed } = await pruneVolumes(await open(globals), options.all);
  for (const name of removed) print(name);
  print(`Reclaimed: ${formatSize(freed)}`);
  return 0;
}

/** Removes the volumes that no container uses: all, or those that nobody named. */
export function pruneVolumes(
  store: Store,
  all: boolean,
): Promise<{ removed: readonly string[]; freed: number }> {
  return store.removeVolumes((name) => all || NO_NAME.test(name));
}
