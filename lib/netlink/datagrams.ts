import {
  close,
  EAGAIN,
  EINTR,
  EMSGSIZE,
  ENOBUFS,
  Layout,
  MSG_DONTWAIT,
  SOCK_CLOEXEC,
  SOL_SOCKET,
  syscall,
  SyscallError,
  trySyscall,
} from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import * as c from "./constants.ts";
import { NetlinkError } from "./errors.ts";
import { inNamespace } from "./namespace.ts";

/** An answer that was lost: there was no room for it. */
export const LOST = Symbol("lost");
/** There is no answer, and none will come. */
export const EMPTY = Symbol("empty");

/** What carries messages to the kernel and back. */
export interface Datagrams extends Disposable {
  /** Sends messages in one datagram; the kernel has done what they ask for when this returns. */
  send(bytes: Uint8Array, label: string): void;
  /**
   * The next datagram from the kernel.
   *
   * @param size acknowledgements are small, objects may be large.
   * @param wait whether to wait for one.
   */
  receive(
    size: "acknowledgement" | "object",
    wait: boolean,
  ): Uint8Array<ArrayBuffer> | typeof LOST | typeof EMPTY;
}

/** Room at first: an acknowledgement has no more than the kernel's sentence. A list comes in parts of 32 KiB. */
const SIZES = { acknowledgement: 4096, object: 32 << 10 } as const;
/** Less than one system call of ours can take, 1 MiB. Bytes. */
const MAX_SIZE = 1_000_000;
/** What any socket can send. Bytes. */
const SENT_BY_ANY = 64 << 10;
const RECEIVE_BUFFER = 4 << 20;
/** The kernel answers before a send returns: a socket that waits any longer would wait for ever. */
const PATIENCE_SECONDS = 10;

/** linux/netlink.h. */
export const sockaddr_nl = new Layout("sockaddr_nl", {
  nl_family: "u16",
  nl_pad: "u16",
  nl_pid: "u32",
  nl_groups: "u32",
});

/** A socket of the kernel's, netlink(7). */
export class KernelDatagrams implements Datagrams {
  #fd: number;
  #sendBuffer = SENT_BY_ANY;
  readonly #buffers: Partial<Record<keyof typeof SIZES, Uint8Array<ArrayBuffer>>> = {};
  readonly #from = new Uint8Array(sockaddr_nl.size);
  readonly #fromSize = new Uint8Array(4);

  /** @throws {NetlinkError} when the namespace cannot be entered, {SyscallError} when there can be no socket. */
  constructor(
    protocol: number,
    { namespace, socket }: { readonly namespace?: number; readonly socket?: number },
  ) {
    const kind = c.SOCK_RAW | SOCK_CLOEXEC;
    const make = () => syscall("socket", c.AF_NETLINK, kind, protocol);
    this.#fd = socket ?? (namespace === undefined ? make() : inNamespace(namespace, make));
    try {
      this.#set(c.SOL_NETLINK, c.NETLINK_EXT_ACK, 1);
      this.#set(c.SOL_NETLINK, c.NETLINK_CAP_ACK, 1);
      if (protocol === c.NETLINK_ROUTE) this.#set(c.SOL_NETLINK, c.NETLINK_GET_STRICT_CHK, 1);
      this.#grow(c.SO_RCVBUFFORCE, c.SO_RCVBUF, RECEIVE_BUFFER);
      const timeval = new Layout("timeval", { tv_sec: "i64", tv_usec: "i64" });
      const patience = timeval.pack({ tv_sec: PATIENCE_SECONDS });
      syscall("setsockopt", this.#fd, SOL_SOCKET, c.SO_RCVTIMEO, patience, patience.length);
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  [Symbol.dispose](): void {
    if (this.#fd >= 0) close(this.#fd);
    this.#fd = -1;
  }

  /** @throws {NetlinkError} {CrateError} `INVALID` above 1,000,000 bytes, or what this process's sockets may send. */
  send(bytes: Uint8Array, label: string): void {
    if (bytes.length > MAX_SIZE) throw tooLarge(label, bytes.length);
    if (bytes.length > this.#sendBuffer) {
      this.#sendBuffer = 2 * bytes.length;
      this.#grow(c.SO_SNDBUFFORCE, c.SO_SNDBUF, this.#sendBuffer);
    }
    for (;;) {
      const sent = trySyscall("sendto", this.#fd, bytes, bytes.length, 0, null, 0);
      if (sent >= 0) return;
      if (sent === -EMSGSIZE) throw tooLarge(label, bytes.length);
      if (sent !== -EINTR) throw new NetlinkError(label, -sent);
    }
  }

  /** @throws {SyscallError} */
  receive(
    size: keyof typeof SIZES,
    wait: boolean,
  ): Uint8Array<ArrayBuffer> | typeof LOST | typeof EMPTY {
    const buffer = this.#buffers[size] ??= new Uint8Array(SIZES[size]);
    const flags = c.MSG_TRUNC | (wait ? 0 : MSG_DONTWAIT);
    for (;;) {
      new DataView(this.#fromSize.buffer).setUint32(0, this.#from.length, true);
      const [from, fromSize] = [this.#from, this.#fromSize];
      const count = trySyscall("recvfrom", this.#fd, buffer, buffer.length, flags, from, fromSize);
      if (count === -EINTR) continue;
      if (count === -ENOBUFS) return LOST;
      if (count === -EAGAIN) return EMPTY;
      if (count < 0) throw new SyscallError("recvfrom", -count);
      // Anybody may send to a socket's port: the kernel's own is 0.
      if (sockaddr_nl.get(from, "nl_pid") !== 0) continue;
      if (count <= buffer.length) return buffer.slice(0, count);
      if (count > MAX_SIZE) throw tooLarge("an answer of the kernel", count);
      this.#buffers[size] = new Uint8Array(count);
      return LOST;
    }
  }

  /** Beyond the limit of other processes with CAP_NET_ADMIN on the host, up to it without. */
  #grow(force: number, option: number, size: number): void {
    if (this.#trySet(SOL_SOCKET, force, size) < 0) this.#set(SOL_SOCKET, option, size);
  }

  #set(level: number, option: number, value: number): void {
    const result = this.#trySet(level, option, value);
    if (result < 0) throw new SyscallError("setsockopt", -result);
  }

  #trySet(level: number, option: number, value: number): number {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setInt32(0, value, true);
    return trySyscall("setsockopt", this.#fd, level, option, bytes, bytes.length);
  }
}

function tooLarge(label: string, size: number): CrateError {
  return new CrateError("INVALID", `${label}: ${size} bytes are too many for one datagram`);
}
