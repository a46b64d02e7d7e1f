import { blockSignals, close, O_DIRECTORY, O_PATH, open } from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import {
  type ContainerRoot,
  execInContainer,
  findId,
  type Foreground,
  nullStdio,
  prepareForeground,
  runInForeground,
  terminalSettings,
  windowSize,
} from "../../lifecycle/mod.ts";
import { availableCapabilities, readInRoot, resolveUser } from "../../security/mod.ts";
import {
  type LinuxCapabilities,
  parseUserWord,
  type Process,
  type Spec,
  type User,
} from "../../spec/mod.ts";
import { readConfig } from "../globals.ts";
import type { ExecCall } from "../words/mod.ts";
import { environment } from "./environment.ts";

const MAX_USER_FILE = 1 << 20;

function userOf(word: string | undefined, spec: Spec, { path }: ContainerRoot): User | undefined {
  if (word === undefined) return spec.process?.user;
  // The init's root, in which the kernel resolves the two files.
  const fd = open(path, O_PATH | O_DIRECTORY);
  try {
    const { uid, gid, additionalGids } = resolveUser(
      parseUserWord(word),
      readInRoot(fd, "/etc/passwd", MAX_USER_FILE),
      readInRoot(fd, "/etc/group", MAX_USER_FILE),
    );
    return { uid, gid, additionalGids };
  } finally {
    close(fd);
  }
}

/** Root has all that the container may have, anybody else nothing, whoever the container's user is. */
function capabilitiesOf(bounding: readonly string[], user: User | undefined): LinuxCapabilities {
  const own = (user?.uid ?? 0) === 0 ? bounding : [];
  return { bounding, effective: own, permitted: own };
}

/** A later variable replaces an earlier one of the same name. */
function mergeEnv(base: readonly string[], over: readonly string[]): string[] {
  const name = (variable: string) => variable.slice(0, variable.indexOf("="));
  const replaced = new Set(over.map(name));
  return [...base.filter((variable) => !replaced.has(name(variable))), ...over];
}

/** `crate exec`. */
export default async function exec(call: ExecCall): Promise<number> {
  const { options, positionals, globals } = call;
  const root = (await readConfig(globals)).root.value;
  const id = findId(root, positionals[0]!);
  const { tty, detach, privileged } = options;
  const input = options.interactive ?? (!tty && !detach);
  if (input && tty && !detach && terminalSettings(0) === undefined) {
    throw new CrateError("INVALID", "-it needs a terminal as standard input: leave out -t");
  }
  if (options.workdir !== undefined && !options.workdir.startsWith("/")) {
    throw new CrateError("INVALID", `--workdir must be absolute, got "${options.workdir}"`);
  }
  const none = detach || tty || !input ? nullStdio() : 0;
  let foreground = undefined as Foreground | undefined;
  const launched = await execInContainer({
    beforeStart: () => {
      if (detach) return;
      foreground = prepareForeground({ tty, input });
      // From here on they are the container's.
      blockSignals();
    },
    root,
    id,
    detached: detach,
    stdio: detach || tty ? [none, none, none] : [none, 1, 2],
    unfiltered: privileged,
    process: (spec, containerRoot): Process => {
      const own = spec.process!;
      const user = userOf(options.user, spec, containerRoot);
      const terminal = tty ? ["TERM=xterm"] : [];
      return {
        ...own,
        args: positionals.slice(1),
        env: mergeEnv(mergeEnv(own.env ?? [], terminal), environment(options)),
        cwd: options.workdir ?? own.cwd,
        terminal: tty,
        consoleSize: tty && !detach ? windowSize() : undefined,
        user,
        capabilities: privileged
          ? capabilitiesOf(availableCapabilities(), user)
          : options.user === undefined
          ? own.capabilities
          : capabilitiesOf(own.capabilities?.bounding ?? [], user),
        noNewPrivileges: privileged ? false : own.noNewPrivileges,
      };
    },
  });
  if (foreground === undefined) return 0;
  runInForeground(launched, foreground);
}
