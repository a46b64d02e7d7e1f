import { type ContainerState, IMAGE_ANNOTATION, overlayOf } from "../lifecycle/mod.ts";
import type { Attachment, NetworkDefinition } from "../network/mod.ts";
import type { LinuxIDMapping, Mount, Spec } from "../spec/mod.ts";

/** Docker's word for a container that has ended; the others are the same. */
const ENDED = "exited";

function inspectMount({ type, source, destination, options = [] }: Mount): object {
  return {
    Type: options.some((option) => option === "bind" || option === "rbind") ? "bind" : type,
    ...source !== undefined && { Source: source },
    Destination: destination,
    Mode: options.join(","),
    RW: !options.some((option) => option === "ro" || option === "rro"),
  };
}

/** A user namespace of its own, as podman shows it. */
function inspectUsers({ linux }: Spec): object {
  const { uidMappings: uids, gidMappings: gids } = linux ?? {};
  if (uids === undefined || gids === undefined) return {};
  const words = (maps: readonly LinuxIDMapping[]) =>
    maps.map(({ containerID, hostID, size }) => `${containerID}:${hostID}:${size}`);
  return { UsernsMode: "private", IDMappings: { UidMap: words(uids), GidMap: words(gids) } };
}

/** What a running container has of networks, as docker shows it. */
function inspectNetworks({ attachment, networks }: NetworkSettings): object {
  const ports: Record<string, object[]> = {};
  for (const { protocol, containerPort, hostAddress, hostPort } of attachment.ports) {
    const key = `${containerPort}/${protocol}`;
    (ports[key] ??= []).push({ HostIp: hostAddress ?? "0.0.0.0", HostPort: String(hostPort) });
  }
  const subnetOf = (name: string, six: boolean) =>
    networks.find((each) => each.name === name)?.subnets
      .find(({ subnet }) => subnet.includes(":") === six);
  const prefix = (subnet: string | undefined) => Number(subnet?.split("/")[1] ?? 0);
  const shown = attachment.endpoints.map(({ network, mac, ip, ip6, aliases }) => {
    const four = subnetOf(network, false);
    const six = subnetOf(network, true);
    return [network, {
      Aliases: aliases,
      MacAddress: mac,
      Gateway: four?.gateway ?? "",
      IPAddress: ip ?? "",
      IPPrefixLen: ip === undefined ? 0 : prefix(four?.subnet),
      IPv6Gateway: six?.gateway ?? "",
      GlobalIPv6Address: ip6 ?? "",
      GlobalIPv6PrefixLen: ip6 === undefined ? 0 : prefix(six?.subnet),
    }] as const;
  });
  const [first] = attachment.endpoints;
  return {
    Ports: ports,
    IPAddress: first?.ip ?? "",
    MacAddress: first?.mac ?? "",
    Networks: Object.fromEntries(shown),
  };
}

/** What is known of a container's networks. */
export interface NetworkSettings {
  readonly attachment: Attachment;
  readonly networks: readonly NetworkDefinition[];
}

/** A container as `docker container inspect` shows one, as far as crate knows of it. */
export function inspectContainer(
  { record, status, process, exit }: ContainerState,
  network?: NetworkSettings,
): object {
  const { id, spec } = record;
  const { args = [], env = [], cwd = "/", terminal = false, user } = spec.process ?? {};
  const overlay = overlayOf(record);
  const { [IMAGE_ANNOTATION]: image, ...labels } = spec.annotations ?? {};
  const isRunning = status === "running" && process !== undefined;
  return {
    Id: id,
    Name: id,
    Created: record.created,
    Path: args[0] ?? "",
    Args: args.slice(1),
    State: {
      Status: status === "stopped" ? ENDED : status,
      Running: isRunning,
      Pid: isRunning ? process.init.pid : 0,
      // One that was killed with its monitor has none.
      ExitCode: exit?.code ?? (status === "stopped" ? null : 0),
      ...exit?.at !== undefined && { FinishedAt: exit.at.toISOString() },
    },
    ...overlay !== undefined && {
      GraphDriver: {
        Name: "overlay",
        Data: {
          LowerDir: overlay.lowers.join(":"),
          ...overlay.upper !== undefined && { UpperDir: overlay.upper },
        },
      },
    },
    Mounts: (spec.mounts ?? []).filter(({ destination }) => destination !== "/").map(inspectMount),
    Config: {
      Hostname: spec.hostname ?? "",
      User: user === undefined ? "" : `${user.uid}:${user.gid}`,
      Tty: terminal,
      Env: env,
      Cmd: args,
      WorkingDir: cwd,
      Labels: labels,
      ...image !== undefined && { Image: image },
      ...spec.root?.path !== undefined && { Rootfs: spec.root.path },
      ...record.stopSignal !== undefined && { StopSignal: record.stopSignal },
      ...record.stopTimeout !== undefined && { StopTimeout: record.stopTimeout },
    },
    HostConfig: {
      AutoRemove: record.remove,
      ReadonlyRootfs: spec.root?.readonly ?? false,
      ...record.cgroupsPath !== undefined && { CgroupsPath: record.cgroupsPath },
      ...inspectUsers(spec),
    },
    NetworkSettings: network === undefined
      ? { Ports: {}, IPAddress: "", MacAddress: "", Networks: {} }
      : inspectNetworks(network),
    Bundle: record.bundle,
  };
}
