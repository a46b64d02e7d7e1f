import { type ContainerState, IMAGE_ANNOTATION, overlayOf } from "../lifecycle/mod.ts";
import type { Mount } from "../spec/mod.ts";

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

/** A container as `docker container inspect` shows one, as far as crate knows of it. */
export function inspectContainer({ record, status, process, exit }: ContainerState): object {
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
    },
    Bundle: record.bundle,
  };
}
