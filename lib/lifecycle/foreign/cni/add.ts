import {
  AT_FDCWD,
  close,
  F_ADD_SEALS,
  F_SEAL_ALL,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
  syscall,
  trySyscall,
  writeAll,
} from "../../../../ffi/mod.ts";
import { CrateError } from "../../../errors.ts";
import type { PortMapping } from "../../../network/mod.ts";
import { type FiniteTask, runTask, type TaskEnd } from "../../task.ts";
import { deleteAll } from "../place.ts";
import { cannot } from "../refusal.ts";
import {
  type Deletion,
  type ForeignNetwork,
  INTERFACE,
  type Made,
  type MakeOptions,
} from "../types.ts";
import {
  type Fields,
  findConfiguration,
  type NetworkConfiguration,
  type PluginConfiguration,
} from "./configuration.ts";
import { parseResult } from "./result.ts";

const X_OK = 1;
const SEEK_SET = 0;
/** Milliseconds that a plugin may take: one may ask a DHCP server. */
const PATIENCE = 120_000;

/** What a container asks for beyond its network's configuration, by the capability that it takes. CONVENTIONS.md */
export interface Wanted {
  readonly portMappings?: readonly object[];
  readonly ips?: readonly string[];
  readonly mac?: string;
}

/** The option that asks for a capability. */
const OPTIONS = { portMappings: "publish", ips: "ip", mac: "mac-address" } as const;

/** A plugin that is ready to be run. */
export interface Plugin {
  readonly path: string;
  readonly configuration: PluginConfiguration;
}

/** Where the programs of a network's plugins are. @throws {CrateError} `NOT_FOUND` */
export function findPlugins(
  { name, plugins, file }: NetworkConfiguration,
  directories: readonly string[],
): Plugin[] {
  return plugins.map((configuration) => {
    const path = directories.map((directory) => `${directory}/${configuration.type}`)
      .find((each) => trySyscall("faccessat", AT_FDCWD, each, X_OK) === 0);
    if (path !== undefined) return { path, configuration };
    throw new CrateError(
      "NOT_FOUND",
      `network cni:${name}: ${file} names the plugin "${configuration.type}", which is in none of ${
        directories.join(", ")
      } (Debian's package: containernetworking-plugins; $CNI_PATH names other directories)`,
    );
  });
}

/** What is asked for, in the plugins' words. */
export function wantedOf(
  { ip, ip6, mac }: { readonly ip?: string; readonly ip6?: string; readonly mac?: string },
  ports: readonly PortMapping[],
): Wanted {
  const ips = [ip, ip6].filter((each) => each !== undefined);
  return {
    ...ports.length > 0 && {
      portMappings: ports.map(({ hostPort, containerPort, protocol, hostAddress }) => ({
        hostPort,
        containerPort,
        protocol,
        ...hostAddress !== undefined && { hostIP: hostAddress },
      })),
    },
    ...ips.length > 0 && { ips },
    ...mac !== undefined && { mac },
  };
}

/** @throws {CrateError} `INVALID` for what no plugin of the network takes: it would be lost. */
export function requireCapabilities(
  { name, plugins }: NetworkConfiguration,
  wanted: Wanted,
): void {
  for (const capability of Object.keys(wanted) as (keyof Wanted)[]) {
    if (plugins.some((plugin) => has(plugin, capability))) continue;
    throw cannot(
      `cni:${name}`,
      OPTIONS[capability],
      `has no plugin with the capability "${capability}"`,
    );
  }
}

function has({ capabilities }: PluginConfiguration, capability: string): boolean {
  return (capabilities as Fields | undefined)?.[capability] === true;
}

/** What a plugin reads: its part of the list, what all share, and what there is so far. */
export function inputOf(
  { name, cniVersion }: NetworkConfiguration,
  plugin: PluginConfiguration,
  wanted: Wanted,
  prevResult: Fields | undefined,
): string {
  const runtimeConfig = Object.fromEntries(
    Object.entries(wanted).filter(([capability]) => has(plugin, capability)),
  );
  return JSON.stringify({
    ...plugin,
    name,
    cniVersion,
    ...Object.keys(runtimeConfig).length > 0 && { runtimeConfig },
    ...prevResult !== undefined && { prevResult },
  });
}

/** What each plugin is told but for the namespace. The specification, "Parameters" */
function environment(
  command: "ADD" | "DEL",
  key: string,
  { plugins, args, path }: ForeignNetwork & { kind: "cni" },
): string[] {
  return [
    `PATH=${path}`,
    `CNI_COMMAND=${command}`,
    `CNI_CONTAINERID=${key}`,
    `CNI_IFNAME=${INTERFACE}`,
    `CNI_PATH=${plugins.join(":")}`,
    ...args === undefined ? [] : [`CNI_ARGS=${args}`],
  ];
}

