import { exists, isInitialUserNamespace } from "../../../ffi/mod.ts";
import { type Effective, settingVariables } from "../../config/mod.ts";
import { canWrite, type RunCallWords, type RunCommand } from "../../lifecycle/mod.ts";
import { availableCapabilities, DEFAULT_CAPABILITIES } from "../../security/mod.ts";
import type { ExecutionConfig } from "../../image/mod.ts";
import type { RunCall } from "../words/mod.ts";

/** Options of which the words say all: nothing is read for them, or made, but the container. */
const PLAIN: ReadonlySet<keyof RunCall["options"]> = new Set([
  "addHost",
  "annotation",
  "capAdd",
  "capDrop",
  "cgroupns",
  "cpuPeriod",
  "cpuQuota",
  "cpuShares",
  "cpus",
  "detach",
  "dns",
  "dnsOption",
  "dnsSearch",
  "entrypoint",
  "env",
  "hostname",
  "init",
  "interactive",
  "ipc",
  "label",
  "memory",
  "memoryReservation",
  "memorySwap",
  "mount",
  "name",
  "network",
  "networkAlias",
  "oomScoreAdj",
  "pid",
  "pidsLimit",
  "readOnly",
  "rm",
  "rootfs",
  "securityOpt",
  "shmSize",
  "stopSignal",
  "stopTimeout",
  "sysctl",
  "tmpfs",
  "ulimit",
  "uts",
  "volume",
  "workdir",
]);

/** The words after the options, or after the image, where any others would be a command as well. */
function commandOf(
  { options: { rootfs, entrypoint }, positionals }: RunCall,
  image: ExecutionConfig | undefined,
): RunCommand | undefined {
  // What an image executes in any case comes before them.
  if (entrypoint !== undefined || (image?.Entrypoint?.length ?? 0) > 0) return undefined;
  const words = image === undefined ? positionals : positionals.slice(1);
  const isPath = rootfs === undefined && image === undefined;
  const isOne = words.length > 0 && canWrite(words) && (!isPath || words[0]!.startsWith("/"));
  return isOne ? { words, isPath } : undefined;
}

function isSaid(value: unknown): boolean {
  return value !== undefined && value !== false && !(Array.isArray(value) && value.length === 0);
}

/**
 * A call as scripts/verbs.sh has it: the next one with the same words may be done by the launcher.
 *
 * @param argv all words.
 * @param environment where settings may come from.
 * @param image what its config says, for a container of one.
 * @returns undefined for a call of which the words do not say all, or without a launcher.
 */
export function runRequest(
  call: RunCall,
  config: Effective,
  argv: readonly string[],
  environment: Readonly<Record<string, string>>,
  image: ExecutionConfig | undefined,
): RunCallWords | undefined {
  const { options, globals } = call;
  const folder = import.meta.dirname;
  const { root, ...others } = globals;
  if (Object.values(others).some(isSaid) || root !== undefined && !root.startsWith("/")) {
    return undefined;
  }
  for (const [name, value] of Object.entries(options)) {
    if (isSaid(value) && !PLAIN.has(name as keyof typeof options)) return undefined;
  }
  // What these name, others may change.
  if (options.env.some((word) => !word.includes("="))) return undefined;
  if (options.securityOpt.some((word) => /^seccomp[=:](?!unconfined$)/.test(word))) {
    return undefined;
  }
  const fromFile = Object.values(config).some(({ origin }) =>
    origin !== "default" && origin !== "--root" && !origin.startsWith("CRATE_")
  );
  if (fromFile || config.root.origin.startsWith("CRATE_")) return undefined;
  if (["LISTEN_FDS", "NOTIFY_SOCKET", "NODE_CHANNEL_FD"].some((name) => environment[name])) {
    return undefined;
  }
  // Who has more would give more.
  const available = availableCapabilities();
  const hasAll = DEFAULT_CAPABILITIES.every((name) => available.includes(name)) &&
    !options.capAdd.some((name) => /^(?:CAP_)?ALL$/i.test(name));
  if (!isInitialUserNamespace() || !hasAll) return undefined;
  if (folder === undefined || !exists(`${folder}/verbs/run/sh`)) return undefined;
  const settings = settingVariables().map((name) => {
    const value = environment[name];
    return value === undefined ? "" : `x${value}`;
  });
  const command = commandOf(call, image);
  return {
    ...command && { command },
    words: [`--root=${config.root.value}`, ...argv.slice(argv.indexOf("run"))],
    settings: `${settings.join("|")}\n`,
    cwd: Deno.cwd(),
    crate: folder.slice(folder.lastIndexOf("/") + 1),
  };
}
