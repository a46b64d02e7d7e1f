import { close, O_DIRECTORY, O_RDONLY, open } from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import { applyChanges } from "./documents/mod.ts";
import { newImage } from "./import.ts";
import { writeLayer } from "./pack/mod.ts";
import { ownXattrs } from "./unpack/mod.ts";
import { type Pulled, pullImage, type PullOptions } from "./pull.ts";
import { canonicalName, contentOf, type Store } from "./store/mod.ts";

/** What is committed, and how. */
export interface CommitOptions extends Omit<PullOptions, "platform"> {
  /** The container's state directory, by which the store knows its image. */
  readonly directory: string;
  /** What the container has written: an overlay's upper directory. */
  readonly upper: string;
  /** For the history: the container's command. */
  readonly command: string;
  /** Instructions of a Dockerfile: `CMD ["/bin/sh"]`. */
  readonly changes?: readonly string[];
  readonly author?: string;
  readonly message?: string;
}

/**
 * Makes an image of what a container of an image has changed: that image with one more layer, and its
 * configuration with changes.
 *
 * @param name what it is called; undefined: nothing.
 * @throws {CrateError} `NOT_FOUND` when the container is of no image. @throws the signal's reason
 */
export async function commitImage(
  store: Store,
  name: string | undefined,
  { directory, upper, command, changes = [], author, message, ...options }: CommitOptions,
): Promise<Pulled> {
  if (name !== undefined) canonicalName(name);
  const id = store.imageOf(directory);
  if (id === undefined) {
    throw new CrateError("NOT_FOUND", `the image of the container in ${directory} is not known`);
  }
  const { config: below, layers } = contentOf(store.find(id).image);
  const config = applyChanges(below.config ?? {}, changes);
  using stack = new DisposableStack();
  const tree = stack.adopt(open(upper, O_RDONLY | O_DIRECTORY), close);
  const fd = stack.adopt(store.temporary(), close);
  const { signal } = options;
  const layer = await writeLayer(tree, fd, { overlay: ownXattrs(), ...signal && { signal } });
  const created = new Date().toISOString();
  const { os, architecture, variant } = below;
  const image = {
    config,
    platform: { os, architecture, ...variant !== undefined && { variant } },
    ...author !== undefined && { author },
    created,
    history: [...below.history ?? [], {
      created,
      created_by: command,
      ...author !== undefined && { author },
      ...message !== undefined && { comment: message },
    }],
  };
  const lower = layers.map((descriptor, i) => ({ descriptor, diffId: below.rootfs.diff_ids[i]! }));
  const source = newImage(name ?? "the new image", image, lower, [{ fd, ...layer }]);
  return await pullImage(store, source, name, options);
}
