/**
 * Runs a command as root in a virtual machine that has cgroup v2 alone, with every controller, on a
 * copy-on-write view of this machine's files: qemu without hardware acceleration, Debian's cloud kernel,
 * the root read-only over virtiofs and a tmpfs above it. Nothing the command writes remains.
 *
 * Exits with the command's status; 124 when it takes too long, 125 when the machine itself fails.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { cpio } from "./lib/cpio.ts";
import { type Kernel, kernel, modules } from "./lib/kernel.ts";

const USAGE = "usage: scripts/vm [--memory MB] [--cpus N] [--timeout SECONDS] COMMAND...";
const VIRTIOFSD = "/usr/lib/qemu/virtiofsd";
const KERNEL_WORDS = [
  "cgroup_no_v1=all",
  "console=ttyS0",
  "panic=-1",
  "quiet",
  "lsm=landlock,yama",
  // A busy host may stop the machine just while the kernel tries its timer, which it takes for broken then: it panics.
  "no_timer_check",
];
/** What costs time in an emulated machine and is of no use there: a fifth of a container engine's time. */
const FASTER_WORDS = [
  // What a program's code was translated to serves its next start too, at the same addresses: Deno starts in
  // half the time.
  "norandmaps",
  "no5lvl",
  // A real processor needs it, against its own mistakes.
  "mitigations=off",
  // Pages are cleared by a loop: the instruction for it (rep_good) is emulated word by word.
  "clearcpuid=112",
  "init_on_alloc=0",
  // What a large page maps is forgotten whole, with all else, whenever a part of it changes.
  "transparent_hugepage=never",
  "tsc=reliable",
];
/**
 * Without the instructions that copy fast byte by byte: they are emulated so, one byte after the other. Without
 * wide registers, and so without what saves them at each switch of processes: a tenth of the time of most programs.
 */
const PROCESSOR = "max,-erms,-fsrm,-xsave,-avx,-avx2,-pku";
const root = Deno.realPathSync(new URL("..", import.meta.url));
const scripts = `${root}/scripts/lib`;

interface Options {
  readonly memory: number;
  readonly cpus: number;
  readonly timeout: number;
  readonly command: readonly string[];
}

function fail(sentence: string): never {
  console.error(`scripts/vm: ${sentence}`);
  Deno.exit(125);
}

function readOptions(): Options {
  const words = Deno.args;
  // Options end at the command: what follows is the command's.
  let first = 0;
  while (words[first]?.startsWith("-")) first += words[first]!.includes("=") ? 1 : 2;
  const { values } = parseArgs({
    args: words.slice(0, first),
    options: {
      memory: { type: "string", default: "2048" },
      cpus: { type: "string", default: "2" },
      timeout: { type: "string", default: "600" },
    },
  });
  const number = (name: "memory" | "cpus" | "timeout") => {
    const value = Number(values[name]);
    if (!Number.isInteger(value) || value < 1) {
      fail(`--${name} must be a positive number, got "${values[name]}". ${USAGE}`);
    }
    return value;
  };
  const command = words.slice(first);
  if (command.length === 0) fail(`no command. ${USAGE}`);
  return { memory: number("memory"), cpus: number("cpus"), timeout: number("timeout"), command };
}

