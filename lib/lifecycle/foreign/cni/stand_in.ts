import { F_DUPFD_CLOEXEC, syscall, SyscallError } from "../../../../ffi/mod.ts";
import { CrateError } from "../../../errors.ts";
import {
  addAddress,
  addLink,
  NetlinkError,
  parseAddress,
  parseSubnet,
  RouteSocket,
} from "../../../netlink/mod.ts";
import { makeNamespace, type Namespace } from "../namespace.ts";
import { type Deletion, type ForeignRecord, INTERFACE } from "../types.ts";
import { parseResult, type Result } from "./result.ts";

type Addresses = Pick<Result, "ip" | "ip6" | "subnets">;

/** The addresses that a container had, or was about to have when its crate was killed. */
function addressesOf(made: ForeignRecord["made"], deletions: readonly Deletion[]): Addresses {
  if (made !== undefined) return { ...made.endpoint, subnets: made.subnets };
  const { prevResult } = JSON.parse(deletions[0]?.input ?? "{}");
  return prevResult === undefined ? { subnets: [] } : parseResult(prevResult, INTERFACE, "cni");
}

/**
 * A network namespace in the place of one that is gone, with an interface that has the same addresses: some plugins, such
 * as bridge, look there to know which rules of the firewall they have made, and leave them when they find nothing.
 *
 * @returns undefined when there can be none.
 */
export function standIn(
  root: string,
  { made, deletions }: Pick<ForeignRecord, "made" | "deletions">,
): Namespace | undefined {
  let namespace: Namespace | undefined;
  try {
    const { ip, ip6, subnets } = addressesOf(made, deletions);
    namespace = makeNamespace(root);
    const socket = syscall("fcntl", namespace.routes, F_DUPFD_CLOEXEC, 0);
    using routes = RouteSocket.open({ socket });
    const peer = { name: `${INTERFACE}-peer` };
    routes.execute([addLink({ name: INTERFACE, kind: "veth", peer, up: true })]);
    const { index } = routes.link(INTERFACE)!;
    for (const word of [ip, ip6]) {
      const address = word === undefined ? undefined : parseAddress(word);
      const prefix = subnets.map(({ subnet }) => parseSubnet(subnet))
        .find((subnet) => subnet?.address.length === address?.length)?.prefix;
      if (address === undefined || prefix === undefined) continue;
      routes.execute([addAddress({ index, address, prefix, noDad: address.length === 16 })]);
    }
    return namespace;
  } catch (error) {
    namespace?.[Symbol.dispose]();
    const isExpected = error instanceof CrateError || error instanceof NetlinkError ||
      error instanceof SyscallError || error instanceof SyntaxError;
    if (!isExpected) throw error;
  }
}
