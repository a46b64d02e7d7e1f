#!/bin/sh
# Installs the Debian packages that the tests need and that are missing; says nothing when there are none.
# To be run as root.

# runtimes to compare with, and their data
packages='runc crun golang-github-opencontainers-specs-dev golang-github-containers-common'
# a registry, and others that know images
packages="$packages docker-registry skopeo umoci openssl zstd xz-utils python3 podman"
# engines that call runtimes, and what they need
packages="$packages containerd docker.io iptables conmon netavark uidmap buildah"
# programs that make networks
packages="$packages containernetworking-plugins passt slirp4netns"
# programs for containers, and assemblers for both machines
packages="$packages busybox-static binutils binutils-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static"
# the virtual machine
packages="$packages qemu-system-x86 qemu-system-common qemu-system-data"
# a large image for the bench of pulls
packages="$packages debootstrap"
# to build the bench's C program and to look at seccomp filters
packages="$packages gcc libc6-dev libseccomp-dev"
# checkpoints and restores, in the virtual machine
packages="$packages criu"
# what tests and the bench look at processes with
packages="$packages procps iproute2 nftables util-linux strace jq hyperfine"
# who makes groups for engines
packages="$packages systemd"

missing=
for package in $packages; do
  case $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) in
  installed) ;;
  *) missing="$missing $package" ;;
  esac
done
[ -z "$missing" ] && exit 0

export DEBIAN_FRONTEND=noninteractive
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
echo "installing$missing"
install() {
  # shellcheck disable=SC2086 # a list of names
  apt-get install -qq -y --no-install-recommends $missing </dev/null >"$log" 2>&1
}
# The lists may be missing, or older than the mirror.
install || { apt-get update -qq </dev/null >"$log" 2>&1 && install; } || {
  cat "$log" >&2
  exit 1
}
