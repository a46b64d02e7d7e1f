import {
  cmsg_fd,
  EINTR,
  iovec,
  MSG_CMSG_CLOEXEC,
  MSG_NOSIGNAL,
  msghdr,
  placeIn,
  type Program,
  ProgramBuilder,
  runProgram,
  SCM_RIGHTS,
  SOL_SOCKET,
  SyscallError,
  trySyscall,
} from "../../../ffi/mod.ts";

// Messages of sockets that may carry a descriptor; unix(7), cmsg(3). They hold pointers, so each is a program of
// one call in this process.

/** What a message may have: criu's answers have some hundred bytes. */
export const MAX_MESSAGE = 16384;
/** CMSG_LEN(sizeof(int)) */
const CMSG_LENGTH = 20;

/** A message that was received. */
export interface Received {
  /** Empty: the other side is gone. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The descriptor that came with it, the receiver's to close. */
  readonly fd?: number;
}

function exchange(
  call: "sendmsg" | "recvmsg",
  socket: number,
  content: Uint8Array<ArrayBuffer>,
  descriptor: number,
) {
  const p = new ProgramBuilder();
  const back = p.label("back");
  const buffer = p.variable("content", content.length, content);
  const vector = p.variableStruct("vector", iovec, { iov_len: content.length });
  p.pointer(placeIn(vector, 0), buffer);
  const control = p.variableStruct("descriptor", cmsg_fd, {
    cmsg_len: CMSG_LENGTH,
    cmsg_level: SOL_SOCKET,
    cmsg_type: SCM_RIGHTS,
    fd: descriptor,
  });
  const message = p.variableStruct("message", msghdr, {
    msg_iovlen: 1,
    msg_controllen: cmsg_fd.size,
  });
  p.pointer(placeIn(message, msghdr.offset("msg_iov")), vector);
  p.pointer(placeIn(message, msghdr.offset("msg_control")), control);
  const result = p.variable("result", 8);
  const flags = call === "sendmsg" ? MSG_NOSIGNAL : MSG_CMSG_CLOEXEC;
  p.call(call, [socket, message, flags], { result, negative: back });
  p.place(back);
  p.return();
  const program: Program = p.build();
  for (;;) {
    const run = runProgram(program);
    const count = run.value(result);
    if (count === -EINTR) continue;
    if (count < 0) throw new SyscallError(call, -count);
    return { count, bytes: run.bytes(buffer), control: run.bytes(control) };
  }
}

/** Waits for a message. @throws {SyscallError} */
export function receive(socket: number): Received {
  const { count, bytes, control } = exchange(
    "recvmsg",
    socket,
    new Uint8Array(MAX_MESSAGE),
    -1,
  );
  const fd = cmsg_fd.get(control, "fd");
  return { bytes: bytes.slice(0, count), ...fd >= 0 && { fd } };
}

/** Sends a message. @throws {SyscallError} `EPIPE` when the other side is gone. */
export function send(socket: number, bytes: Uint8Array<ArrayBuffer>): void {
  for (;;) {
    const sent = trySyscall("sendto", socket, bytes, bytes.length, MSG_NOSIGNAL, null, 0);
    if (sent >= 0) return;
    if (sent !== -EINTR) throw new SyscallError("sendto", -sent);
  }
}

/** Sends a message with a descriptor, which stays the sender's. @throws {SyscallError} */
export function sendWith(socket: number, bytes: Uint8Array<ArrayBuffer>, fd: number): void {
  exchange("sendmsg", socket, bytes, fd);
}
