import assert from "node:assert/strict";
import type { Descriptor } from "../types.ts";
import { formatPlatform, hostPlatform, parsePlatform, selectPlatform } from "./platform.ts";

Deno.test("a platform is read under Go's names", () => {
  const cases: [string, string][] = [
    ["linux/amd64", "linux/amd64"],
    ["Linux/x86_64", "linux/amd64"],
    ["linux/amd64/v1", "linux/amd64"],
    ["linux/amd64/v3", "linux/amd64/v3"],
    ["linux/aarch64", "linux/arm64"],
    ["linux/arm64/v8", "linux/arm64"],
    ["linux/arm64/8", "linux/arm64"],
    ["linux/arm", "linux/arm/v7"],
    ["linux/arm/6", "linux/arm/v6"],
    ["linux/armhf", "linux/arm/v7"],
    ["linux/armel", "linux/arm/v6"],
    ["linux/i386", "linux/386"],
    ["macos/arm64", "darwin/arm64"],
    ["arm64", "linux/arm64"],
    ["armhf", "linux/arm/v7"],
    ["linux", formatPlatform(hostPlatform())],
  ];
  for (const [text, normal] of cases) {
    assert.equal(formatPlatform(parsePlatform(text)), normal, text);
  }
});

Deno.test("what is no platform is refused", () => {
  for (
    const text of ["", "/", "linux/", "linux/arm/v7/x", "linux/a b", "toaster", "linux/\u001b[2J"]
  ) {
    assert.throws(() => parsePlatform(text), {
      name: "CrateError",
      code: "INVALID",
      message: /^the platform ".*" is n/,
    });
  }
});

/** An entry for `os/arch/variant`, or for none; its size tells it from others. */
function entry(platform: string | undefined, size = 1): Descriptor {
  const [os = "", architecture = "", variant] = platform?.split("/") ?? [];
  return {
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    digest: `sha256:${"0".repeat(64)}`,
    size,
    ...platform === undefined
      ? {}
      : { platform: { os, architecture, ...variant ? { variant } : {} } },
  };
}

function select(wanted: string, offered: (string | undefined)[]): string | undefined {
  const chosen = selectPlatform(
    offered.map((platform) => entry(platform)),
    parsePlatform(wanted),
    "alpine",
  );
  return chosen.platform && formatPlatform(chosen.platform);
}

Deno.test("of an index the very variant is taken, then the next lower", () => {
  assert.equal(select("linux/arm/v7", ["linux/arm/v6", "linux/arm/v7"]), "linux/arm/v7");
  assert.equal(select("linux/arm/v7", ["linux/arm/v5", "linux/arm/v6"]), "linux/arm/v6");
  assert.equal(select("linux/arm/v7", ["linux/arm/v5", "linux/arm"]), "linux/arm");
  assert.equal(select("linux/arm64", ["linux/amd64", "linux/arm64/v8"]), "linux/arm64/v8");
  assert.equal(select("linux/arm64/v9", ["linux/arm64"]), "linux/arm64");
  assert.equal(select("linux/amd64/v3", ["linux/amd64", "linux/amd64/v2"]), "linux/amd64/v2");
  assert.equal(select("linux/amd64/v3", ["linux/amd64", "linux/amd64/v4"]), "linux/amd64");
  assert.equal(select("linux/amd64", ["windows/amd64", "linux/amd64"]), "linux/amd64");
});

Deno.test("an entry without a platform is the last resort, and what is no image is none", () => {
  assert.equal(select("linux/amd64", [undefined, "linux/amd64"]), "linux/amd64");
  assert.equal(select("linux/amd64", ["linux/arm64", undefined]), undefined);
  const attestation = {
    ...entry(undefined),
    annotations: { "vnd.docker.reference.type": "attestation-manifest" },
  };
  const signature = { ...entry(undefined), artifactType: "application/x" };
  const image = entry(undefined, 7);
  const all = [attestation, signature, entry("unknown/unknown"), image];
  assert.equal(selectPlatform(all, hostPlatform(), "alpine"), image);
});

Deno.test("the first of two entries that fit alike is taken", () => {
  const [first, second] = [entry("linux/arm64/v8", 1), entry("linux/arm64", 2)];
  assert.equal(selectPlatform([first, second], parsePlatform("arm64"), "alpine"), first);
});

Deno.test("an index without the platform is refused with those it has", () => {
  const refused = (wanted: string, offered: string[], message: string) =>
    assert.throws(() => select(wanted, offered), {
      name: "CrateError",
      code: "NOT_FOUND",
      message,
    });
  refused(
    "linux/riscv64",
    ["linux/amd64", "linux/arm/v7", "unknown/unknown", "linux/amd64"],
    "alpine has no image for linux/riscv64: it is for linux/amd64, linux/arm/v7",
  );
  refused(
    "linux/arm/v6",
    ["linux/arm/v7"],
    "alpine has no image for linux/arm/v6: it is for linux/arm/v7",
  );
  refused("linux/amd64", [], "alpine has no image for linux/amd64: it holds no image");
  refused(
    "linux/constructor",
    ["linux/toString/v1"],
    "alpine has no image for linux/constructor: it is for linux/tostring/v1",
  );
  const many = Array.from({ length: 25 }, (_, i) => `linux/x${i}`);
  assert.throws(() => select("linux/amd64", many), { message: /x19 and 5 more$/ });
});
