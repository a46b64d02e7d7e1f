// Members of archives, and archives of them, for the properties.
import fc from "fast-check";
import { byteString, TAR_END, type TarEntry, tarHeader, tarPadding } from "./mod.ts";

/** A member with its content. */
export interface Member {
  readonly entry: TarEntry;
  readonly content: Uint8Array<ArrayBuffer>;
}

const byte = fc.integer({ min: 1, max: 255 });
const part = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom("usr", "lib", ".", "..", "a b", "x".repeat(60)) },
  { weight: 1, arbitrary: fc.array(byte, { minLength: 1, maxLength: 9 }) },
).map((value) =>
  typeof value === "string" ? value : byteString(new Uint8Array(value)).replaceAll("/", "_")
);
const path = fc.array(part, { minLength: 1, maxLength: 5 }).map((parts) => parts.join("/"));
const id = fc.oneof(fc.constantFrom(0, 1000, 65534, 2 ** 21 - 1, 2 ** 21, 0xfffffffe), fc.nat());
const bytes = (maxLength: number) =>
  fc.uint8Array({ maxLength }).map((value) => new Uint8Array(value));
const time = fc.record({
  seconds: fc.oneof(fc.integer(), fc.constantFrom(0, -1, 8 ** 11 - 1, 8 ** 11)),
  nanoseconds: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 999_999_999 })),
}, { noNullPrototype: true });
const xattrs = fc.oneof(
  { weight: 3, arbitrary: fc.constant([]) },
  {
    weight: 1,
    arbitrary: fc.array(
      fc.tuple(fc.constantFrom("user.a", "security.capability", "trusted.x"), bytes(20)),
      { maxLength: 3 },
    ),
  },
).map((pairs) => new Map(pairs));

/** A member of any type. */
export const member: fc.Arbitrary<Member> = fc.record({
  type: fc.constantFrom(
    "file" as const,
    "file" as const,
    "directory" as const,
    "symlink" as const,
    "hardlink" as const,
    "character" as const,
    "block" as const,
    "fifo" as const,
  ),
  path,
  target: path,
  mode: fc.integer({ min: 0, max: 0o7777 }),
  uid: id,
  gid: id,
  mtime: time,
  major: fc.integer({ min: 0, max: 4095 }),
  minor: fc.integer({ min: 0, max: 1048575 }),
  xattrs,
  content: fc.oneof(bytes(40), fc.constantFrom(512, 513, 1024).map((n) => new Uint8Array(n))),
}, { noNullPrototype: true }).map(({ type, path, target, major, minor, content, ...rest }) => {
  const isDevice = type === "character" || type === "block";
  const held = type === "file" ? content : new Uint8Array(0);
  return {
    entry: {
      ...rest,
      type,
      path,
      linkPath: type === "symlink" || type === "hardlink" ? target : "",
      size: held.length,
      major: isDevice ? major : 0,
      minor: isDevice ? minor : 0,
    },
    content: held,
  };
});

/** The archive of members. */
export function archiveOf(members: readonly Member[]): Uint8Array<ArrayBuffer> {
  const parts = members.flatMap(({ entry, content }) => [
    tarHeader(entry),
    content,
    tarPadding(content.length),
  ]);
  return joined([...parts, TAR_END]);
}

/** Bytes one after another. */
export function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
