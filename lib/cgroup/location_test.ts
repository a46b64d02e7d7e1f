import assert from "node:assert/strict";
import { CrateError } from "../errors.ts";
import type { CgroupLayout } from "./layout.ts";
import { joinFiles, locateCgroup } from "./location.ts";

const HYBRID: CgroupLayout = {
  v1: new Map([["cpu", "/cg/cpu,cpuacct"], ["cpuacct", "/cg/cpu,cpuacct"], ["pids", "/cg/pids"]]),
  v2: { mount: "/cg/unified", controllers: [] },
};

Deno.test("a container has one directory in each hierarchy, however many controllers it has", () => {
  const { directories, path, v1, v2 } = locateCgroup(HYBRID, "/crate/web");
  assert.equal(path, "/crate/web");
  assert.equal(v1.get("cpuacct"), "/cg/cpu,cpuacct/crate/web");
  assert.equal(v2, "/cg/unified/crate/web");
  assert.deepEqual(directories, [
    "/cg/cpu,cpuacct/crate/web",
    "/cg/pids/crate/web",
    "/cg/unified/crate/web",
  ]);
});

Deno.test("a path is taken below the mount point, with or without slashes to spare", () => {
  for (const path of ["crate/web", "//crate//web/", "/crate/./web"]) {
    assert.equal(locateCgroup(HYBRID, path).path, "/crate/web");
  }
});

Deno.test("a path that leaves the hierarchy or names no group is refused by name", () => {
  for (const path of ["", "/", "/..", "/crate/../../x", "."]) {
    assert.throws(
      () => locateCgroup(HYBRID, path),
      (error) =>
        error instanceof CrateError && error.code === "INVALID" &&
        error.message.startsWith("linux.cgroupsPath must"),
      path,
    );
  }
});

Deno.test("a process joins v1 by tasks and is born into v2", () => {
  const { join, joinDirectory } = joinFiles(locateCgroup(HYBRID, "/crate/web"));
  assert.deepEqual(join, ["/cg/cpu,cpuacct/crate/web/tasks", "/cg/pids/crate/web/tasks"]);
  assert.equal(joinDirectory, "/cg/unified/crate/web");
});

Deno.test("a later process joins the group of an init that is not below ours by ours", () => {
  // This process is in some group of its own, which is not below /crate/none.
  const { joinDirectory } = joinFiles(locateCgroup(HYBRID, "/crate/none"), Deno.pid);
  assert.equal(joinDirectory, "/cg/unified/crate/none");
});
