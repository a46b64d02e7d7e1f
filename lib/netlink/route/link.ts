import { CrateError } from "../../errors.ts";
import { Writer } from "../attributes.ts";
import { AF_UNSPEC, NLM_F_CREATE, NLM_F_EXCL } from "../constants.ts";
import { checkLinkName } from "../link_name.ts";
import type { Request } from "../message.ts";
import * as c from "./constants.ts";
import { ifinfomsg } from "./structs.ts";

/** One link, by its number, or by its name in the socket's network namespace. */
export type LinkSelector = { readonly index: number } | { readonly name: string };

/** Whose network namespace a link is to be in: one of a descriptor, or of a process. */
export interface InNamespace {
  readonly namespaceFd?: number;
  /** As the caller's pid namespace numbers it. */
  readonly namespacePid?: number;
}

/** What any link has. */
export interface LinkOptions extends InNamespace {
  /** Bytes. */
  readonly mtu?: number;
  /** The hardware address: six bytes for those like Ethernet. */
  readonly address?: Uint8Array;
  readonly up?: boolean;
  /** For people; up to 255 bytes. */
  readonly alias?: string;
}

/**
 * The other end of a veth pair, veth(4). It cannot be born up, the kernel says `ENOTCONN`: it gets its flags before it has
 * its other end.
 */
export interface VethPeer extends Omit<LinkOptions, "up"> {
  readonly name: string;
}

/** linux/if_link.h, `IFLA_BR_*`. */
export interface BridgeOptions {
  /** 0: no spanning tree, and ports forward at once. */
  readonly stpState?: number;
  /** Hundredths of a second. */
  readonly forwardDelay?: number;
  readonly vlanFiltering?: boolean;
  readonly multicastSnooping?: boolean;
}

const MACVLAN_MODES = {
  private: c.MACVLAN_MODE_PRIVATE,
  vepa: c.MACVLAN_MODE_VEPA,
  bridge: c.MACVLAN_MODE_BRIDGE,
  passthru: c.MACVLAN_MODE_PASSTHRU,
} as const;

const IPVLAN_MODES = {
  l2: c.IPVLAN_MODE_L2,
  l3: c.IPVLAN_MODE_L3,
  l3s: c.IPVLAN_MODE_L3S,
} as const;

/** How a macvlan's links see each other. */
export type MacvlanMode = keyof typeof MACVLAN_MODES;
/** What an ipvlan switches by. */
export type IpvlanMode = keyof typeof IPVLAN_MODES;

/** A link to make. */
export interface NewLink extends LinkOptions {
  readonly name: string;
  /** `bridge`, `veth`, `macvlan`, `ipvlan`, `vlan`, `dummy`, or another that the kernel has. */
  readonly kind: string;
  /** The number of the link that it is a port of. */
  readonly master?: number;
  /** The number of the link that it stands on: macvlan, ipvlan, vlan. */
  readonly parent?: number;
  /** For `veth`. */
  readonly peer?: VethPeer;
  /** For `bridge`. */
  readonly bridge?: BridgeOptions;
  /** For `macvlan`; the kernel's own is `vepa`. */
  readonly macvlanMode?: MacvlanMode;
  /** For `ipvlan`; the kernel's own is `l3`. */
  readonly ipvlanMode?: IpvlanMode;
  /** For `vlan`. */
  readonly vlanId?: number;
}

/** What a bridge's port does. */
export interface BridgePort {
  /** Frames may leave by the port that they came in by. */
  readonly hairpin?: boolean;
  /** It reaches only ports that are not isolated. */
  readonly isolated?: boolean;
}

/** Changes of a link. */
export type LinkChange =
  & LinkOptions
  & (
    /** With a number, `name` is the new one. */
    | { readonly index: number; readonly name?: string }
    | { readonly name: string }
  )
  & {
    /** The number of the link that it becomes a port of; 0: of none. */
    readonly master?: number;
    /** For the port of a bridge. */
    readonly bridgePort?: BridgePort;
  };

/**
 * Makes a link: with a veth pair both ends in one go, the other one born in another network namespace.
 *
 * @throws {CrateError} `INVALID` for a name that the kernel would refuse, or an option of another kind.
 *
 * @example
 * ```ts
 * import { addLink } from "./link.ts";
 * const peer = { name: "eth0", namespacePid: Deno.pid };
 * const { label } = addLink({ name: "veth0", kind: "veth", peer, up: true });
 * if (label !== "add the link veth0") throw new Error();
 * ```
 */
export function addLink(link: NewLink): Request {
  const { name, kind, master, parent } = link;
  checkKind(link);
  const w = new Writer();
  w.struct(ifinfomsg, upFlags(link.up)).text(c.IFLA_IFNAME, checkLinkName(name));
  writeOptions(w, link);
  if (parent !== undefined) w.u32(c.IFLA_LINK, parent);
  if (master !== undefined) w.u32(c.IFLA_MASTER, master);
  w.nested(c.IFLA_LINKINFO, () => {
    w.text(c.IFLA_INFO_KIND, kind);
    w.nested(c.IFLA_INFO_DATA, () => writeData(w, link));
  });
  return {
    label: `add the link ${name}`,
    type: c.RTM_NEWLINK,
    flags: NLM_F_CREATE | NLM_F_EXCL,
    body: w.finish(),
  };
}

