import { given } from "../given.ts";
import { type Message, splitBody } from "../message.ts";
import * as c from "./constants.ts";
import { ifinfomsg, rtnl_link_stats64 } from "./structs.ts";

/** RFC 2863, as linux/if.h numbers it. */
const OPER_STATES = "unknown notpresent down lowerlayerdown testing dormant up".split(" ");

/** What has gone through a link: bytes and packets since it was made. */
export interface LinkStatistics {
  readonly rxBytes: number;
  readonly rxPackets: number;
  readonly rxErrors: number;
  readonly rxDropped: number;
  readonly txBytes: number;
  readonly txPackets: number;
  readonly txErrors: number;
  readonly txDropped: number;
}

/** A network interface, as the kernel tells of it. */
export interface Link {
  readonly index: number;
  readonly name: string;
  /** `bridge`, `veth`…; none for `lo` and hardware. */
  readonly kind?: string;
  /** `IFF_*`, netdevice(7). */
  readonly flags: number;
  readonly up: boolean;
  /** RFC 2863: `up`, `down`, `unknown`, `lowerlayerdown`… */
  readonly operState: string;
  /** Bytes. */
  readonly mtu: number;
  /** The hardware address. */
  readonly address?: Uint8Array<ArrayBuffer>;
  /** The number of the link that it is a port of. */
  readonly master?: number;
  /** What the kernel calls its link: the number of a veth's other end, or of what a macvlan stands on. */
  readonly linkIndex?: number;
  /** The id of the network namespace in which `linkIndex` is, where it is another one; see `getNamespaceId`. */
  readonly linkNamespaceId?: number;
  readonly alias?: string;
  /** For the port of a bridge. */
  readonly bridgePort?: { readonly hairpin: boolean; readonly isolated: boolean };
  readonly statistics?: LinkStatistics;
}

/** Reads a link. @throws {CrateError} `FAILED` for a message that is malformed. */
export function decodeLink(message: Message): Link {
  const { head, attributes } = splitBody(message, ifinfomsg.size);
  const flags = ifinfomsg.get(head, "ifi_flags");
  const info = attributes.nested(c.IFLA_LINKINFO);
  const port = info?.text(c.IFLA_INFO_SLAVE_KIND) === "bridge"
    ? info.nested(c.IFLA_INFO_SLAVE_DATA)
    : undefined;
  const counters = attributes.bytes(c.IFLA_STATS64);
  return {
    index: ifinfomsg.get(head, "ifi_index"),
    name: attributes.text(c.IFLA_IFNAME) ?? "",
    flags,
    up: (flags & c.IFF_UP) !== 0,
    operState: OPER_STATES[attributes.u8(c.IFLA_OPERSTATE) ?? 0] ?? "unknown",
    mtu: attributes.u32(c.IFLA_MTU) ?? 0,
    ...given({
      kind: info?.text(c.IFLA_INFO_KIND),
      address: attributes.bytes(c.IFLA_ADDRESS),
      master: attributes.u32(c.IFLA_MASTER),
      linkIndex: attributes.u32(c.IFLA_LINK),
      linkNamespaceId: attributes.i32(c.IFLA_LINK_NETNSID),
      alias: attributes.text(c.IFLA_IFALIAS),
      bridgePort: port && {
        hairpin: port.u8(c.IFLA_BRPORT_MODE) === 1,
        isolated: port.u8(c.IFLA_BRPORT_ISOLATED) === 1,
      },
      statistics: counters && counters.length >= rtnl_link_stats64.size
        ? statistics(counters)
        : undefined,
    }),
  };
}

function statistics(counters: Uint8Array): LinkStatistics {
  const get = (name: keyof typeof rtnl_link_stats64.fields) =>
    rtnl_link_stats64.get(counters, name);
  return {
    rxBytes: get("rx_bytes"),
    rxPackets: get("rx_packets"),
    rxErrors: get("rx_errors"),
    rxDropped: get("rx_dropped"),
    txBytes: get("tx_bytes"),
    txPackets: get("tx_packets"),
    txErrors: get("tx_errors"),
    txDropped: get("tx_dropped"),
  };
}
