import { errnoName } from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";

/** What the kernel says of a request that it refuses, besides the number: linux/netlink.h, `NLMSGERR_ATTR_*`. */
export interface ExtendedAck {
  /** A sentence, such as `Nexthop has invalid gateway`. */
  readonly text?: string;
  /** Where in the message, its header included, the attribute stands that is wrong: bytes. */
  readonly offset?: number;
}

/**
 * The kernel refused a request: which, why, and in its own words where it has some.
 *
 * @example
 * ```ts
 * import { NetlinkError } from "./errors.ts";
 * const { message, code } = new NetlinkError("add the link veth0", 17);
 * if (message !== "add the link veth0: EEXIST" || code !== "EEXIST") throw new Error();
 * ```
 */
export class NetlinkError extends Error {
  override readonly name = "NetlinkError";
  /** The error's name in the headers, such as `"EEXIST"`. */
  readonly code: string;
  /** The kernel's sentence, where it has one. */
  readonly text?: string;
  /** Where in the message the attribute stands that is wrong, where the kernel says so: bytes. */
  readonly offset?: number;

  constructor(
    /** What was asked for, in words. */
    readonly label: string,
    readonly errno: number,
    { text, offset }: ExtendedAck = {},
  ) {
    const code = errnoName(errno);
    super(`${label}: ${code}${text === undefined ? "" : ` (${text})`}`);
    this.code = code;
    this.text = text;
    this.offset = offset;
  }
}

/** The error for an answer that is not what the protocol says. */
export function malformed(what: string): CrateError {
  return new CrateError("FAILED", `netlink: the kernel's answer is malformed: ${what}`);
}
