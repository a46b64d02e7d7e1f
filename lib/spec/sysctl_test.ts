import assert from "node:assert/strict";
import fc from "fast-check";
import { sysctlNamespace, sysctlPath } from "./sysctl.ts";

Deno.test("a kernel parameter's name becomes its path as sysctl(8) reads it", () => {
  const names: [name: string, path: string | undefined][] = [
    ["net.ipv4.ip_forward", "net/ipv4/ip_forward"],
    ["net/ipv4/ip_forward", "net/ipv4/ip_forward"],
    ["net.ipv4.conf.eth0/1.forwarding", "net/ipv4/conf/eth0.1/forwarding"],
    ["net/ipv4/conf/eth0.1/forwarding", "net/ipv4/conf/eth0.1/forwarding"],
    ["", undefined],
    ["net..core", undefined],
    [".net", undefined],
    ["/net", undefined],
    ["net/../kernel/core_pattern", undefined],
    ["net.//.kernel", undefined],
    ["net.a\0", undefined],
  ];
  for (const [name, path] of names) assert.equal(sysctlPath(name), path, name);
});

Deno.test("each parameter belongs to one namespace or to the host", () => {
  const owners: [path: string, namespace: string | undefined][] = [
    ["net/core/somaxconn", "network"],
    ["fs/mqueue/msg_max", "ipc"],
    ["kernel/shmmax", "ipc"],
    ["kernel/shm_rmid_forced", "ipc"],
    ["kernel/msgmni", "ipc"],
    ["kernel/sem", "ipc"],
    ["kernel/hostname", "uts"],
    ["kernel/domainname", "uts"],
    ["kernel/core_pattern", undefined],
    ["kernel/semantic", undefined],
    ["kernel/hostname2", undefined],
    ["vm/swappiness", undefined],
    ["fs/file-max", undefined],
    ["net", undefined],
  ];
  for (const [path, namespace] of owners) assert.equal(sysctlNamespace(path), namespace, path);
});

Deno.test("no name leads out of the directory it starts in", () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[a./]{0,12}$/), (name) => {
      const path = sysctlPath(name);
      if (path === undefined) return;
      assert.equal(new URL(`file:///proc/sys/${path}`).pathname, `/proc/sys/${path}`);
    }),
    { numRuns: 2000 },
  );
});
