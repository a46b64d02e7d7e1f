import { type Cell, EEXIST, ENOENT, valueOf } from "../../../ffi/mod.ts";
import type { Mount } from "../../spec/mod.ts";
import type { HostFacts } from "./input.ts";
import { below, openOrMake, type Scope } from "./scope.ts";

/** Where the link points that a bind mount with `copy-symlink` has as its source; undefined for another mount. */
export function copiedLink({ links }: HostFacts, { source, options }: Mount): string | undefined {
  return options?.includes("copy-symlink") ? links?.get(source ?? "") : undefined;
}

/** Makes the same link on the destination. One that is there already must be the same. */
export function copySymlink(s: Scope, root: Cell, destination: string, target: string): void {
  const { p } = s;
  const names = below(destination).split("/");
  const name = p.string(names.pop()!);
  const parent = openOrMake(s, root, names.join("/") || ".", "directory");
  const label = `link ${destination} to ${target}`;
  const result = s.descriptor("link");
  const there = s.label("there");
  const next = s.label("next");
  p.call("symlinkat", [p.string(target), valueOf(parent), name], {
    label,
    result,
    negative: there,
  });
  p.place(next);
  s.aside(() => {
    const look = s.label("look");
    const differs = s.label("differs");
    p.place(there);
    p.jumpIfEqual(valueOf(result), -EEXIST, look);
    s.fail(label, result);
    p.place(look);
    // One byte more than it may have tells a longer one. What is read is compared in words of four bytes.
    const wanted = new TextEncoder().encode(target);
    const found = p.variable("link's target", 4 * (Math.floor(wanted.length / 4) + 1));
    const length = s.descriptor("its length");
    const note = `${label}: there is something else`;
    p.call("readlinkat", [valueOf(parent), name, found, wanted.length + 1], {
      label: note,
      result: length,
    });
    const compare = (value: ReturnType<typeof valueOf>, expected: number) => {
      const same = s.label("same");
      p.jumpIfEqual(value, expected, same);
      p.jump(differs);
      p.place(same);
    };
    compare(valueOf(length), wanted.length);
    const padded = new Uint8Array(4 * (Math.floor(wanted.length / 4) + 1));
    padded.set(wanted);
    const words = new DataView(padded.buffer);
    for (let at = 0; at < padded.length; at += 4) {
      compare(valueOf(found, at), words.getInt32(at, true));
    }
    p.jump(next);
    p.place(differs);
    p.compute(-ENOENT, 0, -1, { label: note });
  });
}
