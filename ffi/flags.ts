import * as constants from "./constants.ts";

// Names for numbers in `--explain`: which constants an argument of a kind may be made of.

type Names = { readonly bits?: readonly string[]; readonly values?: readonly string[] };

const KINDS: Record<string, Names> = {
  O: {
    bits: ["O_PATH", "O_DIRECTORY", "O_CLOEXEC", "O_WRONLY", "O_RDWR", "O_CREAT", "O_EXCL"]
      .concat(["O_TRUNC", "O_APPEND", "O_NONBLOCK", "O_NOCTTY", "O_NOFOLLOW"]),
  },
  AT: { bits: ["AT_EMPTY_PATH", "AT_RECURSIVE", "AT_SYMLINK_NOFOLLOW", "AT_REMOVEDIR"] },
  CLONE: {
    bits: ["CLONE_NEWNS", "CLONE_NEWPID", "CLONE_NEWUTS", "CLONE_NEWIPC", "CLONE_NEWNET"]
      .concat(["CLONE_NEWCGROUP", "CLONE_NEWUSER", "CLONE_NEWTIME"]),
  },
  MS: { bits: ["MS_REC", "MS_UNBINDABLE", "MS_PRIVATE", "MS_SLAVE", "MS_SHARED"] },
  MNT: { bits: ["MNT_DETACH"] },
  OPEN_TREE: { bits: ["OPEN_TREE_CLONE", "OPEN_TREE_CLOEXEC", "AT_RECURSIVE", "AT_EMPTY_PATH"] },
  MOVE_MOUNT: { bits: ["MOVE_MOUNT_F_EMPTY_PATH", "MOVE_MOUNT_T_EMPTY_PATH"] },
  MOUNT_ATTR: {
    bits: ["MOUNT_ATTR_RDONLY", "MOUNT_ATTR_NOSUID", "MOUNT_ATTR_NODEV", "MOUNT_ATTR_NOEXEC"]
      .concat(["MOUNT_ATTR_NOATIME", "MOUNT_ATTR_STRICTATIME", "MOUNT_ATTR_NODIRATIME"]),
  },
  FSCONFIG: { values: ["FSCONFIG_SET_FLAG", "FSCONFIG_SET_STRING", "FSCONFIG_CMD_CREATE"] },
  PR: {
    values: ["PR_SET_PDEATHSIG", "PR_SET_DUMPABLE", "PR_SET_KEEPCAPS", "PR_SET_NAME"]
      .concat(["PR_CAPBSET_DROP", "PR_SET_CHILD_SUBREAPER", "PR_SET_NO_NEW_PRIVS"])
      .concat(["PR_CAP_AMBIENT"]),
  },
  IOCTL: {
    values: ["TCGETS", "TCSETS", "TIOCSCTTY", "TIOCGWINSZ", "TIOCSWINSZ", "TIOCSPTLCK"]
      .concat(["TIOCGPTPEER", "SIOCGIFFLAGS", "SIOCSIFFLAGS"]),
  },
  SIG: { values: ["SIGKILL", "SIGTERM", "SIGCHLD", "SIGPIPE"] },
  WAIT: { bits: ["WEXITED", "WNOHANG", "WNOWAIT"] },
};

const VALUES: Readonly<Record<string, unknown>> = constants;

/** A flag argument as the names of its bits, or a value as its name; what has none is a number. */
export function flagNames(kind: string, value: number | bigint): string {
  const { bits, values } = KINDS[kind] ?? {};
  const name = values?.find((name) => VALUES[name] === Number(value));
  if (name !== undefined) return name;
  let rest = BigInt(value);
  const names: string[] = [];
  for (const name of bits ?? []) {
    const bit = BigInt(Number(VALUES[name]));
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
