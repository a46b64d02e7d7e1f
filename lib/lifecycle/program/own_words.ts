import {
  addressOf,
  AT_FDCWD,
  type Cell,
  encodeText,
  type Label,
  NEXT,
  O_CLOEXEC,
  O_RDONLY,
  placeIn,
  valueOf,
} from "../../../ffi/mod.ts";
import { type Execution, searched } from "./execute.ts";
import { EXECUTE } from "./protocol.ts";
import type { Scope } from "./scope.ts";

// Words that a program does not know, but its process is executed with.

/** The longest name of a file, and the longest path with its NUL, linux/limits.h. */
const NAME_MAX = 255;
const PATH_MAX = 4096;
const SLASH = "/".charCodeAt(0);

/** Opens what `forgetWords` reads; to be written where /dev is the host's. */
export function openZeros(s: Scope): Cell {
  const zeros = s.descriptor("zeros");
  const flags = O_RDONLY | O_CLOEXEC;
  s.p.call("openat", [AT_FDCWD, s.p.string("/dev/zero"), flags, 0], {
    result: zeros,
    negative: NEXT,
  });
  return zeros;
}

const CHUNK = 65536;

/**
 * Gives the process a name in place of the words and variables that it was executed with, which `ps` shows otherwise, and
 * which it needs no more: they are another one's. Where something of it cannot be done, they stay.
 */
export function forgetWords(s: Scope, name: string, zeros: Cell): void {
  const { p } = s;
  const pipe = p.variable("name's pipe", 8);
  const label = "forget the words";
  const at = s.descriptor("forgotten");
  const count = s.descriptor("count");
  const words = { own: "words", from: at } as const;
  const size = encodeText(name).length + 1;
  const [more, all, kept] = [s.label("more words"), s.label("all words"), s.label("kept words")];
  p.call("pipe2", [pipe, O_CLOEXEC], { label, negative: kept });
  p.call("write", [valueOf(pipe, 4), p.string(name), size], { label, negative: all });
  p.call("read", [valueOf(pipe), words, size], { label, negative: all });
  p.set(at, size);
  p.place(more);
  // Up to where the process has no memory any more.
  p.call("read", [valueOf(zeros), words, CHUNK], {
    label,
    result: count,
    zero: all,
    negative: all,
  });
  p.subtract(count, 0, valueOf(count));
  p.subtract(at, valueOf(at), valueOf(count));
  p.jump(more);
  p.place(all);
  for (const fd of [valueOf(pipe), valueOf(pipe, 4)]) {
    p.call("close", [fd], { label, negative: NEXT });
  }
  p.place(kept);
  p.call("close", [valueOf(zeros)], { label, negative: NEXT });
}

/** Where the words after the first so many begin, counted from the first one's beginning. */
export function skipOwnWords(s: Scope, count: number): Cell {
  const { p } = s;
  const [at, left] = [p.variable("at", 4), p.variable("words left", 4)];
  const nul = p.string("");
  const [next, end, begun] = [s.label("next letter"), s.label("its end"), s.label("the words")];
  p.set(left, count);
  p.place(next);
  const letter = s.label("letter");
  p.compare(nul, { own: "words", from: at }, 1, end, letter);
  p.place(letter);
  p.subtract(at, valueOf(at), -1);
  p.jump(next);
  p.place(end);
  p.subtract(at, valueOf(at), -1);
  p.compute(valueOf(left), 1, -1, { result: left, positive: next, zero: begun });
  p.place(begun);
  return at;
}

/**
 * As {@linkcode prepareExecution}, where the program's own process is executed with the arguments: they are known
 * when it runs. To be written where /proc is the host's. A name that is too long is too long for execve(2), too.
 */
export function prepareOwnExecution(s: Scope, env: readonly string[]): Execution {
  const { p } = s;
  const words = s.descriptor("own arguments");
  const byte = p.variable("byte", 4);
  const zeros = openZeros(s);
  const path = p.variable("path", PATH_MAX + 1);
  const found = searched(env).map((directory) => {
    const prefix = `${directory}/`;
    const size = encodeText(prefix).length;
    return { file: p.variable(prefix, size + NAME_MAX + 2, prefix), size };
  });
  const label = `${EXECUTE}its arguments`;
  p.call("openat", [AT_FDCWD, p.string("/proc/self/cmdline"), O_RDONLY | O_CLOEXEC, 0], {
    label,
    result: words,
  });
  const [next, isPath, isName, known] = ["next", "a path", "a name", "known"].map((name) =>
    s.label(name)
  ) as [Label, Label, Label, Label];
  p.place(next);
  p.call("read", [valueOf(words), byte, 1], { label, zero: isName });
  p.jumpIfEqual(valueOf(byte), SLASH, isPath);
  p.compute(valueOf(byte), 0, -1, { positive: next, zero: isName });
  p.place(isName);
  for (const { file, size } of found) {
    p.call("pread64", [valueOf(words), addressOf(file, size), NAME_MAX + 1, 0], { label });
  }
  p.jump(known);
  p.place(isPath);
  p.call("pread64", [valueOf(words), path, PATH_MAX, 0], { label });
  // Nothing is there under an empty name.
  for (const { file } of found) p.set(placeIn(file, 0), 0);
  p.place(known);
  p.call("close", [valueOf(words)]);
  return {
    files: [path, ...found.map(({ file }) => file)],
    argv: { own: "argv", from: 0 },
    forget: (name) => forgetWords(s, name, zeros),
    envp: p.pointers(env.map((variable) => p.string(variable)), `(${env.length} variables)`),
    label,
  };
}
