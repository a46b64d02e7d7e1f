import assert from "node:assert/strict";
import { requireModules, requireProcessModules } from "./security_modules.ts";

const none = { apparmor: () => false, selinux: () => false };
const both = { apparmor: () => true, selinux: () => true };
const process = { args: ["/bin/true"], cwd: "/" };

Deno.test("a label of a security module that the host does not run is refused by its field", () => {
  for (
    const [spec, message] of [
      [
        { process: { ...process, apparmorProfile: "p" } },
        /^process\.apparmorProfile is "p", .* no AppArmor$/,
      ],
      [
        { process: { ...process, selinuxLabel: "l" } },
        /^process\.selinuxLabel is "l", .* no SELinux$/,
      ],
      [{ linux: { mountLabel: "m" } }, /^linux\.mountLabel is "m", .* no SELinux$/],
    ] as const
  ) {
    assert.throws(() => requireModules(spec, none), { code: "UNSUPPORTED", message });
    requireModules(spec, both);
  }
});

Deno.test("no label, and an empty one, asks for no module", () => {
  const empty = { ...process, apparmorProfile: "", selinuxLabel: "" };
  requireModules({ process: empty, linux: { mountLabel: "" } }, none);
  requireProcessModules(process, none);
});
