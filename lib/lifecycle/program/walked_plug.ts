import {
  addressOf,
  AF_INET,
  AF_NETLINK,
  AT_FDCWD,
  type Cell,
  CLONE_NEWNET,
  encodeText,
  type Label,
  MSG_DONTWAIT,
  NETLINK_ROUTE,
  NEXT,
  O_CLOEXEC,
  O_DIRECTORY,
  O_RDONLY,
  O_WRONLY,
  placeIn,
  SIOCGIFINDEX,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_RAW,
  valueOf,
} from "../../../ffi/mod.ts";
import type { ReadyNetwork } from "../../network/mod.ts";
import { ifreq } from "./check_network.ts";
import type { Scope } from "./scope.ts";
import type { Identity } from "./walked_container.ts";
import type { Words } from "./words.ts";

// A container's interface, as a program makes it: `plugIn` of lib/network, by messages that were made before.

/** struct nlmsgerr comes after the header: zero, or a negative error. netlink(7) */
const ERROR_AT = 16;
const ANSWER_SIZE = 4096;
/** struct ifreq: where the answer is. netdevice(7) */
const INDEX_AT = 16;

/**
 * Gives a process's network namespace its interface: there, up, with its addresses and routes.
 *
 * @param words the file with this time's bytes, and from where on those of the place are in it.
 * @param failed where a failing step goes on; what is made goes with the namespace.
 */
export function plugIn(
  s: Scope,
  { link, inside }: ReadyNetwork,
  { own, words, from }: { readonly own: Words; readonly words: Cell; readonly from: number },
  init: Identity,
  failed: Label,
): void {
  const { p } = s;
  const [namespace, home] = [s.descriptor("container's network"), s.descriptor("own network")];
  const [proc, folder] = [s.descriptor("/proc"), s.descriptor("/proc/pid")];
  const flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  p.call("openat", [AT_FDCWD, p.string("/proc"), flags, 0], { result: proc, negative: failed });
  p.call("openat", [valueOf(proc), valueOf(init.pid.base), flags, 0], {
    result: folder,
    negative: failed,
  });
  p.call("openat", [valueOf(folder), p.string("ns/net"), O_RDONLY | O_CLOEXEC, 0], {
    result: namespace,
    negative: failed,
  });
  p.call("openat", [AT_FDCWD, p.string("/proc/self/ns/net"), O_RDONLY | O_CLOEXEC, 0], {
    result: home,
    negative: failed,
  });
  for (const fd of [folder, proc]) p.call("close", [valueOf(fd)], { negative: NEXT });
  const fill = (cell: Cell, gaps: ReadyNetwork["link"]["gaps"], negative: Label) => {
    for (const gap of gaps) {
      const to = addressOf(cell, gap.at);
      p.call("pread64", [valueOf(words), to, gap.size, from + gap.from], { negative });
    }
  };
  const message = own.bytes(link.message, "add the interface");
  fill(message, link.gaps, failed);
  p.set(placeIn(message, link.namespace), valueOf(namespace));
  converse(s, message, 1, failed);

  const [back, left] = [s.label("back"), s.label("left")];
  p.call("setns", [valueOf(namespace), CLONE_NEWNET], { negative: failed });
  for (const { path, text } of inside.settings) setNew(s, path, text, back);
  const [socket, asked] = [s.descriptor("socket inside"), ifreq(s, inside.interface)];
  p.call("socket", [AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0], { result: socket, negative: back });
  p.call("ioctl", [valueOf(socket), SIOCGIFINDEX, asked], { negative: back });
  p.call("close", [valueOf(socket)], { negative: NEXT });
  const messages = p.variable("set the interface", inside.messages.length, inside.messages);
  fill(messages, inside.gaps, back);
  for (const at of inside.indices) p.set(placeIn(messages, at), valueOf(asked, INDEX_AT));
  converse(s, messages, inside.count, back);
  p.call("setns", [valueOf(home), CLONE_NEWNET], { negative: failed, zero: left });
  s.aside(() => {
    p.place(back);
    p.call("setns", [valueOf(home), CLONE_NEWNET], { negative: NEXT });
    p.jump(failed);
  });
  p.place(left);
  for (const fd of [namespace, home]) p.call("close", [valueOf(fd)], { negative: NEXT });
}

/** As `writeNewSetting`. */
function setNew(s: Scope, path: string, text: string, failed: Label): void {
  const { p } = s;
  const [fd, absent] = [s.descriptor("setting"), s.label("no such setting")];
  const bytes = encodeText(text);
  p.call("openat", [AT_FDCWD, p.string(path), O_WRONLY | O_CLOEXEC, 0], {
    result: fd,
    negative: absent,
  });
  p.call("write", [valueOf(fd), p.bytes(bytes, text), bytes.length], { negative: failed });
  p.call("close", [valueOf(fd)], { negative: NEXT });
  p.place(absent);
}

/** Sends messages to rtnetlink; each is to be acknowledged. */
function converse(s: Scope, messages: Cell, count: number, failed: Label): void {
  const { p } = s;
  const [socket, wrong] = [s.descriptor("rtnetlink"), s.label("refused")];
  const answer = p.variable("acknowledgement", ANSWER_SIZE);
  p.call("socket", [AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE], {
    result: socket,
    negative: failed,
  });
  p.call("sendto", [valueOf(socket), messages, messages.size, 0, 0, 0], { negative: wrong });
  for (let i = 0; i < count; i++) {
    const fine = s.label("acknowledged");
    // The kernel has answered before a send returns.
    p.call("recvfrom", [valueOf(socket), answer, ANSWER_SIZE, MSG_DONTWAIT, 0, 0], {
      negative: wrong,
    });
    p.jumpIfEqual(valueOf(answer, ERROR_AT), 0, fine);
    p.jump(wrong);
    p.place(fine);
  }
  p.call("close", [valueOf(socket)], { negative: NEXT });
  s.aside(() => {
    p.place(wrong);
    p.call("close", [valueOf(socket)], { negative: NEXT });
    p.jump(failed);
  });
}
