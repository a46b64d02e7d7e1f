import {
  AT_EMPTY_PATH,
  AT_RECURSIVE,
  AT_REMOVEDIR,
  AT_SYMLINK_NOFOLLOW,
  CLONE_NEWCGROUP,
  CLONE_NEWIPC,
  CLONE_NEWNET,
  CLONE_NEWNS,
  CLONE_NEWPID,
  CLONE_NEWTIME,
  CLONE_NEWUSER,
  CLONE_NEWUTS,
  FSCONFIG_CMD_CREATE,
  FSCONFIG_CMD_RECONFIGURE,
  FSCONFIG_SET_FLAG,
  FSCONFIG_SET_STRING,
  MNT_DETACH,
  MOUNT_ATTR_NOATIME,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NODIRATIME,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_RDONLY,
  MOUNT_ATTR_STRICTATIME,
  MOVE_MOUNT_F_EMPTY_PATH,
  MOVE_MOUNT_T_EMPTY_PATH,
  MS_PRIVATE,
  MS_REC,
  MS_SHARED,
  MS_SLAVE,
  MS_UNBINDABLE,
  O_APPEND,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOCTTY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
  PR_CAP_AMBIENT,
  PR_CAPBSET_DROP,
  PR_SET_CHILD_SUBREAPER,
  PR_SET_DUMPABLE,
  PR_SET_KEEPCAPS,
  PR_SET_NAME,
  PR_SET_NO_NEW_PRIVS,
  PR_SET_PDEATHSIG,
  SIGCHLD,
  SIGKILL,
  SIGPIPE,
  SIGTERM,
  SIOCGIFFLAGS,
  SIOCSIFFLAGS,
  TCGETS,
  TCSETS,
  TIOCGPTPEER,
  TIOCGWINSZ,
  TIOCSCTTY,
  TIOCSPTLCK,
  TIOCSWINSZ,
  UMOUNT_NOFOLLOW,
  WEXITED,
  WNOHANG,
  WNOWAIT,
} from "./constants.ts";

// Names for numbers in `--explain`: which constants an argument of a kind may be made of.

type Names = Readonly<Record<string, number>>;
type Kinds = Record<string, { readonly bits?: Names; readonly values?: Names }>;

/** Made when it is asked for: most programs are never printed. */
function makeKinds(): Kinds {
  return {
    O: {
      bits: {
        O_PATH,
        O_DIRECTORY,
        O_CLOEXEC,
        O_WRONLY,
        O_RDWR,
        O_CREAT,
        O_EXCL,
        O_TRUNC,
        O_APPEND,
        O_NONBLOCK,
        O_NOCTTY,
        O_NOFOLLOW,
      },
    },
    AT: { bits: { AT_EMPTY_PATH, AT_RECURSIVE, AT_SYMLINK_NOFOLLOW, AT_REMOVEDIR } },
    CLONE: {
      bits: {
        CLONE_NEWNS,
        CLONE_NEWPID,
        CLONE_NEWUTS,
        CLONE_NEWIPC,
        CLONE_NEWNET,
        CLONE_NEWCGROUP,
        CLONE_NEWUSER,
        CLONE_NEWTIME,
      },
    },
    MS: { bits: { MS_REC, MS_UNBINDABLE, MS_PRIVATE, MS_SLAVE, MS_SHARED } },
    MNT: { bits: { MNT_DETACH, UMOUNT_NOFOLLOW } },
    OPEN_TREE: { bits: { OPEN_TREE_CLONE, OPEN_TREE_CLOEXEC, AT_RECURSIVE, AT_EMPTY_PATH } },
    MOVE_MOUNT: { bits: { MOVE_MOUNT_F_EMPTY_PATH, MOVE_MOUNT_T_EMPTY_PATH } },
    MOUNT_ATTR: {
      bits: {
        MOUNT_ATTR_RDONLY,
        MOUNT_ATTR_NOSUID,
        MOUNT_ATTR_NODEV,
        MOUNT_ATTR_NOEXEC,
        MOUNT_ATTR_NOATIME,
        MOUNT_ATTR_STRICTATIME,
        MOUNT_ATTR_NODIRATIME,
      },
    },
    FSCONFIG: {
      values: {
        FSCONFIG_SET_FLAG,
        FSCONFIG_SET_STRING,
        FSCONFIG_CMD_CREATE,
        FSCONFIG_CMD_RECONFIGURE,
      },
    },
    PR: {
      values: {
        PR_SET_PDEATHSIG,
        PR_SET_DUMPABLE,
        PR_SET_KEEPCAPS,
        PR_SET_NAME,
        PR_CAPBSET_DROP,
        PR_SET_CHILD_SUBREAPER,
        PR_SET_NO_NEW_PRIVS,
        PR_CAP_AMBIENT,
      },
    },
    IOCTL: {
      values: {
        TCGETS,
        TCSETS,
        TIOCSCTTY,
        TIOCGWINSZ,
        TIOCSWINSZ,
        TIOCSPTLCK,
        TIOCGPTPEER,
        SIOCGIFFLAGS,
        SIOCSIFFLAGS,
      },
    },
    SIG: { values: { SIGKILL, SIGTERM, SIGCHLD, SIGPIPE } },
    WAIT: { bits: { WEXITED, WNOHANG, WNOWAIT } },
  };
}

let kinds: Kinds | undefined;

/** A flag argument as the names of its bits, or a value as its name; what has none is a number. */
export function flagNames(kind: string, value: number | bigint): string {
  kinds ??= makeKinds();
  const { bits = {}, values = {} } = kinds[kind] ?? {};
  for (const name in values) if (values[name] === Number(value)) return name;
  let rest = BigInt(value);
  const names: string[] = [];
  for (const name in bits) {
    const bit = BigInt(bits[name]!);
    if ((rest & bit) === bit) {
      names.push(name);
      rest &= ~bit;
    }
  }
  if (rest !== 0n || names.length === 0) {
    names.push(rest < 10n ? `${rest}` : `0x${rest.toString(16)}`);
  }
  return names.join("|");
}
