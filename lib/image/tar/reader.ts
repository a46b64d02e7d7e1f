import { CrateError } from "../../errors.ts";
import { type ByteString, quoted } from "./bytes.ts";
import {
  BLOCK,
  type TarEntry,
  type TarHandler,
  type TarLimits,
  type TarType,
  withDefaults,
} from "./entry.ts";
import { entryOf, nameIn, pathOf, roundedUp, TYPE, typeOf } from "./member.ts";
import { blockSum, type Header, isZero, readHeader, signedBlockSum } from "./header.ts";
import { parsePax, type PaxHeader } from "./pax.ts";
import { addOldPieces, checkMap, MapReader, SparseContent } from "./sparse.ts";

/** What the next byte belongs to. */
const HEADER = 0;
const CONTENT = 1;
const PADDING = 2;
/** The content of a member that says something of the next one. */
const META = 3;
/** Blocks of GNU's old sparse map, behind the header. */
const OLD_MAP = 4;
/** The sparse map before the content. */
const MAP = 5;
const END = 6;
const FAILED = 7;

/**
 * Reads an archive that is pushed to it in pieces of any size: v7, ustar, pax, star and GNU tar's formats, with
 * long names, sparse files and extended attributes. What it is given is believed in nothing: every
 * number is checked and everything that is kept has a limit.
 *
 * Where readers differ it goes with Go's archive/tar, which docker, podman and containerd unpack with: links,
 * devices and directories have no content whatever their size says; one block of zeros and then something
 * else is an error; two end the archive, and what follows is ignored; an archive may end without. A global
 * pax header is read past.
 *
 * @example
 * ```ts
 * import { TarReader } from "./reader.ts";
 * const names: string[] = [];
 * const reader = new TarReader({ entry: (e) => void names.push(e.path), data() {}, end() {} });
 * reader.push(new Uint8Array(1024));
 * reader.finish();
 * if (names.length !== 0) throw new Error();
 * ```
 *
 * @see https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html
 * @see https://www.gnu.org/software/tar/manual/html_node/Tar-Internals.html
 */
export class TarReader {
  readonly #handler: TarHandler;
  readonly #limits: Required<TarLimits>;
  #state = HEADER;
  /** Where in the archive the chunk at hand begins, and how much of it is done. */
  #base = 0;
  #at = 0;
  /** A block that did not come in one piece. */
  readonly #block = new Uint8Array(BLOCK);
  #have = 0;
  /** Bytes of content still to come, and of padding behind it. */
  #left = 0;
  #padding = 0;
  /** The position in the file of the next byte of content. */
  #offset = 0;
  #zeroBlocks = 0;
  #entries = 0;
  /** The member at hand; undefined between two. */
  #member: TarEntry | undefined;
  /** A sparse member whose map is still being read. */
  #header: Header | undefined;
  #map: number[] | undefined;
  #sparse: SparseContent | undefined;
  #mapReader: MapReader | undefined;

  /** The content of META, and the type of that member. */
  #meta = new Uint8Array(0);
  #metaHave = 0;
  #metaType = 0;
  #pax: PaxHeader | undefined;
  #longPath: ByteString | undefined;
  #longLink: ByteString | undefined;

  constructor(handler: TarHandler, limits: TarLimits = {}) {
    this.#handler = handler;
    this.#limits = withDefaults(limits);
  }

  /**
   * How many bytes of the archive are read so far. While `entry` is called: where the member's stored
   * content begins.
   */
  get position(): number {
    return this.#base + this.#at;
  }

  /** Whether the archive's end marker was there: whatever else is pushed is ignored. */
  get ended(): boolean {
    return this.#state === END;
  }