/** The kind that each of these options is for. */
const OPTIONS = {
  peer: "veth",
  bridge: "bridge",
  macvlanMode: "macvlan",
  ipvlanMode: "ipvlan",
  vlanId: "vlan",
} as const;

function checkKind(link: NewLink): void {
  for (const [option, kind] of Object.entries(OPTIONS)) {
    if (link[option as keyof typeof OPTIONS] !== undefined && link.kind !== kind) {
      throw new CrateError(
        "INVALID",
        `link ${link.name}: ${option} is for the kind ${kind}, not ${link.kind}`,
      );
    }
  }
}

function writeData(w: Writer, link: NewLink): void {
  const { peer, bridge = {}, macvlanMode, ipvlanMode, vlanId } = link;
  if (peer !== undefined) {
    w.nested(c.VETH_INFO_PEER, () => {
      w.struct(ifinfomsg).text(c.IFLA_IFNAME, checkLinkName(peer.name));
      writeOptions(w, peer);
    });
  }
  const { stpState, forwardDelay, vlanFiltering, multicastSnooping } = bridge;
  if (stpState !== undefined) w.u32(c.IFLA_BR_STP_STATE, stpState);
  if (forwardDelay !== undefined) w.u32(c.IFLA_BR_FORWARD_DELAY, forwardDelay);
  if (vlanFiltering !== undefined) w.u8(c.IFLA_BR_VLAN_FILTERING, Number(vlanFiltering));
  if (multicastSnooping !== undefined) w.u8(c.IFLA_BR_MCAST_SNOOPING, Number(multicastSnooping));
  if (macvlanMode !== undefined) w.u32(c.IFLA_MACVLAN_MODE, MACVLAN_MODES[macvlanMode]);
  if (ipvlanMode !== undefined) w.u16(c.IFLA_IPVLAN_MODE, IPVLAN_MODES[ipvlanMode]);
  if (vlanId !== undefined) w.u16(c.IFLA_VLAN_ID, vlanId);
}

/** Changes a link. @throws {CrateError} `INVALID` for a name that the kernel would refuse. */
export function setLink(change: LinkChange): Request {
  const { name, master, bridgePort } = change;
  const index = "index" in change ? change.index : 0;
  const w = new Writer().struct(ifinfomsg, { ifi_index: index, ...upFlags(change.up) });
  if (name !== undefined) w.text(c.IFLA_IFNAME, checkLinkName(name));
  writeOptions(w, change);
  if (master !== undefined) w.u32(c.IFLA_MASTER, master);
  if (bridgePort !== undefined) {
    const { hairpin, isolated } = bridgePort;
    w.nested(c.IFLA_LINKINFO, () => {
      w.text(c.IFLA_INFO_SLAVE_KIND, "bridge");
      w.nested(c.IFLA_INFO_SLAVE_DATA, () => {
        if (hairpin !== undefined) w.u8(c.IFLA_BRPORT_MODE, Number(hairpin));
        if (isolated !== undefined) w.u8(c.IFLA_BRPORT_ISOLATED, Number(isolated));
      });
    });
  }
  const label = `set the link ${index === 0 ? name : index}`;
  return { label, type: c.RTM_NEWLINK, flags: 0, body: w.finish() };
}

/** Removes a link; with one end of a veth pair the other one goes, with a bridge its ports stay. */
export function deleteLink(link: LinkSelector): Request {
  const label = `delete the link ${"index" in link ? link.index : link.name}`;
  return { label, type: c.RTM_DELLINK, flags: 0, body: writeSelector(link).finish() };
}

/** Asks for one link. */
export function getLink(link: LinkSelector): Request {
  const label = `get the link ${"index" in link ? link.index : link.name}`;
  return { label, type: c.RTM_GETLINK, flags: 0, body: writeSelector(link).finish() };
}

/** Asks for all links. */
export function dumpLinks(): Request {
  const body = new Writer().struct(ifinfomsg, { ifi_family: AF_UNSPEC }).finish();
  return { label: "list the links", type: c.RTM_GETLINK, flags: 0, body };
}

function writeSelector(link: LinkSelector): Writer {
  if ("index" in link) return new Writer().struct(ifinfomsg, { ifi_index: link.index });
  return new Writer().struct(ifinfomsg).text(c.IFLA_IFNAME, checkLinkName(link.name));
}

function upFlags(up: boolean | undefined): { ifi_flags?: number; ifi_change?: number } {
  if (up === undefined) return {};
  return { ifi_flags: up ? c.IFF_UP : 0, ifi_change: c.IFF_UP };
}

function writeOptions(w: Writer, options: LinkOptions): void {
  const { mtu, address, alias, namespaceFd, namespacePid } = options;
  if (mtu !== undefined) w.u32(c.IFLA_MTU, mtu);
  if (address !== undefined) w.bytes(c.IFLA_ADDRESS, address);
  if (alias !== undefined) w.text(c.IFLA_IFALIAS, alias);
  if (namespaceFd !== undefined) w.u32(c.IFLA_NET_NS_FD, namespaceFd);
  if (namespacePid !== undefined) w.u32(c.IFLA_NET_NS_PID, namespacePid);
}
