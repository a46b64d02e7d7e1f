import { CrateError } from "../../errors.ts";
import type { Descriptor, Platform } from "../types.ts";
import { quote } from "./quote.ts";

const PART = /^[A-Za-z0-9_.-]{1,64}$/;
/** An index may hold thousands of entries; a message lists as many platforms as a line or two hold. */
const LISTED = 20;

const SYSTEMS: ReadonlySet<string> = new Set(
  "aix android darwin dragonfly freebsd illumos ios js linux macos netbsd openbsd plan9 solaris wasip1 windows"
    .split(" "),
);
const ARCHITECTURES: ReadonlySet<string> = new Set(
  "386 amd64 arm arm64 loong64 mips mips64 mips64le mipsle ppc64 ppc64le riscv64 s390x wasm"
    .split(" "),
);

/**
 * The platform under the names that Go gives: `x86_64` is `amd64`, `aarch64` and `arm64/v8` are `arm64`, `armhf` and
 * plain `arm` are `arm/v7`.
 *
 * @see https://github.com/containerd/platforms
 */
export function normalizePlatform(platform: Platform): Platform {
  const os = platform.os.toLowerCase();
  const [architecture, variant] = normalizeArchitecture(
    platform.architecture.toLowerCase(),
    platform.variant?.toLowerCase() ?? "",
  );
  const { variant: _, ...rest } = platform;
  return {
    ...rest,
    os: os === "macos" ? "darwin" : os,
    architecture,
    ...(variant === "" ? {} : { variant }),
  };
}

function normalizeArchitecture(architecture: string, variant: string): [string, string] {
  switch (architecture) {
    case "i386":
      return ["386", ""];
    case "x86_64":
    case "x86-64":
    case "amd64":
      return ["amd64", variant === "v1" ? "" : variant];
    case "aarch64":
    case "arm64":
      return ["arm64", variant === "8" || variant === "v8" ? "" : variant];
    case "armhf":
      return ["arm", "v7"];
    case "armel":
      return ["arm", "v6"];
    case "arm":
      if (variant === "") return ["arm", "v7"];
      return ["arm", /^[5-8]$/.test(variant) ? `v${variant}` : variant];
    default:
      return [architecture, variant];
  }
}

/** The machine this runs on. */
export function hostPlatform(): Platform {
  return normalizePlatform({ os: "linux", architecture: Deno.build.arch });
}

/**
 * Reads `linux/arm64/v8`, `linux/amd64`, `arm64` or `linux`; what is left out is this machine's. The result is
 * normalized.
 *
 * @throws {CrateError} `INVALID`
 *
 * @example
 * ```ts
 * import { formatPlatform, parsePlatform } from "./platform.ts";
 * if (formatPlatform(parsePlatform("linux/aarch64")) !== "linux/arm64") throw new Error();
 * if (formatPlatform(parsePlatform("linux/arm")) !== "linux/arm/v7") throw new Error();
 * ```
 */
export function parsePlatform(text: string): Platform {
  const refuse = (why: string) => new CrateError("INVALID", `the platform ${quote(text)} ${why}`);
  const parts = text.split("/");
  if (parts.length > 3 || !parts.every((part) => PART.test(part))) {
    throw refuse("is not of the form linux/arm64 or linux/arm/v7");
  }
  const [first, architecture, variant] = parts;
  if (architecture !== undefined) {
    return normalizePlatform({ os: first!, architecture, ...(variant ? { variant } : {}) });
  }
  const host = hostPlatform();
  if (SYSTEMS.has(first!.toLowerCase())) return normalizePlatform({ ...host, os: first! });
  const alone = normalizePlatform({ os: host.os, architecture: first! });
  if (ARCHITECTURES.has(alone.architecture)) return alone;
  throw refuse("is neither a system nor an architecture: it must be like linux/arm64");
}

/** `linux/arm/v7`. */
export function formatPlatform({ os, architecture, variant }: Platform): string {
  return variant ? `${os}/${architecture}/${variant}` : `${os}/${architecture}`;
}

/**
 * The entry of an index that fits a machine best: the very variant first, then the highest one below it that such a
 * machine runs as well (`arm/v6` on `arm/v7`; `amd64` on `amd64/v3`). Among equals the first in the index wins, as the
 * image-spec says. An entry that names no platform is taken when no other fits. Never another architecture, even where
 * many machines would run it (386 on amd64, arm on arm64): who wants that says so.
 *
 * What is not an image is passed over: attestations, which builders give the platform `unknown/unknown`, and artifacts.
 *
 * @param source the image's name, for the message.
 * @throws {CrateError} `NOT_FOUND`, with the platforms that the image has.
 *
 * @example
 * ```ts
 * import { parsePlatform, selectPlatform } from "./platform.ts";
 * const digest = `sha256:${"0".repeat(64)}` as const;
 * const entry = { mediaType: "application/vnd.oci.image.manifest.v1+json", digest, size: 2 };
 * const v6 = { ...entry, platform: { os: "linux", architecture: "arm", variant: "v6" } };
 * if (selectPlatform([v6], parsePlatform("linux/arm/v7"), "alpine") !== v6) throw new Error();
 * ```
 */
export function selectPlatform(
  manifests: readonly Descriptor[],
  wanted: Platform,
  source: string,
): Descriptor {
  const want = normalizePlatform(wanted);
  let best: Descriptor | undefined;
  let bestFit = -1;
  const offered = new Set<string>();
  for (const entry of manifests) {
    if (!isImage(entry)) continue;
    if (entry.platform !== undefined) {
      offered.add(formatPlatform(normalizePlatform(entry.platform)));
    }
    const fit = fitOf(entry.platform, want);
    if (fit > bestFit) [best, bestFit] = [entry, fit];
  }
  if (best !== undefined) return best;
  const names = [...offered].slice(0, LISTED).map((name) => quote(name).slice(1, -1)).join(", ");
  const more = offered.size > LISTED ? ` and ${offered.size - LISTED} more` : "";
  const has = names === "" ? "holds no image" : `is for ${names}${more}`;
  throw new CrateError(
    "NOT_FOUND",
    `${source} has no image for ${formatPlatform(want)}: it ${has}`,
  );
}

function isImage(entry: Descriptor): boolean {
  if (entry.artifactType !== undefined) return false;
  if (entry.annotations?.["vnd.docker.reference.type"] === "attestation-manifest") return false;
  const { platform } = entry;
  return platform === undefined ||
    (platform.os !== "unknown" && platform.architecture !== "unknown");
}

/** How well an entry fits: -1 not at all, 0 it does not say, then the higher the better. */
function fitOf(platform: Platform | undefined, want: Platform): number {
  if (platform === undefined) return 0;
  const has = normalizePlatform(platform);
  if (has.os !== want.os || has.architecture !== want.architecture) return -1;
  if ((has.variant ?? "") === (want.variant ?? "")) return Infinity;
  const [level, most] = [levelOf(has), levelOf(want)];
  return level !== undefined && most !== undefined && level <= most ? level : -1;
}

/** What a platform has when it names no variant, for the architectures whose variants build on each other. */
const BASE: Readonly<Record<string, string>> = { amd64: "v1", arm: "v7", arm64: "v8" };

function levelOf({ architecture, variant }: Platform): number | undefined {
  const name = variant ?? (Object.hasOwn(BASE, architecture) ? BASE[architecture] : undefined);
  if (name === undefined || !Object.hasOwn(BASE, architecture)) return undefined;
  return /^v[0-9]{1,2}(?:\.[0-9])?$/.test(name) ? Number(name.slice(1)) : undefined;
}