/** A plugin's failure, in its own words: the specification, "Error". */
export function failureOf(network: string, type: string, { exit, isLate, said, output }: TaskEnd) {
  const failed = (why: string) =>
    new CrateError("START", `network cni:${network}: the plugin "${type}" ${oneLine(why)}`);
  if (isLate) return failed(`has not answered within ${PATIENCE / 1000} s`);
  let told: Fields | null = null;
  try {
    told = JSON.parse(output);
  } catch {
    // It has said nothing, or something else: then its standard error counts.
  }
  if (typeof told?.msg === "string") {
    const details = typeof told.details === "string" && told.details !== "";
    return failed(`says: ${told.msg}${details ? ` (${told.details})` : ""}`);
  }
  const how = exit.signal === undefined
    ? `exited with ${exit.code}`
    : `was killed (${exit.signal})`;
  const last = said.trim().split("\n").at(-1);
  return failed(last ? `${how}: ${last}` : how);
}

function oneLine(text: string): string {
  return text.trim().replace(/\s*\n\s*/g, "; ").slice(0, 2000);
}

/** Runs a plugin for ADD, and gives its result. @throws {CrateError} `START` */
async function add(task: FiniteTask, network: string, type: string): Promise<Fields> {
  const end = await runTask(task);
  if (end.isLate || end.exit.code !== 0) throw failureOf(network, type, end);
  try {
    const result: unknown = JSON.parse(end.output);
    if (typeof result === "object" && result !== null && !Array.isArray(result)) {
      return result as Fields;
    }
  } catch {
    // The same as no object.
  }
  throw new CrateError("START", `network cni:${network}: the plugin "${type}" has told no result`);
}

/**
 * The deletions of the first plugins of a list, in the order in which they are to be run: the last first.
 *
 * @param result what the last plugin has told; from version 0.4.0 on, each is told it again.
 */
export function deletionsOf(
  configuration: NetworkConfiguration,
  plugins: readonly Plugin[],
  wanted: Wanted,
  env: readonly string[],
  result: Fields | undefined,
): Deletion[] {
  const told = configuration.cniVersion === "0.3.1" ? undefined : result;
  return plugins.map(({ path, configuration: plugin }) => ({
    path,
    env,
    input: inputOf(configuration, plugin, wanted, told),
  })).reverse();
}

/**
 * Adds a network namespace to a network: the plugins of its list, one after the other.
 *
 * @throws {CrateError} for what is asked for, and what a plugin says. What was done is undone then.
 */
export async function addToNetwork(options: MakeOptions): Promise<Made> {
  const { key, request, namespace, directory, ports, remember } = options;
  const network = request.network as ForeignNetwork & { kind: "cni" };
  const configuration = findConfiguration(network.configurations, network.name);
  const plugins = findPlugins(configuration, network.plugins);
  const wanted = wantedOf(request.endpoints[0] ?? {}, ports);
  requireCapabilities(configuration, wanted);
  const { path } = namespace;
  const env = environment("DEL", key, network);
  let deletions: Deletion[] = [];
  const undo = () => deleteAll(deletions, path, directory);
  try {
    let result: Fields | undefined;
    for (const [i, { path: program, configuration: plugin }] of plugins.entries()) {
      // Before it is run: it may have done something by the time that this process is killed.
      deletions = deletionsOf(configuration, plugins.slice(0, i + 1), wanted, env, result);
      remember(deletions);
      result = await add(
        {
          name: "crate-cni",
          path: program,
          args: [program],
          env: [...environment("ADD", key, network), `CNI_NETNS=${path}`],
          cwd: "/",
          input: inputOf(configuration, plugin, wanted, result),
          timeout: PATIENCE,
          apart: true,
          directory,
        },
        network.name,
        plugin.type,
      );
    }
    deletions = deletionsOf(configuration, plugins, wanted, env, result);
    remember(deletions);
    const { ip, ip6, mac = "", subnets, gateway, dns } = parseResult(
      result!,
      INTERFACE,
      `cni:${network.name}`,
    );
    return {
      endpoint: {
        network: `cni:${network.name}`,
        interface: INTERFACE,
        mac,
        ip,
        ip6,
        aliases: [],
      },
      subnets,
      gateway,
      dns,
      held: inputsOf(deletions),
      steps: (first, held) =>
        deletions.map(({ path, env }, i) => ({
          kind: "run",
          path,
          env,
          input: first + i,
          namespace: held,
        })),
      undo,
    };
  } catch (error) {
    await undo();
    throw error;
  }
}

/** What the deletions read, each as a descriptor of its own. */
function inputsOf(deletions: readonly Deletion[]): number[] {
  const opened: number[] = [];
  try {
    for (const { input } of deletions) {
      const fd = syscall("memfd_create", "cni", MFD_CLOEXEC | MFD_ALLOW_SEALING);
      opened.push(fd);
      writeAll(fd, input);
      syscall("fcntl", fd, F_ADD_SEALS, F_SEAL_ALL);
      syscall("lseek", fd, 0, SEEK_SET);
    }
    return opened;
  } catch (error) {
    opened.forEach(close);
    throw error;
  }
}
