import type { ByteString } from "../tar/mod.ts";

/** Bytes of a name and of a path, linux/limits.h: NAME_MAX, PATH_MAX with its NUL. */
const NAME_MAX = 255;
const PATH_MAX = 4096;

/**
 * The names in a path, without empty ones and `.`; `a/..` is nothing, whatever `a` is.
 *
 * @returns what is wrong with it, as the end of a sentence, when it leads out of the root or is too long.
 */
export function splitPath(path: ByteString): ByteString[] | string {
  if (path.length >= PATH_MAX) return `has a path of ${path.length} bytes; Linux takes 4095`;
  const names: ByteString[] = [];
  for (const name of path.split("/")) {
    if (name === "" || name === ".") continue;
    if (name === "..") {
      if (names.pop() === undefined) return "leads out of the layer";
      continue;
    }
    if (name.length > NAME_MAX) return `has a name of ${name.length} bytes; Linux takes 255`;
    names.push(name);
  }
  return names;
}
