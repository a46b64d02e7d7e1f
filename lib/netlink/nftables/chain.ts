import { CrateError } from "../../errors.ts";
import { NLM_F_CREATE, NLM_F_EXCL } from "../constants.ts";
import { checkLinkName } from "../link_name.ts";
import type { Message, Request } from "../message.ts";
import { given } from "../given.ts";
import * as c from "./constants.ts";
import {
  type ChainName,
  checkName,
  type Family,
  nftRequest,
  readMessage,
  required,
} from "./request.ts";
import { comment as commentDatum, encodeUserdata, readComment } from "./userdata.ts";

const HOOKS = {
  prerouting: c.NF_INET_PRE_ROUTING,
  input: c.NF_INET_LOCAL_IN,
  forward: c.NF_INET_FORWARD,
  output: c.NF_INET_LOCAL_OUT,
  postrouting: c.NF_INET_POST_ROUTING,
} as const;

/** Where on a packet's way a chain is. */
export interface Hook {
  readonly type: "filter" | "nat" | "route";
  /** `ingress` is of the family `netdev` alone. */
  readonly hook: keyof typeof HOOKS | "ingress";
  /** Chains of a hook are gone through from the least number on: nft(8) names -100 `dstnat`, 0 `filter`, 100 `srcnat`. */
  readonly priority: number;
  /** What becomes of a packet that no rule decided on: `accept` when left out. */
  readonly policy?: "accept" | "drop";
  /** The interface, for `ingress`. */
  readonly device?: string;
}

/** A chain to make. */
export interface NewChain extends ChainName {
  /** None for one that others jump to. */
  readonly hook?: Hook;
  readonly comment?: string;
  /** It is an error when it is there already. */
  readonly exclusive?: boolean;
}

/** A chain, as the kernel tells of it. */
export interface Chain extends ChainName {
  readonly handle: bigint;
  readonly hook?: Hook;
  readonly comment?: string;
}

/**
 * Makes a chain, when it is not there.
 *
 * @throws {CrateError} `INVALID` for a name that the kernel would refuse, and for `ingress` where there is none.
 */
export function addChain(options: NewChain): Request {
  const { family, table, chain, hook, comment, exclusive } = options;
  const label = `add the chain ${family} ${table} ${chain}`;
  const flags = NLM_F_CREATE | (exclusive ? NLM_F_EXCL : 0);
  return nftRequest(label, c.NFT_MSG_NEWCHAIN, flags, family, (w) => {
    w.text(c.NFTA_CHAIN_TABLE, table).text(c.NFTA_CHAIN_NAME, checkName("chain", chain));
    if (hook !== undefined) {
      w.nested(c.NFTA_CHAIN_HOOK, () => {
        w.u32be(c.NFTA_HOOK_HOOKNUM, hookNumber(family, hook));
        w.u32be(c.NFTA_HOOK_PRIORITY, hook.priority >>> 0);
        if (hook.device !== undefined) w.text(c.NFTA_HOOK_DEV, checkLinkName(hook.device));
      });
      w.u32be(c.NFTA_CHAIN_POLICY, hook.policy === "drop" ? c.NF_DROP : c.NF_ACCEPT);
      w.text(c.NFTA_CHAIN_TYPE, hook.type);
    }
    if (comment !== undefined) {
      w.bytes(c.NFTA_CHAIN_USERDATA, encodeUserdata([commentDatum(comment)]));
    }
  });
}

function hookNumber(family: Family, { hook }: Hook): number {
  if ((hook === "ingress") !== (family === "netdev")) {
    throw new CrateError("INVALID", `nftables: the hook ${hook} is not of the family ${family}`);
  }
  return hook === "ingress" ? c.NF_NETDEV_INGRESS : HOOKS[hook];
}

/** Removes a chain, which nobody may jump to any more; its rules go with it. */
export function deleteChain({ family, table, chain }: ChainName): Request {
  const label = `delete the chain ${family} ${table} ${chain}`;
  return nftRequest(label, c.NFT_MSG_DELCHAIN, 0, family, (w) => {
    w.text(c.NFTA_CHAIN_TABLE, table).text(c.NFTA_CHAIN_NAME, checkName("chain", chain));
  });
}

/** Removes all rules of a chain. */
export function flushChain({ family, table, chain }: ChainName): Request {
  const label = `flush the chain ${family} ${table} ${chain}`;
  return nftRequest(label, c.NFT_MSG_DELRULE, 0, family, (w) => {
    w.text(c.NFTA_RULE_TABLE, table).text(c.NFTA_RULE_CHAIN, checkName("chain", chain));
  });
}

/** Asks for the chains of all tables, or those of a family. */
export function dumpChains(family?: Family): Request {
  return nftRequest("list the chains", c.NFT_MSG_GETCHAIN, 0, family, () => {});
}

/** Reads a chain; undefined for one of a family without a name here. @throws {CrateError} `FAILED` */
export function decodeChain(message: Message): Chain | undefined {
  const { family, attributes } = readMessage(message);
  if (family === undefined) return undefined;
  const at = attributes.nested(c.NFTA_CHAIN_HOOK);
  const number = at?.u32be(c.NFTA_HOOK_HOOKNUM);
  const hook = family === "netdev"
    ? "ingress"
    : Object.entries(HOOKS).find(([, value]) => value === number)?.[0] as Hook["hook"] | undefined;
  return {
    family,
    table: required("a chain's table", attributes.text(c.NFTA_CHAIN_TABLE)),
    chain: required("a chain's name", attributes.text(c.NFTA_CHAIN_NAME)),
    handle: attributes.u64be(c.NFTA_CHAIN_HANDLE) ?? 0n,
    ...given({
      comment: readComment(attributes.bytes(c.NFTA_CHAIN_USERDATA)),
      hook: at && hook && {
        type: (attributes.text(c.NFTA_CHAIN_TYPE) ?? "filter") as Hook["type"],
        hook,
        priority: (at.u32be(c.NFTA_HOOK_PRIORITY) ?? 0) | 0,
        policy: attributes.u32be(c.NFTA_CHAIN_POLICY) === c.NF_DROP ? "drop" : "accept",
        ...given({ device: at.text(c.NFTA_HOOK_DEV) }),
      } as Hook,
    }),
  };
}
