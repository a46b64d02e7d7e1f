# The test machine's process 1, in its final root: the last mounts, the command, its exit status.
# Three virtio ports lead out: stdout, stderr, the status.
busybox() { /run/vm/busybox "$@"; }
. /run/vm/settings
export PATH

echo /run/vm/modprobe >/proc/sys/kernel/modprobe
busybox hostname vm
busybox ip link set lo up
busybox mount -t cgroup2 -o nosuid,nodev,noexec,nsdelegate,memory_recursiveprot cgroup2 /sys/fs/cgroup
for controller in $(busybox cat /sys/fs/cgroup/cgroup.controllers); do
  echo "+$controller" >/sys/fs/cgroup/cgroup.subtree_control
done
port() { # NUMBER: prints its device, named after the virtio device that has the ports
  for device in /dev/vport*p"$1"; do
    [ -c "$device" ] && echo "$device" && return
  done
  busybox sleep 0.02
  port "$1"
}

# A port can be opened once only, and programs open /dev/stderr again: they get pipes.
busybox mkfifo /run/vm/out /run/vm/err
busybox cat /run/vm/out >"$(port 1)" &
out=$!
busybox cat /run/vm/err >"$(port 2)" &
err=$!
cd "$cwd" && sh /run/vm/command </dev/null >/run/vm/out 2>/run/vm/err
status=$?

# What the command left behind would hold the pipes open.
for folder in /proc/[0-9]*; do
  pid=${folder#/proc/}
  case $pid in
  1 | "$out" | "$err") ;;
  *) [ -n "$(busybox tr -d '\0' <"$folder/cmdline" 2>/dev/null)" ] && kill -9 "$pid" ;;
  esac
done 2>/dev/null
wait "$out" "$err"
echo $status >"$(port 3)"
busybox poweroff -f
