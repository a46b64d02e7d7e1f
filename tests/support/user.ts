import assert from "node:assert/strict";
import { RUNC } from "./engines.ts";
import { reapMonitors } from "./leftovers.ts";
import { Running } from "./running.ts";
import { COMMAND, type Sandbox } from "./sandbox.ts";

/** The user that tests are. */
export const USER_ID = 4711;

/** Runs a script as a user, with subordinate ids unless told otherwise, whom only a mount namespace of the test's own knows. */
export async function asUser(
  box: Sandbox,
  script: string,
  { subordinate = true } = {},
): Promise<string> {
  Deno.chmodSync(box.directory, 0o755);
  const home = box.mkdir("home");
  const runtime = box.mkdir("run");
  for (const path of [home, runtime]) Deno.chownSync(path, USER_ID, USER_ID);
  Deno.chmodSync(runtime, 0o700);
  box.file(
    "passwd",
    `root:x:0:0::/root:/bin/sh\nsomebody:x:${USER_ID}:${USER_ID}::${home}:/bin/sh\n`,
  );
  box.file("group", `root:x:0:\nsomebody:x:${USER_ID}:\n`);
  box.file("subid", subordinate ? "somebody:300000:65536\n" : "");
  box.file(
    "containers.conf",
    [
      "[containers]",
      'default_ulimits=["nofile=1024:1024","nproc=1024:1024"]',
      "[engine]",
      'cgroup_manager="cgroupfs"',
      'events_logger="file"',
      'lock_type="file"',
      "[engine.runtimes]",
      `crate=["${COMMAND}"]`,
      `runc=["${RUNC}"]`,
    ].join("\n"),
  );
  for (const name of ["passwd", "group", "subid", "containers.conf"]) {
    Deno.chmodSync(box.path(name), 0o644);
  }
  const outer = `mount --make-rprivate / && cd "$0" || exit 1
mount --bind passwd /etc/passwd && mount --bind group /etc/group || exit 1
for file in /etc/subuid /etc/subgid; do mount --bind subid $file || exit 1; done
exec setpriv --reuid ${USER_ID} --regid ${USER_ID} --clear-groups --inh-caps=-all env -i PATH="$PATH" HOME="$0/home" \
  XDG_RUNTIME_DIR="$0/run" CONTAINERS_CONF="$0/containers.conf" CRATE="${COMMAND}" sh -c "$1" >"$0/out" 2>"$0/err"`;
  const words = ["unshare", "-m", "bash", "-c", outer, box.directory, script];
  using _ = reapMonitors();
  const { code } = await new Running(words).ended;
  assert.equal(code, 0, Deno.readTextFileSync(box.path("err")));
  return Deno.readTextFileSync(box.path("out"));
}
