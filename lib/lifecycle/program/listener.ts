import { type Cell, cmsg_fd, MSG_NOSIGNAL, placeIn, valueOf } from "../../../ffi/mod.ts";
import type { Spec } from "../../spec/mod.ts";
import { type DescriptorMessage, descriptorMessage } from "./console.ts";
import {
  CONTROL,
  MAX_TOLD,
  RECORD_SIZE,
  REPORT,
  SETUP_FAILED,
  STAGE_LISTENER,
} from "./protocol.ts";
import type { Scope } from "./scope.ts";

// The listener of a seccomp filter goes to whoever waits on listenerPath, with the container's state: what only
// the starter knows, and has to be there before the filter is. config-linux.md, "Seccomp"

/** What a listener's taker is told, and where. */
export interface Told extends DescriptorMessage {
  /** The register of the socket's descriptor. */
  readonly socket: Cell;
}

/** Gets from the starter what is to be told, into memory. */
export function prepareListener(s: Scope, descriptor: number): Told {
  const { p } = s;
  const label = "get the container's state for the seccomp listener";
  const record = new Uint8Array(RECORD_SIZE);
  record[8] = STAGE_LISTENER;
  p.call("write", [REPORT, p.bytes(record, `{0, ${STAGE_LISTENER}}`), RECORD_SIZE], { label });
  const content = p.variable("state for the listener", MAX_TOLD);
  const length = s.descriptor("its length");
  const gone = s.label("starter gone");
  p.call("read", [CONTROL, content, MAX_TOLD], { label, result: length, zero: gone });
  s.aside(() => {
    p.place(gone);
    p.call("exit_group", [SETUP_FAILED]);
  });
  const socket = s.descriptor("listener's socket");
  p.set(socket, descriptor);
  return { socket, ...descriptorMessage(s, { content, length }) };
}

/** Sends the filter's listener. */
export function tellListener(s: Scope, { socket, message, control }: Told, listener: Cell): void {
  s.p.set(placeIn(control, cmsg_fd.offset("fd")), valueOf(listener));
  s.p.call("sendmsg", [valueOf(socket), message, MSG_NOSIGNAL], {
    label: "hand out the seccomp listener",
  });
}

/** Whether somebody is to be given the listener of the seccomp filter. */
export function hasListener({ linux }: Pick<Spec, "linux">): boolean {
  return Boolean(linux?.seccomp?.listenerPath);
}
