import { become, CLONE_NEWNS, MS_REC, MS_SLAVE, ProgramBuilder } from "../../ffi/mod.ts";
import { detectLayout } from "../../lib/cgroup/mod.ts";

/** Tells the second start of this script that there is a v2 hierarchy, which it does not see. */
const HIDDEN = "BENCH_UNIFIED_HIDDEN";

/** The machine and the peers, as the table tells them. */
export interface Host {
  readonly kernel: string;
  readonly processor: string;
  readonly processors: number;
  readonly cgroups: string;
  /** The first line of each peer's `--version`; absent: it is not installed. */
  readonly versions: Readonly<Record<string, string | undefined>>;
}

/** The program's file, looked up in PATH; undefined where it is not installed. */
export function findProgram(name: string): string | undefined {
  for (const directory of (Deno.env.get("PATH") ?? "").split(":")) {
    const file = `${directory}/${name}`;
    try {
      if (Deno.statSync(file).isFile) return file;
    } catch {
      // It is not there.
    }
  }
}

function versionOf(name: string): string | undefined {
  const file = findProgram(name);
  if (file === undefined) return undefined;
  const { stdout } = new Deno.Command(file, { args: ["--version"], stderr: "null" }).outputSync();
  return /\d+\.\d+[.\d]*/.exec(new TextDecoder().decode(stdout))?.[0];
}

/** Looks the machine over. */
export function describeHost(): Host {
  const { v1, v2 } = detectLayout();
  const hierarchies = new Set(v1.values()).size;
  const old = hierarchies === 0 ? [] : [`${hierarchies} hierarchies of v1`];
  const hidden = Deno.env.has(HIDDEN) ? " (and v2, hidden here: crun refuses the mixture)" : "";
  const model = /^model name\s*: (.*)$/m.exec(Deno.readTextFileSync("/proc/cpuinfo"))?.[1];
  return {
    kernel: Deno.osRelease(),
    processor: model ?? Deno.build.arch,
    processors: navigator.hardwareConcurrency,
    cgroups: [...old, ...(v2 === undefined ? [] : ["v2"])].join(" and ") + hidden,
    versions: {
      Deno: Deno.version.deno,
      crun: versionOf("crun"),
      runc: versionOf("runc"),
      conmon: versionOf("conmon"),
    },
  };
}

/**
 * Where a host has v2 beside v1, starts this script anew in a mount namespace in which the v2
 * hierarchy is hidden: crun refuses such a mixture, and everybody shall have the same work.
 */
export function hideUnified(): void {
  const { v1, v2 } = detectLayout();
  if (v1.size === 0 || v2 === undefined) return;
  const p = new ProgramBuilder();
  const text = (word: string) => p.string(word);
  const words = ["run", "-A", "--no-prompt", import.meta.resolve("../bench.ts"), ...Deno.args];
  const argv = p.pointers(["deno", ...words].map(text), "argv");
  const variables = { ...Deno.env.toObject(), [HIDDEN]: "1" };
  const env = Object.entries(variables).map(([name, value]) => text(`${name}=${value}`));
  const failed = p.label("failed");
  p.handler(failed);
  p.call("unshare", [CLONE_NEWNS]);
  p.call("mount", [0, text("/"), 0, MS_SLAVE | MS_REC, 0]);
  p.call("mount", [text("tmpfs"), text(v2.mount), text("tmpfs"), 0, 0]);
  p.call("execve", [text(Deno.execPath()), argv, p.pointers(env, "envp")]);
  p.place(failed);
  p.call("exit_group", [1]);
  become(p.build(), { name: "bench", descriptors: [0, 1, 2] });
}
