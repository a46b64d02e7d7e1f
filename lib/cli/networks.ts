import type { Effective } from "../config/mod.ts";
import type { NetworkDefaults } from "../network/mod.ts";

/** What the configuration says of the default network. */
export function networkDefaults(config: Effective): NetworkDefaults {
  return {
    bridgeName: config["network.bridge_name"].value,
    subnet: config["network.subnet"].value,
    gateway: config["network.gateway"].value,
  };
}
