// Not in the virtual machine: netlink has no part in cgroups
import assert from "node:assert/strict";
import { AT_FDCWD, close, O_CLOEXEC, O_RDONLY, SOCK_CLOEXEC, syscall } from "../../ffi/mod.ts";
import { AF_NETLINK, NETLINK_ROUTE, NLMSG_ERROR, SOCK_RAW } from "./constants.ts";
import { sockaddr_nl } from "./datagrams.ts";
import { NetlinkError } from "./errors.ts";
import { encodeMessages } from "./message.ts";
import { inNamespace } from "./namespace.ts";
import { addLink, decodeLink, dumpLinks } from "./route/mod.ts";
import { NetlinkSocket } from "./socket.ts";
import { networkTest } from "./testing.ts";

const MODULE = new URL("./mod.ts", import.meta.url).href;
const NFTABLES = new URL("./nftables/mod.ts", import.meta.url).href;
const CONFIG = new URL("../../deno.json", import.meta.url).pathname;
const own = () => Deno.readLinkSync("/proc/thread-self/ns/net");

networkTest(
  "what is done in a namespace is done there, and this process stays where it is",
  (network) => {
    const home = own();
    const there = Deno.readLinkSync(`/proc/self/fd/${network.fd}`);
    assert.notEqual(there, home);
    assert.equal(inNamespace(network.fd, own), there);
    assert.equal(own(), home);
    assert.throws(() =>
      inNamespace(network.fd, () => {
        throw new RangeError("inside");
      }), /RangeError: inside/);
    assert.equal(own(), home);
  },
);

networkTest("a descriptor that is of no network namespace is refused", () => {
  const home = own();
  for (const [path, code] of [["/dev/null", "EINVAL"], ["/proc/self/ns/uts", "EINVAL"]] as const) {
    const fd = syscall("openat", AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    try {
      assert.throws(
        () => NetlinkSocket.open(NETLINK_ROUTE, { namespace: fd }),
        (error) => error instanceof NetlinkError && error.code === code,
      );
    } finally {
      close(fd);
    }
  }
  assert.equal(own(), home);
});

networkTest("a process that could enter a namespace, and not come back, is refused", (network) => {
  // In a user namespace of its own it has every capability over networks that it makes, and none
  // over the one it is in.
  const body = `
    import { inNamespace } from ${JSON.stringify(MODULE)};
    import { syscall } from ${JSON.stringify(new URL("../../ffi/mod.ts", import.meta.url).href)};
    const child = new Deno.Command("unshare", { args: ["-n", "sleep", "60"], stdin: "null", stdout: "null", stderr: "null" }).spawn();
    const [own, path] = [Deno.readLinkSync("/proc/self/ns/net"), "/proc/" + child.pid + "/ns/net"];
    while (Deno.readLinkSync(path) === own);
    const fd = syscall("openat", -100, path, 0);
    try { inNamespace(fd, () => console.log("inside")); } catch (error) { console.log(error.message); }
    console.log(Deno.readLinkSync("/proc/thread-self/ns/net") === own);
    child.kill("SIGKILL");
    await child.status;`;
  const deno = [Deno.execPath(), "run", `--config=${CONFIG}`, "-A", "--no-check", "--quiet", "-"];
  const text = network.run(["unshare", "-Ur", ...deno], body);
  assert.deepEqual(text.trim().split("\n"), [
    "enter the network namespace: EPERM (coming back would be refused: it takes CAP_SYS_ADMIN over its own, too)",
    "true",
  ]);
});

networkTest(
  "a network namespace of a user namespace is used from inside without the host's privileges",
  (network) => {
    const body = `
    import * as routing from ${JSON.stringify(MODULE)};
    import * as nftables from ${JSON.stringify(NFTABLES)};
    const netlink = { ...routing, ...nftables };
    using routes = netlink.RouteSocket.open();
    routes.execute([netlink.addLink({ name: "br0", kind: "bridge", up: true })]);
    using tables = netlink.NftablesSocket.open();
    const set = { family: "inet", table: "t", set: "s", keyType: "ipv4_addr" };
    const elements = Array.from({ length: 9000 }, (_, i) => ({ key: new Uint8Array([1, 0, i >> 8, i & 255]) }));
    tables.transaction([netlink.addTable(set), netlink.addSet(set), ...netlink.addElements(set, elements)]);
    console.log(routes.link("br0").up, tables.elements(set).length);`;
    const deno = [Deno.execPath(), "run", `--config=${CONFIG}`, "-A", "--no-check", "--quiet", "-"];
    assert.equal(network.run(["unshare", "-Urn", ...deno], body).trim(), "true 9000");
  },
);

networkTest("an answer that another process forges is skipped", (network) => {
  using socket = NetlinkSocket.open(NETLINK_ROUTE, { namespace: network.fd });
  // The kernel's answers tell the socket's port.
  const [port] = socket.dump(dumpLinks(), (message) => message.port);
  const forger = inNamespace(
    network.fd,
    () => syscall("socket", AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE),
  );
  try {
    const body = new Uint8Array(20);
    new DataView(body.buffer).setInt32(0, -1, true);
    const sequence = socket.reserve(1) + 1;
    const bytes = encodeMessages([{ type: NLMSG_ERROR, flags: 0x100, sequence, body }]);
    const address = sockaddr_nl.pack({ nl_family: AF_NETLINK, nl_pid: port! });
    syscall("sendto", forger, bytes, bytes.length, 0, address, address.length);
    socket.execute([addLink({ name: "br0", kind: "bridge" })]);
  } finally {
    close(forger);
  }
  assert.deepEqual(socket.dump(dumpLinks(), decodeLink).map(({ name }) => name), ["lo", "br0"]);
});

networkTest("a socket that is closed leaves no descriptor", (network) => {
  const count = () => [...Deno.readDirSync("/proc/self/fd")].length;
  const before = count();
  for (let i = 0; i < 20; i++) {
    using socket = NetlinkSocket.open(NETLINK_ROUTE, { namespace: network.fd });
    assert.equal(socket.dump(dumpLinks(), decodeLink).length, 1);
    socket[Symbol.dispose]();
  }
  assert.throws(() => NetlinkSocket.open(99, { namespace: network.fd }), /socket: EPROTONOSUPPORT/);
  assert.equal(count(), before);
});

networkTest("the room needs no more of Deno than libc", (network) => {
  const body = `
    import * as routing from ${JSON.stringify(MODULE)};
    import * as nftables from ${JSON.stringify(NFTABLES)};
    const netlink = { ...routing, ...nftables };
    using routes = netlink.RouteSocket.open();
    using tables = netlink.NftablesSocket.open();
    routes.execute([netlink.addLink({ name: "br0", kind: "bridge" })]);
    tables.transaction([netlink.addTable({ family: "inet", table: "t" })]);
    console.log(routes.links().length, tables.tables().length);`;
  const paths = ["/lib", "/usr/lib"].map((path) =>
    `${path}/${Deno.build.arch}-linux-gnu/libc.so.6`
  );
  const flags = ["--no-prompt", `--allow-ffi=${paths.join(",")}`, `--config=${CONFIG}`];
  const deno = [Deno.execPath(), "run", ...flags, "--no-check", "--quiet", "-"];
  assert.equal(network.run(deno, body).trim(), "2 1");
});
