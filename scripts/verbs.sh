# Of scripts/crate and of the launcher that scripts/install writes.
#
# verbs FOLDER [ARGUMENT...]: does what a created container has ready as a program, which takes a millisecond and no
# Deno; see lib/lifecycle/verbs.ts. FOLDER has a loader for each. Exits when it is done; returns when it is
# anything else, or when the program says that it is: then crate itself does it, or says what is wrong.
verbs() {
  loaders=$1
  shift
  # The configuration may be wrong, or name another directory.
  [ -z "$CRATE_ROOT$CRATE_LOG_FILE$CRATE_LOG_FORMAT$CRATE_LOG_LEVEL" ] || return
  case $XDG_CONFIG_HOME in /*) own=$XDG_CONFIG_HOME ;; *) own=$HOME/.config ;; esac
  if [ -e /etc/crate/config.toml ] || [ -e "$own/crate/config.toml" ]; then return; fi
  state=
  while :; do
    case $1 in
    --root=/*) state=${1#*=} ;;
    --log-format=text | --log-format=json | --systemd-cgroup) ;;
    --log=*:*) return ;;
    --log=?*) ;;
    --root | --log | --log-format)
      [ $# -gt 1 ] || return
      case $1$2 in
      --root/*) state=$2 ;;
      --log*:*) return ;;
      --log-formattext | --log-formatjson | --log[!-]*) ;;
      *) return ;;
      esac
      shift
      ;;
    *) break ;;
    esac
    shift
  done
  case $#$1 in
  2start) [ -z "$NOTIFY_SOCKET" ] || return ;;
  2state | 2delete | 2kill | 3kill) ;;
  3delete)
    case $2 in
    -f | --force) set -- delete "$3" ;;
    *) return ;;
    esac
    ;;
  *) return ;;
  esac
  verb=$1 id=$2
  if [ "$verb" = kill ]; then
    case ${3-KILL} in
    9 | KILL | SIGKILL) verb=kill-KILL ;;
    15 | TERM | SIGTERM) verb=kill-TERM ;;
    *) return ;;
    esac
  fi
  case $id in '' | [!0-9A-Za-z]* | */*) return ;; esac
  if [ -z "$state" ]; then
    # The default, and that for the root of a user namespace.
    read -r _ _ size </proc/self/uid_map
    state=/run/crate
    if [ "$size" != 4294967295 ] && [ -n "$XDG_RUNTIME_DIR" ]; then state=$XDG_RUNTIME_DIR/crate; fi
  fi
  # Without one of a descriptor: it has the caller's.
  [ -f "$state/$id/verbs" ] && "$loaders/$verb" 2>/dev/null 3<"$state/$id/verbs" && exit 0
}
