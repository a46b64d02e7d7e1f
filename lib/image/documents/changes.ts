import { CrateError } from "../../errors.ts";
import type { ExecutionConfig } from "../types.ts";

// The instructions of a Dockerfile that change an image's configuration, as `docker commit --change` and
// `docker import --change` take them.

type Config = { -readonly [Name in keyof ExecutionConfig]: ExecutionConfig[Name] };

/** Docker's shell, for commands that are one text. */
const SHELL = ["/bin/sh", "-c"];

/**
 * A configuration with instructions applied, one after the other: `CMD ["/bin/sh"]`, `ENV A=1 B="2 3"`, `USER app`.
 *
 * @throws {CrateError} `INVALID` naming the instruction.
 *
 * @example
 * ```ts
 * import { applyChanges } from "./changes.ts";
 * const { Cmd, Env } = applyChanges({}, ['CMD ["id", "-u"]', "ENV A=1"]);
 * if (Cmd?.join(" ") !== "id -u" || Env?.[0] !== "A=1") throw new Error();
 * ```
 *
 * @see https://docs.docker.com/reference/dockerfile/
 */
export function applyChanges(
  config: ExecutionConfig,
  changes: readonly string[],
): ExecutionConfig {
  const changed: Config = { ...config };
  for (const change of changes) {
    // podman writes `CMD=/bin/sh` as well.
    const [, name = "", rest = ""] = /^\s*([A-Za-z]+)(?:[\s=]\s*(.*?))?\s*$/s.exec(change) ?? [];
    const apply = INSTRUCTIONS[name.toUpperCase()];
    if (apply === undefined) {
      const known = Object.keys(INSTRUCTIONS).join(", ");
      throw new CrateError("INVALID", `--change ${change}: it begins with one of ${known}`);
    }
    if (rest === "") throw refuse(change, "has no value");
    apply(changed, rest, change, config);
  }
  return changed;
}

type Apply = (config: Config, rest: string, change: string, before: ExecutionConfig) => void;

const INSTRUCTIONS: Readonly<Record<string, Apply>> = {
  CMD(config, rest, change) {
    config.Cmd = command(rest, config, change);
  },
  ENTRYPOINT(config, rest, change, before) {
    config.Entrypoint = command(rest, config, change);
    // As in a build: the Cmd that was there before was meant for the old one.
    if (config.Cmd === before.Cmd) delete config.Cmd;
  },
  ENV(config, rest, change) {
    const env = new Map((config.Env ?? []).map((word) => [word.split("=")[0]!, word]));
    for (const [name, value] of pairs(rest, change)) env.set(name, `${name}=${value}`);
    config.Env = [...env.values()];
  },
  EXPOSE(config, rest, change) {
    const ports = rest.split(/\s+/).map((word) => {
      if (!/^\d{1,5}(-\d{1,5})?(\/(tcp|udp|sctp))?$/.test(word)) {
        throw refuse(change, `${word} is no port, such as 80 or 53/udp`);
      }
      return word.includes("/") ? word : `${word}/tcp`;
    });
    config.ExposedPorts = { ...config.ExposedPorts, ...sets(ports) };
  },
  LABEL(config, rest, change) {
    config.Labels = { ...config.Labels, ...Object.fromEntries(pairs(rest, change)) };
  },
  ONBUILD(config, rest) {
    config.OnBuild = [...config.OnBuild ?? [], rest];
  },
  STOPSIGNAL(config, rest) {
    config.StopSignal = rest;
  },
  USER(config, rest) {
    config.User = rest;
  },
  VOLUME(config, rest, change) {
    const paths = rest.startsWith("[") ? list(rest, change) : rest.split(/\s+/);
    config.Volumes = { ...config.Volumes, ...sets(paths) };
  },
  WORKDIR(config, rest) {
    const from = (config.WorkingDir ?? "").replace(/\/+$/, "");
    config.WorkingDir = rest.startsWith("/") ? rest : `${from}/${rest}`;
  },
};

function refuse(change: string, why: string): CrateError {
  return new CrateError("INVALID", `--change ${change}: ${why}`);
}

const sets = (names: readonly string[]): Record<string, object> =>
  Object.fromEntries(names.map((name) => [name, {}]));

function list(text: string, change: string): string[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Told below.
  }
  if (Array.isArray(value) && value.every((word) => typeof word === "string")) return value;
  throw refuse(change, 'what begins with [ must be a JSON list of strings, such as ["/bin/sh"]');
}

/** `["a", "b"]`, or a line for the shell. */
function command(text: string, config: Config, change: string): string[] {
  if (text.startsWith("[")) return list(text, change);
  return [...config.Shell ?? SHELL, text];
}

/** `A=1 B="2 3" C=d\ e`, or as Dockerfiles once had it `A the rest`. */
function pairs(text: string, change: string): [name: string, value: string][] {
  const old = /^([^\s=]+)\s+(.*)$/s.exec(text);
  if (old !== null) return [[old[1]!, unquoted(old[2]!)]];
  const found: [string, string][] = [];
  const pattern = /\s*([^\s="']+)=((?:"(?:[^"\\]|\\.)*"|'[^']*'|\\.|[^\s"'\\])*)(?=\s|$)/ys;
  for (let at = 0; at < text.length; at = pattern.lastIndex) {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match === null) throw refuse(change, "it is NAME=VALUE, with quotes around spaces");
    found.push([match[1]!, unquoted(match[2]!)]);
  }
  return found;
}

function unquoted(text: string): string {
  return text.replace(/"((?:[^"\\]|\\.)*)"|'([^']*)'|\\(.)/gs, (_, double, single, escaped) => {
    if (double !== undefined) return double.replace(/\\(["\\$])/g, "$1");
    return single ?? escaped;
  });
}
