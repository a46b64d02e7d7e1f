/**
 * Writes the system call tables of lib/security/seccomp from a kernel source tree's own `.tbl` files:
 *
 *     apt-get download linux-source-6.12 && dpkg-deb -x linux-source-*.deb . && tar -xJf usr/src/*.tar.xz
 *     deno run --allow-read --allow-write=lib scripts/syscall_tables.ts linux-source-6.12
 *
 * What is written: all names of a machine's ABIs in one string, and beside it one number for each name
 * with ten bits for each ABI: what a process that compiles one filter reads fastest.
 */

/** No such call in this ABI. */
const NONE = 1023;
/** arm's private calls, 0x0f0001 to 0x0f0006, stand at 1001 to 1006. */
const ARM_PRIVATE = 1000;

/** Calls that came after the tree, the same number everywhere: kernel version, name, number. */
const NEWER: [string, string, number][] = [
  ["6.13", "setxattrat", 463],
  ["6.13", "getxattrat", 464],
  ["6.13", "listxattrat", 465],
  ["6.13", "removexattrat", 466],
  ["6.15", "open_tree_attr", 467],
  ["6.17", "file_getattr", 468],
  ["6.17", "file_setattr", 469],
];
/** x86-64 and x32 only (6.18). */
const NEWER_X86_64: [string, number] = ["uprobe", 336];

/** arch/arm/include/uapi/asm/unistd.h: `__ARM_NR_BASE` and on. */
const ARM_CALLS = ["breakpoint", "cacheflush", "usr26", "usr32", "set_tls", "get_tls"];

type Table = Map<string, number>;

function readTable(path: string, abis: string[]): Table {
  const table: Table = new Map();
  for (const line of Deno.readTextFileSync(path).split("\n")) {
    const [number, abi, name] = line.replace(/#.*/, "").trim().split(/\s+/);
    if (name !== undefined && abis.includes(abi!)) table.set(name, Number(number));
  }
  if (table.size < 300) throw new Error(`${path}: only ${table.size} calls of ${abis.join(", ")}`);
  for (const [version, name, number] of NEWER) {
    const known = table.get(name) ?? number;
    if (known !== number) {
      throw new Error(`${path}: ${name} is ${known}, not ${number} (${version})`);
    }
    table.set(name, number);
  }
  return table;
}

function write(path: string, abis: string, version: string, tables: Table[]): void {
  const names = [...new Set(tables.flatMap((table) => [...table.keys()]))].sort();
  const numbers = names.map((name) => {
    let packed = 0;
    for (const [i, table] of tables.entries()) {
      const number = table.get(name) ?? NONE;
      if (number > NONE) throw new Error(`${name}: ${number} does not fit into ten bits`);
      packed += number * 1024 ** i;
    }
    return packed;
  });
  Deno.writeTextFileSync(
    path,
    `// Written by scripts/syscall_tables.ts from Linux ${version} and the calls added up to 6.18.
// deno-fmt-ignore-file

/** Every call's name in ${abis}, sorted, with spaces between. */
export const NAMES =
"${names.join(" ")}";

/** For each name: ${abis}, ten bits each from the lowest; 1023 where it has no such call. */
export const NUMBERS: readonly number[] = [
${numbers.join(",").replace(/(.{90,99}),/g, "$1,\n")}];
`,
  );
  console.log(`${path}: ${names.length} names`);
}

const [tree] = Deno.args;
if (tree === undefined) throw new Error("usage: scripts/syscall_tables.ts KERNEL-SOURCE-TREE");
const version = ["VERSION", "PATCHLEVEL", "SUBLEVEL"]
  .map((key) => RegExp(`^${key} = (\\d+)`, "m").exec(Deno.readTextFileSync(`${tree}/Makefile`))![1])
  .join(".");
const x86 = `${tree}/arch/x86/entry/syscalls`;
const x86_64 = readTable(`${x86}/syscall_64.tbl`, ["common", "64"]);
const x32 = readTable(`${x86}/syscall_64.tbl`, ["common", "x32"]);
for (const table of [x86_64, x32]) table.set(...NEWER_X86_64);
const i386 = readTable(`${x86}/syscall_32.tbl`, ["i386"]);
// arch/arm64/kernel/Makefile.syscalls names these classes of calls for the 64-bit table.
const arm64 = ["common", "64", "renameat", "rlimit", "memfd_secret"];
const aarch64 = readTable(`${tree}/scripts/syscall.tbl`, arm64);
const arm = readTable(`${tree}/arch/arm/tools/syscall.tbl`, ["common", "eabi"]);
for (const [i, name] of ARM_CALLS.entries()) arm.set(name, ARM_PRIVATE + 1 + i);

const folder = new URL("../lib/security/seccomp/", import.meta.url).pathname;
write(`${folder}syscalls_x86.ts`, "x86-64, i386 and x32", version, [x86_64, i386, x32]);
write(`${folder}syscalls_arm.ts`, "arm64 and arm", version, [aarch64, arm]);
