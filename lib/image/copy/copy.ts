import {
  close,
  ELOOP,
  O_CLOEXEC,
  O_DIRECTORY,
  O_RDONLY,
  open_how,
  RESOLVE_BENEATH,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  syscall,
  trySyscall,
} from "../../../ffi/mod.ts";
import { tarOf, walkEntry, type WalkEvent, walkTree } from "../pack/mod.ts";
import { bytesOf, type ByteString, TarReader, textOf } from "../tar/mod.ts";
import { inflate, sniffed } from "../unpack/mod.ts";
import { type Owner, TreeMerger } from "./merge.ts";
import type { Place } from "./place.ts";
import { findSource, findTarget, type Source, type Target } from "./target.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** A path of one side. */
export interface End {
  readonly place: Place;
  readonly path: string;
}

/** How something is copied. */
export interface CopyOptions {
  /** A link that is named as the source is followed. */
  readonly follow?: boolean;
  /** Owners, set-id bits and capabilities are those of the source. */
  readonly archive?: boolean;
  /** Whom a copy belongs to, by its source's owner; undefined: to the caller. */
  readonly owner?: (uid: number, gid: number) => Owner | undefined;
  /** Told what is left out. */
  readonly warn: (message: string) => void;
}

/**
 * Copies a file or a directory from one side to the other, by docker's rules of what it is called there.
 *
 * @throws {CrateError} what was copied until then stays; a file that is not whole does not.
 */
export function copyFiles(from: End, to: End, options: CopyOptions): void {
  using stack = new DisposableStack();
  const source = findSource(from.place, from.path, options.follow ?? false);
  stack.adopt(source.fd, close);
  const target = findTarget(to.place, to.path, source);
  stack.adopt(target.fd, close);
  const merger = mergerFor(to, target, beneath(target.fd), options);
  const events = walked(from.place, source, target.name);
  try {
    for (const event of events) {
      if (event.type === "entry") merger.entry(event.entry);
      else if (event.type === "data") merger.data(event.bytes, event.offset);
      else merger.end();
    }
    merger.finish();
  } finally {
    merger.close();
  }
}

/**
 * Writes a file or a directory as an archive, whose owners are the container's.
 *
 * @throws {CrateError}
 */
export function packFiles(
  { place, path }: End,
  write: (bytes: Bytes) => void,
  { follow = false, owner }: CopyOptions,
): void {
  const source = findSource(place, path, follow);
  try {
    const events = walked(place, source, source.contents ? "." : source.name);
    for (const bytes of tarOf(owned(events, owner))) write(bytes);
  } finally {
    close(source.fd);
  }
}

/**
 * Unpacks an archive, plain or compressed, in a directory. Links that are there already are followed, in the container.
 *
 * @throws {CrateError} what was unpacked until then stays; a file that is not whole does not.
 */
export async function unpackFiles(
  chunks: AsyncIterable<Bytes>,
  to: End,
  options: CopyOptions,
): Promise<void> {
  const { place, path } = to;
  const fd = place.directory(path);
  if (fd === undefined) throw place.nothing(path, "directory");
  const strictly = beneath(fd);
  const open = (below: ByteString) => {
    const result = strictly(below);
    if (result !== -ELOOP) return result;
    return place.tryOpen(`${path}/${textOf(below)}`, O_RDONLY | O_DIRECTORY);
  };
  const merger = mergerFor(to, { fd, path }, open, options);
  try {
    const { compression, all } = await sniffed(chunks);
    const reader = new TarReader(merger);
    for await (const bytes of inflate(all, compression)) reader.push(bytes);
    reader.finish();
    merger.finish();
  } finally {
    merger.close();
    close(fd);
  }
}

function mergerFor(
  { place }: End,
  { path }: Target,
  open: (path: ByteString) => number,
  { archive = false, owner, warn }: CopyOptions,
): TreeMerger {
  const above = path === "" || path.endsWith("/") ? path : `${path}/`;
  return new TreeMerger({
    open: (below) => {
      const fd = open(below);
      return fd < 0 ? fd : place.require(fd, above + textOf(below));
    },
    shown: (below) => place.shown(above + below),
    archive,
    ...owner && { owner },
    warn,
  });
}

/** Opens directories below one, and never through a link: what stands in their place meanwhile leads nowhere. */
function beneath(base: number): (path: ByteString) => number {
  const how = open_how.pack({
    flags: O_RDONLY | O_DIRECTORY | O_CLOEXEC,
    resolve: RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
  });
  return (path) =>
    trySyscall("openat2", base, bytesOf(path === "" ? "." : path, 1), how, how.length);
}

/** What is met in a source, under a name or, without one, what is in it. */
function walked(
  place: Place,
  { fd }: Source,
  name: ByteString | undefined,
): Generator<WalkEvent> {
  const options = { enters: (mount: number) => place.refusal(mount) === undefined };
  if (name !== undefined) return walkEntry(fd, name, options);
  const directory = syscall("openat", fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
  return closing(walkTree(directory, options), directory);
}

function* closing(events: Generator<WalkEvent>, fd: number): Generator<WalkEvent> {
  try {
    yield* events;
  } finally {
    close(fd);
  }
}

/** With the owners that the archive is to tell. */
function* owned(
  events: Iterable<WalkEvent>,
  owner: CopyOptions["owner"] = () => undefined,
): Generator<WalkEvent> {
  for (const event of events) {
    const found = event.type === "entry" ? owner(event.entry.uid, event.entry.gid) : undefined;
    if (event.type !== "entry" || found === undefined) yield event;
    else yield { type: "entry", entry: { ...event.entry, uid: found.uid, gid: found.gid } };
  }
}
