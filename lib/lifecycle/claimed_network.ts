import type { NetworkClaim } from "../network/mod.ts";
import type { ProcessId } from "./process_id.ts";
import type { LeaveStep } from "./program/mod.ts";

/** What a container has of networks before it is started: `claimNetworks` gives one. */
export interface ClaimedNetwork {
  /** Hold its ports of the host as long as they are open, and what else it needs. */
  readonly descriptors: readonly number[];
  /** How many of them, the first, its monitor keeps until it ends itself. */
  readonly lasting?: number;
  /** What its monitor does when it has ended. */
  readonly steps?: readonly LeaveStep[];
  /** Taken by nftables when it has ended. */
  readonly atEnd: readonly Uint8Array<ArrayBuffer>[];
  /** Files of the host that are its own, and their directory. */
  readonly left: { readonly files: readonly string[]; readonly directory: string };
  /** Gives its first process the interfaces. @throws {CrateError} */
  attach(init: ProcessId): Promise<void>;
  readonly ready?: NetworkClaim["ready"];
  /** Its monitor has the descriptors. */
  letGo(): void;
  /** It could not be started; after it was, nothing happens. */
  release(): Promise<void>;
}
