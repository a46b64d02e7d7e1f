import {
  AT_FDCWD,
  type Cell,
  CLONE_NEWCGROUP,
  ENOSYS,
  KEYCTL_JOIN_SESSION_KEYRING,
  O_CLOEXEC,
  O_WRONLY,
  type Program,
  valueOf,
} from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import type { Mount, Spec } from "../../spec/mod.ts";
import { consolePair, openConsole, takeConsole } from "./console.ts";
import { makeDevices } from "./devices.ts";
import { type Execution, prepareExecution } from "./execute.ts";
import { becomeRoot, hasUserNamespace, ownProcFiles, setRlimits } from "./identity.ts";
import { finishProcess } from "./init.ts";
import { copiedLink } from "./copy_symlink.ts";
import type { CompileInput, HostFacts } from "./input.ts";
import { keyLabelWrite, labelWrites, writeBelow } from "./labels.ts";
import { makeReadonly, mask, openMasks } from "./masks.ts";
import { type Output, supervise } from "./monitor.ts";
import { isBind, isShared, leaveHost, mountOne, openBind } from "./mounts.ts";
import { cloneFlags, isNew, joinFirst, joinNamespaces, raiseLoopback } from "./namespaces.ts";
import { CONTROL, REPORT, STAGE_HOOKS } from "./protocol.ts";
import { awaitByte, awaitStage, release } from "./release.ts";
import {
  attachRoot,
  enterRoot,
  initPoint,
  isolateMounts,
  mappedOverlay,
  openRoot,
  rootMount,
  sealRoot,
} from "./root.ts";
import { setMemory, setSchedule } from "./schedule.ts";
import { openOrMake, Scope } from "./scope.ts";
import { makeFilesystem } from "./filesystem.ts";
import { hasListener } from "./listener.ts";

/** The annotation by which `crate run --init` asks for a first process that reaps. */
export const INIT_ANNOTATION = "dev.crate.init";

/**
 * A container's program, from its config: the monitor's steps, and the init's, which end in execve.
 *
 * A pure function: everything of the host that it depends on stands in the input.
 *
 * @throws {CrateError} `UNSUPPORTED` for a config this version cannot carry out.
 */
export function compileContainer(input: CompileInput): Program {
  const { spec, parent } = input;
  if (!isNew(spec, "mount")) {
    throw new CrateError(
      "UNSUPPORTED",
      'linux.namespaces must have a new "mount" namespace: the root filesystem is set up in it',
    );
  }
  if (hasListener(spec) && spec.annotations?.[INIT_ANNOTATION] === "true") {
    throw new CrateError(
      "UNSUPPORTED",
      "linux.seccomp.listenerPath and --init: the small init could not do a thing without an answer",
    );
  }
  const s = new Scope();
  const namespaces = cloneFlags(spec);
  const cgroup = input.cgroup.descriptor;
  const foreign: Foreign = { binds: new Map() };
  const name = "crate-monitor";
  let own: Execution | undefined;
  const before = () => {
    own = input.prepareOwn?.(s, spec.process?.env ?? []);
    if (hasUserNamespace(spec)) openForeign(s, input, foreign);
    openMappedRoot(s, input, foreign);
    joinFirst(s, spec);
  };
  // The monitor is there as long as the container, and would keep them.
  const after = () => {
    own?.forget?.(name);
    const opened = new Set([...foreign.binds.values(), foreign.root]);
    for (const tree of opened) if (tree !== undefined) s.p.call("close", [valueOf(tree)]);
  };
  if (parent.start !== undefined) {
    release(s, { name: "crate-create", namespaces, cgroup, before }, () => init(s, input, foreign));
  } else {
    const console = spec.process?.terminal ?? false;
    supervise(
      s,
      {
        ...parent,
        name,
        namespaces,
        cgroup,
        lastDescriptor: Math.max(
          cgroup ?? REPORT,
          input.listener ?? 0,
          lastPreserved(input),
          ...input.idmaps?.values() ?? [],
        ),
        console: console && parent.detached ? { pair: consolePair, take: takeConsole } : undefined,
        before,
        after,
      },
      (output) => init(s, input, foreign, output, own),
    );
  }
  s.writeAsides();
  return s.p.build();
}

function lastPreserved({ preserved }: CompileInput): number {
  return preserved === undefined ? 0 : preserved.first + preserved.count - 1;
}

