import {
  addressOf,
  type Argument,
  AT_FDCWD,
  type GuardedFile,
  type Label,
  NEXT,
  O_CLOEXEC,
  O_RDONLY,
  S_IFCHR,
  S_IFDIR,
  S_IFMT,
  STATX_BASIC_STATS,
  statx_layout,
  valueOf,
} from "../../../ffi/mod.ts";
import { IDENTITY, STATX_MNT_ID } from "./mount_identity.ts";
import type { Scope } from "./scope.ts";
import type { Words } from "./words.ts";

// What of the host a container was compiled for, looked at again by a program that makes another one of its kind.

/** What of the host was so when the last container of the kind was made, and must be so again. */
export interface WalkedHost {
  /** Directories, and what statx(2) tells of each at {@linkcode IDENTITY}. */
  readonly mounts: readonly { readonly path: string; readonly identity: readonly Uint8Array[] }[];
  readonly directories: readonly string[];
  readonly files: readonly string[];
  /** /dev/null is to be what it is called. */
  readonly null: boolean;
  /** Whether it has swap, where that makes a difference. */
  readonly swap?: boolean;
}

const STATX_SIZE = 256;
const RDEV = 0x80;

/** Goes on at `ask` when the host is not as it was. */
export function checkHost(s: Scope, host: WalkedHost, own: Words, ask: Label): void {
  const { p } = s;
  const status = p.variable("status", STATX_SIZE);
  const look = (path: string, mask = STATX_BASIC_STATS) =>
    p.call("statx", [AT_FDCWD, own.string(path), 0, mask, status], { negative: ask });
  const kind = p.variable("kind", 4);
  const mode = () =>
    p.compute(valueOf(status, statx_layout.offset("stx_mode")), 0, S_IFMT, { result: kind });
  for (const { path, identity } of host.mounts) {
    look(path, STATX_BASIC_STATS | STATX_MNT_ID);
    IDENTITY.forEach(({ from }, i) => same(s, addressOf(status, from), identity[i]!, ask));
  }
  for (const path of host.directories) {
    const is = s.label("a directory");
    look(path);
    mode();
    p.jumpIfEqual(valueOf(kind), S_IFDIR, is);
    p.jump(ask);
    p.place(is);
  }
  for (const path of host.files) {
    look(path);
    mode();
    p.jumpIfEqual(valueOf(kind), S_IFDIR, ask);
  }
  if (host.swap !== undefined) checkSwap(s, host.swap, ask);
  if (!host.null) return;
  const is = s.label("a device");
  look("/dev/null");
  mode();
  p.jumpIfEqual(valueOf(kind), S_IFCHR, is);
  p.jump(ask);
  p.place(is);
  same(s, addressOf(status, RDEV), new Uint8Array([1, 0, 0, 0, 3, 0, 0, 0]), ask);
}

/** Goes on at `other` when a file is not as it was. */
export function checkFiles(s: Scope, guards: readonly GuardedFile[], other: Label): void {
  const { p } = s;
  const status = p.variable("status", STATX_SIZE);
  for (const { path, identity } of guards) {
    const absent = s.label("not there");
    p.call("statx", [AT_FDCWD, p.string(path), 0, STATX_BASIC_STATS, status], {
      negative: identity === undefined ? absent : other,
    });
    if (identity === undefined) p.jump(other);
    else for (const { at, bytes } of identity) same(s, addressOf(status, at), bytes, other);
    p.place(absent);
  }
}

/** Goes on at the next step when the same bytes stand there. */
export function same(s: Scope, found: Argument, bytes: Uint8Array, other: Label): void {
  const label = s.label("the same");
  s.p.compare(found, s.p.bytes(bytes), bytes.length, label, other);
  s.p.place(label);
}

/** What /proc/swaps begins with, and is where there is none. proc(5) */
const NO_SWAP = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n".length;

function checkSwap(s: Scope, isThere: boolean, ask: Label): void {
  const { p } = s;
  const [fd, count] = [s.descriptor("swaps"), s.descriptor("their text's length")];
  const text = p.variable("swaps", NO_SWAP + 1);
  const [none, some] = [s.label("no swap"), s.label("some swap")];
  const flags = O_RDONLY | O_CLOEXEC;
  p.call("openat", [AT_FDCWD, p.string("/proc/swaps"), flags, 0], { result: fd, negative: ask });
  p.call("read", [valueOf(fd), text, NO_SWAP + 1], { result: count, negative: ask });
  p.call("close", [valueOf(fd)], { negative: NEXT });
  p.jumpIfEqual(valueOf(count), NO_SWAP + 1, some);
  if (isThere) p.jump(ask);
  else p.jump(none);
  p.place(some);
  if (!isThere) p.jump(ask);
  p.place(none);
}
