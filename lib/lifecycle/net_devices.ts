import { close, O_RDONLY, open, SyscallError } from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import {
  addAddress,
  type AddressEntry,
  type Link,
  NetlinkError,
  RouteSocket,
  setLink,
} from "../netlink/mod.ts";
import type { Spec } from "../spec/mod.ts";
import { namespace } from "./program/mod.ts";

// Network devices of the host's in a container: config-linux.md, "Network Devices".

// linux/if_addr.h
const IFA_F_NODAD = 0x02;
const IFA_F_PERMANENT = 0x80;

/** A device that is in the container now, and what it was on the host. */
interface Moved {
  readonly field: string;
  readonly before: Link;
  readonly addresses: readonly AddressEntry[];
  /** Its name in the container. */
  readonly name: string;
}

/** The devices of a config in their container. */
export interface MovedDevices {
  /** Gives them back, as they were: the container does not start. One that is gone with it is gone. */
  giveBack(): void;
  /** They are the container's: the kernel gives hardware back when its network namespace ends. */
  keep(): void;
}

/**
 * Moves the devices of `linux.netDevices` into a container's network namespace, with their names there and with their
 * permanent addresses of global scope, and raises them.
 *
 * @param pid the init, which waits.
 * @throws {CrateError} `INVALID` for a device that is not there, or a name that is taken; `START` when the kernel
 *   refuses. All are back where they were then.
 */
export function moveNetDevices(spec: Spec, pid: number): MovedDevices {
  const path = namespace(spec, "network")?.path || `/proc/${pid}/ns/net`;
  const target = openNamespace(path);
  const moved: Moved[] = [];
  const giveBack = () => {
    try {
      for (const device of moved.reverse()) tryToRestore(target, device);
    } finally {
      close(target);
    }
  };
  try {
    using host = RouteSocket.open();
    using inside = RouteSocket.open({ namespace: target });
    for (const [device, { name }] of Object.entries(spec.linux?.netDevices ?? {})) {
      const field = `linux.netDevices["${device}"]`;
      told(field, () => {
        moved.push(take(host, inside, target, { field, device, name: name || device }));
        raise(inside, moved.at(-1)!);
      });
    }
  } catch (error) {
    giveBack();
    throw error instanceof NetlinkError
      ? new CrateError("START", `linux.netDevices: ${error.message}`, { cause: error })
      : error;
  }
  return { giveBack, keep: () => close(target) };
}

function openNamespace(path: string): number {
  try {
    return open(path, O_RDONLY);
  } catch (cause) {
    if (!(cause instanceof SyscallError)) throw cause;
    throw new CrateError("START", `linux.netDevices: ${path} cannot be opened: ${cause.code}`, {
      cause,
    });
  }
}

function told(field: string, act: () => void): void {
  try {
    act();
  } catch (cause) {
    if (!(cause instanceof NetlinkError)) throw cause;
    throw new CrateError("START", `${field}: ${cause.message}`, { cause });
  }
}

/** The addresses that go with a device. */
function isKept({ scope, flags }: AddressEntry): boolean {
  return scope === "universe" && (flags & IFA_F_PERMANENT) !== 0;
}

function take(
  host: RouteSocket,
  inside: RouteSocket,
  namespaceFd: number,
  { field, device, name }: {
    readonly field: string;
    readonly device: string;
    readonly name: string;
  },
): Moved {
  const before = host.link(device);
  if (before === undefined) {
    throw new CrateError("INVALID", `${field}: this host has no such network device`);
  }
  // The kernel would rename it only once it is there.
  if (inside.link(name) !== undefined) {
    throw new CrateError("INVALID", `${field}: the container has a device named ${name} already`);
  }
  const addresses = host.addresses(before.index)
    .filter((address) => address.index === before.index && isKept(address));
  host.execute([setLink({ index: before.index, name, namespaceFd })]);
  return { field, before, addresses, name };
}

/** Gives a device its addresses again, which it has lost on its way, and raises it. */
function raise(inside: RouteSocket, { addresses, name }: Moved): void {
  const { index } = inside.link(name)!;
  inside.execute([
    ...addresses.map((address) => addAddress(kept(address, index))),
    setLink({ index, up: true }),
  ]);
}

function kept({ address, prefix, broadcast, flags }: AddressEntry, index: number) {
  return {
    index,
    address,
    prefix,
    ...broadcast && { broadcast },
    ...(flags & IFA_F_NODAD) !== 0 && { noDad: true },
  };
}

/** What cannot go back is lost with the container: what has failed before is what is told. */
function tryToRestore(target: number, device: Moved): void {
  try {
    restore(target, device);
  } catch (error) {
    if (!(error instanceof NetlinkError)) throw error;
  }
}

/** Moves a device back, by the name, the addresses and the state that it had. */
function restore(target: number, { before, addresses, name }: Moved): void {
  using inside = RouteSocket.open({ namespace: target });
  const link = inside.link(name);
  if (link === undefined) return;
  const own = openNamespace("/proc/thread-self/ns/net");
  try {
    inside.execute([setLink({ index: link.index, up: false })]);
    inside.execute([setLink({ index: link.index, name: before.name, namespaceFd: own })]);
  } finally {
    close(own);
  }
  using host = RouteSocket.open();
  const { index } = host.link(before.name)!;
  host.execute(addresses.map((address) => addAddress(kept(address, index))));
  if (before.up) host.execute([setLink({ index, up: true })]);
}
