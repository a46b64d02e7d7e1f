import type { Namespace } from "./namespace.ts";
import type { LeaveStep } from "../program/mod.ts";
import type { Endpoint, NetworkRequest, PortMapping, Subnet } from "../../network/mod.ts";

/** Who makes a network, and which. */
export type ForeignNetwork = {
  readonly kind: "cni";
  readonly name: string;
  /** Where its configuration is looked for. */
  readonly configurations: string;
  /** Where the plugins are looked for, in this order. */
  readonly plugins: readonly string[];
  /** What each plugin is told as `CNI_ARGS`. */
  readonly args?: string;
  /** `PATH`: a plugin may run others. */
  readonly path: string;
} | {
  readonly kind: "pasta" | "slirp4netns";
  /** `PATH`, in which the program is looked for. */
  readonly path: string;
};

/** The environment variables that have a say, of crate's own and cnitool's. */
export type ForeignEnvironment = {
  readonly [name in "PATH" | "NETCONFPATH" | "CNI_PATH" | "CNI_ARGS"]?: string;
};

/** What a container wants of such a network; kept in its record. */
export interface ForeignRequest extends NetworkRequest {
  readonly network: ForeignNetwork;
}

/** A program that gives back what it has made, and what it is told for that. */
export interface Deletion {
  readonly path: string;
  readonly env: readonly string[];
  readonly input: string;
}

/** Addresses of a container, and what else was made for it. */
export interface Made {
  readonly endpoint: Endpoint;
  /** One of a family that the container has. */
  readonly subnets: readonly Subnet[];
  /** The host's address as the container sees it. */
  readonly gateway?: string;
  readonly dns?: {
    readonly dns?: readonly string[];
    readonly dnsSearch?: readonly string[];
    readonly dnsOptions?: readonly string[];
  };
  /** Descriptors for the container's monitor. */
  readonly held: readonly number[];
  /** What the monitor does at the end; its descriptors are `held` from `first` on, the namespace's is `namespace`. */
  steps(first: number, namespace: number): readonly LeaveStep[];
  /** Gives all back at once. */
  undo(): Promise<void>;
}

/** `record.json` of a container's directory. */
export interface ForeignRecord {
  readonly version: number;
  readonly id: string;
  /** What is to be run when it has ended, in this order. */
  readonly deletions: readonly Deletion[];
  /** What it has, when it is made. */
  readonly made?: {
    readonly endpoint: Endpoint;
    readonly subnets: readonly Subnet[];
    readonly ports: readonly PortMapping[];
    readonly hosts: string;
  };
}

/** Whose network, and which. */
export interface ForeignOptions {
  /** The state directory of all containers. */
  readonly root: string;
  readonly id: string;
  /** The name of the directory with its files. */
  readonly key: string;
  readonly request: ForeignRequest;
  /** The network namespace that becomes the container's. */
  readonly namespace: Pick<Namespace, "fd" | "path" | "routes">;
}

/** What a maker of networks is given. */
export interface MakeOptions extends ForeignOptions {
  readonly directory: string;
  readonly ports: readonly PortMapping[];
  /** Keeps what is to be undone if this process is killed. */
  remember(deletions: readonly Deletion[]): void;
}

/** The interface in the container. */
export const INTERFACE = "eth0";
