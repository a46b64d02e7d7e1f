// Not in the virtual machine: podman waits 20 s for the end of each rootless container here, and longer there
import assert from "node:assert/strict";
import { CRATE, IMAGE, plain, RUNC } from "./support/engines.ts";
import { makeRootfs } from "./support/rootfs.ts";
import { reapMonitors } from "./support/leftovers.ts";
import { Running, type Sandbox, test } from "./support/mod.ts";

// podman of an ordinary user, who is root in a user namespace and nowhere else, calls crate.

const ID = 4711;

/** Runs a script as a user with subordinate ids, whom only a mount namespace of the test's own knows. */
async function asUser(box: Sandbox, script: string): Promise<string> {
  Deno.chmodSync(box.directory, 0o755);
  const home = box.mkdir("home");
  const runtime = box.mkdir("run");
  for (const path of [home, runtime]) Deno.chownSync(path, ID, ID);
  Deno.chmodSync(runtime, 0o700);
  box.file("passwd", `root:x:0:0::/root:/bin/sh\nsomebody:x:${ID}:${ID}::${home}:/bin/sh\n`);
  box.file("group", `root:x:0:\nsomebody:x:${ID}:\n`);
  box.file("subid", "somebody:300000:65536\n");
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
      `crate=["${CRATE}"]`,
      `runc=["${RUNC}"]`,
    ].join("\n"),
  );
  for (const name of ["passwd", "group", "subid", "containers.conf"]) {
    Deno.chmodSync(box.path(name), 0o644);
  }
  const outer = `mount --make-rprivate / && cd "$0" || exit 1
mount --bind passwd /etc/passwd && mount --bind group /etc/group || exit 1
for file in /etc/subuid /etc/subgid; do mount --bind subid $file || exit 1; done
exec setpriv --reuid ${ID} --regid ${ID} --clear-groups --inh-caps=-all env -i PATH="$PATH" HOME="$0/home" \
  XDG_RUNTIME_DIR="$0/run" CONTAINERS_CONF="$0/containers.conf" sh -c "$1" >"$0/out" 2>"$0/err"`;
  const words = ["unshare", "-m", "bash", "-c", outer, box.directory, script];
  using _ = reapMonitors();
  const { code } = await new Running(words).ended;
  assert.equal(code, 0, Deno.readTextFileSync(box.path("err")));
  return Deno.readTextFileSync(box.path("out"));
}

test("rootless podman does with crate what it does with runc", async (box) => {
  makeRootfs(box.path("image"));
  const tar = box.path("image.tar");
  const packed = await new Running(["tar", "-C", box.path("image"), "-cf", tar, "."]).ended;
  assert.equal(packed.code, 0);
  Deno.chmodSync(box.directory, 0o755);
  const script = `cd ~
podman --storage-driver vfs import -q ${tar} ${IMAGE} >/dev/null 2>&1 || exit 1
for runtime in crate runc; do
  echo "=== $runtime"
  p() { podman --storage-driver vfs --runtime $runtime "$@" 2>/dev/null; echo "= $?"; }
  p run --rm --net none ${IMAGE} /bin/sh -c 'id -u; cat /proc/self/uid_map; echo x > /dev/null && exit 3'
  p run --rm --net none -u 5:6 ${IMAGE} /bin/sh -c 'id -u; id -g; touch /tmp/file; stat -c %u /tmp/file'
  p run --rm --net none ${IMAGE} nope
  p run -d --name web --net none ${IMAGE} /bin/sleep 1000
  p exec web /bin/sh -c 'id -u; exit 9'
  p exec -u 7 web /bin/id -u
  p rm -f -t 0 web
done
podman --storage-driver vfs rmi -f ${IMAGE} >/dev/null 2>&1
podman --storage-driver vfs unshare rm -rf .local
# The process that keeps the user namespace from one podman to the next.
kill $(cat "$XDG_RUNTIME_DIR/libpod/tmp/pause.pid")`;
  const [, crate, runc] = plain(await asUser(box, script)).split(/=== \w+\n/);
  assert.equal(crate, runc);
  assert.match(crate!, /^0\n\s+0\s+4711\s+1\n\s+1\s+300000\s+65536\n= 3\n/);
});