/** What only the host's root may open, for a container in a user namespace: opened before it is made. */
interface Foreign {
  readonly binds: Map<Mount, Cell>;
  root?: Cell;
}

function openForeign(s: Scope, { spec, idmaps, facts }: CompileInput, foreign: Foreign): void {
  for (const mount of spec.mounts ?? []) {
    if (!isCloned(mount, facts)) continue;
    const tree = openBind(s, mount, idmaps?.get(mount));
    if (!isShared(mount)) leaveHost(s, tree, `mount ${mount.source} on ${mount.destination}`);
    foreign.binds.set(mount, tree);
  }
  const mount = rootMount(spec.mounts ?? []);
  if (mount !== undefined) {
    foreign.root = foreign.binds.get(mount);
    return;
  }
  foreign.root = openRoot(s, spec);
  leaveHost(s, foreign.root, `mount ${spec.root!.path} as the root`);
}

/** A root whose layers have other ids: it takes the host's root to make it. */
function openMappedRoot(s: Scope, input: CompileInput, foreign: Foreign): void {
  const { spec, idmaps, mountMapped, attachPoint } = input;
  const mount = mappedOverlay(spec);
  const idmap = mount && idmaps?.get(mount);
  if (mount === undefined || idmap === undefined || mountMapped === undefined) return;
  foreign.root = mountMapped(s, spec, mount, idmap, attachPoint);
}

/** Whether a mount's source is cloned. */
function isCloned(mount: Mount, facts: HostFacts): boolean {
  return isBind(mount) && copiedLink(facts, mount) === undefined;
}

/** Whether the init must wait for its starter before it does anything. */
export function isSynchronised({ spec, parent }: Pick<CompileInput, "spec" | "parent">): boolean {
  return parent.start !== undefined || isNew(spec, "user") || hasEarlyHooks(spec) ||
    copiesUp(spec) || hasListener(spec);
}

function copiesUp({ mounts }: Spec): boolean {
  return mounts?.some(({ options }) => options?.includes("tmpcopyup")) ?? false;
}

/** Whether hooks run before the container's root is its root. runtime.md, "Lifecycle" */
export function hasEarlyHooks({ hooks }: Spec): boolean {
  const { prestart, createRuntime, createContainer } = hooks ?? {};
  return [prestart, createRuntime, createContainer].some((each) =>
    each !== undefined && each.length > 0
  );
}

function init(
  s: Scope,
  input: CompileInput,
  foreign: Foreign,
  output?: Output,
  own?: Execution,
): void {
  const { p } = s;
  const { spec, parent } = input;
  const process = spec.process!;
  p.call("umask", [0]);
  if (isSynchronised(input)) awaitByte(s, "wait for the starter");
  enterCgroups(s, input);
  joinNamespaces(s, spec);
  if (hasUserNamespace(spec)) {
    becomeRoot(s, spec);
    ownProcFiles(s, spec);
  }
  p.call("setsid", [], { label: "begin a session" });
  for (const { number, writeEnd } of output?.streams ?? []) {
    p.call("dup3", [valueOf(writeEnd), number, 0], { label: "write to the log" });
  }

  const mounts = (spec.mounts ?? []).filter((mount) => mount !== rootMount(spec.mounts!));
  const binds = foreign.binds;
  const openBinds = (those: (mount: Mount) => boolean) => {
    for (const mount of mounts) {
      if (isCloned(mount, input.facts) && !binds.has(mount) && those(mount)) {
        binds.set(mount, openBind(s, mount, input.idmaps?.get(mount)));
      }
    }
  };
  // What shares its mounts with the host is cloned while it still does.
  openBinds(isShared);
  isolateMounts(s, input);
  if (input.keyring !== undefined) joinKeyring(s, input.keyring, process.selinuxLabel);
  const masks = openMasks(s, input);
  openBinds((mount) => !isShared(mount));
  const hooked = hasEarlyHooks(spec);
  const place = (path: string) => hooked ? path : initPoint(input);
  const root = attachRoot(s, input, foreign.root, place);
  let proc: Cell | undefined;
  for (const mount of mounts) {
    proc = mountOne(s, input, root, mount, binds.get(mount)).proc ?? proc;
  }
  makeDevices(s, input, root);
  if (process.terminal) {
    const socket = parent.start === undefined
      ? output?.console === undefined ? CONTROL : valueOf(output.console)
      : parent.console ?? CONTROL;
    openConsole(s, valueOf(root), process, socket, root);
    if (parent.start !== undefined && parent.console !== undefined) {
      p.call("close", [parent.console]);
    }
  }
  if (hooked) awaitStage(s, STAGE_HOOKS, "wait for the hooks");
  const cwd = openOrMake(s, root, process.cwd, "directory");
  if (isNew(spec, "network")) raiseLoopback(s);
  writeProc(s, spec, proc);
  if (masks !== undefined) mask(s, input, root, masks);
  makeReadonly(s, input, root);
  sealRoot(s, input, root);
  enterRoot(s, input, root);
  if (spec.hostname) setName(s, "sethostname", spec.hostname);
  if (spec.domainname) setName(s, "setdomainname", spec.domainname);
  setRlimits(s, process);
  setSchedule(s, process);
  setMemory(s, spec.linux ?? {});
  finishProcess(s, {
    process,
    execution: own ?? prepareExecution(s, process),
    cwd,
    seccomp: input.seccomp,
    lastCapability: input.facts.lastCapability,
    init: spec.annotations?.[INIT_ANNOTATION] === "true",
    monitor: parent.start === undefined ? output?.life : undefined,
    start: parent.start,
    synchronised: isSynchronised(input),
    preserved: input.preserved,
    listener: input.listener,
    mayKeepGroups: input.facts.isInUserNamespace,
  });
}

