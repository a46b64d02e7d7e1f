import { CrateError } from "../errors.ts";
import { parseMac } from "./allocate.ts";
import { parseAddHost } from "./hosts.ts";
import { validateHost } from "./names.ts";
import { validateResolver } from "./resolv.ts";
import type { EndpointRequest, NetworkRequest } from "./types.ts";

function validateEndpoint({ ip, ip6, mac, aliases = [] }: EndpointRequest): void {
  if (ip?.includes(":")) throw new CrateError("INVALID", `--ip ${ip}: an IPv6 address is --ip6's`);
  if (ip6 !== undefined && !ip6.includes(":")) {
    throw new CrateError("INVALID", `--ip6 ${ip6}: an IPv4 address is --ip's`);
  }
  if (mac !== undefined) parseMac(mac);
  for (const alias of aliases) validateHost(alias, "--network-alias");
}

/** Looks at all that can be known to be wrong without asking the host. @throws {CrateError} `INVALID` */
export function validateRequest(request: NetworkRequest): void {
  request.endpoints.forEach(validateEndpoint);
  const { hostname, domainname } = request;
  // They become a line of the container's hosts file.
  if (hostname !== undefined) validateHost(hostname, "--hostname");
  if (domainname !== undefined) validateHost(domainname, "the domain name");
  request.addHosts?.forEach(parseAddHost);
  validateResolver(request);
}
