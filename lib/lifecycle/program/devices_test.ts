import assert from "node:assert/strict";
import fc from "fast-check";
import { deviceNumber } from "./devices.ts";

Deno.test("device numbers are those of the known devices", () => {
  assert.equal(deviceNumber(1, 3), 0x103); // null
  assert.equal(deviceNumber(5, 0), 0x500); // tty
  assert.equal(deviceNumber(8, 0), 0x800); // sda
  assert.equal(deviceNumber(10, 229), 0xae5); // fuse
  assert.equal(deviceNumber(259, 300), 0x11032c); // an NVMe partition
});

Deno.test("a device number holds 12 bits of major and 20 of minor, as the kernel takes them apart", () => {
  fc.assert(fc.property(fc.nat(0xfff), fc.nat(0xfffff), (major, minor) => {
    const device = deviceNumber(major, minor);
    assert(device >= 0 && device <= 0xffffffff);
    // linux/kdev_t.h, new_decode_dev
    assert.equal((device & 0xfff00) >>> 8, major);
    assert.equal((device & 0xff) | ((device >>> 12) & 0xfff00), minor);
  }));
});
