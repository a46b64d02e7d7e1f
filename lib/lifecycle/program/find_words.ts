// Words in texts and in bytes: for those who compare, too, and have no need of a program.

/** Where a word stands in a text. */
export interface Found {
  readonly at: number;
  readonly word: number;
}

/** Where words stand in a text: at one place the longest. */
export function findWords(text: string, words: readonly string[]): Found[] {
  if (words.length === 0) return [];
  const longest = words.toSorted((a, b) => b.length - a.length);
  const pattern = new RegExp(longest.map((word) => word.replace(/\W/g, "\\$&")).join("|"), "g");
  return [...text.matchAll(pattern)].map((match) => ({
    at: match.index,
    word: words.indexOf(match[0]),
  }));
}

/** Bytes as a text of as many characters. */
export function latin1(bytes: Uint8Array): string {
  return new TextDecoder("latin1").decode(bytes);
}
