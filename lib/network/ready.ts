import {
  encodeText,
  exists,
  guardFile,
  IFF_UP,
  SIOCGIFADDR,
  SIOCGIFFLAGS,
  SIOCGIFINDEX,
} from "../../ffi/mod.ts";
import {
  encodeRequests,
  generationAnswer,
  generationRequest,
  parseAddress,
} from "../netlink/mod.ts";
import { parseMac } from "./allocate.ts";
import { bridgeSettings, readyBridge } from "./bridge.ts";
import type { ClaimOptions } from "./claim.ts";
import { definitionFile } from "./definitions.ts";
import { gatewaysAt, interfaceOf, newSettings, settings, waysOut } from "./endpoint.ts";
import { networkFiles } from "./files.ts";
import { isAsItWas } from "./firewall_mark.ts";
import { hostsFiles, linesFor, ownHosts } from "./hosts.ts";
import { OTHERS } from "./others.ts";
import { poolOf } from "./pool.ts";
import type { Gap, ReadyNetwork } from "./ready_types.ts";
import { lineOfAddress6 } from "./interface.ts";
import { RESOLVER_FILES, resolvFile } from "./resolv.ts";
import { makeSlots, othersFile, placeHead, sameFile, SLOT } from "./slots.ts";
import { lockFile, readNetworkState, writeNetworkState } from "./state.ts";
import { forwarding, hasSix, readSetting, settingFile } from "./sysctl.ts";
import type { Attachment, Endpoint, NetworkDefinition, PooledAddress } from "./types.ts";

// What is made ready for the next container of a kind: as `claimNetworks` and its `attach` do it, with all that does not
// change each time found out before. program/walked_network.ts does it.

/** Addresses that are nobody's, in messages where those of a place belong: RFC 5737, RFC 3849. */
const [ANY4, ANY6, ANY_MAC] = [
  "203.0.113.77",
  "2001:db8:1357:2468:ace:bdf:1122:3344",
  "02:c7:a5:5a:c3:3c",
];
const [ANY_INDEX, ANY_NAMESPACE] = [0x3a5c7e19, 0x2b4d6f18];

/**
 * What the next container of the kind needs that a running one has got. It must be called under the lock of networks.
 *
 * @returns undefined where there is more to it than a program can do.
 * @throws {CrateError} {NetlinkError} {SyscallError}
 */
export function readyNetwork(
  options: ClaimOptions,
  attachment: Attachment,
  definition: NetworkDefinition,
): ReadyNetwork | undefined {
  const { places, request } = options;
  const [endpoint, ...more] = attachment.endpoints;
  const [wanted] = request.endpoints;
  const isPlain = endpoint !== undefined && more.length === 0 && attachment.ports.length === 0 &&
    definition.driver === "bridge" &&
    definition.subnets.some(({ gateway }) => !gateway.includes(":")) &&
    [wanted?.ip, wanted?.ip6, wanted?.mac].every((each) => each === undefined);
  if (!isPlain) return undefined;
  const before = readNetworkState(places);
  if (before.attachments[attachment.id]?.key !== attachment.key) return undefined;
  const bridge = bridgeOf(definition);
  if (bridge === undefined) return undefined;
  if (before.firewall === undefined || !isAsItWas(before.firewall, [definition])) return undefined;
  const { pool, state } = poolOf(definition, before);
  if (pool === undefined) return undefined;
  const slots = makeSlots(places, definition.name);
  if (state !== before || !exists(sameFile(places, definition.name))) {
    writeNetworkState(places, state);
  }
  const own = placeholders(pool[0]!, endpoint);
  const next: Attachment = {
    ...attachment,
    endpoints: [own.endpoint],
    hosts: ownHosts(attachment.id, request, [own.endpoint], definition.subnets[0]?.gateway),
  };
  const empty = { ...state, attachments: {} };
  const texts = [
    hostsFiles(empty)(next),
    resolvFile(request, endpoint.ip6 !== undefined),
    `${request.hostname ?? attachment.id}\n`,
  ];
  const lines = linesFor(next, next);
  const files = networkFiles(places, attachment.key).map(({ source }, i) => ({
    path: source,
    text: texts[i]!,
  }));
  const head = placeHead({ base: encodeText(texts[0]!).length, path: files[0]!.path, lines });
  const same = guardFile(sameFile(places, definition.name));
  // There are too many others, or too long names.
  if (head === undefined || same.identity === undefined) return undefined;
  return {
    digits: [attachment.key.slice(-DIGITS), endpoint.hostInterface!.slice(-DIGITS)],
    lock: lockFile(places),
    guards: [
      same,
      ...[definitionFile(places, definition.name), ...RESOLVER_FILES].map(guardFile),
    ],
    settings: hostSettings(definition),
    bridge,
    namespace: namespaceNumber(before.firewall.namespace),
    firewall: {
      request: encodeRequests([generationRequest()], { acknowledged: false }),
      ...generationAnswer(before.firewall.generation),
    },
    slots,
    slot: SLOT,
    others: { file: othersFile(places, definition.name), count: OTHERS },
    pool: pool.map(own.bytes),
    words: own.words,
    directory: files[0]!.path.slice(0, files[0]!.path.lastIndexOf("/")),
    files,
    lines,
    attachment: attachmentParts(next),
    ...messagesFor(definition, endpoint, own, bridge.answers[0]!.value),
  };
}

/** Random digits at the end of a key, and of an interface's name. */
const DIGITS = 8;

