import {
  addressOf,
  AT_FDCWD,
  type Cell,
  encodeText,
  type Label,
  MFD_CLOEXEC,
  NEXT,
  O_CLOEXEC,
  O_RDONLY,
  valueOf,
} from "../../../ffi/mod.ts";
import { MAX_COMMAND } from "./command_letters.ts";
import type { Text } from "./digits.ts";
import type { Scope } from "./scope.ts";

// A command that a program does not know, but its process is executed with, as JSON text. The letters are read one by one:
// a program can look at what stands at a place that it knows, and nowhere else.

/** What a letter may become. */
const WIDEST = 3;

/** How JSON has letters that it does not have as they are; the end of a word is the beginning of the next. RFC 8259, 7 */
const ESCAPES = [
  ["\0", '","'],
  ['"', '\\"'],
  ["\\", "\\\\"],
  ["\n", "\\n"],
  ["\t", "\\t"],
] as const;
const [FIRST, LAST] = [" ", "~"];
/** What comes after the last word's end. */
const TOO_MUCH = ',"'.length;

/**
 * Reads the process's own words up to the last one. Goes on at `ask` for a command that is too long, or has a letter that
 * is written in another way.
 *
 * @param from where they begin, counted from the first one's beginning.
 * @returns their JSON, without the bracket at its end.
 */
export function readOwnCommand(s: Scope, from: Cell, ask: Label): Text {
  const { p } = s;
  const words = p.variable("command", MAX_COMMAND + 1);
  const size = readWords(s, words, from, ask);
  const [letters, json] = [s.descriptor("letters"), s.descriptor("JSON")];
  for (const file of [letters, json]) {
    p.call("memfd_create", [p.string("command"), MFD_CLOEXEC], { result: file, negative: ask });
  }
  p.call("write", [valueOf(letters), words, valueOf(size)], { negative: ask });
  p.call("lseek", [valueOf(letters), 0, 0], { negative: ask });
  p.call("write", [valueOf(json), p.string('["'), 2], { negative: ask });
  writeEscaped(s, { words, letters, json }, ask);

  const text = p.variable("command's JSON", WIDEST * MAX_COMMAND + 4);
  const [base, length] = [p.variable("command's text", 4), p.variable("its length", 4)];
  p.call("pread64", [valueOf(json), text, text.size, 0], { result: length, negative: ask });
  p.subtract(length, valueOf(length), TOO_MUCH);
  p.set(base, text);
  for (const file of [letters, json]) p.call("close", [valueOf(file)], { negative: NEXT });
  return { base, length };
}

const codeOf = (letter: string) => letter.charCodeAt(0);

/** How many bytes the words have. */
function readWords(s: Scope, words: Cell, from: Cell, ask: Label): Cell {
  const { p } = s;
  const [file, size] = [s.descriptor("own words"), s.descriptor("command's size")];
  const fits = s.label("fits");
  p.call("openat", [AT_FDCWD, p.string("/proc/self/cmdline"), O_RDONLY | O_CLOEXEC, 0], {
    result: file,
    negative: ask,
  });
  p.call("pread64", [valueOf(file), words, words.size, valueOf(from)], {
    result: size,
    zero: ask,
    negative: ask,
  });
  p.call("close", [valueOf(file)], { negative: NEXT });
  p.compute(valueOf(size), words.size, -1, { negative: fits });
  p.jump(ask);
  p.place(fits);
  return size;
}

/** Copies the letters, those that are as they are in one piece. */
function writeEscaped(
  s: Scope,
  { words, letters, json }: Readonly<Record<"words" | "letters" | "json", Cell>>,
  ask: Label,
): void {
  const { p } = s;
  const [letter, base, length, instead, size] = [
    "letter",
    "piece",
    "its length",
    "written instead",
    "how much",
  ].map((name) => p.variable(name, 4)) as [Cell, Cell, Cell, Cell, Cell];
  const [next, put, end] = ["next letter", "put", "last letter"].map((name) => s.label(name)) as [
    Label,
    Label,
    Label,
  ];
  const escapes = ESCAPES.map(([code, text]) => ({ code, text, label: s.label(text) }));
  p.set(base, addressOf(words));
  p.place(next);
  p.call("read", [valueOf(letters), letter, 1], { zero: end, negative: ask });
  for (const { code, label } of escapes) p.jumpIfEqual(valueOf(letter), codeOf(code), label);
  p.compute(valueOf(letter), codeOf(FIRST), -1, { negative: ask });
  p.compute(codeOf(LAST), valueOf(letter), -1, { negative: ask });
  p.subtract(length, valueOf(length), -1);
  p.jump(next);

  for (const { text, label } of escapes) {
    p.place(label);
    p.set(instead, addressOf(p.string(text)));
    p.set(size, encodeText(text).length);
    p.jump(put);
  }
  p.place(put);
  p.call("write", [valueOf(json), valueOf(base), valueOf(length)], { negative: ask });
  p.call("write", [valueOf(json), valueOf(instead), valueOf(size)], { negative: ask });
  // What was read, and the letter.
  const back = p.variable("way back", 4);
  p.subtract(back, -1, valueOf(length));
  p.subtract(base, valueOf(base), valueOf(back));
  p.set(length, 0);
  p.jump(next);
  p.place(end);
}
