import {
  MOUNT_ATTR__ATIME,
  MOUNT_ATTR_NOATIME,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NODIRATIME,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_NOSYMFOLLOW,
  MOUNT_ATTR_RDONLY,
  MOUNT_ATTR_RELATIME,
  MOUNT_ATTR_STRICTATIME,
  MS_PRIVATE,
  MS_REC,
  MS_SHARED,
  MS_SLAVE,
  MS_UNBINDABLE,
} from "../../../ffi/mod.ts";

/** What mount_setattr(2) sets and clears. */
export interface Attributes {
  set: number;
  clear: number;
}

/** A mount's options, sorted by what the kernel does with them. */
export interface MountOptions {
  /** For the mount itself. */
  readonly attributes: Attributes;
  /** For the mount and those below it: the options that begin with `r`. */
  readonly recursive: Attributes;
  /** `MS_PRIVATE` … and whether it goes for the mounts below too. */
  readonly propagation?: { type: number; recursive: boolean };
  readonly bind?: { recursive: boolean };
  /** The tmpfs begins with what the image has in its place. */
  readonly copiesUp: boolean;
  /** Nothing is mounted: what is there already gets the attributes and the data. */
  readonly remount: boolean;
  /** Of a bind mount: which of its two links are not followed. */
  readonly nofollow: { readonly source: boolean; readonly destination: boolean };
  /** What is left: the filesystem's own, `["size", "64m"]` or `["nr_inodes"]`. */
  readonly data: readonly (readonly [string, string?])[];
}

type Effect = readonly [set: number, clear: number];

// Each option's effect, mount(8). The atime settings are one field, MOUNT_ATTR__ATIME.
const ATTRIBUTES: Readonly<Record<string, Effect>> = {
  ro: [MOUNT_ATTR_RDONLY, 0],
  rw: [0, MOUNT_ATTR_RDONLY],
  nosuid: [MOUNT_ATTR_NOSUID, 0],
  suid: [0, MOUNT_ATTR_NOSUID],
  nodev: [MOUNT_ATTR_NODEV, 0],
  dev: [0, MOUNT_ATTR_NODEV],
  noexec: [MOUNT_ATTR_NOEXEC, 0],
  exec: [0, MOUNT_ATTR_NOEXEC],
  nodiratime: [MOUNT_ATTR_NODIRATIME, 0],
  diratime: [0, MOUNT_ATTR_NODIRATIME],
  noatime: [MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME],
  atime: [MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME],
  relatime: [MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME],
  norelatime: [MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME],
  strictatime: [MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME],
  nostrictatime: [MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME],
  nosymfollow: [MOUNT_ATTR_NOSYMFOLLOW, 0],
  symfollow: [0, MOUNT_ATTR_NOSYMFOLLOW],
};

const PROPAGATION: Readonly<Record<string, number>> = {
  private: MS_PRIVATE,
  slave: MS_SLAVE,
  shared: MS_SHARED,
  unbindable: MS_UNBINDABLE,
};

/** What others look for. */
const ELSEWHERE = /^r?idmap(?:=|$)|^copy-symlink$/;

/**
 * Words for what is so anyway. `silent` too: what a filesystem has to say goes to whoever made its context, and
 * not to the kernel's log. fsopen(2)
 */
const DEFAULTS: ReadonlySet<string> = new Set([
  "defaults",
  "async",
  "loud",
  "silent",
  "noiversion",
]);

const add = (to: Attributes, [set, clear]: Effect) => {
  to.clear |= clear | set;
  to.set = (to.set & ~clear) | set;
};

/** The flag of a propagation word, `rslave` or `slave`; undefined for another word. */
export function propagationFlag(word: string): number | undefined {
  if (Object.hasOwn(PROPAGATION, word)) return PROPAGATION[word];
  const plain = word.startsWith("r") ? word.slice(1) : "";
  return Object.hasOwn(PROPAGATION, plain) ? PROPAGATION[plain]! | MS_REC : undefined;
}

/** Sorts the options of an OCI mount. config-linux.md, "Mount options" of config.md */
export function sortOptions(options: readonly string[]): MountOptions {
  const attributes = { set: 0, clear: 0 };
  const recursive = { set: 0, clear: 0 };
  const data: [string, string?][] = [];
  let propagation: MountOptions["propagation"];
  let copiesUp = false;
  let remount = false;
  const nofollow = { source: false, destination: false };
  let bind: MountOptions["bind"];
  for (const option of options) {
    const flag = propagationFlag(option);
    if (flag !== undefined) {
      propagation = { type: flag & ~MS_REC, recursive: (flag & MS_REC) !== 0 };
    } else if (option === "bind" || option === "rbind") bind = { recursive: option === "rbind" };
    else if (Object.hasOwn(ATTRIBUTES, option)) add(attributes, ATTRIBUTES[option]!);
    else if (option.startsWith("r") && Object.hasOwn(ATTRIBUTES, option.slice(1))) {
      add(recursive, ATTRIBUTES[option.slice(1)]!);
    } else if (option === "tmpcopyup") copiesUp = true;
    else if (option === "remount") remount = true;
    else if (option === "src-nofollow") nofollow.source = true;
    else if (option === "dest-nofollow") nofollow.destination = true;
    else if (!ELSEWHERE.test(option) && !DEFAULTS.has(option)) {
      const equals = option.indexOf("=");
      if (equals < 0) data.push([option]);
      else data.push([option.slice(0, equals), option.slice(equals + 1)]);
    }
  }
  // A bit that is set need not be cleared, except in the one field that has values instead of bits.
  for (const a of [attributes, recursive]) {
    const atime = a.clear & MOUNT_ATTR__ATIME;
    a.clear = (a.clear & ~a.set & ~MOUNT_ATTR__ATIME) | (atime ? MOUNT_ATTR__ATIME : 0);
  }
  return { attributes, recursive, propagation, bind, copiesUp, remount, nofollow, data };
}
