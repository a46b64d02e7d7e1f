import { Writer } from "../attributes.ts";
import { type Message, type Request, splitBody } from "../message.ts";
import * as c from "./constants.ts";
import { rtgenmsg } from "./structs.ts";

/** A network namespace: one of a descriptor, or of a process. */
export type NamespaceSelector = { readonly fd: number } | { readonly pid: number };

/** Asks by which id the socket's network namespace knows another one. */
export function getNamespaceId(namespace: NamespaceSelector): Request {
  const w = new Writer().struct(rtgenmsg);
  if ("fd" in namespace) w.u32(c.NETNSA_FD, namespace.fd);
  else w.u32(c.NETNSA_PID, namespace.pid);
  return { label: "get the namespace's id", type: c.RTM_GETNSID, flags: 0, body: w.finish() };
}

/** Reads the id: undefined when the namespace has none yet. @throws {CrateError} `FAILED` for a malformed message. */
export function decodeNamespaceId(message: Message): number | undefined {
  const id = splitBody(message, rtgenmsg.size).attributes.i32(c.NETNSA_NSID);
  return id === undefined || id < 0 ? undefined : id;
}
