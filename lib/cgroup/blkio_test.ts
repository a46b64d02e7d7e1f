import assert from "node:assert/strict";
import { CrateError } from "../errors.ts";
import type { LinuxResources } from "../spec/mod.ts";
import { blkio } from "./blkio.ts";

const BLOCK_IO: NonNullable<LinuxResources["blockIO"]> = {
  weight: 500,
  weightDevice: [{ major: 8, minor: 0, weight: 1000 }],
  throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 1024 }],
  throttleWriteIOPSDevice: [{ major: 8, minor: 16, rate: 0 }],
};

Deno.test("v1 has a file for each kind of limit and a line for each device", () => {
  assert.deepEqual(blkio.settingsV1({ blockIO: BLOCK_IO }), [
    { file: "blkio.bfq.weight", value: "500", field: "blockIO.weight" },
    { file: "blkio.bfq.weight_device", value: "8:0 1000", field: "blockIO.weightDevice[0].weight" },
    {
      file: "blkio.throttle.read_bps_device",
      value: "8:0 1024",
      field: "blockIO.throttleReadBpsDevice[0]",
    },
    {
      file: "blkio.throttle.write_iops_device",
      value: "8:16 0",
      field: "blockIO.throttleWriteIOPSDevice[0]",
    },
  ]);
});

Deno.test("v2 gives BFQ the weight, or the cost model its own scale where there is no BFQ", () => {
  assert.deepEqual(blkio.settingsV2({ blockIO: BLOCK_IO }), [
    {
      file: "io.bfq.weight",
      value: "500",
      field: "blockIO.weight",
      otherwise: { file: "io.weight", value: "default 4950" },
    },
    {
      file: "io.bfq.weight",
      value: "8:0 1000",
      field: "blockIO.weightDevice[0].weight",
      otherwise: { file: "io.weight", value: "8:0 10000" },
    },
    { file: "io.max", value: "8:0 rbps=1024", field: "blockIO.throttleReadBpsDevice[0]" },
    { file: "io.max", value: "8:16 wiops=max", field: "blockIO.throttleWriteIOPSDevice[0]" },
  ]);
  const [lowest] = blkio.settingsV2({ blockIO: { weight: 10 } });
  assert.equal(lowest?.otherwise?.value, "default 1");
});

Deno.test("leaf weights, which no kernel has any more, are refused by name", () => {
  for (const settings of [blkio.settingsV1, blkio.settingsV2]) {
    for (
      const [field, blockIO] of [
        ["blockIO.leafWeight", { leafWeight: 10 }],
        ["blockIO.weightDevice[0].leafWeight", {
          weightDevice: [{ major: 8, minor: 0, weight: 10, leafWeight: 10 }],
        }],
      ] as const
    ) {
      assert.throws(
        () => settings({ blockIO }),
        (error) =>
          error instanceof CrateError && error.code === "UNSUPPORTED" &&
          error.message.startsWith(`linux.resources.${field}: `),
      );
    }
  }
});

Deno.test("a device's limit without a rate or a weight is refused, not taken for 0", () => {
  for (const settings of [blkio.settingsV1, blkio.settingsV2]) {
    const entry = { major: 8, minor: 0 };
    assert.throws(
      () => settings({ blockIO: { throttleReadBpsDevice: [entry] } }),
      /rate is missing/,
    );
    assert.throws(() => settings({ blockIO: { weightDevice: [entry] } }), /weight is missing/);
  }
});

Deno.test("what was read and written is listed by device from both versions", () => {
  const files: Record<string, string> = {
    "blkio.throttle.io_service_bytes_recursive":
      "8:0 Read 4096\n8:0 Write 0\n8:0 Sync 4096\n8:0 Total 4096\n8:16 Write 512\nTotal 4608\n",
    "blkio.throttle.io_serviced_recursive": "8:0 Read 2\n8:16 Write 1\nTotal 3\n",
  };
  const unified = "8:0 rbytes=4096 wbytes=0 rios=2 wios=0 dbytes=0 dios=0\n" +
    "8:16 rbytes=0 wbytes=512 rios=0 wios=1 dbytes=0 dios=0\n";
  const expected = [
    { major: 8, minor: 0, readBytes: 4096, writeBytes: 0, reads: 2, writes: 0 },
    { major: 8, minor: 16, readBytes: 0, writeBytes: 512, reads: 0, writes: 1 },
  ];
  assert.deepEqual(blkio.statsV1((file) => files[file]), expected);
  assert.deepEqual(blkio.statsV2(() => unified), expected);
  assert.deepEqual(blkio.statsV2(() => ""), []);
});
