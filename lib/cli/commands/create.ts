import { createContainer } from "../../lifecycle/mod.ts";
import { parseInteger, type Spec, validateId } from "../../spec/mod.ts";
import { readBundle } from "../bundle.ts";
import { refuseSystemd } from "../engine.ts";
import { readConfig } from "../globals.ts";
import type { CreateCall } from "../words/mod.ts";

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

/** `crate create`. */
export default async function create(call: CreateCall): Promise<number> {
  const { options, positionals, globals } = call;
  const root = (await readConfig(globals)).root.value;
  refuseSystemd(globals);
  const id = validateId(positionals[0]!);
  const { directory, spec } = readBundle(options.bundle ?? ".");
  const activated = options.preserveFds === undefined ? activatedSockets() : 0;
  await createContainer({
    id,
    root,
    spec: activated === 0 ? spec : withSockets(spec, activated),
    bundle: directory,
    stdio: [0, 1, 2],
    consoleSocket: options.consoleSocket,
    pidFile: options.pidFile,
    preserveFds: parseInteger(options.preserveFds ?? String(activated), "--preserve-fds", 0, 1000),
    noPivot: options.noPivot,
    noNewKeyring: options.noNewKeyring,
  });
  return 0;
}
