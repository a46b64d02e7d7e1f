# For scripts/crate and the launcher that scripts/install writes, which read it when a word may be one of these verbs.
#
# verbs FOLDER LAUNCHER [ARGUMENT...]: does what a container has ready as a program, which takes a millisecond or some
# and no Deno; see lib/lifecycle/verbs.ts and exec_verb.ts. FOLDER has the loaders; LAUNCHER is the script that has called.
# Does not return when it is done; returns when it is anything else, or when the program says that it is: then crate
# itself does it, or says what is wrong. Its variables have names of their own, as one that the caller has exported would
# go on to the container with another value.
verbs() {
  _crate_loaders=$1 _crate_launcher=$2
  shift 2
  # exec's program has become this script again.
  if [ -n "$_crate_asked" ]; then
    unset _crate_asked
    return
  fi
  # The configuration may be wrong, or name another directory.
  [ -z "$CRATE_ROOT$CRATE_LOG_FILE$CRATE_LOG_FORMAT$CRATE_LOG_LEVEL" ] || return
  case $XDG_CONFIG_HOME in /*) _crate_own=$XDG_CONFIG_HOME ;; *) _crate_own=$HOME/.config ;; esac
  if [ -e /etc/crate/config.toml ] || [ -e "$_crate_own/crate/config.toml" ]; then return; fi
  _crate_state='' _crate_log='' _crate_format='' _crate_driver=''
  while :; do
    case $1 in
    --root=/*) _crate_state=${1#*=} ;;
    --log-format=text | --log-format=json) _crate_format=$1 ;;
    --systemd-cgroup) _crate_driver=$1 ;;
    --log=*:*) return ;;
    --log=?*) _crate_log=$1 ;;
    --root | --log | --log-format)
      [ $# -gt 1 ] || return
      case $1$2 in
      --root/*) _crate_state=$2 ;;
      --log*:*) return ;;
      --log-formattext | --log-formatjson) _crate_format=$1=$2 ;;
      --log[!-]*) _crate_log=$1=$2 ;;
      *) return ;;
      esac
      shift
      ;;
    *) break ;;
    esac
    shift
  done
  case $1 in
  exec)
    shift
    _crate_exec "$@"
    return
    ;;
  create)
    shift
    _crate_create "$@"
    return
    ;;
  run)
    [ -n "$_crate_log$_crate_format$_crate_driver" ] || _crate_run "$@"
    return
    ;;
  esac
  case $#$1 in
  2start) [ -z "$NOTIFY_SOCKET" ] || return ;;
  2state) [ -z "$_crate_log" ] || return ;; # it may fail in its middle, and that belongs into the log
  2delete | 2kill | 3kill) ;;
  3delete)
    case $2 in
    -f | --force) set -- delete "$3" ;;
    *) return ;;
    esac
    ;;
  *) return ;;
  esac
  _crate_verb=$1 _crate_id=$2
  if [ "$_crate_verb" = kill ]; then
    case ${3-KILL} in
    9 | KILL | SIGKILL) _crate_verb=kill-KILL ;;
    15 | TERM | SIGTERM) _crate_verb=kill-TERM ;;
    *) return ;;
    esac
  fi
  _crate_is_id "$_crate_id" || return
  _crate_find_state
  [ -f "$_crate_state/$_crate_id/verbs" ] || return
  "$_crate_loaders/$_crate_verb" 2>/dev/null 3<"$_crate_state/$_crate_id/verbs"
  case $? in
  0) exit 0 ;;
  125)
    echo "crate: standard output does not take all of the state" >&2
    exit 125
    ;;
  esac
}

# _crate_create [ARGUMENT...]: an engine's creation of a container, as it has created others. It becomes the loader, as exec
# does, with words whose places program/create_request.ts and lib/cli/commands/create_request.ts know.
_crate_create() {
  _crate_bundle='' _crate_pid=''
  while :; do
    case $1 in
    --bundle=/*) _crate_bundle=${1#*=} ;;
    --pid-file=/*) _crate_pid=${1#*=} ;;
    -b | --bundle | --pid-file)
      case $2 in /*) ;; *) return ;; esac
      if [ "$1" = --pid-file ]; then _crate_pid=$2; else _crate_bundle=$2; fi
      shift
      ;;
    *) break ;;
    esac
    shift
  done
  [ $# = 1 ] && [ -n "$_crate_bundle" ] && _crate_is_id "$1" || return
  [ -z "$_crate_driver$LISTEN_FDS$NODE_CHANNEL_FD$NOTIFY_SOCKET" ] && [ -f "$_crate_launcher" ] || return
  _crate_find_state
  _crate_file=${_crate_loaders%/verbs}
  _crate_kinds=$_crate_state/.create-${_crate_file##*/}
  # The first one that is there goes on at the others.
  for _crate_kind in 0 1 2 3; do
    _crate_file=$_crate_kinds-$_crate_kind
    [ ! -f "$_crate_file" ] || break
  done
  [ -f "$_crate_file" ] && [ -f "$_crate_bundle/config.json" ] && [ -x "$_crate_loaders/create/sh" ] || return
  { command exec 3<"$_crate_file" 4<"$_crate_bundle/config.json"; } 2>/dev/null || return
  export _crate_asked=1
  _crate_root=--root=$_crate_state
  exec "$_crate_loaders/create/sh" "$_crate_launcher" "$_crate_root" "${_crate_log:-$_crate_root}" "${_crate_format:-$_crate_root}" \
    create --bundle "$_crate_bundle" ${_crate_pid:+--pid-file "$_crate_pid"} "$1" 3<&3 4<&4
}

