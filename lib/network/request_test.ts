import assert from "node:assert/strict";
import { CrateError } from "../errors.ts";
import { networkName, validateHost, validateName } from "./names.ts";
import { validateRequest } from "./request.ts";
import type { EndpointRequest, NetworkRequest } from "./types.ts";

const withEndpoint = (endpoint: Omit<EndpointRequest, "network">): NetworkRequest => ({
  endpoints: [{ network: "net", ...endpoint }],
});

function refused(request: NetworkRequest, sentence: RegExp): void {
  assert.throws(() => validateRequest(request), (error: unknown) => {
    assert(error instanceof CrateError && error.code === "INVALID", String(error));
    assert.match(error.message, sentence);
    return true;
  });
}

Deno.test("what can be known to be wrong is refused before the host is asked", () => {
  validateRequest(withEndpoint({ ip: "10.0.0.2", ip6: "fd00::2", mac: "02:00:00:00:00:01" }));
  refused(withEndpoint({ ip: "fd00::2" }), /^--ip fd00::2: an IPv6 address is --ip6's$/);
  refused(withEndpoint({ ip6: "10.0.0.2" }), /^--ip6 10\.0\.0\.2: an IPv4 address is --ip's$/);
  refused(withEndpoint({ mac: "x" }), /^--mac-address x: /);
  refused(withEndpoint({ aliases: ["good", "not good"] }), /^--network-alias: "not good" is no/);
  refused(
    { endpoints: [], hostname: "x\n9.9.9.9 evil" },
    /^--hostname: "x\\n9\.9\.9\.9 evil" is no/,
  );
  refused({ endpoints: [], domainname: "a b" }, /^the domain name: "a b" is no host name/);
  refused({ endpoints: [], addHosts: ["x"] }, /^--add-host x: /);
  refused({ endpoints: [], dns: ["x"] }, /^--dns x: /);
});

Deno.test("a name of a host is what a resolver looks up, and never ends a line", () => {
  for (const name of ["a", "db-1", "db_1", "db.example.org", "1", "A".repeat(253)]) {
    assert.equal(validateHost(name, "--network-alias"), name);
  }
  for (const name of ["", "-a", ".a", "a..b", "a b", "a\nb", "a\tb", "ä", "A".repeat(254)]) {
    assert.throws(() => validateHost(name, "--network-alias"), CrateError, name);
  }
  assert.throws(
    () => validateHost("a\nb", "--x"),
    /^CrateError: --x: "a\\nb" is no host name: letters, digits, /,
  );
});

Deno.test("a network's name is no word that means something, and no path", () => {
  for (const name of ["db", "a.b_c-d", "1", "x".repeat(64)]) assert.equal(validateName(name), name);
  for (const name of ["host", "none", "container", "ns", "bridge", "default", "crate0"]) {
    assert.throws(() => validateName(name), /the word has a meaning$/, name);
  }
  for (
    const name of ["", ".", "..", "-a", ".a", "a/b", "../a", "a b", "a\n", "x".repeat(65), "é"]
  ) {
    assert.throws(() => validateName(name), /is no name of a network/, name);
  }
  assert.deepEqual(["bridge", "default", "db"].map(networkName), ["crate0", "crate0", "db"]);
});
