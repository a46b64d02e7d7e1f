import {
  AF_NETLINK,
  type Cell,
  CLONE_NEWNET,
  NETLINK_ROUTE,
  placeIn,
  type Program,
  SOCK_CLOEXEC,
  SOCK_RAW,
} from "../../../ffi/mod.ts";
import { failureHandler } from "./monitor.ts";
import { raiseLoopback } from "./namespaces.ts";
import { RECORD_SIZE, REPORT } from "./protocol.ts";
import { awaitByte } from "./release.ts";
import { Scope } from "./scope.ts";

/**
 * The program of a process that holds something until its starter has taken it: a user namespace, or the
 * control group that it is put into.
 *
 * @param namespaces the `CLONE_NEW…` flags of what it makes.
 */
export function compileHolder(namespaces: number): Program {
  const s = new Scope();
  const { p } = s;
  failureHandler(s);
  if (namespaces !== 0) {
    p.call("unshare", [namespaces], { label: "make a user namespace for id-mapped mounts" });
  }
  hold(s, p.bytes(new Uint8Array(RECORD_SIZE), "{0, 0}"));
  return p.build();
}

/**
 * The program of a process that has a network namespace, its loopback up, until its starter has taken it. A starter
 * in a user namespace could not make one itself: it could not come back to the host's.
 *
 * It tells the descriptor of a socket for rtnetlink(7) in there.
 */
export function compileNetworkHolder(): Program {
  const s = new Scope();
  const { p } = s;
  failureHandler(s);
  p.call("unshare", [CLONE_NEWNET], { label: "make a network namespace" });
  raiseLoopback(s);
  const record = p.variable("socket", RECORD_SIZE);
  p.call("socket", [AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE], {
    label: "open a socket in the network namespace",
    result: placeIn(record, 8),
  });
  hold(s, record);
  return p.build();
}

/** Tells a record, and waits until the starter has taken what it wants. */
function hold(s: Scope, record: Cell): void {
  const { p } = s;
  p.call("write", [REPORT, record, RECORD_SIZE], { label: "be ready" });
  awaitByte(s, "hold what it has");
  p.call("exit_group", [0]);
  s.writeAsides();
}
