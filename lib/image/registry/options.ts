import { pause } from "../../timers.ts";
import type { Credentials } from "./credentials.ts";
import type { CertifiedClient } from "./client_options.ts";

/** How a registry is reached. All of it may be left out. */
export interface RegistryOptions {
  /** Registries (`host` or `host:port`) that may be spoken to over plain HTTP where they have no HTTPS. */
  readonly insecureRegistries?: readonly string[];
  /** For a registry's name the mirrors (`host:port` or `host:port/prefix`) that are asked before it. */
  readonly mirrors?: Readonly<Record<string, readonly string[]>>;
  /** Credentials for the registry itself, instead of what the files have. Mirrors have their own. */
  readonly credentials?: Credentials;
  /** The one file with credentials; by default those that Docker and podman have. */
  readonly authFile?: string;
  /** Directories with one directory a registry, in it its certificates; default: Docker's and podman's. */
  readonly certificateDirectories?: readonly string[];
  /** A connection on which nothing comes for so many milliseconds is given up and made anew: 30,000. */
  readonly stallTimeout?: number;
  /** How often something is tried before its failure is one: 6. */
  readonly attempts?: number;
  /** Told what does not end what is under way: a credential helper that fails, where anybody may come in. */
  readonly warn?: (sentence: string) => void;
  /** Ends everything that is under way. */
  readonly signal?: AbortSignal;
  /** Tells an environment variable. */
  readonly env?: (name: string) => string | undefined;
  /** Waits; for tests. Milliseconds. */
  readonly sleep?: (ms: number, signal?: AbortSignal) => Promise<void>;
  /** The time, milliseconds since 1970; for tests. */
  readonly now?: () => number;
  /** A number from 0 to 1; for tests. */
  readonly random?: () => number;
  /** What sends a request; for tests. */
  readonly fetch?: (url: URL, init: RequestInit & { client: Deno.HttpClient }) => Promise<Response>;
  /** What makes a client of what an origin needs; for tests. */
  readonly createClient?: (options: CertifiedClient) => Deno.HttpClient;
}

/** The options with their defaults. */
export interface Settings extends RegistryOptions {
  readonly stallTimeout: number;
  readonly attempts: number;
  readonly env: (name: string) => string | undefined;
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
  readonly now: () => number;
  readonly random: () => number;
}

/** Fills in what is left out. */
export function settings(options: RegistryOptions): Settings {
  return {
    ...options,
    stallTimeout: options.stallTimeout ?? 30_000,
    attempts: Math.max(1, options.attempts ?? 6),
    env: options.env ?? ((name) => Deno.env.get(name)),
    sleep: options.sleep ?? pause,
    now: options.now ?? Date.now,
    random: options.random ?? Math.random,
  };
}

/** What a promise gives that others wait for too, unless the signal comes first, whose reason is thrown. */
export function orAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}
