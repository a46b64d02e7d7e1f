import assert from "node:assert/strict";
import { CrateError } from "../../errors.ts";
import { slicePath, unitOf, unitPath } from "./unit.ts";

Deno.test("a path of three parts is a unit in a slice, and a slice lies in those of its name", () => {
  const cases: [path: string | undefined, user: boolean, name: string, group: string][] = [
    ["machine.slice:libpod:4f", false, "libpod-4f.scope", "/machine.slice/libpod-4f.scope"],
    [undefined, false, "crate-web.scope", "/system.slice/crate-web.scope"],
    ["", false, "crate-web.scope", "/system.slice/crate-web.scope"],
    [undefined, true, "crate-web.scope", "/user.slice/crate-web.scope"],
    [":docker:1", false, "docker-1.scope", "/system.slice/docker-1.scope"],
    ["::1", false, "-1.scope", "/system.slice/-1.scope"],
    ["-.slice:a:b", false, "a-b.scope", "/a-b.scope"],
    [
      "machine-libpod_pod_1.slice:libpod:2",
      false,
      "libpod-2.scope",
      "/machine.slice/machine-libpod_pod_1.slice/libpod-2.scope",
    ],
    ["a.slice::a-b.slice", false, "a-b.slice", "/a.slice/a-b.slice"],
  ];
  for (const [path, user, name, group] of cases) {
    const unit = unitOf(path, "web", user);
    assert.deepEqual([unit.name, unitPath(unit), unit.user], [name, group, user], path);
  }
  assert.equal(slicePath("a-b-c.slice"), "/a.slice/a-b.slice/a-b-c.slice");
});

Deno.test("a path that is no unit's is refused before anything is made", () => {
  for (
    const path of [
      "/crate/web",
      "a:b",
      "a.slice:b:c:d",
      "a.slice:b:",
      "a:b:c",
      "../a.slice:b:c",
      "a.slice:../b:c",
      "a.slice:b:c/d",
      "a--b.slice:b:c",
      "-a.slice:b:c",
      ".slice:b:c",
      "a.slice:b:.slice",
      `a.slice:b:${"c".repeat(250)}`,
      "a.slice:b:c d",
    ]
  ) {
    assert.throws(
      () => unitOf(path, "web", false),
      (error) =>
        error instanceof CrateError && error.code === "INVALID" &&
        error.message.startsWith("linux.cgroupsPath must") && error.message.includes(path),
      path,
    );
  }
});
