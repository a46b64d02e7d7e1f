import { CLONE_NEWUSER, type Program } from "../../../ffi/mod.ts";
import { failureHandler } from "./monitor.ts";
import { RECORD_SIZE, REPORT } from "./protocol.ts";
import { awaitByte } from "./release.ts";
import { Scope } from "./scope.ts";

/** The program of a process that has a user namespace until its starter has taken it. */
export function compileHolder(): Program {
  const s = new Scope();
  const { p } = s;
  failureHandler(s);
  p.call("unshare", [CLONE_NEWUSER], { label: "make a user namespace for id-mapped mounts" });
  const record = new Uint8Array(RECORD_SIZE);
  p.call("write", [REPORT, p.bytes(record, "{0, 0}"), RECORD_SIZE], { label: "be ready" });
  awaitByte(s, "hold the user namespace");
  p.call("exit_group", [0]);
  s.writeAsides();
  return p.build();
}
