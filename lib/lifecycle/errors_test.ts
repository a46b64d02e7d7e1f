import assert from "node:assert/strict";
import { EACCES, EINVAL, ENOENT, ENOSYS, ENOTDIR, EPERM } from "../../ffi/mod.ts";
import { startError } from "./errors.ts";

Deno.test("a step that failed is told by its label, and in words where they are known", () => {
  const cases: [label: string, errno: number, sentence: RegExp][] = [
    ["mount proc on /proc", EPERM, /^mount proc on \/proc: EPERM$/],
    ["mount tmpfs on /x", EINVAL, /^mount tmpfs on \/x: EINVAL$/],
    ["mount /etc on /x", EINVAL, /^mount \/etc on \/x: EINVAL$/],
    ["mount /etc/passwd on /x", EINVAL, /: the one is a file, and the other a directory of the/],
    ["mount /etc/passwd on /x", EPERM, /: EPERM$/],
    ["open /bin/sh", ENOTDIR, /^open \/bin\/sh: it is a file in the container, or below one/],
    ["open the container's root", ENOTDIR, /: ENOTDIR$/],
    ["enter /nope", ENOENT, /^enter \/nope: no such directory \(ENOENT\)$/],
    ["enter /bin/sh", ENOTDIR, /^enter \/bin\/sh: it is, or lies below, a file/],
    ["enter /x: it is outside of the container", ENOENT, /container: ENOENT$/],
    ["set net.nope to 1", ENOENT, /^set net\.nope to 1: the kernel has no such parameter/],
    ["set net.ipv4.ip_forward to x", EINVAL, /: the kernel does not take this value \(EINVAL\)$/],
    ["set oomScoreAdj to 5", EACCES, /: EACCES$/],
    [
      "set RLIMIT_NOFILE to unlimited:unlimited",
      EPERM,
      /: the kernel lets nobody have more than \d+, sysctl fs\.nr_open \(EPERM\)$/,
    ],
    [
      "set RLIMIT_CORE to 1:1",
      EPERM,
      /: it is over crate's own hard limit, and crate lacks CAP_SYS/,
    ],
    ["execute sh", ENOENT, /^sh: executable file not found in \$PATH of the container$/],
    ["anything", ENOSYS, /^anything: ENOSYS \(this kernel is too old/],
  ];
  for (const [label, errno, sentence] of cases) {
    assert.match(startError(label, errno).message, sentence, label);
  }
});
