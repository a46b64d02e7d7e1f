import {
  addressOf,
  AF_INET,
  AF_NETLINK,
  AT_FDCWD,
  type Cell,
  encodeText,
  type Label,
  MSG_DONTWAIT,
  NETLINK_NETFILTER,
  NEXT,
  O_CLOEXEC,
  O_RDONLY,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_RAW,
  statx_layout,
  valueOf,
} from "../../../ffi/mod.ts";
import type { ReadyNetwork } from "../../network/mod.ts";
import { checkFiles, same } from "./check_host.ts";
import { findLine, readBytes } from "./lines.ts";
import type { Scope } from "./scope.ts";

// What of the host's networks something was made ready for, looked at again by the program that it became.

/** struct ifreq: the name in 16 bytes, then the answer. netdevice(7) */
const IFREQ_SIZE = 40;
const NAME_SIZE = 16;
/** Longer than any answer that is looked at. */
const ANSWER_SIZE = 1024;

/** Goes on at `other` when anything is not as it was: networks and who is on them, the bridge, the firewall, settings. */
export function checkNetwork(s: Scope, network: ReadyNetwork, other: Label): void {
  checkFiles(s, network.guards, other);
  const at = statx_layout.offset("stx_ino");
  const identity = [{ at, bytes: network.namespace }];
  checkFiles(s, [{ path: "/proc/self/ns/net", identity }], other);
  for (const { path, text } of network.settings) checkSetting(s, path, text, other);
  checkBridge(s, network, other);
  checkFirewall(s, network, other);
}

function checkSetting(s: Scope, path: string, text: string, other: Label): void {
  const { p } = s;
  const [fd, size] = [s.descriptor("setting"), s.descriptor("its size")];
  const bytes = encodeText(text);
  const found = p.variable("its value", bytes.length + 1);
  const as = s.label("as long");
  p.call("openat", [AT_FDCWD, p.string(path), O_RDONLY | O_CLOEXEC, 0], {
    result: fd,
    negative: other,
  });
  p.call("read", [valueOf(fd), found, found.size], { result: size, negative: NEXT });
  p.call("close", [valueOf(fd)], { negative: NEXT });
  p.jumpIfEqual(valueOf(size), bytes.length, as);
  p.jump(other);
  p.place(as);
  same(s, found, bytes, other);
}

/** As `readyBridge`. */
function checkBridge(s: Scope, { bridge }: ReadyNetwork, other: Label): void {
  const { p } = s;
  const [socket, found] = [s.descriptor("socket"), s.descriptor("answer")];
  p.call("socket", [AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0], { result: socket, negative: other });
  const wrong = s.label("another bridge");
  for (const { request, at, mask, value } of bridge.answers) {
    const right = s.label("the bridge");
    const asked = ifreq(s, bridge.name);
    p.call("ioctl", [valueOf(socket), request, asked], { negative: wrong });
    p.compute(valueOf(asked, NAME_SIZE + at), 0, mask, { result: found, negative: NEXT });
    p.jumpIfEqual(valueOf(found), value, right);
    p.jump(wrong);
    p.place(right);
  }
  p.call("close", [valueOf(socket)], { negative: NEXT });
  s.aside(() => {
    p.place(wrong);
    p.call("close", [valueOf(socket)], { negative: NEXT });
    p.jump(other);
  });
  if (bridge.address6 === undefined) return;
  const [has, without] = [s.label("its address"), s.label("no address")];
  const reading = readBytes(s, "/proc/self/net/if_inet6", other);
  findLine(s, bridge.address6, { ...reading, found: has, absent: without });
  p.place(without);
  p.call("close", [valueOf(reading.fd)], { negative: NEXT });
  p.jump(other);
  p.place(has);
  p.call("close", [valueOf(reading.fd)], { negative: NEXT });
}

/** A question about an interface. */
export function ifreq(s: Scope, name: string): Cell {
  const bytes = new Uint8Array(IFREQ_SIZE);
  bytes.set(encodeText(name));
  return s.p.variable(`ifreq of ${name}`, IFREQ_SIZE, bytes);
}

/** As `isAsItWas`. */
function checkFirewall(s: Scope, { firewall }: ReadyNetwork, other: Label): void {
  const { p } = s;
  const { request, answer, at } = firewall;
  const found = p.variable("generation", ANSWER_SIZE);
  const [socket, wrong] = [s.descriptor("netfilter"), s.label("another firewall")];
  p.call("socket", [AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER], {
    result: socket,
    negative: other,
  });
  const question = p.bytes(request, "get the generation");
  p.call("sendto", [valueOf(socket), question, request.length, 0, 0, 0], { negative: wrong });
  p.call("recvfrom", [valueOf(socket), found, ANSWER_SIZE, MSG_DONTWAIT, 0, 0], {
    negative: wrong,
  });
  same(s, addressOf(found, at), answer, wrong);
  p.call("close", [valueOf(socket)], { negative: NEXT });
  s.aside(() => {
    p.place(wrong);
    p.call("close", [valueOf(socket)], { negative: NEXT });
    p.jump(other);
  });
}
