import {
  EDQUOT,
  EEXIST,
  EINVAL,
  ENOENT,
  ENOSPC,
  EOPNOTSUPP,
  EPERM,
  errnoName,
} from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import { type ByteString, quoted } from "../tar/mod.ts";
import type { Decision, Failure } from "./queue.ts";
import type { PendingLink } from "./writer.ts";

/** What a group of calls makes. */
export interface Subject {
  readonly path: ByteString;
  readonly kind:
    | "file"
    | "directory"
    | "symlink"
    | "hardlink"
    | "character"
    | "block"
    | "fifo"
    | "whiteout"
    | "opaque";
  readonly link?: PendingLink;
  /** A file's owner is to be set. */
  readonly chown?: boolean;
}

/**
 * What a call's failure means: nothing ("next", "leave" this entry), a device that cannot be ("skip"), a hard
 * link to a layer below ("later"), or the end of the unpacking.
 *
 * @param made the result of the call that should have made the entry.
 * @param inNamespace whether this is a user namespace, where devices cannot be made.
 */
export function decide(
  failure: Failure<Subject>,
  made: number,
  inNamespace: boolean,
): Decision | "skip" | "later" {
  const { name, subject } = failure;
  let { errno } = failure;
  // Something was to be removed because a first attempt failed, and it was not for what stood there.
  const isFirst = name === "unlinkat" && -made !== EEXIST;
  if (isFirst) errno = -made;
  const isMade = name === "unlinkat" || name === "mknodat" || name === "linkat";
  switch (subject.kind) {
    case "whiteout":
      if (errno === EEXIST) return "leave";
      break;
    case "character":
    case "block":
      if (inNamespace && isMade && errno === EPERM) return "skip";
      break;
    case "hardlink":
      if (isMade && errno === ENOENT) return "later";
      break;
  }
  if (name === "fsetxattr" && subject.kind !== "opaque") {
    if (errno === EOPNOTSUPP || errno === EPERM) return "next";
  }
  throw sentence(isFirst ? MAKERS[subject.kind] ?? name : name, errno, subject, inNamespace);
}

function sentence(
  name: string,
  errno: number,
  { path, kind }: Subject,
  inNamespace: boolean,
): CrateError {
  const entry = `entry ${quoted(path)}`;
  if (name === "fsetxattr" && ["ENOSPC", "E2BIG", "ERANGE"].includes(errnoName(errno))) {
    // ext4 says so of one that is larger than a block, as of a full disk. xattr(7)
    const what =
      "no room for its extended attributes: too large for this file system, or it is full";
    return new CrateError("FAILED", `${entry}: ${what}`);
  }
  if (errno === ENOSPC || name === "compute") {
    return new CrateError("FAILED", `${entry}: no space left on the device (or no more inodes)`);
  }
  if (errno === EDQUOT) return new CrateError("FAILED", `${entry}: the disk quota is used up`);
  const isOwner = name === "fchown" || name === "fchownat";
  if (isOwner && (errno === EPERM || errno === EINVAL)) {
    const why = inNamespace
      ? "this user namespace has no such id: /etc/subuid and /etc/subgid must give the user enough of them"
      : "changing owners needs the capability CAP_CHOWN";
    return new CrateError("PERMISSION", `${entry}: cannot set its owner; ${why}`);
  }
  const code = errno === EPERM ? "PERMISSION" : "FAILED";
  return new CrateError(
    code,
    `${entry}: cannot make the ${WORDS[kind]}: ${name}: ${errnoName(errno)}`,
  );
}

/** The calls that are tried again when what stands in their place is removed. */
const MAKERS: Partial<Record<Subject["kind"], string>> = {
  file: "openat",
  directory: "mkdirat",
  symlink: "symlinkat",
  hardlink: "linkat",
  character: "mknodat",
  block: "mknodat",
  fifo: "mknodat",
};

const WORDS: Record<Subject["kind"], string> = {
  file: "file",
  directory: "directory",
  symlink: "symbolic link",
  hardlink: "hard link",
  character: "character device",
  block: "block device",
  fifo: "fifo",
  whiteout: "whiteout",
  opaque: "opaque directory",
};
