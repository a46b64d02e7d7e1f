import { CrateError } from "../../../errors.ts";
import type { ForeignEnvironment, ForeignNetwork } from "../types.ts";

/** Where crate looks when the environment says nothing else: cnitool's directory, and where distributions have plugins. */
const CONFIGURATIONS = "/etc/cni/net.d";
const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const PLUGINS = ["/opt/cni/bin", "/usr/lib/cni", "/usr/libexec/cni", "/usr/local/lib/cni"];

/**
 * A network of CNI plugins, as `--network cni:NAME` and the environment mean it. What there is of it is looked up when a
 * container is started.
 *
 * @throws {CrateError} `INVALID` for what is no name, no absolute path, or no `KEY=VALUE;…`.
 */
export function cniNetwork(
  name: string,
  { PATH, NETCONFPATH, CNI_PATH, CNI_ARGS }: ForeignEnvironment,
): ForeignNetwork {
  if (!isNetworkName(name)) {
    throw new CrateError(
      "INVALID",
      `--network cni:${name}: a CNI network's name has letters, digits, "_", "." and "-"`,
    );
  }
  const configurations = NETCONFPATH || CONFIGURATIONS;
  const plugins = CNI_PATH ? CNI_PATH.split(":").filter((path) => path !== "") : PLUGINS;
  for (const path of [configurations, ...plugins]) {
    if (path.startsWith("/")) continue;
    const variable = path === configurations ? "NETCONFPATH" : "CNI_PATH";
    throw new CrateError("INVALID", `${variable}: "${path}" is not an absolute path`);
  }
  if (CNI_ARGS && !CNI_ARGS.split(";").every((pair) => /^[^=;\0]+=[^;\0]*$/.test(pair))) {
    throw new CrateError("INVALID", `CNI_ARGS: it is KEY=VALUE;KEY=VALUE, not "${CNI_ARGS}"`);
  }
  return {
    kind: "cni",
    name,
    configurations,
    plugins,
    path: PATH || DEFAULT_PATH,
    ...CNI_ARGS && { args: CNI_ARGS },
  };
}

/** The specification, "Network configuration format". */
export function isNetworkName(name: string): boolean {
  return /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name);
}
