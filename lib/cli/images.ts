import type { Effective } from "../config/mod.ts";
import { CrateError } from "../errors.ts";
import {
  type Found,
  type OpenOptions,
  openStore,
  parsePlatform,
  parseReference,
  type Platform,
  pullImage,
  type RegistryOptions,
  registrySource,
  type Store,
} from "../image/mod.ts";
import { forEachWord } from "./each.ts";
import { log } from "./log.ts";
import type { ProgressView } from "./progress.ts";

/** Where one logs in when nothing is said: Docker Hub. */
export const DEFAULT_REGISTRY = "docker.io";

// What the commands on images have in common. Nothing that runs a container without one loads it.

/** The image store that the configuration names. @throws {CrateError} */
export function storeOf(config: Effective, options?: OpenOptions): Promise<Store> {
  return openStore(config["image_root"].value, options);
}

/** `--platform`. @throws {CrateError} `INVALID` */
export function platformOf(word: string | undefined): Platform | undefined {
  if (word === undefined) return undefined;
  try {
    return parsePlatform(word);
  } catch (error) {
    if (!(error instanceof CrateError)) throw error;
    throw new CrateError(error.code, `--platform: ${error.message}`, { cause: error });
  }
}

/** How registries are reached: what the configuration says, and `--insecure-registry`. */
export function registryOptions(
  config: Effective,
  insecure: readonly string[] = [],
): RegistryOptions {
  return {
    insecureRegistries: [...config["registries.insecure"].value, ...insecure],
    mirrors: config["registries.mirrors"].value,
    warn: (sentence) => log("warn", sentence),
  };
}

/** How a pull is asked for. */
export interface PullChoice {
  readonly platform?: Platform;
  readonly registry: RegistryOptions;
  readonly view: ProgressView;
}

/** Somebody wants it to end. The exit code is the signal's, as a shell has it. */
export class Interrupted extends CrateError {
  override readonly name = "CrateError" as const;
  readonly #signal: number;
  constructor(signal: number, message: string) {
    super("FAILED", message);
    this.#signal = signal;
  }
  override get exitCode(): number {
    return 128 + this.#signal;
  }
}

/**
 * Pulls an image by its name. SIGINT, SIGTERM and SIGHUP end it cleanly.
 *
 * @throws {CrateError}
 */
export function pull(
  store: Store,
  word: string,
  { platform, registry, view }: PullChoice,
): Promise<{ digest: string; found: Found }> {
  const kept = "interrupted: what has come of the image is kept for the next pull";
  return interruptible(kept, async (signal) => {
    using source = registrySource(parseReference(word), { ...registry, signal });
    return await pullImage(store, source, word, {
      ...(platform === undefined ? {} : { platform }),
      progress: (event) => view.show(event),
      signal,
    });
  });
}

/**
 * Does something long that SIGINT, SIGTERM and SIGHUP end cleanly, by the signal that it gets.
 *
 * @param message what it says then.
 * @throws {Interrupted}
 */
export async function interruptible<T>(
  message: string,
  act: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const stop = new AbortController();
  const signals = [["SIGHUP", 1], ["SIGINT", 2], ["SIGTERM", 15]] as const;
  const listeners = signals.map(([name, number]) =>
    [name, () => stop.abort(new Interrupted(number, message))] as const
  );
  for (const [name, listener] of listeners) Deno.addSignalListener(name, listener);
  const { signal } = stop;
  try {
    return await act(signal);
  } catch (error) {
    // Whatever was under way then says so in its own words.
    throw signal.aborted ? signal.reason : error;
  } finally {
    for (const [name, listener] of listeners) Deno.removeSignalListener(name, listener);
  }
}

/**
 * Does something with each image that was named, and goes on after one that fails, as docker does.
 *
 * @returns the exit code: the last failure's.
 */
export async function forEachImage(
  words: readonly string[],
  act: (word: string) => void | Promise<void>,
): Promise<number> {
  return await forEachWord(words, act, (error) => error instanceof Interrupted);
}
