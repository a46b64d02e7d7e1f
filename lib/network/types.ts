// What a network is, what a container has of it, and what is said of both on disk.

/** Who makes the interfaces of a network's containers. */
export type Driver = "bridge" | "macvlan" | "none";

/** A range of addresses, and the one in it that is the way out. */
export interface Subnet {
  /** `10.90.0.0/16` or `fd12:3456:789a::/64`. */
  readonly subnet: string;
  readonly gateway: string;
}

/** A network as it was made: it stays until it is removed. */
export interface NetworkDefinition {
  readonly version: number;
  readonly name: string;
  readonly driver: Driver;
  /** RFC 3339. */
  readonly created: string;
  /** The bridge, or the interface of the host that a macvlan network hangs on; a network of driver `none` has none. */
  readonly interface?: string;
  /** At most one of each family. */
  readonly subnets: readonly Subnet[];
  /** Its containers reach each other and nothing else. */
  readonly internal: boolean;
  readonly mtu?: number;
  readonly labels: Readonly<Record<string, string>>;
}

export type Protocol = "tcp" | "udp" | "sctp";

/** A port of the host that is a container's. */
export interface PortMapping {
  readonly protocol: Protocol;
  /** Absent: every address of the host, of both families. */
  readonly hostAddress?: string;
  readonly hostPort: number;
  readonly containerPort: number;
}

/** A port to publish; without a host port any free one is taken. */
export interface PortRequest extends Omit<PortMapping, "hostPort"> {
  readonly hostPort?: number;
}

/** What a container wants of one network. */
export interface EndpointRequest {
  readonly network: string;
  /** Of the network's subnet; absent: any free one. */
  readonly ip?: string;
  readonly ip6?: string;
  readonly mac?: string;
  readonly aliases?: readonly string[];
}

/** What a container wants of networks; kept in its record, so that it can be started again. */
export interface NetworkRequest {
  readonly endpoints: readonly EndpointRequest[];
  readonly ports?: readonly PortRequest[];
  readonly hostname?: string;
  readonly domainname?: string;
  /** `name:address` or `name:host-gateway`. */
  readonly addHosts?: readonly string[];
  readonly dns?: readonly string[];
  readonly dnsSearch?: readonly string[];
  readonly dnsOptions?: readonly string[];
}

/** What a container has of one network. */
export interface Endpoint {
  readonly network: string;
  /** In the container: `eth0`. */
  readonly interface: string;
  /** Its other end, on the host; a macvlan has none. */
  readonly hostInterface?: string;
  readonly mac: string;
  readonly ip?: string;
  readonly ip6?: string;
  readonly aliases: readonly string[];
}

/** A process by whose life an attachment lives. */
export interface Holder {
  readonly pid: number;
  /** Clock ticks since boot: field 22 of /proc/pid/stat, proc(5). */
  readonly startTime: number;
}

/** A container on its networks. */
export interface Attachment {
  readonly id: string;
  /** The name of the directory with its files. */
  readonly key: string;
  readonly holder: Holder;
  readonly endpoints: readonly Endpoint[];
  readonly ports: readonly PortMapping[];
  /** The lines of its hosts file that are not others' names. */
  readonly hosts: string;
}

/** All that changes with the containers; lives where a reboot clears it. */
export interface NetworkState {
  readonly version: number;
  /** The address given last, by `network family`: one that is given back is given again late. */
  readonly last: Readonly<Record<string, string>>;
  readonly attachments: Readonly<Record<string, Attachment>>;
  readonly firewall?: FirewallMark;
  /** Addresses, by network, that are kept for containers that programs put there. */
  readonly pools?: Readonly<Record<string, readonly PooledAddress[]>>;
}

/** Addresses of one container. */
export type PooledAddress = Pick<Endpoint, "ip" | "ip6" | "mac">;

/** By what it is known that nobody has changed the firewall since crate did. */
export interface FirewallMark {
  /** The number that each change of anybody's makes another. */
  readonly generation: number;
  /** The network namespace. */
  readonly namespace: string;
  /** The networks that it knows. */
  readonly networks: readonly string[];
}
