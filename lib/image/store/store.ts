import type { Descriptor, Digest, ImageSource, Platform } from "../types.ts";
import { CrateError } from "../../errors.ts";
import { blobStream, hasBlob } from "./blobs.ts";
import { clearDead, collect, type Collected, digestsOf } from "./garbage.ts";
import { type ContainerFiles, containerFiles, type Owner, storedContainers } from "./containers.ts";
import { contentOf, type Image, isWhole, readImages } from "./images.ts";
import { type HistoryLine, historyOf, type ImageInspection, inspectionOf } from "./inspect.ts";
import { findLayer, type Layer, type NewLayer, openLayer, settleLayers } from "./layers.ts";
import { type Paths, storePaths } from "./layout.ts";
import { type Lease, openLease } from "./leases.ts";
import { temporaryFile } from "./disk.ts";
import { canonicalName, findImage, type Found, tryFind } from "./lookup.ts";
import { putName } from "./names.ts";
import { prepare } from "./open.ts";
import { openPartial, type Partial } from "./partial.ts";
import { type Pin, pin, pinPath, type PinRecord, readPins, unpin } from "./pins.ts";
import type { ReadyFiles, readyFiles } from "./ready.ts";
import { pruneImages, type Removed, removeImage, removeName } from "./remove.ts";
import { type StoreSink, storeSink, storeSource } from "./sink.ts";
import {
  createVolume,
  type Fill,
  findVolume,
  listVolumes,
  removeVolumes,
  takeVolume,
  type VolumeInfo,
  volumePath,
  type VolumeUse,
} from "./volumes.ts";
import { type DiskUsage, diskUsage } from "./usage.ts";

/** How a store is opened. */
export interface OpenOptions {
  /** Whether what dead commands have left is removed; who only reads says false. Default: true. */
  readonly clean?: boolean;
  /** How long that may take at most: milliseconds. Default: as long as it takes. */
  readonly patience?: number;
}

/** Which of an index's images is meant. */
export interface Choice {
  /** Default: this machine's, or else whichever is there. */
  readonly platform?: Platform;
}

/** The container that needs an image. */
export interface Container {
  readonly id: string;
  /** Its state directory, which is there as long as it is. */
  readonly directory: string;
}

/**
 * Opens the image store in a directory, and makes what is missing of it.
 *
 * @throws {CrateError} `PERMISSION`; `UNSUPPORTED` for one that a newer crate has made.
 *
 * @example
 * ```ts
 * import { openStore } from "./mod.ts";
 * const directory = Deno.makeTempDirSync();
 * const store = await openStore(`${directory}/crate`);
 * if (store.list().length !== 0) throw new Error();
 * Deno.removeSync(directory, { recursive: true });
 * ```
 */
export async function openStore(
  root: string,
  { clean = true, patience }: OpenOptions = {},
): Promise<Store> {
  const paths = storePaths(root);
  const isNew = await prepare(paths);
  if (clean && !isNew) await clearDead(paths, patience);
  return new Store(paths);
}

/**
 * The image store. What is synchronous reads, and takes no lock; what is asynchronous may wait for others.
 * A word is a reference as people write it, a digest, an ID or the beginning of one.
 */
export class Store {
  readonly #paths: Paths;

  constructor(paths: Paths) {
    this.#paths = paths;
  }

  /** The directory. */
  get root(): string {
    return this.#paths.root;
  }

