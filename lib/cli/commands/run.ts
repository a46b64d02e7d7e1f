import {
  blockSignals,
  createFile,
  printProgram,
  randomHex,
  replaceFile,
  SyscallError,
} from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import {
  becomeNotifier,
  type ClaimedNetwork,
  deleteContainer,
  type Foreground,
  loadRelayParts,
  nullStdio,
  prepareContainer,
  prepareForeground,
  type ReadyEnds,
  runInForeground,
  type RunOffer,
  startContainer,
  statePaths,
  stayInForeground,
  terminalSettings,
} from "../../lifecycle/mod.ts";
import { type IdMaps, parseInteger, validateId, validateSpec } from "../../spec/mod.ts";
import { groupOptions, handOn } from "../engine.ts";
import { readConfig } from "../globals.ts";
import { log } from "../log.ts";
import type { Effective } from "../../config/mod.ts";
import type { Claimed, ExecutionConfig } from "../../image/mod.ts";
import { print } from "../print.ts";
import type { RunCall } from "../words/mod.ts";
import { plainMode } from "./run_mode.ts";
import { imageWord, makeKept, runSpec } from "./run_spec.ts";

export { runTable as table } from "../words/mod.ts";

/** Writes what an option names, or says which option it was. */
function write(option: string, path: string, make: () => void): void {
  try {
    make();
  } catch (cause) {
    if (!(cause instanceof SyscallError)) throw cause;
    throw new CrateError("INVALID", `${option} ${path} cannot be made: ${cause.code}`, { cause });
  }
}

/** What is for images alone. */
function refuseImageOptions(options: RunCall["options"]): void {
  const values = [
    ["pull", options.pull],
    ["platform", options.platform],
    ["insecure-registry", options.insecureRegistry[0]],
  ] as const;
  for (const [name, value] of values) {
    if (value === undefined) continue;
    throw new CrateError("INVALID", `--${name} is for an image, and none is named`);
  }
}

/** What is for a bundle alone: seldom given, and loaded only then. */
const ENGINE_OPTIONS = [
  "config",
  "consoleSocket",
  "pidfdSocket",
  "preserveFds",
  "noPivot",
  "noNewKeyring",
  "noSubreaper",
] as const;

function refuseEngineOptions(options: RunCall["options"]): void {
  const given = ENGINE_OPTIONS.find((name) =>
    options[name] !== undefined && options[name] !== false
  );
  if (given === undefined) return;
  const word = given.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  throw new CrateError("USAGE", `crate run: --${word} is for --bundle`);
}

/** Refuses what other programs do for those who ask, and crate does not. */
function refuseOthersWays({ restart = "no" }: RunCall["options"]): void {
  if (restart === "no") return;
  throw new CrateError(
    "UNSUPPORTED",
    `--restart ${restart}: crate has no supervisor that would start it again: ` +
      "let a systemd unit with Restart= run it, in the foreground",
  );
}

/** Whether the container may have users of its own: seldom, and only then anything is loaded for it. */
function asksForUsers({ userns, uidmap, gidmap }: RunCall["options"], config: Effective): boolean {
  return (userns ?? config["security.userns"].value) !== "host" || uidmap.length > 0 ||
    gidmap.length > 0;
}

/** Whether a volume of the store is asked for, and not only directories of the host. */
function hasVolumes({ volume, mount }: RunCall["options"]): boolean {
  return volume.some((word) => !/^[/.][^:]*:/.test(word)) ||
    // Without a type it is one, too.
    mount.some((word) => !/(?:^|,)"?type=(?:bind|tmpfs)"?(?:,|$)/i.test(word));
}

/** What makes the next call with the same words ready. */
async function offerNext(
  call: RunCall,
  config: Effective,
  image: ExecutionConfig | undefined,
): Promise<RunOffer | undefined> {
  const { runRequest } = await import("./run_request.ts");
  const { offerRun } = await import("../../lifecycle/mod.ts");
  try {
    const request = runRequest(call, config, Deno.args, Deno.env.toObject(), image);
    return request && await offerRun(config.root.value, request);
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    log("debug", `the next call cannot be made ready: ${error.message}`);
    return undefined;
  }
}

