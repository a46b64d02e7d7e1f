import { CrateError } from "../../errors.ts";
import {
  type Claimed,
  claimImage,
  contentOf,
  familiar,
  fetchMissing,
  type Found,
  type Store,
  type Volume,
} from "../../image/mod.ts";
import type { Effective } from "../../config/mod.ts";
import { canHoldUpper, openMerged, overlayMount, withMerged } from "../../overlay/mod.ts";
import { isInitialUserNamespace } from "../../../ffi/mod.ts";
import { readInRoot } from "../../security/mod.ts";
import { type Mount, normalize, type Spec } from "../../spec/mod.ts";
import { platformOf, pull, registryOptions, storeOf } from "../images.ts";
import { log } from "../log.ts";
import { progressView } from "../progress.ts";
import type { RunCall } from "../words/mod.ts";
import { keptPath, type RunImage } from "./run_spec.ts";

const MAX_USER_FILE = 1 << 20;
/** How long the start may be held up by removing what others have left: milliseconds. */
const PATIENCE = 5;

/** An image that a container is about to be made of. */
export interface PreparedImage extends RunImage {
  /** Keeps it in the store for the container, and makes what that writes to. */
  claim(container: { id: string; directory: string }, spec: Spec): Promise<Claimed>;
  /** Opens its files as the container will see them; the descriptor is the caller's to close. */
  openRoot(): number;
}

/** The image in the store; pulled when it is not there, or as `--pull` says. */
async function findOrPull(
  store: Store,
  word: string,
  { options }: RunCall,
  config: Effective,
): Promise<Found> {
  const platform = platformOf(options.platform);
  const choice = platform === undefined ? {} : { platform };
  const { pull: when = "missing" } = options;
  if (when !== "always") {
    const found = store.tryFind(word, choice);
    if (found?.image.content !== undefined) return found;
    if (when === "never") {
      throw new CrateError("NOT_FOUND", `image "${word}" is not in the store, and --pull=never`);
    }
    log("info", `image ${word} is not in the store: pulling it`);
  }
  using view = progressView(false);
  const registry = registryOptions(config, options.insecureRegistry);
  const { found } = await pull(store, word, { ...choice, registry, view });
  return found;
}

/** What resolves names, with the host's network: the host's own files. */
function networkFiles({ network }: RunCall["options"]): Mount[] {
  if (network[0] !== "host") return [];
  return ["/etc/resolv.conf", "/etc/hosts"].map((path) => ({
    destination: path,
    type: "bind",
    source: path,
    options: ["bind", "ro"],
  }));
}

/**
 * Makes an image ready for a container: in the store, with all its layers unpacked.
 *
 * @throws {CrateError}
 */
export async function prepareImage(
  word: string,
  call: RunCall,
  config: Effective,
  { anonymous = [], hasIds = false }: {
    /** Paths in the container that get volumes of its own, besides those that the image declares. */
    readonly anonymous?: readonly string[];
    /** It has a user namespace of its own. */
    readonly hasIds?: boolean;
  } = {},
): Promise<PreparedImage> {
  const store = await storeOf(config, { patience: PATIENCE });
  const { image, name } = await findOrPull(store, word, call, config);
  const { chainIds, config: imageConfig } = contentOf(image);
  if (chainIds.length === 0) {
    throw new CrateError("INVALID", `the image ${word} has no layer: there is nothing to run`);
  }
  // Layers that the last power failure may have cut are made again from what is there.
  await fetchMissing(store, image);
  const layers = chainIds.map((id) => {
    const layer = store.layer(id);
    if (layer !== undefined) return layer.path;
    throw new CrateError("NOT_FOUND", `a layer of image ${word} was removed: crate pull ${word}`);
  }).reverse();
  const kept = keptPath(call.options);
  // Else changes go to a tmpfs of the container's.
  const isOnDisk = kept === undefined && canHoldUpper(store.root);
  const files = isOnDisk ? store.containerFiles() : undefined;
  const own = kept !== undefined
    ? { upper: `${kept}/upper`, work: `${kept}/work` }
    : files && { upper: files.upper, work: files.work, volatile: true };
  if (files === undefined && anonymous[0] !== undefined) {
    const path = anonymous[0];
    throw new CrateError(
      "INVALID",
      kept === undefined
        ? `a volume without a name, at ${path}: ${store.root} cannot hold it: give it one (-v NAME:${path})`
        : `a volume without a name, at ${path}, is not for --keep: give it one (-v NAME:${path})`,
    );
  }
  const declared = [...Object.keys(imageConfig.config?.Volumes ?? {}), ...anonymous];
  const volumes = files === undefined ? [] : volumesOf(declared);
  const openRoot = () => openMerged(layers);
  return {
    name: name === undefined ? image.id : familiar(name),
    config: imageConfig.config ?? {},
    layers,
    mounts: [
      overlayMount({ lowers: layers, ...own, userxattr: !isInitialUserNamespace() }),
      ...volumes.map(({ number, destination }) => ({
        destination,
        type: "bind",
        source: files!.volume(number),
        options: ["rbind", "rprivate", ...hasIds ? ["idmap"] : []],
      })),
      ...networkFiles(call.options),
    ],
    readFile: (path) => withMerged(layers, (root) => readInRoot(root, path, MAX_USER_FILE)),
    openRoot,
    claim(container, { mounts = [] }) {
      const sources = new Set(mounts.map(({ source }) => source));
      const used = volumes.filter(({ number }) => sources.has(files!.volume(number)));
      const options = { container, layers, volumes: used, openRoot };
      return claimImage(store, image, { ...options, ...files && { files } });
    },
  };
}

/** A volume for each path, but for the root itself and what is no path. */
function volumesOf(declared: readonly string[]): Volume[] {
  const paths = declared
    .filter((path) => path.startsWith("/") && !path.includes("\0") && /[^/.]/.test(path))
    .map(normalize).filter((path) => path !== "/");
  return [...new Set(paths)].map((destination, number) => ({ number, destination }));
}
