/**
 * The kernel of the test machine: Debian's newest cloud kernel, unpacked into a folder of ours and
 * never installed.
 *
 * @module
 */
import { existsSync } from "node:fs";

/** A kernel that was unpacked: its image, its modules, its release as `uname -r` tells it. */
export interface Kernel {
  readonly image: string;
  readonly modules: string;
  readonly release: string;
}

/** Runs a program to its end and returns its stdout; throws with its stderr when it fails. */
export async function output(program: string, args: string[], cwd?: string): Promise<string> {
  const bytes = await outputBytes(program, args, cwd);
  return new TextDecoder().decode(bytes);
}

async function outputBytes(
  program: string,
  args: string[],
  cwd?: string,
): Promise<Uint8Array<ArrayBuffer>> {
  const command = new Deno.Command(program, { args, cwd, stdin: "null", env: { LC_ALL: "C" } });
  const { success, stdout, stderr } = await command.output();
  if (!success) {
    throw new Error(`${program} ${args.join(" ")}: ${new TextDecoder().decode(stderr).trim()}`);
  }
  return stdout;
}

/**
 * The kernel in `folder`, fetched by apt when there is none yet.
 *
 * @throws {Error} when apt knows no such kernel or cannot fetch it.
 */
export async function kernel(folder: string): Promise<Kernel> {
  const current = `${folder}/kernel`;
  if (!existsSync(current)) {
    const part = Deno.makeTempDirSync({ dir: folder, prefix: "kernel-" });
    await unpack(await newest(), part);
    // A link is made or is not: of two first runs the slower one throws its copy away.
    try {
      Deno.symlinkSync(part.slice(folder.length + 1), current);
    } catch (error) {
      Deno.removeSync(part, { recursive: true });
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    }
  }
  const base = Deno.realPathSync(current);
  const release = [...Deno.readDirSync(`${base}/lib/modules`)][0]!.name;
  return { image: `${base}/boot/vmlinuz-${release}`, modules: `${base}/lib/modules`, release };
}

/** The package's name holds the version of the kernel's ABI, which changes every few weeks. */
async function newest(): Promise<string> {
  const pattern = "^linux-image-[0-9.]+.*-cloud-amd64$";
  const find = async () => (await output("apt-cache", ["search", "--names-only", pattern])).trim();
  let found = await find();
  if (found === "") {
    await output("apt-get", ["update", "-qq"]);
    found = await find();
  }
  const version = (name: string) => name.match(/\d+/g)!.map(Number);
  const names = found.split("\n").map((line) => line.split(" ")[0]!)
    .filter((name) => /^linux-image-\d+\.\d+\.\d+.*-cloud-amd64$/.test(name));
  names.sort((a, b) => {
    const [left, right] = [version(a), version(b)];
    const at = left.findIndex((number, index) => number !== right[index]);
    return at < 0 ? 0 : left[at]! - (right[at] ?? 0);
  });
  const name = names.at(-1);
  if (name === undefined) throw new Error("apt knows no linux-image-*-cloud-amd64");
  return name;
}

async function unpack(name: string, folder: string): Promise<void> {
  try {
    await output("apt-get", ["download", "-qq", name], folder);
  } catch {
    // The lists may name a version that the mirror no longer has.
    await output("apt-get", ["update", "-qq"]);
    await output("apt-get", ["download", "-qq", name], folder);
  }
  const file = [...Deno.readDirSync(folder)].find((entry) => entry.name.endsWith(".deb"))!.name;
  await output("dpkg-deb", ["-x", `${folder}/${file}`, folder]);
  Deno.removeSync(`${folder}/${file}`);
  const release = [...Deno.readDirSync(`${folder}/lib/modules`)][0]!.name;
  await output("busybox", ["depmod", "-b", folder, release]);
}

/**
 * The uncompressed modules that `names` need, each after those it needs itself; what is built into
 * the kernel is left out.
 */
export async function modules(
  { modules, release }: Kernel,
  names: readonly string[],
): Promise<Uint8Array[]> {
  const needs = new Map<string, { file: string; needed: string[] }>();
  const moduleName = (path: string) => path.split("/").at(-1)!.split(".")[0]!.replaceAll("-", "_");
  for (const line of Deno.readTextFileSync(`${modules}/${release}/modules.dep`).split("\n")) {
    const [file, needed = ""] = line.split(":");
    const list = needed.split(" ").filter((path) => path !== "").map(moduleName);
    if (file !== "") needs.set(moduleName(file!), { file: file!, needed: list });
  }
  const ordered = new Set<string>();
  const visit = (name: string) => {
    const entry = needs.get(name);
    if (entry === undefined) return;
    entry.needed.forEach(visit);
    ordered.add(entry.file);
  };
  names.forEach(visit);
  const load = (file: string) => {
    const path = `${modules}/${release}/${file}`;
    return file.endsWith(".xz") ? outputBytes("busybox", ["xzcat", path]) : Deno.readFile(path);
  };
  return await Promise.all([...ordered].map(load));
}
