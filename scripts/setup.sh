# shellcheck shell=sh
# What the scripts need before they can run: Deno, a folder to keep things in, crate as a bundle.
# To be sourced, with $root set to the checkout.

# The oldest Deno that crate is tested with, and the one that is installed where there is none.
pinned=2.9.6

say() {
  printf 'crate: %s\n' "$*" >&2
}

# Where the bundle goes when the checkout is not ours to write to: a folder of the user's own.
personal_cache() {
  home=${XDG_CACHE_HOME:-${HOME:+$HOME/.cache}}
  [ -n "$home" ] && printf '%s\n' "$home/crate$(cd "$root" && pwd -P)"
}

# Prints the first of the two folders that can be written.
writable_cache() {
  for folder in "$root/.cache" "$(personal_cache)"; do
    [ -n "$folder" ] && mkdir -p "$folder" 2>/dev/null && [ -w "$folder" ] || continue
    printf '%s\n' "$folder"
    return
  done
  return 1
}

# recent DENO: is it at least the pinned version?
recent() {
  line=$("$1" --version 2>/dev/null) || return 1
  version=${line#deno }
  version=${version%%[!0-9.]*}
  lowest=$(printf '%s\n%s\n' "$pinned" "$version" | sort -t. -k1,1n -k2,2n -k3,3n | head -n 1)
  [ -n "$version" ] && [ "$lowest" = "$pinned" ]
}

# npm's package for this machine, or nothing: npm has Deno for glibc on two architectures.
npm_package() {
  case $(uname -sm) in
  'Linux x86_64') echo linux-x64-glibc ;;
  'Linux aarch64') echo linux-arm64-glibc ;;
  *) return 1 ;;
  esac
}

# install_deno FOLDER: Deno from npm, else by its own installer, whole or not at all.
install_deno() {
  part=$1.$$
  rm -rf "$part"
  mkdir -p "$part" || return 1
  log=$part/log
  if package=$(npm_package) && command -v npm >/dev/null &&
    npm install --prefix "$part" --ignore-scripts --no-audit --no-fund "deno@$pinned" >"$log" 2>&1; then
    ln -s "node_modules/@deno/$package/deno" "$part/deno"
  elif command -v curl >/dev/null &&
    curl -fsSL https://deno.land/install.sh 2>>"$log" |
    DENO_INSTALL="$part" sh -s -- --yes --no-modify-path "v$pinned" >>"$log" 2>&1; then
    ln -s bin/deno "$part/deno"
  fi
  if ! recent "$part/deno"; then
    why=$(grep . "$log" 2>/dev/null | tail -n 1)
    say "Deno $pinned or newer is not on PATH, and neither npm nor curl could install it;" \
      "install it from https://deno.com${why:+ ($why)}"
    rm -rf "$part"
    return 1
  fi
  # Another first run may have been quicker.
  mv -T "$part" "$1" 2>/dev/null || rm -rf "$part"
}

# find_deno [FOLDER]: prints the path of a Deno that is recent enough; installs one into the folder.
find_deno() {
  # Through execPath, because what npm puts on PATH is a script that starts Node first.
  if found=$(command -v deno) && recent "$found"; then
    NO_COLOR=1 "$found" eval 'console.log(Deno.execPath())'
    return
  fi
  if [ -z "$1" ]; then
    say "Deno $pinned or newer is not on PATH, and there is no folder to install it in;" \
      "install it from https://deno.com"
    return 1
  fi
  [ -x "$1/deno-$pinned/deno" ] || install_deno "$1/deno-$pinned" || return 1
  readlink -f "$1/deno-$pinned/deno"
}

# Finds Deno and makes the bundle; prints Deno's path. Of many first runs at once one does the work:
# the others wait for the lock and then find it done. (Without flock(1) they may all do it, each for itself.)
make_ready() (
  if ! folder=$(writable_cache); then
    find_deno ''
    return
  fi
  exec 9>"$folder/lock" && command -v flock >/dev/null && flock 9
  if fresh "$folder"; then
    printf '%s\n' "$deno"
    return
  fi
  deno=$(find_deno "$folder" 9>&-) || return 1
  # Its words go to stderr: a runtime's stdout belongs to its caller.
  "$deno" run -A --no-prompt --config "$root/deno.json" "$root/scripts/bundle.ts" "$root" "$folder" \
    9>&- </dev/null >&2 || say "the bundle could not be made: running from the sources, which is slower"
  printf '%s\n' "$deno"
)