/** Does what the container's run must not end of; up to its first wait at once. */
async function quietly(what: () => void | Promise<void>): Promise<void> {
  try {
    await what();
  } catch (error) {
    const why = error instanceof Error ? error.message : error;
    log("debug", `the next call is not ready: ${why}`);
  }
}

/** `crate run`. */
export default async function run(given: RunCall): Promise<number> {
  const { options, globals } = given;
  const config = await readConfig(globals);
  const bundle = options.bundle === undefined
    ? undefined
    : (await import("./run_bundle.ts")).bundleOf(given);
  if (bundle === undefined) refuseEngineOptions(options);
  refuseOthersWays(options);
  // As runc's: what ends is deleted unless --keep says otherwise, and a detached one is the caller's.
  const isRuncs = bundle?.name !== undefined;
  const name = options.name ?? bundle?.name;
  const id = name === undefined ? randomHex(6) : validateId(name);
  const token = randomHex(4);
  if (Deno.uid() !== 0) {
    throw new CrateError(
      "PERMISSION",
      "crate run needs root: this version makes no user namespaces (try: sudo crate run ...)",
    );
  }
  if (isRuncs && options.detach && !options.explain) {
    await (await import("./run_bundle.ts")).runForEngine(given, config, id, bundle);
    return 0;
  }
  // Without a terminal the three descriptors are the user's own, unless -i=false or -d say otherwise.
  const { detach, cidfile, pidFile } = options;
  const tty = bundle?.spec.process?.terminal ?? options.tty;
  const input = options.interactive ?? (!tty && !detach);
  if (input && tty && !detach && terminalSettings(0) === undefined) {
    throw new CrateError("INVALID", "-it needs a terminal as standard input: leave out -t");
  }
  const userns = bundle === undefined && asksForUsers(options, config)
    ? (await import("./run_userns.ts")).runUserNamespace(given, config)
    : undefined;
  const hasIds = userns !== undefined;
  const volumes = bundle === undefined && hasVolumes(options)
    ? await (await import("./run_volumes.ts")).prepareVolumes(given, config, hasIds)
    : undefined;
  const { call, anonymous } = volumes ?? { call: given, anonymous: [] };
  const word = bundle === undefined ? imageWord(call) : undefined;
  if (word === undefined && anonymous[0] !== undefined) {
    const path = anonymous[0];
    throw new CrateError(
      "INVALID",
      `a volume without a name, at ${path}, is for an image, and none is named: give it one (-v NAME:${path})`,
    );
  }
  if (word === undefined) refuseImageOptions(options);
  // Only a container of an image needs anything of images.
  const image = word === undefined
    ? undefined
    : await (await import("./run_image.ts")).prepareImage(word, call, config, {
      anonymous,
      hasIds,
    });
  const mode = bundle === undefined ? plainMode(options, config) : undefined;
  using network = bundle !== undefined || mode !== undefined
    ? undefined
    : await (await import("./run_network.ts")).runNetwork(call, config, id, image?.config);
  const parts = { image, network: network ?? { namespace: mode, mounts: [] } };
  const makeSpec = (maps?: IdMaps) =>
    validateSpec(runSpec(call, config, { id, token }, { ...parts, userns: maps }), "the options");
  // Until there is a record of them, nobody else gets its ids.
  using ids = userns === undefined ? undefined : (await import("../../lifecycle/mod.ts")).withIds(
    config.root.value,
    userns,
    makeSpec,
    !options.explain,
  );
  const { spec, preserveFds } = bundle === undefined
    ? { spec: ids?.made ?? makeSpec(), preserveFds: 0 }
    : handOn(
      (await import("./run_bundle.ts")).withGroup(bundle.spec, globals, config, id),
      isRuncs ? options.preserveFds : "0",
    );
  const none = detach || tty || !input ? nullStdio() : 0;
  const remove = options.rm || isRuncs && options.keep === undefined;
  // Hooks that run when it is deleted need somebody to delete it.
  const deletes = remove && (spec.hooks?.poststop?.length ?? 0) > 0;
  if (deletes && detach) {
    throw new CrateError(
      "INVALID",
      "hooks.poststop run when the container is deleted: with --detach leave --rm out, and call crate delete",
    );
  }
  const keep = bundle === undefined ? options.keep : undefined;
  const written: string[] = [];
  let foreground = undefined as Foreground | undefined;
  let offer: RunOffer | undefined;
  const isPlain = (mode !== undefined || network?.recorded?.kind === "networks") &&
    volumes === undefined;
  let launched;
  let ready: ReadyEnds | undefined;
  const { directory } = statePaths(config.root.value, id);
  const claims: Claimed[] = [];
  let networks: ClaimedNetwork | undefined;
  const giveUp = async () => {
    claims.forEach((claim) => claim.remove());
    await networks?.release();
  };
  try {
    if (!options.explain) networks = await network?.claim();
    const ofImage = await image?.claim({ id, directory }, spec);
    if (ofImage !== undefined) claims.push(ofImage);
    if (volumes !== undefined) claims.push(await volumes.claim(directory, spec, image?.openRoot));
    const left = ofImage?.left;
    const prepared = await prepareContainer({
      id,
      left: left && {
        files: [...left.files, ...options.name === undefined ? [left.pin] : []],
        directories: left.directories,
      },
      token,
      root: config.root.value,
      spec,
      bundle: bundle?.directory ?? Deno.cwd(),
      detached: detach,
      remove: remove && !deletes,
      stdio: detach || tty ? [none, none, none] : [none, 1, 2],
      notifySocket: Deno.env.get("NOTIFY_SOCKET"),
      stopSignal: options.stopSignal ?? (image?.config.StopSignal || undefined),
      stopTimeout: options.stopTimeout === undefined
        ? undefined
        : parseInteger(options.stopTimeout, "--stop-timeout", -1, 2 ** 31 - 1),
      network: networks,
      networkRequest: network?.recorded,
      madeLater: options.explain ? network?.mounts.map(({ source }) => source!) : undefined,
      preserveFds,
      noPivot: options.noPivot,
      noNewKeyring: options.noNewKeyring,
      pidfdSocket: options.pidfdSocket,
      ...groupOptions(globals),
    });
    if (options.explain) {
      print(printProgram(prepared.program).trimEnd());
      await giveUp();
      return 0;
    }
    if (keep !== undefined) write("--keep", keep, () => makeKept(keep));
    if (cidfile !== undefined) {
      // docker's rule is that it must not be there yet.
      write("--cidfile", cidfile, () => createFile(cidfile, id));
      written.push(cidfile);
    }
    const parts = await loadRelayParts({
      tty: tty && !detach,
      notifies: !detach && !!prepared.options.notifySocket,
    });
    offer = isPlain && !deletes ? await offerNext(given, config, image?.config) : undefined;
    ({ launched, ready } = await startContainer(prepared, ({ init }, record) => {
      if (pidFile !== undefined) {
        write("--pid-file", pidFile, () => replaceFile(pidFile, String(init.pid)));
        written.push(pidFile);
      }
      const root = config.root.value;
      const isUnnamed = options.name === undefined;
      quietly(() =>
        offer?.look({ root, prepared, record, isUnnamed, token, input, image: ofImage })
      );
      if (detach) return;
      const notifies = prepared.options.notifySocket ? init : undefined;
      foreground = prepareForeground(parts, { tty, input, notifies });
      // From here on they are the container's.
      blockSignals();
    }));
  } catch (error) {
    await giveUp();
    for (const file of written) Deno.removeSync(file);
    throw error;
  }
  for (const claim of claims) claim[Symbol.dispose]();
  await quietly(() => offer?.keep());
  log("debug", `container ${id} runs as pid ${launched.init.pid}`);
  if (foreground === undefined) {
    print(id);
    if (ready !== undefined) becomeNotifier({ init: launched.init, ends: ready });
    return 0;
  }
  if (!deletes) runInForeground(launched, foreground, ready);
  const code = await stayInForeground(launched, foreground, ready);
  const warn = (message: string) => log("warn", message);
  await deleteContainer(config.root.value, id, { force: true, warn });
  return code;
}
