import assert from "node:assert/strict";
import { IMAGE, plain } from "./support/engines.ts";
import { makeRootfs } from "./support/rootfs.ts";
import { inTurn, Running, test } from "./support/mod.ts";
import { asUser } from "./support/user.ts";

// podman of an ordinary user, who is root in a user namespace and nowhere else, calls crate.

test("rootless podman does with crate what it does with runc", async (box) => {
  makeRootfs(box.path("image"));
  const tar = box.path("image.tar");
  const packed = await new Running(["tar", "-C", box.path("image"), "-cf", tar, "."]).ended;
  assert.equal(packed.code, 0);
  Deno.chmodSync(box.directory, 0o755);
  const script = `cd ~
podman --storage-driver vfs import -q ${tar} ${IMAGE} >/dev/null 2>&1 || exit 1
run() { # RUNTIME
  p() { podman --storage-driver vfs --runtime $runtime "$@" 2>/dev/null; echo "= $?"; }
  runtime=$1
  # podman waits twenty seconds for the end of each of these.
  p run --rm --net none ${IMAGE} /bin/sh -c 'id -u; cat /proc/self/uid_map; echo x > /dev/null && exit 3' >$1.1 &
  p run --rm --net none -u 5:6 ${IMAGE} /bin/sh -c 'id -u; id -g; touch /tmp/file; stat -c %u /tmp/file' >$1.2 &
  p run --rm --net none ${IMAGE} nope >$1.3
  p run -d --name $1 --net none ${IMAGE} /bin/sleep 1000 >$1.4
  p exec $1 /bin/sh -c 'id -u; exit 9' >$1.5
  p exec -u 7 $1 /bin/id -u >$1.6
  p rm -f -t 0 $1 | sed "s/$1/NAME/" >$1.7
  wait
}
run crate & run runc & wait
for runtime in crate runc; do echo "=== $runtime"; cat $runtime.?; done
podman --storage-driver vfs rmi -f ${IMAGE} >/dev/null 2>&1
podman --storage-driver vfs unshare rm -rf .local
# The process that keeps the user namespace from one podman to the next.
kill $(cat "$XDG_RUNTIME_DIR/libpod/tmp/pause.pid")`;
  const [, crate, runc] = plain(await asUser(box, script)).split(/=== \w+\n/);
  assert.equal(crate, runc);
  assert.match(crate!, /^0\n\s+0\s+4711\s+1\n\s+1\s+300000\s+65536\n= 3\n/);
}, inTurn(7));
