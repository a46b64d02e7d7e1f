// Not in the virtual machine: cgroups have no part in networks
// Networks of containers in user namespaces.
import assert from "node:assert/strict";
import { addressesOf, HOST, idle, networkTest, placeOf } from "./support/network.ts";

const AUTO = ["--userns", "auto"];

networkTest(
  "a container in a user namespace has an address, a way out, ports and names as others have",
  async ({ box, outside }) => {
    const id = await idle(box, ...AUTO, "-p", "8080:80", "--name", "web");
    const neighbour = await placeOf(box, await idle(box, "--name", "other"));
    const web = await placeOf(box, id);
    await using _ = await web.serve("web", "tcp:80");
    assert.equal(await outside.ask(HOST.ip, 8080), "web saw 192.0.2.2");
    const { ip } = await addressesOf(box, id);
    assert.match(`${await neighbour.ask(ip, 80)}`, /^web saw /);
    // Its files below /etc are its own.
    const own =
      "stat -c %u /etc/hosts /etc/resolv.conf /etc/hostname; echo 192.0.2.9 mine >> /etc/hosts; ls /sys/class/net";
    const lines = (await box.ok(["exec", id, "sh", "-c", own])).split("\n");
    assert.deepEqual(lines, ["0", "0", "0", "eth0", "lo"]);
    await idle(box, ...AUTO, "--name", "later");
    const hosts = await box.ok(["exec", id, "cat", "/etc/hosts"]);
    assert.match(hosts, /later/);
    assert.match(hosts, /192\.0\.2\.9 mine/);
    await box.ok(["stop", "-t", "0", "web"]);
    await box.ok(["start", "web"]);
    assert.equal(await box.ok(["exec", "web", "stat", "-c", "%u", "/etc/hosts"]), "0");
    for (const name of ["web", "other", "later"]) await box.ok(["delete", "--force", name]);
  },
);

networkTest(
  "containers in user namespaces share a network by its name, and one by its container",
  async ({ box }) => {
    await box.ok(["network", "create", "made"]);
    const one = await idle(box, ...AUTO, "--network", "made", "--name", "one");
    const two = await idle(box, ...AUTO, "--network", "container:one");
    const links = await box.ok(["exec", two, "ip", "-o", "link"]);
    assert.equal(links, await box.ok(["exec", one, "ip", "-o", "link"]));
    await box.ok(["network", "disconnect", "made", "one"]);
    await box.ok(["network", "connect", "made", "one"]);
    assert.match(await box.ok(["exec", one, "ip", "-o", "link"]), /eth/);
    for (const id of [two, one]) await box.ok(["delete", "--force", id]);
    await box.ok(["network", "rm", "made"]);
  },
);