  /** All images, those with names first, by name. @throws {CrateError} */
  list(): Image[] {
    return readImages(this.#paths);
  }

  /** The image that a word means. @throws {CrateError} `NOT_FOUND`, `INVALID` */
  find(word: string, { platform }: Choice = {}): Found {
    return findImage(this.#paths, word, platform);
  }

  /** The same; undefined when there is none. @throws {CrateError} `INVALID` */
  tryFind(word: string, { platform }: Choice = {}): Found | undefined {
    return tryFind(this.#paths, word, platform);
  }

  /** An image, to be read from: `push`, `save`. @throws {CrateError} as {@linkcode find} */
  source(word: string, choice: Choice = {}): ImageSource {
    return storeSource(this.#paths, this.find(word, choice).image, word);
  }

  /** A layer, unpacked on top of those below it; undefined when it is not there. */
  layer(chainId: Digest): Layer | undefined {
    return findLayer(this.#paths, chainId);
  }

  /** How an image came to be. @throws {CrateError} */
  history(word: string): HistoryLine[] {
    return historyOf(this.#paths, this.find(word).image);
  }

  /** Whether all of an index's images are there, and not only one of them as after a pull. */
  isWhole({ descriptor }: Image): boolean {
    return isWhole(this.#paths, descriptor);
  }

  /** What `image inspect` shows. @throws {CrateError} */
  inspect(word: string, choice: Choice = {}): ImageInspection {
    return inspectionOf(this.find(word, choice).image);
  }

  /**
   * What `df` shows.
   *
   * @param isRunning whether the container of a state directory is. @throws {CrateError}
   */
  diskUsage(isRunning: (directory: string) => boolean): DiskUsage {
    return diskUsage(this.#paths, isRunning);
  }

  /**
   * Begins work on the store: what the lease holds is removed by nobody. A pull holds one until its image
   * has its name; a push, until it has read all.
   */
  lease(signal?: AbortSignal): Promise<Lease> {
    return openLease(this.#paths, signal);
  }

  /** All that an image is made of, for a lease. */
  digests(image: Image): ReadonlySet<Digest> {
    return digestsOf(this.#paths, image);
  }

  /**
   * Where an image is written to: `load`, `import`, `commit`.
   *
   * @param word the name it gets in the end; undefined: none.
   * @throws {CrateError} `INVALID` when it is no reference.
   */
  async sink(word?: string, signal?: AbortSignal): Promise<StoreSink> {
    const name = word === undefined ? undefined : canonicalName(word);
    return storeSink(this.#paths, await this.lease(signal), name);
  }

  /** Whether a blob is there, with its size. */
  hasBlob(descriptor: Descriptor): boolean {
    return hasBlob(this.#paths, descriptor);
  }

  /** A blob that is there; from its beginning the stream checks it. @throws {CrateError} `NOT_FOUND` */
  blob(descriptor: Descriptor): ReadableStream<Uint8Array<ArrayBuffer>> {
    return blobStream(this.#paths, descriptor);
  }

  /** A blob's file, to go on writing; undefined when the blob is there. See {@linkcode Partial}. */
  partial(lease: Lease, blob: Descriptor, signal?: AbortSignal): Promise<Partial | undefined> {
    return openPartial(this.#paths, lease, blob, signal);
  }

  /** A file without a name, for what is on its way: a descriptor, the caller's to close. @throws {SyscallError} */
  temporary(): number {
    return temporaryFile(this.#paths);
  }

  /**
   * A layer's directory, to unpack into; undefined when the layer is there. See {@linkcode NewLayer}. Who
   * unpacks a layer while its blob comes takes the layer first, then the blob: so do all.
   */
  newLayer(lease: Lease, chainId: Digest, signal?: AbortSignal): Promise<NewLayer | undefined> {
    return openLayer(this.#paths, lease, chainId, signal);
  }

  /**
   * Waits until the layers have reached the disk. Those of a pull that ended without are unpacked again
   * when the power fails before the kernel has written them.
   */
  settle(): Promise<void> {
    return settleLayers(this.#paths);
  }

  /** Gives an image that was put a name; see {@linkcode StoreSink}. @throws {CrateError} */
  putName(word: string, descriptor: Descriptor): Promise<void> {
    return putName(this.#paths, canonicalName(word), descriptor);
  }

  /** Gives an image one more name. @throws {CrateError} */
  async tag(word: string, name: string): Promise<void> {
    const target = canonicalName(name);
    using lease = await this.lease();
    const { image } = this.find(word);
    await lease.hold(this.digests(image));
    await putName(this.#paths, target, this.find(image.descriptor.digest).image.descriptor);
  }

  /** Takes a name away; the image stays. @throws {CrateError} */
  removeName(word: string): Promise<void> {
    return removeName(this.#paths, canonicalName(word));
  }

  /** Removes a name or an image, `rmi`. @throws {CrateError} `NOT_FOUND`, `STATE` */
  remove(word: string, options: { readonly force?: boolean } = {}): Promise<Removed> {
    return removeImage(this.#paths, word, options);
  }

  /** Removes what is not used, `image prune`. @throws {CrateError} */
  prune(options: { readonly all?: boolean } = {}): Promise<Removed> {
    return pruneImages(this.#paths, options);
  }

  /** Removes what no image, container or command at work needs. @throws {CrateError} */
  collect(): Promise<Collected> {
    return collect(this.#paths);
  }

  /**
   * Keeps an image for a container, whose layers must all be there. The pin counts while the container's
   * directory is there; until it has been made, while it is not disposed of.
   *
   * @throws {CrateError} `NOT_FOUND` when a layer is missing: another command has removed it meanwhile.
   */
  pin(image: Image, container: Container): Promise<Pin> {
    return pin(this.#paths, pinRecord(image, container), () => {
      for (const chainId of contentOf(image).chainIds) {
        if (this.layer(chainId) === undefined) {
          throw new CrateError("NOT_FOUND", `layer ${chainId} of ${image.id} is not in the store`);
        }
      }
    });
  }

  /** What the next container of an image needs of the store, where one has it. */
  async ready(
    image: Image,
    container: Container,
    made: Parameters<typeof readyFiles>[2],
  ): Promise<ReadyFiles | undefined> {
    const { readyFiles } = await import("./ready.ts");
    return readyFiles(this.#paths, pinRecord(image, container), made);
  }

  /** Where a container's pin is. */
  pinPath({ directory }: Container): string {
    return pinPath(this.#paths, directory);
  }

  /** Directories for what a container of an image will write. */
  containerFiles(): ContainerFiles {
    return containerFiles(this.#paths);
  }

  /** Bytes on the disk that containers have written, by their state directories. */
  containerSizes(): ReadonlyMap<string, number> {
    return new Map(
      storedContainers(this.#paths).flatMap(({ directory, size }) =>
        directory === undefined ? [] : [[directory, size]]
      ),
    );
  }

  /** The image that a container is of, by that one's state directory. @throws {CrateError} */
  imageOf(directory: string): Digest | undefined {
    return readPins(this.#paths).find((pin) => pin.directory === directory)?.image;
  }

  /** Where a volume's content lies, whether it is there or not. @throws {CrateError} `INVALID` */
  volumePath(name: string): string {
    return volumePath(this.#paths, name);
  }

  /** All volumes, by name. @throws {CrateError} */
  volumes(): VolumeInfo[] {
    return listVolumes(this.#paths);
  }

  /** One volume; undefined when it is not there. @throws {CrateError} */
  volume(name: string): VolumeInfo | undefined {
    return findVolume(this.#paths, name);
  }

  /** Makes a volume; one that is there stays as it is. @throws {CrateError} */
  async createVolume(name: string, labels: Readonly<Record<string, string>> = {}): Promise<void> {
    await createVolume(this.#paths, name, labels);
  }

  /** A container is about to mount a volume; see {@linkcode takeVolume}. @throws {CrateError} */
  takeVolume(name: string, user: Owner, fill?: Fill): Promise<VolumeUse> {
    return takeVolume(this.#paths, name, user, fill);
  }

  /** Removes volumes; without names all that no container uses. @throws {CrateError} `NOT_FOUND`, `STATE` */
  removeVolumes(
    which: readonly string[] | ((name: string) => boolean),
  ): Promise<{ removed: readonly string[]; freed: number }> {
    return removeVolumes(this.#paths, which);
  }

  /**
   * A container gets another state directory.
   *
   * @param move gives it that; what it throws leaves all as it was.
   * @throws {CrateError}
   */
  async renamed<T>(from: string, to: string, move: () => T | Promise<T>): Promise<T> {
    const { renameContainer } = await import("./rename.ts");
    return await renameContainer(this.#paths, from, to, move);
  }

  /** The container is gone. @throws {CrateError} */
  unpin(directory: string): void {
    unpin(this.#paths, directory);
  }
}

function pinRecord(image: Image, { id, directory }: Container): PinRecord {
  const { manifest, configDescriptor, layers, chainIds } = contentOf(image);
  const documents = [image.descriptor, manifest, configDescriptor, ...layers];
  const digests = [...new Set([...documents.map(({ digest }) => digest), ...chainIds])];
  return { container: id, directory, image: image.id, digests };
}
