import { EINVAL, ENOENT, EOPNOTSUPP } from "../../ffi/mod.ts";
import { type Address } from "./address.ts";
import { Attributes, Writer } from "./attributes.ts";
import { AF_UNSPEC, NETLINK_NETFILTER, NLM_F_DUMP } from "./constants.ts";
import { NetlinkError } from "./errors.ts";
import { type Message, type Request, splitBody } from "./message.ts";
import { nfgenmsg } from "./nfnetlink.ts";
import { NetlinkSocket } from "./socket.ts";

// linux/netfilter/nfnetlink.h, nfnetlink_conntrack.h
const NFNL_SUBSYS_CTNETLINK = 1;
const IPCTNL_MSG_CT_GET = 1;
const IPCTNL_MSG_CT_DELETE = 2;
const CTA_TUPLE_ORIG = 1;
const CTA_TUPLE_IP = 1;
const CTA_TUPLE_PROTO = 2;
const CTA_IP_V4_DST = 2;
const CTA_IP_V6_DST = 4;
const CTA_PROTO_NUM = 1;
const CTA_PROTO_DST_PORT = 3;

/** A conversation that the kernel follows, by how its first packet was addressed. */
export interface Flow {
  /** `AF_INET` or `AF_INET6`. */
  readonly family: number;
  /** linux/in.h: 6 for TCP, 17 for UDP. */
  readonly protocol: number;
  readonly destination: Address;
  readonly destinationPort: number;
  /** What the kernel knows it by. */
  readonly tuple: Uint8Array<ArrayBuffer>;
}

function request(label: string, message: number, flags: number, family: number): Request {
  const type = NFNL_SUBSYS_CTNETLINK << 8 | message;
  return {
    label,
    type,
    flags,
    body: new Writer().struct(nfgenmsg, { nfgen_family: family }).finish(),
  };
}

function decodeFlow(message: Message): Flow | undefined {
  const { head, attributes } = splitBody(message, nfgenmsg.size);
  const tuple = attributes.bytes(CTA_TUPLE_ORIG);
  if (tuple === undefined) return undefined;
  const parts = new Attributes(tuple);
  const addresses = parts.nested(CTA_TUPLE_IP);
  const ends = parts.nested(CTA_TUPLE_PROTO);
  const destination = addresses?.bytes(CTA_IP_V4_DST) ?? addresses?.bytes(CTA_IP_V6_DST);
  const protocol = ends?.u8(CTA_PROTO_NUM);
  // Those of ICMP have no ports.
  const destinationPort = ends?.u16be(CTA_PROTO_DST_PORT);
  if (destination === undefined || protocol === undefined || destinationPort === undefined) {
    return undefined;
  }
  const family = nfgenmsg.get(head, "nfgen_family");
  return { family, protocol, destination, destinationPort, tuple };
}

/** Asks for all; none where the kernel was built without this part of netfilter, which says EINVAL. */
function listFlows(socket: NetlinkSocket): Flow[] {
  const all = request("list what netfilter follows", IPCTNL_MSG_CT_GET, NLM_F_DUMP, AF_UNSPEC);
  try {
    return socket.dump(all, decodeFlow);
  } catch (error) {
    if (error instanceof NetlinkError && [EINVAL, EOPNOTSUPP].includes(error.errno)) return [];
    throw error;
  }
}

/**
 * Ends conversations that netfilter follows: the next packet of each begins a new one, by the rules as they are then.
 *
 * @param which the ones to end.
 * @throws {NetlinkError}
 */
export function forgetFlows(which: (flow: Flow) => boolean): void {
  using socket = NetlinkSocket.open(NETLINK_NETFILTER);
  for (const { family, tuple } of listFlows(socket).filter(which)) {
    const one = request("forget what netfilter follows", IPCTNL_MSG_CT_DELETE, 0, family);
    const w = new Writer().raw(one.body);
    w.nested(CTA_TUPLE_ORIG, () => w.raw(tuple));
    try {
      socket.execute([{ ...one, body: w.finish() }]);
    } catch (error) {
      // It has ended by itself.
      if (!(error instanceof NetlinkError) || error.errno !== ENOENT) throw error;
    }
  }
}
