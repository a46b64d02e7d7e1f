import assert from "node:assert/strict";
import { CrateError } from "../errors.ts";
import { hugetlb } from "./hugetlb.ts";
import { netCls, netPrio } from "./network.ts";
import { pids } from "./pids.ts";
import { rdma } from "./rdma.ts";

// The controllers of a few lines each.

const lines = (settings: readonly { file: string; value: string }[]) =>
  settings.map(({ file, value }) => `${file} ${value}`);

Deno.test("the limit of processes is a number or max; 0 is none", () => {
  for (const settings of [pids.settingsV1, pids.settingsV2]) {
    assert.deepEqual(lines(settings({ pids: { limit: 100 } })), ["pids.max 100"]);
    assert.deepEqual(lines(settings({ pids: { limit: -1 } })), ["pids.max max"]);
    assert.deepEqual(lines(settings({ pids: { limit: 0 } })), []);
  }
  const files: Record<string, string> = { "pids.current": "3\n", "pids.max": "max\n" };
  assert.deepEqual(pids.statsV1((file) => files[file]), { current: 3, limit: undefined });
  assert.equal(pids.statsV2(() => undefined), undefined);
});

Deno.test("huge pages are limited in use and in reservation", () => {
  const resources = { hugepageLimits: [{ pageSize: "2MB", limit: 4194304 }] };
  assert.deepEqual(lines(hugetlb.settingsV1(resources)), [
    "hugetlb.2MB.limit_in_bytes 4194304",
    "hugetlb.2MB.rsvd.limit_in_bytes 4194304",
  ]);
  assert.deepEqual(lines(hugetlb.settingsV2(resources)), [
    "hugetlb.2MB.max 4194304",
    "hugetlb.2MB.rsvd.max 4194304",
  ]);
});

Deno.test("a page size that is none, which would name another file, is refused", () => {
  for (const pageSize of ["2mb", "MB", "../../x", "2MB.rsvd"]) {
    assert.throws(
      () => hugetlb.settingsV2({ hugepageLimits: [{ pageSize, limit: 0 }] }),
      (error) =>
        error instanceof CrateError && error.code === "INVALID" &&
        error.message.startsWith("linux.resources.hugepageLimits[0].pageSize "),
    );
  }
});

Deno.test("huge pages in use are listed by size", () => {
  const v1: Record<string, string> = {
    "hugetlb.2MB.usage_in_bytes": "2097152\n",
    "hugetlb.2MB.limit_in_bytes": "9223372036852678656\n",
    "hugetlb.2MB.failcnt": "4\n",
  };
  const v2: Record<string, string> = {
    "hugetlb.2MB.current": "2097152\n",
    "hugetlb.2MB.max": "max\n",
    "hugetlb.2MB.events": "max 4\n",
  };
  const expected = { "2MB": { usage: 2097152, limit: undefined, failures: 4 } };
  assert.deepEqual(hugetlb.statsV1((file) => v1[file]), expected);
  assert.deepEqual(hugetlb.statsV2((file) => v2[file]), expected);
  assert.equal(hugetlb.statsV2(() => undefined), undefined);
});

Deno.test("packets have a class and a priority in v1, and v2 refuses both by name", () => {
  const resources = { network: { classID: 16, priorities: [{ name: "eth0", priority: 5 }] } };
  assert.deepEqual(lines(netCls.settingsV1(resources)), ["net_cls.classid 16"]);
  assert.deepEqual(lines(netPrio.settingsV1(resources)), ["net_prio.ifpriomap eth0 5"]);
  assert.throws(
    () => netCls.settingsV2(resources),
    /^CrateError: linux\.resources\.network\.classID: /,
  );
  assert.throws(() => netPrio.settingsV2(resources), /network\.priorities\[0\]: /);
  assert.deepEqual(netCls.settingsV2({ network: {} }), []);
  assert.deepEqual(netPrio.settingsV2({ network: {} }), []);
});

Deno.test("RDMA devices have a line each", () => {
  const resources = {
    rdma: { mlx5_1: { hcaHandles: 3, hcaObjects: 9 }, mlx4_0: { hcaObjects: 1 } },
  };
  const expected = ["rdma.max mlx5_1 hca_handle=3 hca_object=9", "rdma.max mlx4_0 hca_object=1"];
  assert.deepEqual(lines(rdma.settingsV1(resources)), expected);
  assert.deepEqual(lines(rdma.settingsV2(resources)), expected);
});
