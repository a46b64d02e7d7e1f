import {
  AT_FDCWD,
  type Cell,
  CLONE_NEWCGROUP,
  O_CLOEXEC,
  O_WRONLY,
  type Program,
  RESOLVE_BENEATH,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_XDEV,
  valueOf,
} from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import type { Mount, Spec } from "../../spec/mod.ts";
import { consolePair, openConsole, takeConsole } from "./console.ts";
import { makeDevices } from "./devices.ts";
import { prepareExecution } from "./execute.ts";
import { setRlimits } from "./identity.ts";
import { finishProcess } from "./init.ts";
import type { CompileInput } from "./input.ts";
import { makeReadonly, mask, openMasks } from "./masks.ts";
import { type Output, supervise } from "./monitor.ts";
import { isBind, isShared, makeFilesystem, mountOne, openBind } from "./mounts.ts";
import { cloneFlags, isNew, joinNamespaces, raiseLoopback } from "./namespaces.ts";
import { CONTROL, REPORT } from "./protocol.ts";
import { attachRoot, enterRoot, isolateMounts, rootMount, sealRoot } from "./root.ts";
import { openBelow, openOrMake, Scope } from "./scope.ts";

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
  const { spec, monitor } = input;
  if (!isNew(spec, "mount")) {
    throw new CrateError(
      "UNSUPPORTED",
      'linux.namespaces must have a new "mount" namespace: the root filesystem is set up in it',
    );
  }
  const s = new Scope();
  const console = spec.process?.terminal ?? false;
  supervise(
    s,
    {
      ...monitor,
      name: "crate-monitor",
      namespaces: cloneFlags(spec),
      cgroup: input.cgroup.descriptor,
      lastDescriptor: input.cgroup.descriptor ?? REPORT,
      console: console && monitor.detached ? { pair: consolePair, take: takeConsole } : undefined,
    },
    (output) => init(s, input, output),
  );
  s.writeAsides();
  return s.p.build();
}

function init(s: Scope, input: CompileInput, output: Output): void {
  const { p } = s;
  const { spec } = input;
  const process = spec.process!;
  p.call("umask", [0]);
  enterCgroups(s, input);
  joinNamespaces(s, spec);
  p.call("setsid", [], { label: "begin a session" });
  for (const { number, writeEnd } of output.streams) {
    p.call("dup3", [valueOf(writeEnd), number, 0], { label: "write to the log" });
  }

  const mounts = (spec.mounts ?? []).filter((mount) => mount !== rootMount(spec.mounts!));
  const binds = new Map<Mount, Cell>();
  const openBinds = (those: (mount: Mount) => boolean) => {
    for (const mount of mounts) {
      if (isBind(mount) && those(mount)) binds.set(mount, openBind(s, mount));
    }
  };
  // What shares its mounts with the host is cloned while it still does.
  openBinds(isShared);
  isolateMounts(s, input);
  const masks = openMasks(s, input);
  openBinds((mount) => !isShared(mount));
  const root = attachRoot(s, input);
  let proc: Cell | undefined;
  for (const mount of mounts) {
    proc = mountOne(s, input, root, mount, binds.get(mount)).proc ?? proc;
  }
  makeDevices(s, input, root);
  if (process.terminal) {
    openConsole(
      s,
      valueOf(root),
      process,
      output.console === undefined ? CONTROL : valueOf(output.console),
      root,
    );
  }
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
  finishProcess(s, {
    process,
    execution: prepareExecution(s, process),
    cwd,
    seccomp: input.seccomp,
    lastCapability: input.facts.lastCapability,
    init: spec.annotations?.[INIT_ANNOTATION] === "true",
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

const IN_PROC = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS;

/**
 * Sysctls and the oom score, through a procfs of our own making: the container's, before anything is
 * mounted over parts of it, or one that is mounted nowhere.
 */
function writeProc(s: Scope, { linux, process }: Spec, mounted: Cell | undefined): void {
  const writes = Object.entries(linux?.sysctl ?? {}).map(([name, value]) => ({
    path: `sys/${name.includes("/") ? name : name.replaceAll(".", "/")}`,
    value,
    label: `set ${name} to ${value}`,
  }));
  const score = process?.oomScoreAdj;
  if (score !== undefined) {
    writes.push({
      path: "self/oom_score_adj",
      value: String(score),
      label: `set oomScoreAdj to ${score}`,
    });
  }
  if (writes.length === 0) return;
  const proc = mounted ?? makeFilesystem(s, "proc", "proc", [], 0, "mount proc for settings");
  const fd = s.descriptor("setting");
  for (const { path, value, label } of writes) {
    openBelow(s, valueOf(proc), path, O_WRONLY, { label, result: fd, resolve: IN_PROC });
    const text = s.p.string(value);
    s.p.call("write", [valueOf(fd), text, text.size - 1], { label });
    s.p.call("close", [valueOf(fd)]);
  }
}
