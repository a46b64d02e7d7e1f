import assert from "node:assert/strict";
import { CrateError } from "../errors.ts";
import { hostsFiles, linesFor, ownHosts, parseAddHost, renamedHosts } from "./hosts.ts";
import type { Attachment, Endpoint } from "./types.ts";

function endpoint(network: string, ip: string, aliases: string[] = [], ip6?: string): Endpoint {
  const common = { network, interface: "eth0", mac: "02:00:00:00:00:01", ip, aliases };
  return ip6 === undefined ? common : { ...common, ip6 };
}

function attached(id: string, ...endpoints: Endpoint[]): Attachment {
  const holder = { pid: 1, startTime: 1 };
  return { id, key: id, holder, endpoints, ports: [], hosts: `${id}'s own\n` };
}

/** The lines behind those that are the same for all. */
const own = (text: string) => text.trimEnd().split("\n").slice(6);

Deno.test("a container that is renamed keeps its host name and what was added for it", () => {
  const endpoints = [{ network: "n", interface: "eth0", mac: "", ip: "10.0.0.2", aliases: [] }];
  const added = { addHosts: ["web:10.9.9.9"] };
  const own = (id: string, hostname?: string) =>
    ownHosts(id, { ...added, ...hostname !== undefined && { hostname } }, endpoints, undefined);
  const lines = (id: string, hosts: string, hostname: string) => {
    const holder = { pid: 1, startTime: 1 };
    const attachment = { id, key: "k", holder, endpoints, ports: [], hosts };
    return renamedHosts(attachment, "new", hostname).split("\n").slice(6, 8);
  };
  assert.deepEqual(lines("web", own("web"), "web"), ["10.0.0.2\tweb new", "10.9.9.9\tweb"]);
  assert.deepEqual(lines("web", own("web", "h"), "h"), ["10.0.0.2\th new", "10.9.9.9\tweb"]);
  assert.equal(lines("web", own("web", "h"), "h")[0], own("new", "h").split("\n")[6]);
});

Deno.test("a host of --add-host is a name and an address", () => {
  const cases: [word: string, name: string, address: string][] = [
    ["db:10.0.0.7", "db", "10.0.0.7"],
    ["db=10.0.0.7", "db", "10.0.0.7"],
    ["db:fd00::7", "db", "fd00::7"],
    ["db:[fd00::7]", "db", "fd00::7"],
    ["db.example.org:host-gateway", "db.example.org", "host-gateway"],
  ];
  for (const [word, name, address] of cases) {
    assert.deepEqual(parseAddHost(word), { name, address }, word);
  }
  for (const word of ["", "db", "db:", ":10.0.0.7", "db:10.0.0", "a b:10.0.0.7", "a\nb:10.0.0.7"]) {
    assert.throws(() => parseAddHost(word), CrateError, word);
  }
});

Deno.test("a container's own lines are its addresses, by all of its names, and what was added", () => {
  const request = {
    hostname: "web",
    domainname: "example.org",
    addHosts: ["up:host-gateway", "db:fd00::7"],
  };
  const endpoints = [endpoint("a", "10.0.0.2", [], "fd00::2"), endpoint("b", "10.1.0.2")];
  assert.deepEqual(own(ownHosts("c1", request, endpoints, "10.0.0.1")), [
    "10.0.0.2\tweb.example.org web c1",
    "fd00::2\tweb.example.org web c1",
    "10.1.0.2\tweb.example.org web c1",
    "10.0.0.1\tup",
    "fd00::7\tdb",
  ]);
  assert.deepEqual(own(ownHosts("c1", {}, [], undefined)), ["127.0.1.1\tc1"]);
  assert.throws(
    () => ownHosts("c1", { addHosts: ["up:host-gateway"] }, [], undefined),
    (error: unknown) => error instanceof CrateError && error.code === "INVALID",
  );
});

Deno.test("others are known by the networks that both are on, and by no other", () => {
  const web = attached(
    "web",
    endpoint("a", "10.0.0.2", ["www"], "fd00::2"),
    endpoint("b", "10.1.0.2", ["b-web"]),
  );
  const both = attached("both", endpoint("a", "10.0.0.3"), endpoint("b", "10.1.0.3"));
  const one = attached("one", endpoint("b", "10.1.0.4"));
  assert.equal(
    linesFor(both, web),
    "10.0.0.2\tweb www\nfd00::2\tweb www\n10.1.0.2\tweb b-web\n",
  );
  assert.equal(linesFor(one, web), "10.1.0.2\tweb b-web\n");
  assert.equal(linesFor(attached("far", endpoint("c", "10.2.0.2")), web), "");
  const state = { version: 1, last: {}, attachments: { web, both, one } };
  assert.equal(
    hostsFiles(state)(web),
    "web's own\n10.0.0.2\twww\n10.1.0.2\tb-web\n10.0.0.3\tboth\n10.1.0.3\tboth\n10.1.0.4\tone\n",
  );
  assert.equal(hostsFiles(state)(one), "one's own\n10.1.0.2\tweb b-web\n10.1.0.3\tboth\n");
});
