#!/bin/busybox sh
# The test machine's first program, in its initramfs: builds the root from this machine's files, which
# come read-only over virtiofs, and a tmpfs above them; then hands over to vm_guest.sh.
# In /vm: settings (cwd, kept paths, guest PATH), command, modules in the order in which they load.
export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
for module in /vm/*.ko; do
  [ -f "$module" ] && insmod "$module"
done
. /vm/settings

mkdir /host /top /new /under
mount -t virtiofs -o ro root /host || exit 1
mount -t tmpfs -o size=75% top /top
mkdir /top/upper /top/work
mount -t overlay -o lowerdir=/host,upperdir=/top/upper,workdir=/top/work root /new || exit 1
mount --bind /new /under

mount -t proc -o nosuid,nodev,noexec proc /new/proc
mount -t sysfs -o nosuid,nodev,noexec sysfs /new/sys
mount -t devtmpfs -o nosuid dev /new/dev
mkdir -p /new/dev/pts /new/dev/shm /new/dev/mqueue
mount -t devpts -o nosuid,noexec,gid=5,mode=620,ptmxmode=666 devpts /new/dev/pts
mount -t tmpfs -o nosuid,nodev shm /new/dev/shm
mount -t mqueue -o nosuid,nodev,noexec mqueue /new/dev/mqueue
ln -sf /proc/self/fd /new/dev/fd
ln -sf /proc/self/fd/0 /new/dev/stdin
ln -sf /proc/self/fd/1 /new/dev/stdout
ln -sf /proc/self/fd/2 /new/dev/stderr
mount -t tmpfs -o nosuid,nodev,mode=755 run /new/run
# Root filesystems of tests lie here: as on a disk, devices and setuid programs count.
mount -t tmpfs -o mode=1777 tmp /new/tmp
# What this machine's podman and skopeo write meanwhile would be read half written.
mkdir -p /new/var/lib/containers
mount -t tmpfs -o mode=755 containers /new/var/lib/containers

# The checkout or Deno may lie under a folder that is now empty.
for path in $keep; do
  [ -d "/new$path" ] && continue
  mkdir -p "/new$path"
  mount --bind "/under$path" "/new$path"
done
umount /under

mkdir -p "/new/lib/modules/$release" /new/run/vm
mount --bind "/new$modules/$release" "/new/lib/modules/$release"
cp /vm/settings /vm/command /vm/vm_guest.sh /new/run/vm
cp /bin/busybox /new/run/vm/busybox
ln -s busybox /new/run/vm/modprobe
umount /dev /sys /proc
exec switch_root /new /run/vm/busybox sh /run/vm/vm_guest.sh
