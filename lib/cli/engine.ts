import { createContainer, type Made } from "../lifecycle/mod.ts";
import { parseInteger, type Spec } from "../spec/mod.ts";
import type { Bundle } from "./bundle.ts";
import { isSystemds } from "./group.ts";
import type { CreateCall, Globals } from "./words/mod.ts";

/** What the global options say of control groups. */
export function groupOptions(
  globals: Globals,
): { readonly rootless?: boolean; readonly noCgroup?: boolean; readonly systemd: boolean } {
  const { rootless, cgroupManager } = globals;
  return {
    systemd: isSystemds(globals),
    ...rootless !== undefined && rootless !== "auto" && { rootless: rootless === "true" },
    ...cgroupManager === "disabled" && { noCgroup: true },
  };
}

/** How many sockets systemd hands to this process. sd_listen_fds(3) */
function activatedSockets(): number {
  const count = Deno.env.get("LISTEN_FDS");
  if (count === undefined || Deno.env.get("LISTEN_PID") !== String(Deno.pid)) return 0;
  return parseInteger(count, "LISTEN_FDS", 0, 1000);
}

/** The container's first process is process 1 there, and the one that the sockets are for. */
function withSockets(spec: Spec, count: number): Spec {
  const { process } = spec;
  if (process === undefined) return spec;
  const env = [...process.env ?? [], `LISTEN_FDS=${count}`, "LISTEN_PID=1"];
  return { ...spec, process: { ...process, env } };
}

/**
 * What a container gets of the caller's descriptors: those of `--preserve-fds`, or systemd's sockets, of which the
 * config then tells.
 *
 * @throws {CrateError} `INVALID` for what is no number.
 */
export function handOn(
  spec: Spec,
  given: string | undefined,
): { readonly spec: Spec; readonly preserveFds: number } {
  if (given !== undefined) {
    return { spec, preserveFds: parseInteger(given, "--preserve-fds", 0, 1000) };
  }
  const count = activatedSockets();
  return { spec: count === 0 ? spec : withSockets(spec, count), preserveFds: count };
}

/** What `create`, and `run` in its place, make a container of for an engine. */
type CreateWords = Pick<
  CreateCall["options"],
  "consoleSocket" | "pidFile" | "pidfdSocket" | "preserveFds" | "noPivot" | "noNewKeyring"
>;

/** Creates a container that is the engine's child and waits for its start. @throws {CrateError} */
export async function createForEngine(
  { id, root, bundle: { directory, spec }, options, globals }: {
    readonly id: string;
    readonly root: string;
    readonly bundle: Bundle;
    readonly options: CreateWords;
    readonly globals: Globals;
  },
): Promise<Made | undefined> {
  return await createContainer({
    id,
    root,
    ...handOn(spec, options.preserveFds),
    bundle: directory,
    stdio: [0, 1, 2],
    consoleSocket: options.consoleSocket,
    pidFile: options.pidFile,
    pidfdSocket: options.pidfdSocket,
    noPivot: options.noPivot,
    noNewKeyring: options.noNewKeyring,
    notifySocket: Deno.env.get("NOTIFY_SOCKET"),
    ...groupOptions(globals),
  });
}
