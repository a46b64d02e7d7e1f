/** One way in which a server wants to be told who asks: RFC 9110, section 11. */
export interface Challenge {
  /** In lower case: `bearer`, `basic`. */
  readonly scheme: string;
  /** Names in lower case. */
  readonly parameters: ReadonlyMap<string, string>;
}

const MAX_HEADER = 16 << 10;
const TOKEN = /[!#$%&'*+\-.^_`|~0-9A-Za-z]+/y;
const TOKEN68 = /[A-Za-z0-9\-._~+/]+=*/y;
const SPACES = /[ \t]*/y;

/**
 * Reads the challenges of a `WWW-Authenticate` header. What does not follow the grammar ends it: the ones before
 * it count.
 *
 * @example
 * ```ts
 * import { parseChallenges } from "./challenge.ts";
 * const [one] = parseChallenges('Bearer realm="https://auth.example/token",service="r, 1"');
 * if (one?.parameters.get("service") !== "r, 1") throw new Error();
 * ```
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1
 */
export function parseChallenges(header: string): Challenge[] {
  const text = header.slice(0, MAX_HEADER);
  let at = 0;
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0];
    if (found !== undefined) at += found.length;
    return found;
  };
  const quoted = (): string | undefined => {
    let value = "";
    for (at++; at < text.length; at++) {
      const c = text[at]!;
      if (c === '"') {
        at++;
        return value;
      }
      value += c === "\\" ? text[++at] ?? "" : c;
    }
    return undefined;
  };

  const challenges: Challenge[] = [];
  let parameters: Map<string, string> | undefined;
  while (at < text.length) {
    take(SPACES);
    if (text[at] === ",") {
      at++;
      continue;
    }
    const word = take(TOKEN);
    if (word === undefined) break;
    const afterWord = at;
    take(SPACES);
    if (text[at] === "=" && parameters !== undefined) {
      at++;
      take(SPACES);
      const value = text[at] === '"' ? quoted() : take(TOKEN);
      if (value === undefined) break;
      const name = word.toLowerCase();
      if (!parameters.has(name)) parameters.set(name, value);
      continue;
    }
    parameters = new Map();
    challenges.push({ scheme: word.toLowerCase(), parameters });
    // A scheme may have one value without a name instead of parameters.
    const before = at;
    const value = at > afterWord ? take(TOKEN68) : undefined;
    take(SPACES);
    if (value === undefined || (at < text.length && text[at] !== ",")) at = before;
  }
  return challenges;
}
