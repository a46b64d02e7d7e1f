import {
  addressOf,
  type Cell,
  F_GETFD,
  F_SETFD,
  FD_CLOEXEC,
  type Label,
  MFD_CLOEXEC,
  placeIn,
  valueOf,
} from "../../../ffi/mod.ts";
import { skipOwnWords } from "./own_words.ts";
import type { Scope } from "./scope.ts";
import { tryOthers } from "./try_others.ts";
import type { Word } from "./words.ts";

// What an engine asks for when it creates a container: its own words, as scripts/verbs.sh has them, and the config. Both
// together are the request; those of one kind differ in a few words, which are as long in each.

/** The descriptor of the config, from scripts/verbs.sh. */
const CONFIG = 4;
/** How many words of the walking process's come before the request's: the loader and the launcher. */
const BEFORE = 2;

/** A word that is another one in each request. */
export interface Hole {
  readonly text: string;
  /** Where it stands, in order. */
  readonly places: readonly number[];
  /** It is part of another one, which begins so many bytes before it. */
  readonly within?: { readonly hole: number; readonly after: number };
}

/** The last request of a kind. */
export interface CreateRequest {
  readonly bytes: Uint8Array;
  /** How many of them are the engine's words, each with a NUL behind it. */
  readonly words: number;
  readonly holes: readonly Hole[];
  /** The files of programs for other kinds, that are tried for a request of another one. */
  readonly others: readonly string[];
  /** The note of this kind, whose time tells when a container of it was created last. */
  readonly note: string;
}

/** What a word has, in the order of ASCII: no quote ends it, and no slash makes it two parts of a path. */
const LETTERS = [[".", "."], ["0", ":"], ["A", "Z"], ["a", "z"]] as const;

/**
 * Reads the request, and goes on at `ask` when it is of another kind.
 *
 * @returns its file, and its words.
 */
export function readRequest(
  s: Scope,
  { bytes, words: size, holes, others }: CreateRequest,
  ask: Label,
): { readonly fd: Cell; readonly words: readonly Word[] } {
  const { p } = s;
  const { length } = bytes;
  const other = s.label("of another kind");
  tryOthers(s, others, { other, ask, rewind: CONFIG });
  const fd = s.descriptor("request");
  const text = p.variable("request's text", length + 1);
  const last = p.bytes(bytes, "the last request");
  // Else what is opened next would be one of the three.
  for (const standard of [0, 1, 2]) p.call("fcntl", [standard, F_GETFD, 0], { negative: ask });
  p.call("fcntl", [CONFIG, F_SETFD, FD_CLOEXEC], { negative: ask });
  const count = s.descriptor("count");
  const exactly = (expected: number) => {
    const as = s.label("as long");
    p.jumpIfEqual(valueOf(count), expected, as);
    p.jump(other);
    p.place(as);
  };
  p.call("read", [CONFIG, addressOf(text, size), length - size + 1], {
    result: count,
    negative: ask,
  });
  exactly(length - size);
  p.call("memfd_create", [p.string("request"), MFD_CLOEXEC], { result: fd, negative: ask });
  const at = skipOwnWords(s, BEFORE);
  p.call("write", [valueOf(fd), { own: "words", from: at }, size], {
    result: count,
    negative: ask,
  });
  exactly(size);
  p.call("pread64", [valueOf(fd), text, size, 0], { negative: ask });
  p.call("write", [valueOf(fd), addressOf(text, size), length - size], {
    result: count,
    negative: ask,
  });
  exactly(length - size);

  const compare = (from: number, to: number, size: number, against = last) => {
    const same = s.label("the same");
    p.compare(addressOf(text, from), addressOf(against, to), size, same, other);
    p.place(same);
  };
  let end = 0;
  const places = holes.flatMap(({ text, places }) =>
    places.map((at) => ({ at, size: text.length }))
  );
  for (const { at, size } of places.toSorted((a, b) => a.at - b.at)) {
    if (at > end) compare(end, end, at - end);
    end = at + size;
  }
  if (length > end) compare(end, end, length - end);
  for (const { text: word, places: [first, ...more], within } of holes) {
    for (const at of more) compare(at, first!, word.length, text);
    if (within !== undefined) {
      compare(first!, holes[within.hole]!.places[0]! + within.after, word.length, text);
    }
    checkLetters(s, fd, first!, word.length, other);
  }
  return {
    fd,
    words: holes.map(({ text: word, places: [first] }) => ({
      text: word,
      place: placeIn(text, first!),
      at: first!,
    })),
  };
}

/** Goes on at `ask` for a word with anything else than words have: then the config is as it looks. */
function checkLetters(s: Scope, fd: Cell, from: number, size: number, ask: Label): void {
  const { p } = s;
  const [byte, at, left] = ["letter", "at", "left"].map((name) => p.variable(name, 4)) as [
    Cell,
    Cell,
    Cell,
  ];
  const [next, good] = [s.label("next letter"), s.label("good letter")];
  p.set(at, from);
  p.set(left, size);
  p.place(next);
  p.call("pread64", [valueOf(fd), byte, 1, valueOf(at)], { negative: ask });
  for (const [first, last] of LETTERS) {
    const above = s.label(`above ${last}`);
    p.compute(valueOf(byte), first.charCodeAt(0), -1, { negative: ask });
    p.compute(valueOf(byte), last.charCodeAt(0), -1, {
      negative: good,
      zero: good,
      positive: above,
    });
    p.place(above);
  }
  p.jump(ask);
  p.place(good);
  p.subtract(at, valueOf(at), -1);
  p.compute(valueOf(left), 1, -1, { result: left, positive: next });
}
