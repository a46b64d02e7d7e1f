// Not in the virtual machine: it has no veth devices
import assert from "node:assert/strict";
import type { LinuxNamespace } from "../lib/spec/mod.ts";
import { makeBundle } from "./support/bundle.ts";
import { type Result, type Sandbox, test } from "./support/mod.ts";

// linux.netDevices: network devices of the host's in a container. The host is a network namespace of the test's own.

const DEVICES = `set -e
ip link set lo up
ip link add veth0 type veth peer name peer0
ip link set veth0 address 02:00:00:00:00:07 mtu 1400 up
ip address add 10.1.2.3/24 dev veth0
ip address add 2001:db8::7/64 dev veth0 nodad
ip address add 10.9.9.9/32 dev veth0 scope link
ip link set peer0 up
set +e
`;

/** Runs crate as in `after`, where `"$@"` is its command line, on a host with a pair of devices. */
async function onHost(box: Sandbox, words: string[], after = '"$@" </dev/null'): Promise<Result> {
  const file = box.file("script", DEVICES + after);
  return await box.host(`exec unshare -n sh ${file} "$@"`, words);
}

const SHOW = "ip link show $1 && ip addr show dev $1";
const inside = (name: string) => `set -- ${name}; ${SHOW}`;

test("a device is moved with its name, hardware address, size and addresses, and is up", async (box) => {
  const bundle = makeBundle(box, "n", inside("eth7"), {
    linux: { netDevices: { veth0: { name: "eth7" } } },
  });
  const script = '"$@" </dev/null; echo "code $?"; ip -o link show veth0';
  const { stdout, stderr } = await onHost(box, ["run", "--bundle", bundle, "n"], script);
  assert.match(stdout, /eth7@\S+: <[^>]*\bUP\b[^>]*> mtu 1400/);
  assert.match(stdout, /link\/ether 02:00:00:00:00:07/);
  assert.match(stdout, /inet 10\.1\.2\.3\/24/);
  assert.match(stdout, /inet6 2001:db8::7\/64 scope global/);
  assert.doesNotMatch(stdout, /10\.9\.9\.9/, "not of global scope");
  assert.match(stdout, /code 0\n/);
  // The container has taken it along.
  assert.match(stderr, /Device "veth0" does not exist/);
});

test("a device keeps its name when the config gives it none, in a user namespace too", async (box) => {
  const types = ["pid", "network", "ipc", "uts", "mount", "user"] as const;
  const map = [{ containerID: 0, hostID: 0, size: 1000 }];
  const linux = {
    netDevices: { veth0: {} },
    namespaces: types.map((type): LinuxNamespace => ({ type })),
    uidMappings: map,
    gidMappings: map,
  };
  const bundle = makeBundle(box, "n", inside("veth0"), { linux });
  const { code, stdout } = await onHost(box, ["run", "--bundle", bundle, "n"]);
  assert.equal(code, 0);
  assert.match(stdout, /inet 10\.1\.2\.3\/24/);
});

test("a device goes into a network namespace that is joined by its path", async (box) => {
  const bundle = makeBundle(box, "n", inside("eth7"), {
    linux: {
      netDevices: { veth0: { name: "eth7" } },
      namespaces: [{ type: "pid" }, { type: "mount" }, { type: "uts" }, {
        type: "network",
        path: "/PATH",
      }],
    },
  });
  const script = `unshare -n sleep 60 & other=$!
while [ "$(readlink /proc/$other/ns/net)" = "$(readlink /proc/$$/ns/net)" ]; do :; done
sed -i "s,/PATH,/proc/$other/ns/net," ${bundle}/config.json
"$@" </dev/null; echo "code $?"
echo there: $(nsenter -t $other -n ip -o link show eth7)
kill $other`;
  const { stdout } = await onHost(box, ["run", "--bundle", bundle, "n"], script);
  assert.match(stdout, /inet 10\.1\.2\.3\/24[^]*code 0\nthere: \d+: eth7@/);
});

test("a container that cannot be started gives its devices back, as they were", async (box) => {
  const bundle = makeBundle(box, "n", "true", {
    linux: { netDevices: { veth0: { name: "eth7" }, peer0: {} } },
    hooks: { createRuntime: [{ path: "/bin/false" }] },
  });
  const script =
    '"$@" </dev/null; echo "code $?"; ip -o link show veth0; ip -o addr show dev veth0; ' +
    "ip -o link show peer0";
  const { stdout, stderr } = await onHost(box, ["create", "--bundle", bundle, "n"], script);
  assert.match(stderr, /hooks\.createRuntime\[0\] \(\/bin\/false\) exited with 1/);
  assert.match(stdout, /code 125\n/);
  assert.match(stdout, /veth0@peer0: <[^>]*\bUP\b[^>]*> mtu 1400[^\n]*02:00:00:00:00:07/);
  assert.match(stdout, /inet 10\.1\.2\.3\/24/);
  assert.match(stdout, /inet6 2001:db8::7\/64/);
  assert.match(stdout, /peer0@veth0: <[^>]*\bUP\b/);
});

test("a device that is not there, or whose name is taken, is refused by its field", async (box) => {
  for (
    const [netDevices, reason] of [
      [{ eth9: {} }, 'linux.netDevices["eth9"]: this host has no such network device'],
      [
        { veth0: { name: "lo" } },
        'linux.netDevices["veth0"]: the container has a device named lo already',
      ],
      [
        { veth0: { name: "one" }, peer0: { name: "one" } },
        'linux.netDevices["peer0"]: the container has a device named one already',
      ],
    ] as const
  ) {
    const bundle = makeBundle(box, "n", "true", { linux: { netDevices } });
    const script = '"$@" </dev/null; ip -o addr show dev veth0';
    const { stdout, stderr } = await onHost(box, ["create", "--bundle", bundle, "n"], script);
    assert.equal(stderr, `crate: ${reason}\n`);
    assert.match(stdout, /inet 10\.1\.2\.3\/24/, "the first one is back");
  }
  const loopback = makeBundle(box, "n", "true", {
    linux: { netDevices: { lo: { name: "other" } } },
  });
  const { code, stderr } = await onHost(box, ["create", "--bundle", loopback, "n"]);
  assert.equal(code, 125);
  assert.match(stderr, /^crate: linux\.netDevices\["lo"\]: set the link 1: E\w+/);
});