# _crate_run run [ARGUMENT...]: a run of the same words as the last ones, but perhaps for the command. It becomes the loader,
# too; what the words do not say is the directory, which the program sees, and the settings of the environment, which it
# reads: lib/config/keys.ts has them in this order.
_crate_run() {
  # Those are the caller's descriptors, of which two are taken here.
  case " $*" in *' --preserve-fds'* | *' --bundle'* | *' -b'* | */fd/*) return ;; esac
  [ -z "$LISTEN_FDS$NODE_CHANNEL_FD$NOTIFY_SOCKET" ] && [ -f "$_crate_launcher" ] || return
  _crate_find_state
  _crate_file=${_crate_loaders%/verbs}
  _crate_kinds=$_crate_state/.run-${_crate_file##*/}
  # As many as lib/lifecycle/offer_run.ts has: which one is told by how many words there are. The first one that is there
  # goes on at the others.
  for _crate_kind in $(($# % 16)) any-0 any-1 any-2 any-3 any-4 any-5 any-6 any-7; do
    _crate_file=$_crate_kinds-$_crate_kind
    [ ! -f "$_crate_file" ] || break
  done
  [ -f "$_crate_file" ] && [ -x "$_crate_loaders/run/sh" ] || return
  {
    command exec 3<"$_crate_file" 4<<SETTINGS
${CRATE_IMAGE_ROOT+x$CRATE_IMAGE_ROOT}|${CRATE_CGROUP_PARENT+x$CRATE_CGROUP_PARENT}|${CRATE_CGROUP_MEMORY_LIMIT+x$CRATE_CGROUP_MEMORY_LIMIT}|${CRATE_CGROUP_MEMORY_HIGH+x$CRATE_CGROUP_MEMORY_HIGH}|${CRATE_CGROUP_CPU_QUOTA+x$CRATE_CGROUP_CPU_QUOTA}|${CRATE_CGROUP_CPU_PERIOD+x$CRATE_CGROUP_CPU_PERIOD}|${CRATE_CGROUP_PIDS_MAX+x$CRATE_CGROUP_PIDS_MAX}|${CRATE_SECURITY_DROP_CAPABILITIES+x$CRATE_SECURITY_DROP_CAPABILITIES}|${CRATE_SECURITY_ENABLE_SECCOMP+x$CRATE_SECURITY_ENABLE_SECCOMP}|${CRATE_SECURITY_READ_ONLY_ROOTFS+x$CRATE_SECURITY_READ_ONLY_ROOTFS}|${CRATE_SECURITY_USERNS+x$CRATE_SECURITY_USERNS}|${CRATE_NETWORK_BRIDGE_NAME+x$CRATE_NETWORK_BRIDGE_NAME}|${CRATE_NETWORK_SUBNET+x$CRATE_NETWORK_SUBNET}|${CRATE_NETWORK_GATEWAY+x$CRATE_NETWORK_GATEWAY}|${CRATE_NETWORK_ENABLED+x$CRATE_NETWORK_ENABLED}|${CRATE_REGISTRIES_INSECURE+x$CRATE_REGISTRIES_INSECURE}|${CRATE_REGISTRIES_MIRRORS+x$CRATE_REGISTRIES_MIRRORS}
SETTINGS
  } 2>/dev/null || return
  export _crate_asked=1
  exec "$_crate_loaders/run/sh" "$_crate_launcher" "--root=$_crate_state" "$@" 3<&3 4<&4
}

_crate_is_id() {
  case $1 in '' | [!0-9A-Za-z]* | */*) return 1 ;; esac
}

# The default, and that for the root of a user namespace.
_crate_find_state() {
  [ -z "$_crate_state" ] || return 0
  read -r _ _ _crate_size </proc/self/uid_map
  _crate_state=/run/crate
  if [ "$_crate_size" != 4294967295 ] && [ -n "$XDG_RUNTIME_DIR" ]; then _crate_state=$XDG_RUNTIME_DIR/crate; fi
}

# _crate_exec [ARGUMENT...]: an exec of people's, a container and a command, or of an engine's, which says in files what it
# executes and where the pid belongs. Either becomes the loader; what the program cannot do it gives back: it becomes
# /bin/sh with these very words, whose places program/exec_verb.ts and engine_exec_verb.ts know.
_crate_exec() {
  _crate_detach='' _crate_process='' _crate_pid=''
  case $1 in -i | --interactive) shift ;; esac # as it is without
  while :; do
    case $1 in
    -d | --detach) _crate_detach=1 ;;
    --process=/*) _crate_process=${1#*=} ;;
    --pid-file=/*) _crate_pid=${1#*=} ;;
    -p | --process | --pid-file)
      case $2 in /*) ;; *) return ;; esac
      if [ "$1" = --pid-file ]; then _crate_pid=$2; else _crate_process=$2; fi
      shift
      ;;
    *) break ;;
    esac
    shift
  done
  # Deno takes more descriptors from its caller, where these say so.
  [ -z "$LISTEN_FDS$NODE_CHANNEL_FD" ] && _crate_is_id "$1" || return
  [ -x "$_crate_loaders/exec/sh" ] && [ -f "$_crate_launcher" ] || return
  _crate_id=$1
  _crate_find_state
  _crate_file=$_crate_state/$_crate_id
  if [ -n "$_crate_detach$_crate_process$_crate_pid" ]; then
    [ -n "$_crate_detach" ] && [ -n "$_crate_process" ] && [ -n "$_crate_pid" ] && [ $# = 1 ] || return
    [ -f "$_crate_file/engine-exec" ] && [ -f "$_crate_process" ] || return
    { command exec 3<"$_crate_file/engine-exec" 4<"$_crate_process"; } 2>/dev/null || return
    export _crate_asked=1
    _crate_root=--root=$_crate_state # once more, in place of each word that is not there
    exec "$_crate_loaders/exec/sh" "$_crate_launcher" "$_crate_root" "${_crate_log:-$_crate_root}" "${_crate_format:-$_crate_root}" \
      "${_crate_driver:-$_crate_root}" exec --detach --process "$_crate_process" --pid-file "$_crate_pid" "$1" 3<&3 4<&4
  fi
  case $2 in '' | -*) return ;; esac
  [ -z "$_crate_log$_crate_format$_crate_driver" ] && [ -f "$_crate_file/exec" ] || return
  { command exec 3<"$_crate_file/exec"; } 2>/dev/null || return
  export _crate_asked=1
  exec "$_crate_loaders/exec/sh" "$_crate_launcher" "--root=$_crate_state" exec "$@" 3<&3
}
