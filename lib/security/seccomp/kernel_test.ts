import assert from "node:assert/strict";
import type { LinuxSeccomp } from "../../spec/mod.ts";

const EPERM = -1;
const ENOENT = -2;
const EBADF = -9;
const EINVAL = -22;
const ENOSYS = -38;

function inChild(profile?: LinuxSeccomp): Record<string, number> {
  const { success, stdout, stderr } = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--no-prompt",
      new URL("_kernel_child.ts", import.meta.url).pathname,
      ...(profile ? [JSON.stringify(profile)] : []),
    ],
  }).outputSync();
  assert.ok(success, new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout)).results;
}

Deno.test("the kernel takes the default filter and refuses what it refuses", () => {
  assert.deepEqual(inChild(), {
    getpid: 0,
    unixSocket: 0,
    vsockSocket: EPERM,
    personality: 0,
    noRandomize: EPERM,
    mount: EPERM,
    umount2: EPERM,
    unshare: EPERM,
    setns: EPERM,
    bpf: EPERM,
    keyctl: EPERM,
    fsopen: EPERM,
    open_tree: EPERM,
    pivot_root: EPERM,
    sethostname: EPERM,
    clone3: ENOSYS,
    chroot: ENOENT,
  });
});

Deno.test("the kernel answers a profile's calls with the profile's errors, and lets others through", () => {
  const results = inChild({
    defaultAction: "SCMP_ACT_ALLOW",
    syscalls: [
      { names: ["chroot"], action: "SCMP_ACT_ERRNO", errnoRet: 5 },
      {
        names: ["personality"],
        action: "SCMP_ACT_ERRNO",
        errnoRet: 7,
        args: [{ index: 0, op: "SCMP_CMP_MASKED_EQ", value: 0x40000, valueTwo: 0x40000 }],
      },
    ],
  });
  assert.equal(results.chroot, -5);
  assert.equal(results.noRandomize, -7);
  assert.equal(results.setns, EBADF);
  assert.equal(results.clone3, EINVAL);
});
