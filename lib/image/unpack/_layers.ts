import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import type { Descriptor, Digest } from "../types.ts";
import { unpackLayer, type UnpackOptions } from "./mod.ts";

// Layers are made by GNU tar and, where it would not, by hand; results are read with stat(1).

/** A member of an archive made by hand. */
export interface Member {
  readonly path: string;
  readonly type?: string;
  readonly link?: string;
  readonly data?: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly pax?: Readonly<Record<string, string>>;
}

function header(path: string, type: string, size: number, member: Partial<Member>): Uint8Array {
  const block = new Uint8Array(512);
  const put = (at: number, text: string) => block.set(new TextEncoder().encode(text), at);
  const octal = (value: number, digits: number) => value.toString(8).padStart(digits, "0");
  put(0, path);
  put(100, octal(member.mode ?? (type === "5" ? 0o755 : 0o644), 7));
  put(108, octal(member.uid ?? 0, 7));
  put(116, octal(member.uid ?? 0, 7));
  put(124, octal(size, 11));
  put(136, octal(1_000_000_000, 11));
  put(148, "        ");
  put(156, type);
  put(157, member.link ?? "");
  put(257, "ustar");
  put(263, "00");
  put(148, `${octal(block.reduce((sum, byte) => sum + byte, 0), 6)}\0 `);
  return block;
}

function padded(text: string): Uint8Array {
  const bytes = new TextEncoder().encode(text);
  const whole = new Uint8Array(Math.ceil(bytes.length / 512) * 512);
  whole.set(bytes);
  return whole;
}

/** An archive of members, however wrong. */
export function archive(members: readonly Member[]): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [];
  for (const member of members) {
    if (member.pax !== undefined || member.path.length > 99) {
      const pax = { ...member.pax, ...member.path.length > 99 && { path: member.path } };
      let text = "";
      for (const [key, value] of Object.entries(pax)) {
        const rest = ` ${key}=${value}\n`;
        let length = rest.length;
        while (`${length}`.length + rest.length !== length) length++;
        text += `${length}${rest}`;
      }
      parts.push(header("pax", "x", text.length, {}), padded(text));
    }
    const data = member.data ?? "";
    parts.push(header(member.path.slice(0, 99), member.type ?? "0", data.length, member));
    parts.push(padded(data));
  }
  parts.push(new Uint8Array(1024));
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

export const digestOf = (bytes: Uint8Array): Digest =>
  `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

/** Bytes as they would come from a network. */
export function pieces(bytes: Uint8Array<ArrayBuffer>): ReadableStream<Uint8Array<ArrayBuffer>> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) controller.close();
      else controller.enqueue(bytes.slice(at, at += 10_000));
    },
  });
}

/** Unpacks an archive, compressed, into a directory that is made for it. */
export async function unpack(
  tar: Uint8Array<ArrayBuffer>,
  directory: string,
  more: Partial<UnpackOptions> = {},
) {
  Deno.mkdirSync(directory);
  const bytes = new Uint8Array(gzipSync(tar));
  const descriptor: Descriptor = {
    mediaType: "application/vnd.oci.image.layer.v1.tar+gzip",
    digest: digestOf(bytes),
    size: bytes.length,
  };
  return await unpackLayer({
    source: pieces(bytes),
    descriptor,
    diffId: digestOf(tar),
    directory,
    xattrs: "trusted",
    ...more,
  });
}

/** What a program prints. */
export async function output(command: string, ...args: string[]): Promise<string> {
  const result = await new Deno.Command(command, { args }).output();
  const text = new TextDecoder();
  assert(result.success, `${command} ${args.join(" ")}: ${text.decode(result.stderr)}`);
  return text.decode(result.stdout);
}

/** Everything of a tree that an archive can hold. */
export async function tree(directory: string): Promise<string> {
  const list = await output(
    "sh",
    "-c",
    `cd "$1" && find . -printf '%p %y %m %U %G %T@ %n %l ' \\( -type f -printf '%s ' -exec sha256sum {} \\; ` +
      `-o -exec stat -c '%t %T' {} \\; \\) | sort`,
    "sh",
    directory,
  );
  return list;
}

/** A directory for a test, with one beside it that nothing may touch. */
export async function inside(run: (home: string) => Promise<void>): Promise<void> {
  const home = Deno.makeTempDirSync({ prefix: "crate-unpack-" });
  Deno.mkdirSync(`${home}/outside`);
  Deno.writeTextFileSync(`${home}/outside/canary`, "alive");
  try {
    await run(home);
    assert.equal(Deno.readTextFileSync(`${home}/outside/canary`), "alive");
    assert.deepEqual([...Deno.readDirSync(`${home}/outside`)].map(({ name }) => name), ["canary"]);
  } finally {
    Deno.removeSync(home, { recursive: true });
  }
}