  /**
   * Reads the next piece of the archive. The handler is called meanwhile.
   *
   * @throws {CrateError} `INVALID`: not a tar archive, or one that breaks the rules; what the handler throws. The
   * reader is of no more use then.
   */
  push(chunk: Uint8Array<ArrayBuffer>): void {
    if (this.#state === FAILED) throw this.#invalid("it was found to be broken before");
    try {
      this.#read(chunk);
    } catch (error) {
      this.#state = FAILED;
      throw error;
    }
    this.#base += chunk.length;
    this.#at = 0;
  }

  /**
   * Passes over what is left of the present member's content, for who can seek: its `end` comes now. Not to be
   * called from the handler.
   *
   * @returns how many bytes not to push.
   */
  skip(): number {
    if (this.#state !== CONTENT && this.#state !== PADDING) return 0;
    const bytes = this.#left + this.#padding;
    this.#base += bytes;
    this.#left = this.#padding = 0;
    if (this.#state === CONTENT) this.#endMember();
    this.#state = HEADER;
    return bytes;
  }

  /** The archive has no more bytes. @throws {CrateError} `INVALID` when some are missing. */
  finish(): void {
    const whole = this.#state === END ||
      (this.#state === HEADER && this.#have === 0 && !this.#expectsMember());
    // The last member's padding may be missing, as it may for Go.
    if (whole || this.#state === PADDING && this.#member === undefined && !this.#expectsMember()) {
      this.#state = END;
      return;
    }
    const failed = this.#state === FAILED;
    this.#state = FAILED;
    throw this.#invalid(failed ? "it was found to be broken before" : "the archive ends too early");
  }

  #expectsMember(): boolean {
    return this.#pax !== undefined || this.#longPath !== undefined || this.#longLink !== undefined;
  }

  #read(chunk: Uint8Array<ArrayBuffer>): void {
    const end = chunk.length;
    while (this.#at < end) {
      const at = this.#at;
      switch (this.#state) {
        case HEADER:
        case OLD_MAP: {
          let block = chunk;
          let start = at;
          if (this.#have > 0 || end - at < BLOCK) {
            const part = Math.min(BLOCK - this.#have, end - at);
            this.#block.set(chunk.subarray(at, at + part), this.#have);
            this.#have += part;
            this.#at += part;
            if (this.#have < BLOCK) return;
            this.#have = 0;
            block = this.#block;
            start = 0;
          } else {
            this.#at += BLOCK;
          }
          if (this.#state === HEADER) this.#headerBlock(block, start);
          else this.#oldMapBlock(block, start);
          break;
        }
        case CONTENT: {
          const part = Math.min(this.#left, end - at);
          this.#at += part;
          this.#left -= part;
          if (this.#sparse === undefined) {
            const offset = this.#offset;
            this.#offset += part;
            this.#handler.data(chunk.subarray(at, at + part), offset);
          } else {
            const handler = this.#handler;
            this.#sparse.push(chunk, at, at + part, (piece, offset) => handler.data(piece, offset));
          }
          if (this.#left === 0) this.#endMember();
          break;
        }
        case PADDING: {
          const part = Math.min(this.#padding, end - at);
          this.#at += part;
          this.#padding -= part;
          if (this.#padding === 0) this.#state = HEADER;
          break;
        }
        case META: {
          const part = Math.min(this.#left, end - at);
          this.#at += part;
          this.#left -= part;
          if (this.#metaHave === 0 && this.#left === 0) {
            this.#metaComplete(chunk, at, at + part);
            break;
          }
          this.#meta.set(chunk.subarray(at, at + part), this.#metaHave);
          this.#metaHave += part;
          if (this.#left === 0) this.#metaComplete(this.#meta, 0, this.#metaHave);
          break;
        }
        case MAP: {
          const reader = this.#mapReader!;
          const stop = Math.min(end, at + this.#left);
          this.#at = this.#checked(() => reader.push(chunk, at, stop));
          this.#left -= this.#at - at;
          if (reader.done) this.#sparseMember(reader.map);
          else if (this.#left === 0) throw this.#invalid("its sparse map is cut off");
          break;
        }
        default:
          this.#at = end;
      }
    }
  }

  #headerBlock(block: Uint8Array, start: number): void {
    const sum = blockSum(block, start);
    if (isZero(block, start, sum)) {
      if (++this.#zeroBlocks === 2) {
        if (this.#expectsMember()) {
          throw this.#invalid("a header that tells of a next member, and no next one");
        }
        this.#state = END;
      }
      return;
    }
    if (this.#zeroBlocks > 0) throw this.#invalid("a block of zeros between two members");
    const header = readHeader(block, start);
    if (header.checksum !== sum && header.checksum !== signedBlockSum(block, start)) {
      throw this.#invalid("not a tar archive, or damaged: a header with a wrong checksum");
    }
    this.#header = header;
    const { type, size } = header;
    if (!(size >= 0)) throw this.#invalid("its size is not a number");
    switch (type) {
      case TYPE.pax:
      case TYPE.globalPax:
      case TYPE.longPath:
      case TYPE.longLink:
        this.#beginMeta(type, size);
        return;
      case TYPE.volumeName:
        // The archive's own label, of GNU tar's -V: not a file.
        this.#padding = roundedUp(size);
        this.#state = this.#padding > 0 ? PADDING : HEADER;
        this.#header = undefined;
        return;
      case TYPE.oldSparse: {
        const map: number[] = [];
        this.#map = map;
        this.#checked(() => addOldPieces(map, block, start + 386, 4, this.#limits.sparsePieces));
        if (header.isExtended) this.#state = OLD_MAP;
        else this.#sparseMember(map);
        return;
      }
      default:
        this.#beginMember(header);
    }
  }

  #oldMapBlock(block: Uint8Array, start: number): void {
    const map = this.#map!;
    this.#checked(() => addOldPieces(map, block, start, 21, this.#limits.sparsePieces));
    if (block[start + 504] === 0) this.#sparseMember(map);
  }

  #beginMeta(type: number, size: number): void {
    const isPax = type === TYPE.pax || type === TYPE.globalPax;
    const what = isPax ? "pax header" : "name";
    const limit = isPax ? this.#limits.paxHeader : this.#limits.path + 1;
    if (size > limit) throw this.#invalid(`a ${what} of ${size} bytes; at most ${limit} are read`);
    this.#metaType = type;
    this.#metaHave = 0;
    if (this.#meta.length < size) this.#meta = new Uint8Array(Math.max(size, 4096));
    this.#left = size;
    this.#padding = roundedUp(size) - size;
    this.#state = META;
    if (size === 0) this.#metaComplete(this.#meta, 0, 0);
  }

  #metaComplete(bytes: Uint8Array, start: number, end: number): void {
    switch (this.#metaType) {
      case TYPE.pax:
        this.#pax = this.#checked(() => parsePax(bytes, start, end, this.#limits));
        break;
      case TYPE.globalPax:
        this.#checked(() => parsePax(bytes, start, end, this.#limits));
        // A member of its own for Go, passed over with what was said before it.
        this.#pax = this.#longPath = this.#longLink = undefined;
        break;
      default: {
        const name = nameIn(bytes, start, end);
        if (this.#metaType === TYPE.longPath) this.#longPath = name;
        else this.#longLink = name;
      }
    }
    this.#header = undefined;
    this.#state = this.#padding > 0 ? PADDING : HEADER;
  }

  #beginMember(header: Header): void {
    const pax = this.#pax;
    const type = this.#checked(() => typeOf(this.#described(header)));
    const stored = type === "file" ? pax?.size ?? header.size : 0;
    this.#left = stored;
    this.#padding = roundedUp(stored) - stored;
    const sparse = type === "file" ? pax?.sparse : undefined;
    if (sparse === undefined) {
      this.#emit(type, stored);
    } else if (sparse.major === "1" && sparse.minor === "0") {
      this.#mapReader = new MapReader(this.#limits.sparsePieces);
      this.#state = MAP;
      if (stored === 0) throw this.#invalid("its sparse map is missing");
    } else if (sparse.map !== undefined) {
      this.#sparseMember(sparse.map);
    } else if (sparse.major === undefined || sparse.major === "0") {
      // Only a name or size: the content is whole.
      this.#emit(type, stored);
    } else {
      throw this.#invalid(`a sparse file of an unknown version, ${quoted(sparse.major)}`);
    }
  }

  /** The map of a sparse file is complete. */
  #sparseMember(map: number[]): void {
    const header = this.#header!;
    const pax = this.#pax;
    const isOld = header.type === TYPE.oldSparse;
    const size = isOld ? header.realSize : pax?.sparse?.size ?? NaN;
    if (isOld) {
      const stored = pax?.size ?? header.size;
      this.#left = stored;
      this.#padding = roundedUp(stored) - stored;
    }
    if (!(size >= 0)) throw this.#invalid("a sparse file without a size");
    this.#checked(() => checkMap(map, size, this.#left));
    this.#sparse = new SparseContent(map);
    this.#emit("file", size);
  }

  #described(header: Header) {
    return { header, pax: this.#pax, longPath: this.#longPath, longLink: this.#longLink };
  }

  #emit(type: TarType, size: number): void {
    const header = this.#header!;
    if (++this.#entries > this.#limits.entries) {
      throw this.#invalid(`more than ${this.#limits.entries} members`);
    }
    const entry = this.#checked(() =>
      entryOf(this.#described(header), type, size, this.#limits.path)
    );
    this.#member = entry;
    this.#header = this.#pax = undefined;
    this.#longPath = this.#longLink = undefined;
    this.#offset = 0;
    this.#handler.entry(entry);
    if (this.#left === 0) this.#endMember();
    else this.#state = CONTENT;
  }

  #endMember(): void {
    this.#handler.end();
    this.#member = undefined;
    this.#sparse = undefined;
    this.#state = this.#padding > 0 ? PADDING : HEADER;
  }

  /** Runs what throws a sentence without a place, and adds the place. */
  #checked<T>(run: () => T): T {
    try {
      return run();
    } catch (error) {
      if (error instanceof CrateError) throw this.#invalid(error.message);
      throw error;
    }
  }

  #invalid(what: string): CrateError {
    const header = this.#header;
    const path = this.#member?.path ??
      (header === undefined ? undefined : pathOf(this.#described(header)));
    const place = path === undefined ? `at byte ${this.position}` : `member ${quoted(path)}`;
    return new CrateError("INVALID", `tar archive, ${place}: ${what}`);
  }
}