/** An endpoint with what stands for the addresses of a place, and how those are laid down. */
interface Placeholders {
  readonly endpoint: Endpoint;
  readonly words: ReadyNetwork["words"];
  bytes(place: PooledAddress): Uint8Array;
  /** Where the bytes of each are. */
  readonly at: { readonly mac: number; readonly ip: number; readonly ip6: number };
}

function placeholders(first: PooledAddress, endpoint: Endpoint): Placeholders {
  // No name or address has such brackets.
  const standIn = (letter: string, text: string) => `<${letter.repeat(text.length - 2)}>`;
  const texts = (["ip", "ip6", "mac"] as const).flatMap((name) => {
    const text = first[name];
    return text === undefined ? [] : [{ name, text: standIn(name.slice(-1), text) }];
  });
  let end = 0;
  const words = texts.map(({ text }) => {
    const from = end;
    end += text.length;
    return { text, from };
  });
  const at = { mac: end, ip: end + 6, ip6: end + 10 };
  return {
    endpoint: { ...endpoint, ...Object.fromEntries(texts.map(({ name, text }) => [name, text])) },
    words,
    at,
    bytes(place) {
      const bytes = new Uint8Array(at.ip6 + 16);
      bytes.set(encodeText(texts.map(({ name }) => place[name]!).join("")));
      bytes.set(parseMac(place.mac), at.mac);
      bytes.set(parseAddress(place.ip!)!, at.ip);
      if (place.ip6 !== undefined) bytes.set(parseAddress(place.ip6)!, at.ip6);
      return bytes;
    },
  };
}

/** The messages that `plugIn` sends, with gaps. */
function messagesFor(
  definition: NetworkDefinition,
  endpoint: Endpoint,
  { at }: Placeholders,
  index: number,
): Pick<ReadyNetwork, "link" | "inside"> {
  const blank: Endpoint = {
    ...endpoint,
    mac: ANY_MAC,
    ...endpoint.ip !== undefined && { ip: ANY4 },
    ...endpoint.ip6 !== undefined && { ip6: ANY6 },
  };
  const ways = waysOut([endpoint], [definition]);
  const plug = {
    endpoint: blank,
    definition,
    gateways: gatewaysAt(endpoint, ways),
    isPublished: false,
  };
  const link = encodeRequests([interfaceOf(plug, ANY_NAMESPACE, index)]);
  const requests = settings(plug, ANY_INDEX);
  const messages = encodeRequests(requests);
  const gaps = (bytes: Uint8Array, address: Uint8Array, from: number): Gap[] =>
    placesOf(bytes, address).map((place) => ({ at: place, from, size: address.length }));
  const number = (value: number) => new Uint8Array(new Uint32Array([value]).buffer);
  return {
    link: {
      message: link,
      gaps: gaps(link, parseMac(ANY_MAC), at.mac),
      namespace: placesOf(link, number(ANY_NAMESPACE))[0]!,
    },
    inside: {
      interface: endpoint.interface,
      settings: newSettings(endpoint).map(([name, text]) => ({ path: settingFile(name), text })),
      messages,
      count: requests.length,
      gaps: [
        ...gaps(messages, parseAddress(ANY4)!, at.ip),
        ...gaps(messages, parseAddress(ANY6)!, at.ip6),
      ],
      indices: placesOf(messages, number(ANY_INDEX)),
    },
  };
}

/** What of the host `prepare` makes so, as its files say it. */
function hostSettings(definition: NetworkDefinition): ReadyNetwork["settings"] {
  const six = hasSix();
  return [...bridgeSettings(definition, six), ...definition.internal ? [] : forwarding(six)]
    .filter((each) => each !== undefined)
    .filter(([name]) => readSetting(name) !== undefined)
    .map(([name, value]) => ({ path: settingFile(name), text: `${value}\n` }));
}

/** A bridge that is ready, by what tells so; undefined when it is not. */
function bridgeOf(definition: NetworkDefinition): ReadyNetwork["bridge"] | undefined {
  const index = readyBridge(definition);
  if (index === undefined) return undefined;
  const name = definition.interface!;
  const gateway = (six: boolean) =>
    definition.subnets.find((each) => each.gateway.includes(":") === six)?.gateway;
  const [four, six] = [parseAddress(gateway(false)!)!, gateway(true)];
  const address6 = six === undefined || !hasSix() ? undefined : lineOfAddress6(name, six);
  return {
    name,
    answers: [
      { request: SIOCGIFINDEX, at: 0, mask: -1, value: index },
      { request: SIOCGIFFLAGS, at: 0, mask: IFF_UP, value: IFF_UP },
      // A sockaddr_in: the family and the port come first.
      {
        request: SIOCGIFADDR,
        at: 4,
        mask: -1,
        value: new DataView(four.buffer, four.byteOffset).getInt32(0, true),
      },
    ],
    ...address6 !== undefined && { address6 },
  };
}

/** The number in `net:[4026531840]`, as `stx_ino` has it. */
function namespaceNumber(link: string): Uint8Array {
  const number = BigInt(/\d+/.exec(link)![0]);
  return new Uint8Array(new BigUint64Array([number]).buffer);
}

function attachmentParts({ holder: _, ...rest }: Attachment): [string, string] {
  return ['{"holder":', `,${JSON.stringify(rest).slice(1)}`];
}

/** Where bytes stand in others. */
function placesOf(bytes: Uint8Array, part: Uint8Array): number[] {
  const found: number[] = [];
  for (let at = 0; at + part.length <= bytes.length; at++) {
    if (part.every((byte, i) => bytes[at + i] === byte)) found.push(at);
  }
  return found;
}
