import {
  AF_INET,
  close,
  encodeText,
  IFF_UP,
  readText,
  SIOCGIFADDR,
  SIOCGIFFLAGS,
  SIOCGIFINDEX,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  syscall,
  trySyscall,
} from "../../ffi/mod.ts";
import { parseAddress } from "../netlink/mod.ts";

// The few questions about interfaces that every start asks, in the shortest form that the kernel takes: an ioctl
// each, where a message of rtnetlink brings all that is known. netdevice(7)

/** struct ifreq: the name in 16 bytes, then the answer. */
const IFREQ_SIZE = 40;
const ANSWER = 16;

function ask(fd: number, request: number, name: string): DataView | undefined {
  const bytes = new Uint8Array(IFREQ_SIZE);
  bytes.set(encodeText(name));
  return trySyscall("ioctl", fd, request, bytes) < 0
    ? undefined
    : new DataView(bytes.buffer, ANSWER);
}

/** The line that tells of an IPv6 address of an interface, when it has it. proc(5), /proc/net/if_inet6 */
export function lineOfAddress6(name: string, address: string): string | undefined {
  const hex = parseAddress(address)!.toHex();
  const addresses = readText("/proc/thread-self/net/if_inet6", 16 << 20);
  return addresses.split("\n").find((line) => line.startsWith(hex) && line.endsWith(` ${name}`));
}

/** Asks about interfaces of the network namespace that the thread is in. */
export class InterfaceSocket implements Disposable {
  readonly #fd = syscall("socket", AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

  [Symbol.dispose](): void {
    close(this.#fd);
  }

  /** An interface's number; undefined when there is none of this name. */
  index(name: string): number | undefined {
    return ask(this.#fd, SIOCGIFINDEX, name)?.getInt32(0, true);
  }

  isUp(name: string): boolean {
    return ((ask(this.#fd, SIOCGIFFLAGS, name)?.getInt16(0, true) ?? 0) & IFF_UP) !== 0;
  }

  /** Its first IPv4 address: a sockaddr_in. */
  address(name: string): Uint8Array | undefined {
    const answer = ask(this.#fd, SIOCGIFADDR, name);
    return answer && new Uint8Array(answer.buffer, ANSWER + 4, 4).slice();
  }
}
