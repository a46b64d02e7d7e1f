import { isInitialUserNamespace } from "../../../ffi/mod.ts";
import type { Effective } from "../../config/mod.ts";
import { CrateError } from "../../errors.ts";
import { rootlessDefault } from "../../lifecycle/mod.ts";
import { log } from "../log.ts";
import type { RunCall } from "../words/mod.ts";

type Options = RunCall["options"];

/** Options that only a container with networks of its own can have. */
const OF_NETWORKS = [
  ["publish", "publish"],
  ["publish-all", "publishAll"],
  ["expose", "expose"],
  ["ip", "ip"],
  ["ip6", "ip6"],
  ["mac-address", "macAddress"],
  ["network-alias", "networkAlias"],
  ["dns", "dns"],
  ["dns-search", "dnsSearch"],
  ["dns-option", "dnsOption"],
  ["add-host", "addHost"],
] as const;

/**
 * Whether the network is the host's, or none: then nothing is loaded for it.
 *
 * @throws {CrateError} `INVALID`
 */
export function plainMode(options: Options, config: Effective): "none" | "host" | undefined {
  const [word, ...more] = options.network;
  const mode = word ?? defaultMode(config);
  if (mode !== "none" && mode !== "host") return undefined;
  if (more.length > 0) throw alone(mode);
  refuseFor(mode, options);
  return mode;
}

/** What a container has when nothing is said; undefined: the default network. */
export function defaultMode(config: Effective): ReturnType<typeof rootlessDefault> | undefined {
  if (!config["network.enabled"].value) return "none";
  if (isInitialUserNamespace()) return undefined;
  return rootlessDefault(Deno.env.get("PATH") ?? "", (message) => log("warn", message));
}

/** The refusal of a mode beside other networks. */
export function alone(word: string): CrateError {
  return new CrateError("INVALID", `--network ${word} goes with no other --network`);
}

/** @throws {CrateError} `INVALID` for an option that would do nothing. */
export function refuseFor(mode: string, options: Options): void {
  for (const [name, field] of OF_NETWORKS) {
    const value = options[field];
    if (!value || (Array.isArray(value) && value.length === 0)) continue;
    throw new CrateError(
      "INVALID",
      `--${name} is for a network of crate's, and the network is ${mode} (--network)`,
    );
  }
}
