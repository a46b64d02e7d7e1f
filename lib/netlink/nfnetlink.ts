import { Layout } from "../../ffi/mod.ts";

/** What netfilter's messages begin with, linux/netfilter/nfnetlink.h; the last field is in network byte order. */
export const nfgenmsg = new Layout("nfgenmsg", {
  nfgen_family: "u8",
  version: "u8",
  res_id: "u16",
});
