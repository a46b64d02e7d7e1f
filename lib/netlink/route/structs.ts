import { Layout } from "../../../ffi/mod.ts";

/** linux/rtnetlink.h: about a link. */
export const ifinfomsg = new Layout("ifinfomsg", {
  ifi_family: "u8",
  ifi_type: "u16",
  ifi_index: "i32",
  ifi_flags: "u32",
  ifi_change: "u32",
});

/** linux/if_addr.h: about an address. */
export const ifaddrmsg = new Layout("ifaddrmsg", {
  ifa_family: "u8",
  ifa_prefixlen: "u8",
  ifa_flags: "u8",
  ifa_scope: "u8",
  ifa_index: "u32",
});

/** linux/rtnetlink.h: about a route. */
export const rtmsg = new Layout("rtmsg", {
  rtm_family: "u8",
  rtm_dst_len: "u8",
  rtm_src_len: "u8",
  rtm_tos: "u8",
  rtm_table: "u8",
  rtm_protocol: "u8",
  rtm_scope: "u8",
  rtm_type: "u8",
  rtm_flags: "u32",
});

/** linux/neighbour.h: about a neighbour. */
export const ndmsg = new Layout("ndmsg", {
  ndm_family: "u8",
  ndm_ifindex: "i32",
  ndm_state: "u16",
  ndm_flags: "u8",
  ndm_type: "u8",
});

/** linux/rtnetlink.h: about anything. */
export const rtgenmsg = new Layout("rtgenmsg", { rtgen_family: "u8" });

/** linux/if_link.h: how a link's counters begin. */
export const rtnl_link_stats64 = new Layout("rtnl_link_stats64", {
  rx_packets: "u64",
  tx_packets: "u64",
  rx_bytes: "u64",
  tx_bytes: "u64",
  rx_errors: "u64",
  tx_errors: "u64",
  rx_dropped: "u64",
  tx_dropped: "u64",
});
