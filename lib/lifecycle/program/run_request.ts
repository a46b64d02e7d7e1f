import {
  type Cell,
  encodeText,
  F_GETFD,
  F_SETFD,
  FD_CLOEXEC,
  type Label,
  MFD_CLOEXEC,
  NEXT,
  O_CLOEXEC,
  type OwnVector,
  valueOf,
} from "../../../ffi/mod.ts";
import type { Text } from "./digits.ts";
import { readOwnCommand } from "./own_command.ts";
import { skipOwnWords } from "./own_words.ts";
import type { Scope } from "./scope.ts";
import { tryOthers } from "./try_others.ts";

/** What is asked for of a `crate run`, which is the same each time. */
export interface RunRequest {
  /** The words from `--root` on, each with a NUL behind it: all of them, or up to the command. */
  readonly words: Uint8Array;
  /** How many they are. */
  readonly count: number;
  /** Absent: there are no others. Else what comes after them is a command, whatever it is. */
  readonly command?: {
    /** One that is not absolute would be an image. */
    readonly isPath: boolean;
  };
  /** The settings of the environment, as scripts/verbs.sh has them. */
  readonly settings: Uint8Array;
  /** The directory in which it is asked. */
  readonly cwd: string;
  /** The files of programs for other requests. */
  readonly others: readonly string[];
}

/** The descriptor of the settings, from scripts/verbs.sh. */
const SETTINGS = 4;
/** In bytes; with more of them crate is asked. */
const MAX_SETTINGS = 4096;
/** How many words of the walking process's come before the request's: the loader and the launcher. */
const BEFORE = 2;

/** Where the command is among the process's words. */
export function commandAt({ count }: RunRequest): OwnVector {
  return { own: "argv", from: BEFORE + count };
}

/**
 * Goes on at another program when it is not this that is asked for, and at `ask` when there is none.
 *
 * @returns the command's JSON, where there is one.
 */
export function readRunRequest(s: Scope, request: RunRequest, ask: Label): Text | undefined {
  const { p } = s;
  const { words, command, settings, cwd, others } = request;
  const other = s.label("of other words");
  tryOthers(s, others, { other, ask });
  // Else what is opened next would be one of the three.
  for (const standard of [0, 1, 2]) p.call("fcntl", [standard, F_GETFD, 0], { negative: ask });
  p.call("fcntl", [SETTINGS, F_SETFD, FD_CLOEXEC], { negative: ask });
  const same = (known: Uint8Array, found: Cell | OwnVector, name: string, otherwise: Label) => {
    const label = s.label(`the same ${name}`);
    p.compare(p.bytes(known, name), found, known.length, label, otherwise);
    p.place(label);
  };
  const at = skipOwnWords(s, BEFORE);
  same(words, { own: "words", from: at }, "words", other);
  countWords(s, request, other);
  const read = s.descriptor("size");
  const exactly = (size: number, otherwise: Label) => {
    const as = s.label("as long");
    p.jumpIfEqual(valueOf(read), size, as);
    p.jump(otherwise);
    p.place(as);
  };
  const directory = encodeText(`${cwd}\0`);
  const found = p.variable("directory", directory.length);
  // Its size has the NUL in it; a longer one does not fit. getcwd(2)
  p.call("getcwd", [found, directory.length], { result: read, negative: other });
  exactly(directory.length, other);
  same(directory, found, "directory", other);
  const from = s.descriptor("command's beginning");
  if (command !== undefined) {
    p.subtract(from, valueOf(at), -words.length);
    requireCommand(s, from, command.isPath, other);
  }
  const set = p.variable("settings", MAX_SETTINGS);
  const otherSettings = s.label("other settings");
  p.call("read", [SETTINGS, set, MAX_SETTINGS], { result: read, negative: ask });
  exactly(settings.length, otherSettings);
  same(settings, set, "settings", otherSettings);
  putBack(s, { from: otherSettings, text: set, size: read }, { other, ask });
  return command && readOwnCommand(s, from, ask);
}

/** Whether a word is a command, and no option or image. */
function requireCommand(s: Scope, from: Cell, isPath: boolean, other: Label): void {
  const { p } = s;
  const first = { own: "words", from } as const;
  const command = s.label("a command");
  if (isPath) {
    p.compare(p.string("/"), first, 1, command, other);
  } else {
    const there = s.label("no empty word");
    p.compare(p.string(""), first, 1, other, there);
    p.place(there);
    p.compare(p.string("-"), first, 1, other, command);
  }
  p.place(command);
}

/** The settings come from a pipe: who reads them puts them into a file for the next one. */
function putBack(
  s: Scope,
  { from, text, size }: { readonly from: Label; readonly text: Cell; readonly size: Cell },
  { other, ask }: { readonly other: Label; readonly ask: Label },
): void {
  s.aside(() => {
    const { p } = s;
    const file = s.descriptor("settings' file");
    p.place(from);
    // There may be more of them.
    p.jumpIfEqual(valueOf(size), text.size, ask);
    p.call("memfd_create", [p.string("settings"), MFD_CLOEXEC], { result: file, negative: ask });
    p.call("write", [valueOf(file), text, valueOf(size)], { negative: ask });
    p.call("lseek", [valueOf(file), 0, 0], { negative: ask });
    p.call("dup3", [valueOf(file), SETTINGS, O_CLOEXEC], { negative: ask });
    p.call("close", [valueOf(file)], { negative: NEXT });
    p.jump(other);
  });
}

/**
 * Whether there are as many words, or more where a command comes after them. Those that are known must have been found:
 * they are the process's own and perhaps its variables, so that there are as many pointers.
 */
function countWords(s: Scope, { count, command }: RunRequest, other: Label): void {
  const { p } = s;
  const none = p.bytes(new Uint8Array(8), "no word");
  const at = (index: number) => ({ own: "argv", from: BEFORE + index }) as const;
  if (command === undefined) {
    const counted = s.label("counted");
    p.compare(none, at(count), 8, counted, other);
    p.place(counted);
    return;
  }
  for (let index = 0; index <= count; index++) {
    const there = s.label("another word");
    p.compare(none, at(index), 8, other, there);
    p.place(there);
  }
}
