import assert from "node:assert/strict";
import { ARM_HEADERS, armFlags, has, isThere, runC } from "../../ffi/_tools.ts";
import type { Layout } from "../../ffi/mod.ts";
import * as netlink from "./constants.ts";
import { sockaddr_nl } from "./datagrams.ts";
import { nlmsghdr } from "./message.ts";
import { nfgenmsg } from "./nfnetlink.ts";
import * as nftables from "./nftables/constants.ts";
import * as route from "./route/constants.ts";
import * as structs from "./route/structs.ts";

const HEADERS = [
  "stddef.h stdio.h sys/socket.h asm/socket.h linux/netlink.h linux/rtnetlink.h linux/if.h linux/if_link.h",
  "linux/if_addr.h linux/neighbour.h linux/net_namespace.h linux/veth.h linux/netfilter.h",
  "linux/netfilter/nfnetlink.h linux/netfilter/nf_tables.h linux/netfilter/nf_nat.h",
  "linux/netfilter/nf_conntrack_common.h",
].join(" ").split(" ");

const CONSTANTS: Record<string, number> = { ...netlink, ...route, ...nftables };

async function ask(lines: readonly string[], flags: readonly string[]): Promise<string[]> {
  const includes = HEADERS.map((header) => `#include <${header}>`);
  const source = [...includes, "int main(void) {", ...lines, "return 0; }", ""].join("\n");
  return (await runC(source, flags)).trim().split("\n");
}

async function compareConstants(flags: readonly string[]): Promise<void> {
  const names = Object.keys(CONSTANTS);
  // A type is a number of 16 bits.
  const value = (name: string) => name === "NLA_TYPE_MASK" ? `(unsigned short)${name}` : name;
  const lines = names.map((name) => `printf("${name} %lld\\n", (long long)${value(name)});`);
  const ours = names.map((name) => `${name} ${CONSTANTS[name]}`);
  assert.ok(ours.length > 250);
  assert.deepEqual(await ask(lines, flags), ours);
}

Deno.test({
  name: "every constant of netlink has the value of this machine's headers",
  ignore: !has("gcc"),
  fn: () => compareConstants([]),
});

Deno.test({
  name: "every constant of netlink has the value of arm64's headers",
  ignore: !has("gcc") || !isThere(ARM_HEADERS),
  fn: async () => compareConstants(await armFlags()),
});

Deno.test({
  name: "every struct of netlink has the fields of the headers, where the compiler puts them",
  ignore: !has("gcc"),
  fn: async () => {
    const layouts = [nlmsghdr, sockaddr_nl, nfgenmsg, ...Object.values(structs)];
    const lines: string[] = [];
    const ours: string[] = [];
    for (const layout of layouts as unknown as Layout<Record<string, "u8">>[]) {
      const { name, fields, size } = layout;
      // Of the counters the first few are read.
      if (name !== "rtnl_link_stats64") {
        lines.push(`printf("${name} %zu\\n", sizeof(struct ${name}));`);
        ours.push(`${name} ${size}`);
      }
      for (const [field, type] of Object.entries(fields)) {
        const member = `((struct ${name} *)0)->${field}`;
        lines.push(
          `printf("${name}.${field} %zu %zu\\n", offsetof(struct ${name}, ${field}), sizeof(${member}));`,
        );
        ours.push(`${name}.${field} ${layout.offset(field)} ${Number(type.slice(1)) / 8}`);
      }
    }
    assert.deepEqual(await ask(lines, []), ours);
  },
});
