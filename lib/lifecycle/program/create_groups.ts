import {
  AT_FDCWD,
  AT_REMOVEDIR,
  type Cell,
  encodeText,
  type Label,
  NEXT,
  O_CLOEXEC,
  O_DIRECTORY,
  O_RDONLY,
  O_WRONLY,
  valueOf,
} from "../../../ffi/mod.ts";
import { attachSteps } from "../../cgroup/mod.ts";
import { NEWLINE } from "./lines.ts";
import type { Scope } from "./scope.ts";
import type { Words } from "./words.ts";

/** The groups of a container that a program makes, as they were made for the last one of its kind. */
export interface CreateGroups {
  /** In every hierarchy, below groups that are there. */
  readonly directories: readonly string[];
  /** The v1 cpuset among them, and the one above it. */
  readonly cpuset?: { readonly own: string; readonly above: string };
  /** The v2 group's list of controllers, and what must stand in it. */
  readonly controllers?: { readonly file: string; readonly text: string };
  readonly writes: readonly { readonly file: string; readonly value: string }[];
  /** The v2 group, and its device allow-list. */
  readonly devices?: { readonly group: string; readonly program: Uint8Array };
  /** The v2 group that the container is cloned into. */
  readonly join?: string;
}

/** What `makeGroups` has made. */
export interface MadeGroups {
  /** The v2 group's descriptor. */
  readonly descriptor?: Cell;
  /** Steps that remove all groups begin here, and go on at `removed`. */
  readonly remove: Label;
  readonly removed: Label;
}

/** Longer than any list of processors. */
const SET_MAX = 4096;

/** As `createCgroup`, of groups that are not there. @param failed where to go on when there are none, and nothing else is to be undone. */
export function makeGroups(
  s: Scope,
  groups: CreateGroups,
  own: Words,
  failed: Label,
): MadeGroups {
  const { p } = s;
  const removed = s.label("groups removed");
  // What was made is removed from the last on; another container's group that is in the way stays.
  let undo = failed;
  const made: { readonly undo: Label; readonly directory: Cell }[] = [];
  for (const path of groups.directories) {
    const directory = own.string(path);
    p.call("mkdirat", [AT_FDCWD, directory, 0o755], { negative: undo });
    undo = s.label(`remove ${path}`);
    made.push({ undo, directory });
  }
  const remove = undo;
  s.aside(() => {
    for (const { undo, directory } of made.toReversed()) {
      p.place(undo);
      p.call("unlinkat", [AT_FDCWD, directory, AT_REMOVEDIR], { negative: NEXT });
    }
    p.jump(removed);
  });
  if (groups.cpuset !== undefined) inheritCpuset(s, groups.cpuset, own, remove);
  if (groups.controllers !== undefined) {
    const { file, text } = groups.controllers;
    const bytes = encodeText(text);
    const found = p.variable("controllers", bytes.length + 1);
    const count = s.descriptor("their length");
    const [whole, same] = [s.label("as long"), s.label("the same controllers")];
    const fd = openFile(s, own.string(file), O_RDONLY, remove);
    p.call("read", [valueOf(fd), found, bytes.length + 1], { result: count, negative: remove });
    p.call("close", [valueOf(fd)], { negative: NEXT });
    p.jumpIfEqual(valueOf(count), bytes.length, whole);
    p.jump(remove);
    p.place(whole);
    p.compare(found, p.bytes(bytes, text), bytes.length, same, remove);
    p.place(same);
  }
  writeAll(s, groups.writes, own, remove);
  if (groups.devices !== undefined) {
    attachSteps(p, own.string(groups.devices.group), groups.devices.program, remove);
  }
  const descriptor = groups.join === undefined
    ? undefined
    : openFile(s, own.string(groups.join), O_RDONLY | O_DIRECTORY, remove);
  return { descriptor, remove, removed };
}

function openFile(s: Scope, path: Cell, flags: number, failed: Label): Cell {
  const fd = s.descriptor("file");
  s.p.call("openat", [AT_FDCWD, path, flags | O_CLOEXEC, 0], { result: fd, negative: failed });
  return fd;
}

/** As `inheritCpuset`, from a group above that has its sets. */
function inheritCpuset(
  s: Scope,
  { own, above }: NonNullable<CreateGroups["cpuset"]>,
  words: Words,
  failed: Label,
): void {
  const { p } = s;
  const byte = p.variable("its first byte", 4);
  const [empty, full] = [s.label("empty"), s.label("has its sets")];
  const looked = openFile(s, words.string(`${own}/cpuset.cpus`), O_RDONLY, failed);
  p.call("read", [valueOf(looked), byte, 1], { negative: failed });
  p.call("close", [valueOf(looked)], { negative: NEXT });
  p.jumpIfEqual(valueOf(byte), NEWLINE, empty);
  p.jump(full);
  p.place(empty);
  for (const name of ["cpuset.cpus", "cpuset.mems"]) {
    const set = p.variable("set", SET_MAX);
    const size = s.descriptor("its size");
    const from = openFile(s, words.string(`${above}/${name}`), O_RDONLY, failed);
    p.call("read", [valueOf(from), set, SET_MAX], { result: size, negative: failed });
    p.call("close", [valueOf(from)], { negative: NEXT });
    const to = openFile(s, words.string(`${own}/${name}`), O_WRONLY, failed);
    p.call("write", [valueOf(to), set, valueOf(size)], { negative: failed });
    p.call("close", [valueOf(to)], { negative: NEXT });
  }
  p.place(full);
}

/** As `writeSettings`. */
function writeAll(s: Scope, writes: CreateGroups["writes"], own: Words, failed: Label): void {
  const { p } = s;
  let fd: Cell | undefined;
  let open = "";
  const close = () => {
    if (fd !== undefined) p.call("close", [valueOf(fd)], { negative: NEXT });
  };
  for (const { file, value } of writes) {
    if (file !== open) {
      close();
      fd = openFile(s, own.string(file), O_WRONLY, failed);
      open = file;
    }
    const { length } = encodeText(value);
    p.call("write", [valueOf(fd!), own.string(value), length], { negative: failed });
  }
  close();
}