/** A session keyring of the container's own; a kernel may have been built without. keyctl(2) */
function joinKeyring(s: Scope, name: string, selinuxLabel: string | undefined): void {
  const { p } = s;
  const proc = selinuxLabel
    ? makeFilesystem(s, "proc", "proc", [], 0, "mount proc for settings")
    : undefined;
  if (proc !== undefined) writeBelow(s, valueOf(proc), keyLabelWrite(selinuxLabel!));
  const result = s.descriptor("keyring");
  const failed = s.label("keyring");
  const next = s.label("next");
  const label = "join a session keyring";
  p.call("keyctl", [KEYCTL_JOIN_SESSION_KEYRING, p.string(name), 0, 0, 0], {
    label,
    result,
    negative: failed,
  });
  p.place(next);
  if (proc !== undefined) {
    writeBelow(s, valueOf(proc), keyLabelWrite(""));
    p.call("close", [valueOf(proc)]);
  }
  s.aside(() => {
    p.place(failed);
    p.jumpIfEqual(valueOf(result), -ENOSYS, next);
    s.fail(label, result);
  });
}

/** Moves the init into its groups: a v1 `tasks` file moves whoever writes `0` to it. cgroups(7) */
function enterCgroups(s: Scope, { cgroup, spec }: CompileInput): void {
  const { p } = s;
  const fd = s.descriptor("tasks");
  for (const file of cgroup.files) {
    const label = `join ${file}`;
    p.call("openat", [AT_FDCWD, p.string(file), O_WRONLY | O_CLOEXEC, 0], { label, result: fd });
    p.call("write", [valueOf(fd), p.string("0"), 1], { label });
    p.call("close", [valueOf(fd)]);
  }
  if (isNew(spec, "cgroup")) {
    p.call("unshare", [CLONE_NEWCGROUP], { label: "make the cgroup namespace" });
  }
}

function setName(s: Scope, call: "sethostname" | "setdomainname", name: string): void {
  const text = s.p.string(name);
  s.p.call(call, [text, text.size - 1], { label: `${call} ${name}` });
}

/**
 * Sysctls and the oom score, through a procfs of our own making: the container's, before anything is
 * mounted over parts of it, or one that is mounted nowhere.
 */
function writeProc(s: Scope, spec: Spec, mounted: Cell | undefined): void {
  const { linux, process } = spec;
  const writes = Object.entries(linux?.sysctl ?? {}).map(([name, value]) => ({
    path: `sys/${name.includes("/") ? name : name.replaceAll(".", "/")}`,
    value,
    label: `set ${name} to ${value}`,
  }));
  const score = process?.oomScoreAdj;
  if (score !== undefined && !hasUserNamespace(spec)) {
    writes.push({
      path: "self/oom_score_adj",
      value: String(score),
      label: `set oomScoreAdj to ${score}`,
    });
  }
  if (process !== undefined) writes.push(...labelWrites(process));
  if (writes.length === 0) return;
  const proc = mounted ?? makeFilesystem(s, "proc", "proc", [], 0, "mount proc for settings");
  for (const write of writes) writeBelow(s, valueOf(proc), write);
}
