import {
  blockSignals,
  close,
  encodeText,
  end,
  O_DIRECTORY,
  O_PATH,
  open,
  readText,
  SyscallError,
} from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import {
  type ContainerRoot,
  execInContainer,
  findId,
  type Foreground,
  type Launched,
  loadRelayParts,
  nullStdio,
  offerEngineExec,
  offerExec,
  prepareForeground,
  readState,
  runInForeground,
  terminalSettings,
  windowSize,
  writePidFile,
} from "../../lifecycle/mod.ts";
import { availableCapabilities } from "../../security/mod.ts";
import {
  type LinuxCapabilities,
  parseInteger,
  type Process,
  type Spec,
  type User,
} from "../../spec/mod.ts";
import { readConfig } from "../globals.ts";
import { log } from "../log.ts";
import type { ExecCall } from "../words/mod.ts";

export { execTable as table } from "../words/mod.ts";

const MAX_USER_FILE = 1 << 20;
const MAX_PROCESS_FILE = 1 << 20;

async function userOf(
  word: string | undefined,
  spec: Spec,
  { path }: ContainerRoot,
): Promise<User | undefined> {
  if (!word) return spec.process?.user;
  const { parseUserWord } = await import("../../spec/mod.ts");
  const { resolveUser } = await import("../../security/mod.ts");
  const { readInRoot } = await import("../../security/mod.ts");
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

/** The process that the words ask for, on top of the container's own. */
async function processOf(
  call: ExecCall,
  spec: Spec,
  containerRoot: ContainerRoot,
): Promise<Process> {
  const { options, positionals } = call;
  const { tty, privileged } = options;
  const own = spec.process!;
  const asked = await userOf(options.user, spec, containerRoot);
  const more = options.additionalGids.map((gid) =>
    parseInteger(gid, "--additional-gids", 0, 2 ** 32 - 2)
  );
  const user = more.length === 0
    ? asked
    : { ...asked, additionalGids: [...asked?.additionalGids ?? [], ...more] };
  const terminal = tty ? ["TERM=xterm"] : [];
  const capabilities = privileged
    ? capabilitiesOf(availableCapabilities(), user)
    : !options.user
    ? own.capabilities
    : capabilitiesOf(own.capabilities?.bounding ?? [], user);
  return {
    ...own,
    args: positionals.slice(1),
    env: mergeEnv(mergeEnv(own.env ?? [], terminal), await environmentOf(options)),
    // An empty word, which a shell's unset variable leaves, is none.
    cwd: options.workdir || options.cwd || own.cwd,
    terminal: tty,
    consoleSize: tty && !options.detach ? windowSize() : undefined,
    user,
    capabilities: await withCapabilities(capabilities, options.cap),
    noNewPrivileges: options.noNewPrivs || (privileged ? false : own.noNewPrivileges),
    apparmorProfile: options.apparmor ?? own.apparmorProfile,
    selinuxLabel: options.processLabel ?? own.selinuxLabel,
  };
}

/** The variables that the words add. */
async function environmentOf({ env, envFile }: ExecCall["options"]): Promise<string[]> {
  if (env.length === 0 && envFile.length === 0) return [];
  const { environment } = await import("./environment.ts");
  return environment({ env, envFile });
}

/** As runc: an added one goes into every set. */
async function withCapabilities(
  sets: LinuxCapabilities | undefined,
  words: readonly string[],
): Promise<LinuxCapabilities | undefined> {
  if (words.length === 0) return sets;
  const { parseCapability } = await import("../../spec/mod.ts");
  const names = words.map((word) => parseCapability(word, "--cap"));
  const add = (set: readonly string[] = []) => [...new Set([...set, ...names])];
  return {
    bounding: add(sets?.bounding),
    effective: add(sets?.effective),
    inheritable: add(sets?.inheritable),
    permitted: add(sets?.permitted),
    ambient: add(sets?.ambient),
  };
}

/** What a file says of a process, and what comes of it. */
interface FromFile {
  readonly text: string;
  readonly process: (spec: Spec) => Process;
}

/** The process of a file; what it leaves out is the container's. @throws {CrateError} `INVALID` */
async function processFrom(file: string, tty: boolean): Promise<FromFile> {
  let text: string;
  try {
    text = readText(file, MAX_PROCESS_FILE);
  } catch (cause) {
    if (!(cause instanceof SyscallError)) throw cause;
    throw new CrateError("INVALID", `--process ${file} cannot be read: ${cause.code}`, { cause });
  }
  const { parseProcess } = await import("../../spec/mod.ts");
  const process = parseProcess(text, file);
  // conmon says both, and they agree.
  if (tty && process.terminal !== true) {
    throw new CrateError("USAGE", `crate exec: --tty, and ${file} has no terminal: true`);
  }
  return {
    text,
    process: ({ process: own }) => ({
      ...process,
      capabilities: process.capabilities ?? own?.capabilities,
      apparmorProfile: process.apparmorProfile || own?.apparmorProfile,
      selinuxLabel: process.selinuxLabel || own?.selinuxLabel,
    }),
  };
}

/** What a process file says already. */
function refuseBeside(call: ExecCall): void {
  const { options, positionals } = call;
  const [, command] = positionals;
  if (command !== undefined) {
    throw new CrateError("USAGE", `crate exec --process takes no command, got "${command}"`);
  }
  const given =
    (["user", "workdir", "cwd", "apparmor", "processLabel"] as const).find((name) =>
      options[name] !== undefined
    ) ??
      (["env", "envFile", "cap", "additionalGids"] as const).find((name) =>
        options[name].length > 0
      );
  const flag = (["privileged", "noNewPrivs"] as const).find((name) => options[name]);
  const word = (given ?? flag)?.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  if (word !== undefined) {
    throw new CrateError("USAGE", `crate exec: --process says what --${word} would: leave one out`);
  }
}

/** Whether nothing else is asked for: the next one may be executed by the launcher. */
function isUsual({ options }: ExecCall, usual: readonly (keyof ExecCall["options"])[]): boolean {
  return Object.entries(options).every(([name, value]) =>
    value === undefined || value === false || Array.isArray(value) && value.length === 0 ||
    usual.some((other) => other === name)
  );
}

/** What is executed runs already: it must not end of this. */
function notReady(error: unknown): void {
  log("debug", `the next exec is not ready: ${error instanceof Error ? error.message : error}`);
}

/** `crate exec`. */
export default async function exec(call: ExecCall): Promise<number> {
  const { options, positionals, globals } = call;
  const root = (await readConfig(globals)).root.value;
  const id = findId(root, positionals[0]!);
  const { detach, consoleSocket, pidFile, cgroup } = options;
  if (cgroup !== undefined && /^[a-z_,=]+:/.test(cgroup)) {
    throw new CrateError(
      "UNSUPPORTED",
      `--cgroup ${cgroup}: a process is put into one group of all controllers: leave them out`,
    );
  }
  const fromFile = options.process === undefined
    ? undefined
    : await processFrom(options.process, options.tty);
  if (fromFile !== undefined) refuseBeside(call);
  else if (positionals[1] === undefined) {
    throw new CrateError(
      "USAGE",
      "crate exec: COMMAND is missing (usage: crate exec [OPTIONS] CONTAINER COMMAND [ARG...])",
    );
  }
  if (positionals[1] === "") {
    throw new CrateError("INVALID", "the command is empty: name a program");
  }
  for (const name of ["workdir", "cwd"] as const) {
    const directory = options[name];
    if (directory && !directory.startsWith("/")) {
      throw new CrateError("INVALID", `--${name} must be absolute, got "${directory}"`);
    }
  }
  const common = {
    root,
    id,
    unfiltered: options.privileged,
    preserveFds: parseInteger(options.preserveFds ?? "0", "--preserve-fds", 0, 1000),
    ignorePaused: options.ignorePaused,
    cgroup: options.cgroup,
    pidfdSocket: options.pidfdSocket,
    process: async (spec: Spec, containerRoot: ContainerRoot): Promise<Process> =>
      fromFile === undefined ? await processOf(call, spec, containerRoot) : fromFile.process(spec),
  };
  const tellPid = ({ init }: Launched) => {
    if (pidFile !== undefined) writePidFile(pidFile, init.pid);
  };
  // A process of an engine's, which is its parent and has its descriptors.
  const isEngines = detach && (fromFile !== undefined || consoleSocket !== undefined);
  if (isEngines) {
    await execInContainer({
      ...common,
      detached: true,
      engine: true,
      stdio: [0, 1, 2],
      consoleSocket,
      beforeStart: tellPid,
    });
    if (fromFile !== undefined && isUsual(call, ["detach", "process", "pidFile"])) {
      await offerEngineExec(root, id, encodeText(fromFile.text), fromFile.process).catch(notReady);
    }
    return end(0);
  }
  if (consoleSocket !== undefined) {
    throw new CrateError("USAGE", "crate exec: --console-socket is for --detach");
  }
  const hasTerminal = ({ process }: FromFile) => {
    const spec = readState(root, id)?.record.spec;
    return spec !== undefined && process(spec).terminal === true;
  };
  const tty = fromFile === undefined ? options.tty : hasTerminal(fromFile);
  const input = options.interactive ?? (!tty && !detach);
  if (input && tty && !detach && terminalSettings(0) === undefined) {
    throw new CrateError("INVALID", "-it needs a terminal as standard input: leave out -t");
  }
  const none = detach || tty || !input ? nullStdio() : 0;
  let foreground = undefined as Foreground | undefined;
  const parts = await loadRelayParts({ tty: tty && !detach, notifies: false });
  const prepare = () => {
    foreground = prepareForeground(parts, { tty, input });
  };
  const launched = await execInContainer({
    ...common,
    beforeStart: (launched) => {
      tellPid(launched);
      // From here on they are the container's.
      if (!detach) blockSignals();
    },
    whileStarting: detach ? undefined : prepare,
    detached: detach,
    stdio: detach || tty ? [none, none, none] : [none, 1, 2],
  });
  if (foreground === undefined) return 0;
  if (isUsual(call, ["interactive"]) && input) await offerExec(root, id).catch(notReady);
  runInForeground(launched, foreground);
}
