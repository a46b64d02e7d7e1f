import assert from "node:assert/strict";
import { CrateError } from "../errors.ts";
import type { RunOptions } from "../spec/mod.ts";
import { requireSensible } from "./sensible.ts";

const LEAST: RunOptions = { args: ["/bin/true"], rootfs: "/" };

function refused(options: Partial<RunOptions>, sentence: RegExp): void {
  assert.throws(() => requireSensible({ ...LEAST, ...options }), (error: unknown) => {
    assert(error instanceof CrateError && error.code === "INVALID", String(error));
    assert.match(error.message, sentence);
    return true;
  });
}

Deno.test("options that make sense are let be", () => {
  requireSensible(LEAST);
  requireSensible({ ...LEAST, cwd: "/x", hostname: "web", memory: 6 << 20, cpusetCpus: "0" });
  requireSensible({ ...LEAST, memory: 0, cpusetCpus: "0-0,0", cpusetMems: "0" });
});

Deno.test("what a config may say and no person means is refused by the option's name", () => {
  refused({ cwd: "tmp" }, /^--workdir must be absolute, got "tmp"$/);
  refused({ hostname: "a b" }, /^--hostname: "a b" is no host name: /);
  refused({ domainname: "a\n" }, /^the domain name: "a\\n" is no host name: /);
  refused({ memory: 1 }, /^--memory must be at least 6 MiB, got 1 bytes$/);
  refused({ cpusetCpus: "0,99999" }, /^--cpuset-cpus 0,99999: this host has the processors \d/);
  refused({ cpusetCpus: "0-99999" }, /^--cpuset-cpus 0-99999: this host has the processors \d/);
  refused({ cpusetMems: "99999" }, /^--cpuset-mems 99999: this host has the memory nodes \d/);
  for (const list of ["", "x", "1-0", "0,", "-1", "0 1"]) {
    refused({ cpusetCpus: list }, /^--cpuset-cpus must be a list such as 0-2,4, got ".*"$/);
  }
});
