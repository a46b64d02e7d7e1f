import {
  AT_FDCWD,
  close,
  FSCONFIG_CMD_RECONFIGURE,
  FSCONFIG_SET_FLAG,
  FSPICK_CLOEXEC,
  readText,
  trySyscall,
} from "../../../ffi/mod.ts";

const MAX_MOUNTINFO = 16 << 20;

/** The options that are cgroup v2's own, and not its mount's. cgroups(7) */
function readOptions(): { at: string; options: string } | undefined {
  const found = /^\d+ \d+ \S+ \/ (\S+) \S+(?: \S+)* - cgroup2 \S+ (\S+)$/m.exec(
    readText("/proc/self/mountinfo", MAX_MOUNTINFO),
  );
  return found === null ? undefined : { at: found[1]!, options: found[2]! };
}

/**
 * criu mounts cgroup v2 for itself, and without options: which takes `nsdelegate` and its like from the host's mount
 * of it, the same filesystem, as long as the machine runs. Disposing of this gives them back.
 */
export function keepGroupOptions(): Disposable {
  const before = readOptions();
  return {
    [Symbol.dispose]() {
      if (before === undefined || readOptions()?.options === before.options) return;
      const fs = trySyscall("fspick", AT_FDCWD, before.at, FSPICK_CLOEXEC);
      if (fs < 0) return;
      try {
        for (const option of before.options.split(",")) {
          if (option === "rw" || option === "ro") continue;
          trySyscall("fsconfig", fs, FSCONFIG_SET_FLAG, option, null, 0);
        }
        trySyscall("fsconfig", fs, FSCONFIG_CMD_RECONFIGURE, null, null, 0);
      } finally {
        close(fs);
      }
    },
  };
}