const quote = (word: string) => `'${word.replaceAll("'", `'\\''`)}'`;
const folderOf = (path: string) => path.slice(0, path.lastIndexOf("/"));

async function initramfs(found: Kernel, command: readonly string[]): Promise<Uint8Array> {
  const deno = Deno.execPath();
  const denoDir = Deno.env.get("DENO_DIR") ?? `${Deno.env.get("HOME") ?? "/root"}/.cache/deno`;
  const path = `${folderOf(deno)}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`;
  const settings = {
    PATH: path,
    cwd: Deno.cwd(),
    keep: [root, Deno.cwd(), folderOf(deno), denoDir].join(" "),
    modules: found.modules,
    release: found.release,
  };
  const env = {
    HOME: "/root",
    TERM: "dumb",
    LC_ALL: "C.UTF-8",
    NO_COLOR: "1",
    DENO_DIR: denoDir,
    DENO_NO_UPDATE_CHECK: "1",
    // What V8 compiles as it goes is translated once more, each time: without, Deno starts in half the time.
    // Threads that help it only take the one processor that there is from it: without, crate takes a tenth less.
    DENO_V8_FLAGS: "--jitless,--single-threaded",
    // For tests that repeat a thing a thousand times, where every start takes a second.
    TEST_MACHINE: "vm",
  };
  const assign = (values: Record<string, string>) =>
    Object.entries(values).map(([name, value]) => `${name}=${quote(value)}`);
  const wanted = await modules(found, ["virtio_pci", "virtiofs", "virtio_console", "overlay"]);
  return cpio(["bin", "dev", "proc", "sys", "vm"], [
    { path: "bin/busybox", content: readFileSync("/bin/busybox") },
    { path: "init", content: readFileSync(`${scripts}/vm_init.sh`) },
    { path: "vm/vm_guest.sh", content: readFileSync(`${scripts}/vm_guest.sh`) },
    { path: "vm/settings", content: `${assign(settings).join("\n")}\n` },
    {
      path: "vm/command",
      content: `export ${assign(env).join(" ")}\nexec ${command.map(quote).join(" ")}\n`,
    },
    ...wanted.map((content, index) => ({ path: `vm/${100 + index}.ko`, content })),
  ]);
}

function machine(found: Kernel, options: Options, folder: string): string[] {
  // The first two ports lead to qemu's own stdout and stderr, which are pipes to this program.
  const port = (number: number, path: string) => [
    ...["-chardev", `file,id=port${number},path=${path}`],
    ...["-device", `virtserialport,bus=ports.0,nr=${number},chardev=port${number}`],
  ];
  return [
    ...["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"],
    ...["-bios", "qboot.rom", "-machine", "q35,memory-backend=memory", "-cpu", PROCESSOR],
    // One thread for both processors: with two, a kernel that patches its code on one while it runs on
    // the other ends in "Oops: int3" about once in 60 boots (qemu 7.2).
    ...["-accel", "tcg,thread=single"],
    ...["-smp", String(options.cpus), "-m", String(options.memory)],
    ...["-object", `memory-backend-memfd,id=memory,size=${options.memory}M,share=on`],
    ...["-kernel", found.image, "-initrd", `${folder}/initramfs`],
    ...["-append", [...KERNEL_WORDS, ...FASTER_WORDS].join(" ")],
    ...["-serial", `file:${folder}/console`],
    ...["-chardev", `socket,id=files,path=${folder}/socket`],
    ...["-device", "vhost-user-fs-pci,chardev=files,tag=root,queue-size=1024"],
    ...["-device", "virtio-serial-pci,id=ports,max_ports=4"],
    ...port(1, "/dev/fd/1"),
    ...port(2, "/dev/fd/2"),
    ...port(3, `${folder}/status`),
  ];
}

/** Starts a program that the kernel ends when this process ends, in whatever way. */
function start(program: string, args: string[]): Deno.ChildProcess {
  return new Deno.Command("setpriv", {
    args: ["--pdeathsig", "KILL", "--", program, ...args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

const pause = () => new Promise<void>((resolve) => setTimeout(resolve, 10));

async function until(condition: () => boolean, seconds: number): Promise<boolean> {
  for (const end = Date.now() + seconds * 1000; !condition();) {
    if (Date.now() > end) return false;
    await pause();
  }
  return true;
}

async function run(options: Options, folder: string): Promise<number> {
  const read = (name: string) =>
    existsSync(`${folder}/${name}`) ? readFileSync(`${folder}/${name}`, "utf8") : "";
  const hasStatus = () => read("status").endsWith("\n");
  const cache = `${root}/.cache/vm`;
  Deno.mkdirSync(cache, { recursive: true });
  const found = await kernel(cache);
  Deno.writeFileSync(`${folder}/initramfs`, await initramfs(found, options.command));
  const files = start(VIRTIOFSD, [
    ...[`--socket-path=${folder}/socket`, "--rlimit-nofile=20000", "-f"],
    ...["-o", "source=/", "-o", "sandbox=chroot", "-o", "cache=always"],
  ]);
  const said = files.stderr.text();
  let qemu: Deno.ChildProcess | undefined;
  /** Why the machine was stopped from outside. */
  let stopped: { status: number; why: string } | undefined;
  const stop = () => {
    for (const process of [qemu, files]) {
      try {
        process?.kill("SIGKILL");
      } catch {
        // It has ended by itself.
      }
    }
  };
  const interrupt = (status: number, why: string) => () => {
    stopped ??= { status, why };
    stop();
  };
  const signals = [["SIGHUP", 1], ["SIGINT", 2], ["SIGTERM", 15]] as const;
  const listeners = signals.map(([name, number]) =>
    [name, interrupt(128 + number, `stopped by ${name}`)] as const
  );
  for (const [name, listener] of listeners) Deno.addSignalListener(name, listener);
  const timer = setTimeout(
    interrupt(124, `stopped after ${options.timeout} seconds`),
    options.timeout * 1000,
  );
  try {
    if (!await until(() => stopped !== undefined || existsSync(`${folder}/socket`), 10)) {
      stop();
      throw new Error(`virtiofsd does not start: ${lastLines(await said)}`);
    }
    qemu = start("qemu-system-x86_64", machine(found, options, folder));
    const ended = qemu.status.then(() => true);
    // The status comes after all output has left the machine; turning it off properly takes a second.
    const answered = async () => {
      while (!hasStatus()) if (await Promise.race([ended, pause()])) return;
      stop();
    };
    await Promise.all([
      answered(),
      qemu.stdout.pipeTo(Deno.stdout.writable, { preventClose: true }),
      qemu.stderr.pipeTo(Deno.stderr.writable, { preventClose: true }),
    ]);
  } finally {
    clearTimeout(timer);
    stop();
    await files.status;
    for (const [name, listener] of listeners) Deno.removeSignalListener(name, listener);
  }
  if (stopped !== undefined) {
    console.error(`scripts/vm: ${stopped.why}`);
    return stopped.status;
  }
  if (!hasStatus()) {
    throw new Error(`the machine ended early: ${lastLines(read("console"))}`);
  }
  return Number(read("status"));
}

function lastLines(text: string): string {
  return text.trim() === "" ? "it said nothing" : text.trim().split("\n").slice(-20).join("\n");
}

async function main(): Promise<number> {
  if (Deno.build.arch !== "x86_64") fail("the virtual machine is for x86-64 only");
  for (const needed of [VIRTIOFSD, "/usr/bin/qemu-system-x86_64", "/bin/busybox"]) {
    if (!existsSync(needed)) {
      fail(
        `${needed} is missing: apt-get install qemu-system-x86 qemu-system-common busybox-static`,
      );
    }
  }
  const options = readOptions();
  const folder = Deno.makeTempDirSync({ prefix: "crate-vm-" });
  let status = 125;
  try {
    status = await run(options, folder);
  } catch (error) {
    console.error(`scripts/vm: ${error instanceof Error ? error.message : error}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return status;
}

if (import.meta.main) Deno.exit(await main());
