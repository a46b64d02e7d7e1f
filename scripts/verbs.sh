# For scripts/crate and the launcher that scripts/install writes, which read it when a word may be one of these verbs.
#
# verbs FOLDER [ARGUMENT...]: does what a container has ready as a program, which takes a millisecond or some and no
# Deno; see lib/lifecycle/verbs.ts and exec_verb.ts. FOLDER has a loader for each. Exits when it is done; returns when it
# is anything else, or when the program says that it is: then crate itself does it, or says what is wrong. Its variables
# have names of their own, as one that the caller has exported would go on to the container with another value.
verbs() {
  _crate_loaders=$1
  shift
  # exec's program has become this script again.
  if [ -n "$_crate_asked" ]; then
    unset _crate_asked
    return
  fi
  # The configuration may be wrong, or name another directory.
  [ -z "$CRATE_ROOT$CRATE_LOG_FILE$CRATE_LOG_FORMAT$CRATE_LOG_LEVEL" ] || return
  case $XDG_CONFIG_HOME in /*) _crate_own=$XDG_CONFIG_HOME ;; *) _crate_own=$HOME/.config ;; esac
  if [ -e /etc/crate/config.toml ] || [ -e "$_crate_own/crate/config.toml" ]; then return; fi
  _crate_state='' _crate_log='' _crate_more=''
  while :; do
    case $1 in
    --root=/*) _crate_state=${1#*=} ;;
    --log-format=text | --log-format=json | --systemd-cgroup) _crate_more=1 ;;
    --log=*:*) return ;;
    --log=?*) _crate_log=1 ;;
    --root | --log | --log-format)
      [ $# -gt 1 ] || return
      case $1$2 in
      --root/*) _crate_state=$2 ;;
      --log*:*) return ;;
      --log-formattext | --log-formatjson) _crate_more=1 ;;
      --log[!-]*) _crate_log=1 ;;
      *) return ;;
      esac
      shift
      ;;
    *) break ;;
    esac
    shift
  done
  if [ "$1" = exec ]; then
    if [ "$2" = -i ]; then # as it is without
      shift 2
      set -- exec "$@"
    fi
    # Deno takes more descriptors from its caller, where these say so.
    [ -z "$_crate_log$_crate_more$LISTEN_FDS$NODE_CHANNEL_FD" ] && [ $# -gt 2 ] || return
    case $3 in '' | -*) return ;; esac
  fi
  case $#$1 in
  *[0-9]exec) ;;
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
  case $_crate_id in '' | [!0-9A-Za-z]* | */*) return ;; esac
  if [ -z "$_crate_state" ]; then
    # The default, and that for the root of a user namespace.
    read -r _ _ _crate_size </proc/self/uid_map
    _crate_state=/run/crate
    if [ "$_crate_size" != 4294967295 ] && [ -n "$XDG_RUNTIME_DIR" ]; then _crate_state=$XDG_RUNTIME_DIR/crate; fi
  fi
  if [ "$_crate_verb" = exec ]; then
    [ -f "$_crate_state/$_crate_id/exec" ] && [ -x "$_crate_loaders/exec/sh" ] || return
    export _crate_asked=1
    # What it cannot do, it gives back: it becomes /bin/sh with these words. See program/exec_verb.ts, which counts them.
    exec "$_crate_loaders/exec/sh" "$0" "--root=$_crate_state" "$@" 3<"$_crate_state/$_crate_id/exec"
  fi
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
