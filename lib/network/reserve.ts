import {
  AF_INET,
  close,
  EACCES,
  EADDRINUSE,
  EADDRNOTAVAIL,
  EAFNOSUPPORT,
  EPROTONOSUPPORT,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_STREAM,
  SyscallError,
  trySyscall,
} from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import { parseAddress } from "../netlink/mod.ts";
import {
  AF_INET6,
  IPPROTO_IPV6,
  IPPROTO_SCTP,
  IPV6_V6ONLY,
  SO_REUSEADDR,
  SOL_SOCKET,
} from "./constants.ts";
import type { PortMapping, PortRequest, Protocol } from "./types.ts";

/** Ports that are this process's alone until their descriptors are closed, wherever those are then. */
export interface Reserved {
  readonly ports: readonly PortMapping[];
  /** Bound sockets. Nothing is ever read from them: packets are sent on before they get here. */
  readonly descriptors: readonly number[];
}

/** How a port that any will do for is found: tries, since it must be free in both families. */
const TRIES = 20;

/** struct sockaddr_in or sockaddr_in6; ip(7), ipv6(7). */
function socketAddress(address: Uint8Array, port: number): Uint8Array<ArrayBuffer> {
  const isSix = address.length === 16;
  const bytes = new Uint8Array(isSix ? 28 : 16);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, isSix ? AF_INET6 : AF_INET, true);
  view.setUint16(2, port);
  bytes.set(address, isSix ? 8 : 4);
  return bytes;
}

function setOption(fd: number, level: number, name: number, value: number): void {
  const bytes = new Uint8Array(new Int32Array([value]).buffer);
  trySyscall("setsockopt", fd, level, name, bytes, 4);
}

/** A bound socket. @returns its descriptor, or the kernel's negative answer. */
function bind(protocol: Protocol, address: Uint8Array, port: number): number {
  const isSix = address.length === 16;
  const type = protocol === "udp" ? SOCK_DGRAM : SOCK_STREAM;
  const family = isSix ? AF_INET6 : AF_INET;
  const number = protocol === "sctp" ? IPPROTO_SCTP : 0;
  const fd = trySyscall("socket", family, type | SOCK_CLOEXEC, number);
  if (fd < 0) return fd;
  if (isSix) setOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
  const name = socketAddress(address, port);
  let result = trySyscall("bind", fd, name, name.length);
  if (result === -EADDRINUSE && protocol === "tcp" && port !== 0) {
    // It may be no more than the remains of somebody's old connections, which need not keep us. tcp(7), TIME_WAIT
    setOption(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    result = trySyscall("bind", fd, name, name.length);
    setOption(fd, SOL_SOCKET, SO_REUSEADDR, 0);
  }
  if (result < 0) {
    close(fd);
    return result;
  }
  return fd;
}

function portOf(fd: number): number {
  const name = new Uint8Array(28);
  const size = new Uint8Array(new Int32Array([28]).buffer);
  const result = trySyscall("getsockname", fd, name, size);
  if (result < 0) throw new SyscallError("getsockname", -result);
  return new DataView(name.buffer).getUint16(2);
}

/** Both families where no address is said; one that the kernel lacks is left out. */
function addressesOf({ hostAddress }: PortRequest): Uint8Array[] {
  if (hostAddress !== undefined) return [parseAddress(hostAddress)!];
  return [new Uint8Array(4), new Uint8Array(16)];
}

/** A family that is switched off, or a protocol of a module that is not there, has nobody to quarrel with. */
const isAbsent = (result: number) =>
  [EAFNOSUPPORT, EADDRNOTAVAIL, EPROTONOSUPPORT].includes(-result);

function reserveOne(request: PortRequest, port: number): { port: number; fds: number[] } | number {
  const fds: number[] = [];
  let taken = port;
  for (const address of addressesOf(request)) {
    const fd = bind(request.protocol, address, taken);
    if (fd < 0 && request.hostAddress === undefined && isAbsent(fd)) continue;
    if (fd < 0) {
      fds.forEach(close);
      return fd;
    }
    fds.push(fd);
    if (taken === 0) taken = portOf(fd);
  }
  return taken === 0 ? -EPROTONOSUPPORT : { port: taken, fds };
}

/**
 * Takes ports of the host, so that nobody else can meanwhile.
 *
 * @param who tells who has a port, for the sentence that refuses it.
 * @throws {CrateError} `EXISTS` for one that is in use; `INVALID` for an address that is not this host's.
 */
export function reservePorts(
  requests: readonly PortRequest[],
  who: (port: PortMapping) => string | undefined,
): Reserved {
  const ports: PortMapping[] = [];
  const descriptors: number[] = [];
  try {
    for (const request of requests) {
      const wanted = request.hostPort ?? 0;
      let result = reserveOne(request, wanted);
      for (let i = 0; i < TRIES && wanted === 0 && result === -EADDRINUSE; i++) {
        result = reserveOne(request, 0);
      }
      if (typeof result === "number") throw refused(request, -result, who);
      descriptors.push(...result.fds);
      ports.push({ ...request, hostPort: result.port });
    }
    return { ports, descriptors };
  } catch (error) {
    descriptors.forEach(close);
    throw error;
  }
}

function refused(
  request: PortRequest,
  errno: number,
  who: (port: PortMapping) => string | undefined,
): CrateError {
  const { hostAddress, hostPort = 0, protocol } = request;
  const place = `${hostPort}/${protocol}${hostAddress === undefined ? "" : ` of ${hostAddress}`}`;
  if (errno === EADDRINUSE) {
    const holder = who({ ...request, hostPort });
    return new CrateError(
      "EXISTS",
      `port ${place} of this host is in use${holder === undefined ? "" : ` by ${holder}`}`,
    );
  }
  if (errno === EADDRNOTAVAIL) {
    return new CrateError("INVALID", `--publish: ${hostAddress} is no address of this host`);
  }
  if (errno === EACCES) {
    return new CrateError("PERMISSION", `port ${place} of this host may not be taken by this user`);
  }
  const { code } = new SyscallError("bind", errno);
  return new CrateError("FAILED", `port ${place} of this host cannot be taken: ${code}`);
}
