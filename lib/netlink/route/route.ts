import { CrateError } from "../../errors.ts";
import { type Address, formatAddress } from "../address.ts";
import { Writer } from "../attributes.ts";
import { AF_INET, AF_INET6, AF_UNSPEC, NLM_F_CREATE, NLM_F_EXCL } from "../constants.ts";
import { type Message, type Request, splitBody } from "../message.ts";
import { checkPrefix, familyOf, type Scope, scopeName, scopeNumber } from "./address.ts";
import * as c from "./constants.ts";
import { given } from "../given.ts";
import { rtmsg } from "./structs.ts";

const TYPES = {
  unicast: c.RTN_UNICAST,
  local: c.RTN_LOCAL,
  broadcast: c.RTN_BROADCAST,
  anycast: c.RTN_ANYCAST,
  multicast: c.RTN_MULTICAST,
  blackhole: c.RTN_BLACKHOLE,
  unreachable: c.RTN_UNREACHABLE,
  prohibit: c.RTN_PROHIBIT,
  throw: c.RTN_THROW,
} as const;

/** What becomes of a packet that a route is for, rtnetlink(7). */
export type RouteType = keyof typeof TYPES;

/** A route. */
export interface Route {
  /** The destination's subnet; all addresses of the gateway's family when left out. */
  readonly destination?: Address;
  /** How many bits; all of the destination's when left out. */
  readonly prefix?: number;
  readonly gateway?: Address;
  /** The gateway is reached by the link, whatever the other routes say. */
  readonly onLink?: boolean;
  /** The number of the link that packets leave by. */
  readonly index?: number;
  /** The source address that packets of this host have. */
  readonly source?: Address;
  /** `link` without a gateway, `host` for the type `local`, else `universe`. */
  readonly scope?: Scope;
  /** Less is preferred. */
  readonly metric?: number;
  /** The routing table; main, 254, when left out. */
  readonly table?: number;
  /** `unicast` when left out. */
  readonly type?: RouteType;
  /** For a default route with nothing else that says so. */
  readonly family?: "ipv4" | "ipv6";
}

/** A route, as the kernel tells of it. */
export interface RouteEntry {
  readonly family: "ipv4" | "ipv6";
  /** None for the default route. */
  readonly destination?: Address;
  readonly prefix: number;
  readonly gateway?: Address;
  readonly index?: number;
  readonly source?: Address;
  readonly scope: Scope | number;
  readonly metric?: number;
  readonly table: number;
  readonly type: RouteType | number;
  /** Who made it: `RTPROT_*`, linux/rtnetlink.h. */
  readonly protocol: number;
  readonly onLink: boolean;
}

/** Adds a route. @throws {CrateError} `INVALID` for addresses of two families, or none. */
export function addRoute(route: Route): Request {
  return request("add", c.RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, route);
}

/** Removes the first route that has all that is given. @throws {CrateError} `INVALID` as {@linkcode addRoute}. */
export function deleteRoute(route: Route): Request {
  return request("delete", c.RTM_DELROUTE, 0, route);
}

function request(verb: "add" | "delete", message: number, flags: number, route: Route): Request {
  const { destination, gateway, index, source, metric, table = c.RT_TABLE_MAIN } = route;
  const family = routeFamily(route);
  const prefix = destination === undefined
    ? 0
    : checkPrefix(destination, route.prefix ?? 8 * destination.length);
  const scope = route.scope === undefined ? defaultScope(verb, family, route) : route.scope;
  const w = new Writer().struct(rtmsg, {
    rtm_family: family,
    rtm_dst_len: prefix,
    rtm_table: table < 256 ? table : c.RT_TABLE_UNSPEC,
    rtm_protocol: verb === "add" ? c.RTPROT_BOOT : 0,
    rtm_scope: scopeNumber(scope),
    rtm_type: route.type === undefined && verb === "delete" ? 0 : TYPES[route.type ?? "unicast"],
    rtm_flags: route.onLink ? c.RTNH_F_ONLINK : 0,
  });
  if (table >= 256) w.u32(c.RTA_TABLE, table);
  if (destination !== undefined) w.bytes(c.RTA_DST, destination);
  if (gateway !== undefined) w.bytes(c.RTA_GATEWAY, gateway);
  if (index !== undefined) w.u32(c.RTA_OIF, index);
  if (source !== undefined) w.bytes(c.RTA_PREFSRC, source);
  if (metric !== undefined) w.u32(c.RTA_PRIORITY, metric);
  const to = destination === undefined ? "default" : `${formatAddress(destination)}/${prefix}`;
  return { label: `${verb} the route to ${to}`, type: message, flags, body: w.finish() };
}

/** What ip(8) takes; to delete, any will do. IPv6 knows no scopes of routes. */
function defaultScope(verb: "add" | "delete", family: number, { type, gateway }: Route): Scope {
  if (family === AF_INET6) return "universe";
  if (verb === "delete") return "nowhere";
  if (type === "local") return "host";
  const isDirect = type === undefined || ["unicast", "broadcast", "multicast"].includes(type);
  return gateway === undefined && isDirect ? "link" : "universe";
}

function routeFamily({ destination, gateway, source, family }: Route): number {
  const families = new Set(
    [destination, gateway, source].flatMap((address) =>
      address === undefined ? [] : [familyOf(address)]
    ),
  );
  if (family !== undefined) families.add(family === "ipv4" ? AF_INET : AF_INET6);
  const [only] = families;
  if (families.size === 1) return only!;
  throw new CrateError(
    "INVALID",
    families.size === 0
      ? "a route must have a destination, a gateway or a family"
      : "a route's destination, gateway and source must be of one family",
  );
}

/** Asks for all routes of all tables. */
export function dumpRoutes(): Request {
  const body = new Writer().struct(rtmsg, { rtm_family: AF_UNSPEC }).finish();
  return { label: "list the routes", type: c.RTM_GETROUTE, flags: 0, body };
}

/** Reads a route; undefined for one of another family. @throws {CrateError} `FAILED` for a malformed message. */
export function decodeRoute(message: Message): RouteEntry | undefined {
  const { head, attributes } = splitBody(message, rtmsg.size);
  const family = rtmsg.get(head, "rtm_family");
  if (family !== AF_INET && family !== AF_INET6) return undefined;
  const type = rtmsg.get(head, "rtm_type");
  const name = Object.entries(TYPES).find(([, value]) => value === type)?.[0] as RouteType;
  return {
    family: family === AF_INET ? "ipv4" : "ipv6",
    prefix: rtmsg.get(head, "rtm_dst_len"),
    scope: scopeName(rtmsg.get(head, "rtm_scope")),
    table: attributes.u32(c.RTA_TABLE) ?? rtmsg.get(head, "rtm_table"),
    type: name ?? type,
    protocol: rtmsg.get(head, "rtm_protocol"),
    onLink: (rtmsg.get(head, "rtm_flags") & c.RTNH_F_ONLINK) !== 0,
    ...given({
      destination: attributes.bytes(c.RTA_DST),
      gateway: attributes.bytes(c.RTA_GATEWAY),
      index: attributes.u32(c.RTA_OIF),
      source: attributes.bytes(c.RTA_PREFSRC),
      metric: attributes.u32(c.RTA_PRIORITY),
    }),
  };
}
