import assert from "node:assert/strict";
import { CrateError } from "../errors.ts";
import { parseResolv, resolvFile, validateResolver } from "./resolv.ts";

/** A host with these files. */
const host = (files: Readonly<Record<string, string>>) => (path: string) =>
  files[path] === undefined ? undefined : parseResolv(files[path]);

const NONE = { endpoints: [] };
const FILE = "/etc/resolv.conf";

Deno.test("a resolver's file is its servers, the last search list, and all options", () => {
  const text = `# comment
nameserver 192.0.2.53
nameserver	2001:db8::53 ; comment
domain old.example.org
search example.org  corp.example.org
options ndots:2
options edns0 trust-ad
nameserver
sortlist 10.0.0.0`;
  assert.deepEqual(parseResolv(text), {
    servers: ["192.0.2.53", "2001:db8::53"],
    search: ["example.org", "corp.example.org"],
    options: ["ndots:2", "edns0", "trust-ad"],
  });
});

Deno.test("a container asks whom the host asks", () => {
  const files = {
    [FILE]: "nameserver 192.0.2.53\nnameserver 2001:db8::53\nsearch a b\noptions ndots:2\n",
  };
  assert.equal(
    resolvFile(NONE, true, host(files)),
    "nameserver 192.0.2.53\nnameserver 2001:db8::53\nsearch a b\noptions ndots:2\n",
  );
  assert.equal(
    resolvFile(NONE, false, host(files)),
    "nameserver 192.0.2.53\nsearch a b\noptions ndots:2\n",
    "not by a family that it has no address of",
  );
});

Deno.test("a resolver on the host's own loopback, or on one of its links, is out of a container's reach", () => {
  const text = "nameserver 127.0.0.1\nnameserver ::1\nnameserver fe80::1%eth0\nnameserver x\n";
  assert.equal(
    resolvFile(NONE, true, host({ [FILE]: `${text}nameserver 192.0.2.1\n` })),
    "nameserver 192.0.2.1\n",
  );
  const open = "nameserver 8.8.8.8\nnameserver 8.8.4.4\n";
  assert.equal(resolvFile(NONE, true, host({ [FILE]: text })), open);
  assert.equal(resolvFile(NONE, true, host({})), open);
});

Deno.test("behind systemd-resolved's stub are the resolvers that it asks", () => {
  const behind = "/run/systemd/resolve/resolv.conf";
  const stub = "nameserver 127.0.0.53\noptions edns0\nsearch lan\n";
  const files = { [FILE]: stub, [behind]: "nameserver 192.0.2.7\nnameserver 127.0.0.1\n" };
  assert.equal(
    resolvFile(NONE, true, host(files)),
    "nameserver 192.0.2.7\nsearch lan\noptions edns0\n",
  );
  const own = { ...files, [FILE]: "nameserver 127.0.0.1\n" };
  assert.match(resolvFile(NONE, true, host(own)), /8\.8\.8\.8/, "only behind its stub");
});

Deno.test("what the user says stands in the place of what the host says", () => {
  const files = { [FILE]: "nameserver 192.0.2.53\nsearch a\noptions ndots:2\n" };
  const dns = ["127.0.0.1", "2001:db8::53"];
  assert.equal(
    resolvFile(
      { ...NONE, dns, dnsSearch: ["x", "y"], dnsOptions: ["timeout:1"] },
      false,
      host(files),
    ),
    "nameserver 127.0.0.1\nnameserver 2001:db8::53\nsearch x y\noptions timeout:1\n",
  );
  assert.equal(
    resolvFile({ ...NONE, dnsSearch: ["."] }, true, host(files)),
    "nameserver 192.0.2.53\noptions ndots:2\n",
  );
});

Deno.test("what no resolver's file can hold is refused", () => {
  validateResolver({
    ...NONE,
    dns: ["192.0.2.1", "::1"],
    dnsSearch: ["."],
    dnsOptions: ["ndots:2"],
  });
  const wrong = [
    { dns: ["x"] },
    { dns: ["192.0.2.1\nsearch evil"] },
    { dnsSearch: ["a b"] },
    { dnsSearch: [""] },
    { dnsSearch: ["a\nnameserver 192.0.2.1"] },
    { dnsOptions: ["a b"] },
    { dnsOptions: ["ndots:2\nnameserver 192.0.2.1"] },
  ];
  for (const each of wrong) {
    assert.throws(() => validateResolver({ ...NONE, ...each }), CrateError, JSON.stringify(each));
  }
});
