import {
  arch,
  AT_FDCWD,
  type Label,
  mapAgain,
  MAPPED_FILE,
  O_CLOEXEC,
  O_NONBLOCK,
  O_RDONLY,
  valueOf,
} from "../../../ffi/mod.ts";
import type { Scope } from "./scope.ts";

/**
 * Programs for requests of several kinds, of which the first that is there is walked: each goes on at the next one.
 *
 * @param files those of the next ones.
 * @param other where steps go on that see a request of another kind.
 * @param rewind a descriptor of which something has been read.
 */
export function tryOthers(
  s: Scope,
  files: readonly string[],
  { other, ask, rewind }: { readonly other: Label; readonly ask: Label; readonly rewind?: number },
): void {
  s.aside(() => {
    const { p } = s;
    const fd = s.descriptor("another file");
    const found = s.label("found");
    p.place(other);
    if (rewind !== undefined) p.call("lseek", [rewind, 0, 0], { negative: ask });
    for (const file of files) {
      const next = s.label("next file");
      const flags = O_RDONLY | O_NONBLOCK | O_CLOEXEC;
      p.call("openat", [AT_FDCWD, p.string(file), flags, 0], {
        result: fd,
        negative: next,
        zero: found,
        positive: found,
      });
      p.place(next);
    }
    p.jump(ask);
    p.place(found);
    p.call("dup3", [valueOf(fd), MAPPED_FILE, O_CLOEXEC], { negative: ask });
    p.jump(mapAgain(arch));
  });
}
