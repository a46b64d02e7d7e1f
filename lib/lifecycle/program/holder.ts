import type { Program } from "../../../ffi/mod.ts";
import { failureHandler } from "./monitor.ts";
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
  const record = new Uint8Array(RECORD_SIZE);
  p.call("write", [REPORT, p.bytes(record, "{0, 0}"), RECORD_SIZE], { label: "be ready" });
  awaitByte(s, "hold what it has");
  p.call("exit_group", [0]);
  s.writeAsides();
  return p.build();
}
