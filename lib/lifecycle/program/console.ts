import {
  AF_UNIX,
  type Argument,
  AT_EMPTY_PATH,
  type Cell,
  cmsg_fd,
  F_SETFL,
  iovec,
  MSG_CMSG_CLOEXEC,
  MSG_NOSIGNAL,
  msghdr,
  O_NOCTTY,
  O_NONBLOCK,
  O_RDWR,
  placeIn,
  SCM_RIGHTS,
  SOCK_CLOEXEC,
  SOCK_STREAM,
  SOL_SOCKET,
  TIOCGPTPEER,
  TIOCSCTTY,
  TIOCSPTLCK,
  TIOCSWINSZ,
  valueOf,
  winsize,
} from "../../../ffi/mod.ts";
import type { Process } from "../../spec/mod.ts";
import { cloneTree } from "./filesystem.ts";
import { attach, IN_ROOT, openBelow, openOrMake, type Scope } from "./scope.ts";

/** A message that carries one descriptor; unix(7), cmsg(3). */
export interface DescriptorMessage {
  readonly message: Cell;
  readonly control: Cell;
}

const CMSG_LENGTH = 20; // CMSG_LEN(sizeof(int))

/** @param text what goes with the descriptor, and the register of its length; absent: one byte. */
export function descriptorMessage(
  s: Scope,
  text?: { readonly content: Cell; readonly length: Cell },
): DescriptorMessage {
  const { p } = s;
  const vector = p.variableStruct("message vector", iovec, { iov_len: 1 });
  p.pointer(placeIn(vector, 0), text?.content ?? p.variable("byte", 1));
  if (text !== undefined) p.set(placeIn(vector, iovec.offset("iov_len")), valueOf(text.length));
  const control = p.variableStruct("descriptor message", cmsg_fd, {
    cmsg_len: CMSG_LENGTH,
    cmsg_level: SOL_SOCKET,
    cmsg_type: SCM_RIGHTS,
    fd: -1,
  });
  const message = p.variableStruct("message", msghdr, {
    msg_iovlen: 1,
    msg_controllen: cmsg_fd.size,
  });
  p.pointer(placeIn(message, msghdr.offset("msg_iov")), vector);
  p.pointer(placeIn(message, msghdr.offset("msg_control")), control);
  return { message, control };
}

/** Sends a descriptor over a socket. */
export function sendDescriptor(s: Scope, socket: Argument, fd: Cell, label: string): void {
  const { message, control } = descriptorMessage(s);
  s.p.set(placeIn(control, cmsg_fd.offset("fd")), valueOf(fd));
  s.p.call("sendmsg", [socket, message, MSG_NOSIGNAL], { label });
}

/** Receives a descriptor, -1 when the other side has closed the socket without sending one. */
export function receiveDescriptor(s: Scope, socket: Argument, label: string): Cell {
  const { message, control } = descriptorMessage(s);
  const fd = s.descriptor("console");
  const next = s.label("next");
  s.p.call("recvmsg", [socket, message, MSG_CMSG_CLOEXEC], { label, negative: next });
  s.p.place(next);
  s.p.set(fd, valueOf(control, cmsg_fd.offset("fd")));
  return fd;
}

/** A socket pair by which an init hands its console to its monitor. */
export function consolePair(s: Scope): { mine: Cell; theirs: Cell } {
  const { p } = s;
  const pair = p.variable("console socket", 8);
  p.call("socketpair", [AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair], {
    label: "make the console socket",
  });
  const mine = s.descriptor("console socket");
  const theirs = s.descriptor("console socket of the init");
  p.set(mine, valueOf(pair, 0));
  p.set(theirs, valueOf(pair, 4));
  return { mine, theirs };
}

/** The monitor's end of it: receives the console, to be read without blocking. */
export function takeConsole(s: Scope, pair: { mine: Cell; theirs: Cell }): Cell {
  const { p } = s;
  p.call("close", [valueOf(pair.theirs)]);
  const master = receiveDescriptor(s, valueOf(pair.mine), "receive the console");
  const next = s.label("next");
  p.call("fcntl", [valueOf(master), F_SETFL, O_RDWR | O_NONBLOCK], { negative: next });
  p.place(next);
  return master;
}

/**
 * Opens a pseudo-terminal in the container's own devpts, hands its master to `socket`, and makes the
 * slave the standard three descriptors, the controlling terminal and, with a root to mount it in,
 * /dev/console. runtime-linux.md; pts(4), ioctl_tty(2)
 *
 * @param base a directory descriptor: the container's root.
 */
export function openConsole(
  s: Scope,
  base: Argument,
  process: Process,
  socket: Argument,
  mountIn: Cell | undefined,
): void {
  const { p } = s;
  const label = "open the container's console";
  const master = s.descriptor("console master");
  const slave = s.descriptor("console slave");
  openBelow(s, base, "dev/pts/ptmx", O_RDWR | O_NOCTTY, {
    label,
    result: master,
    resolve: IN_ROOT,
  });
  p.call("ioctl", [valueOf(master), TIOCSPTLCK, p.bytes(new Uint8Array(4), "&0")], { label });
  p.call("ioctl", [valueOf(master), TIOCGPTPEER, O_RDWR | O_NOCTTY], { label, result: slave });
  const { consoleSize, user } = process;
  if (consoleSize) {
    const size = p.struct(winsize, { ws_row: consoleSize.height, ws_col: consoleSize.width });
    p.call("ioctl", [valueOf(master), TIOCSWINSZ, size], { label: "set the console's size" });
  }
  if (user?.uid) {
    const own = [valueOf(slave), p.string(""), user.uid, 0xffffffff, AT_EMPTY_PATH];
    p.call("fchownat", own, { label: "give the console to the user" });
  }
  if (mountIn !== undefined) {
    const on = "mount the console on /dev/console";
    const tree = cloneTree(s, valueOf(slave), "", false, on);
    attach(s, valueOf(tree), valueOf(openOrMake(s, mountIn, "/dev/console", "file")), on);
  }
  sendDescriptor(s, socket, master, "hand out the console");
  p.call("ioctl", [valueOf(slave), TIOCSCTTY, 0], { label: "take the console" });
  for (const fd of [0, 1, 2]) {
    p.call("dup3", [valueOf(slave), fd, 0], { label: "take the console" });
  }
}
