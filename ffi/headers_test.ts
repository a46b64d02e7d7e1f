import assert from "node:assert/strict";
import { ARM_HEADERS, armFlags, has, isThere, runC } from "./_tools.ts";
import * as constants from "./constants.ts";
import { Layout } from "./layout.ts";
import * as structs from "./structs.ts";

// glibc's headers and the kernel's do not mix in one file, so the C program is two.
const LIBC = [
  "errno.h fcntl.h net/if.h poll.h sched.h signal.h stdio.h time.h",
  "sys/file.h sys/ioctl.h sys/mman.h sys/mount.h sys/prctl.h sys/resource.h sys/signalfd.h",
  "sys/socket.h sys/stat.h sys/uio.h sys/wait.h stddef.h",
].join(" ").split(" ");
const KERNEL = [
  "linux/capability.h linux/close_range.h linux/fcntl.h linux/filter.h linux/keyctl.h linux/magic.h",
  "linux/memfd.h linux/mount.h linux/openat2.h linux/prctl.h linux/sched.h linux/sched/types.h linux/seccomp.h",
  "linux/securebits.h",
  "linux/netlink.h linux/sockios.h linux/types.h linux/wait.h stddef.h stdio.h",
].join(" ").split(" ");

/** Constants that C has as enumerators, which no `#ifdef` sees. */
const ENUMERATORS = {
  libc: ["SCM_RIGHTS"],
  kernel: [
    "FSCONFIG_SET_FLAG",
    "FSCONFIG_SET_STRING",
    "FSCONFIG_CMD_CREATE",
    "FSCONFIG_CMD_RECONFIGURE",
  ],
};
/** Names of ours for what the headers call otherwise. */
const EXPRESSIONS: Record<string, string> = {
  F_SEAL_ALL: "F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE",
  LINUX_CAPABILITY_VERSION_3: "_LINUX_CAPABILITY_VERSION_3",
};
/** Newer than Debian 12's headers: Linux 6.3, include/uapi/linux/memfd.h. */
const NEWER: Record<string, number> = { MFD_EXEC: 0x10 };

function constantsProgram(headers: readonly string[], enumerators: readonly string[]): string {
  const print = (name: string, value = name) => `printf("${name} %lld\\n", (long long)(${value}));`;
  const lines = Object.keys(constants).map((name) => {
    if (enumerators.includes(name)) return print(name);
    const macro = EXPRESSIONS[name]?.split(" ")[0] ?? name;
    return `#ifdef ${macro}\n${print(name, EXPRESSIONS[name])}\n#endif`;
  });
  return program(headers, lines);
}

function program(headers: readonly string[], lines: readonly string[]): string {
  const includes = headers.map((header) => `#include <${header}>`);
  return [...includes, "int main(void) {", ...lines, "return 0; }", ""].join("\n");
}

async function headerConstants(flags: readonly string[]): Promise<Map<string, number>> {
  const texts = await Promise.all([
    runC(constantsProgram(LIBC, ENUMERATORS.libc), flags),
    runC(constantsProgram(KERNEL, ENUMERATORS.kernel), flags),
  ]);
  return new Map(
    texts.join("").trim().split("\n").map((line) => {
      const [name, value] = line.split(" ");
      return [name!, Number(value)];
    }),
  );
}

function compare(ours: Record<string, number>, theirs: ReadonlyMap<string, number>): void {
  for (const [name, value] of Object.entries(ours)) {
    assert.equal(value, theirs.get(name) ?? NEWER[name], `${name} of the headers`);
  }
}

/** The constants as they are on arm64. */
async function armConstants(): Promise<Record<string, number>> {
  const build = Deno.build;
  Object.defineProperty(Deno, "build", { ...configurable, value: { ...build, arch: "aarch64" } });
  try {
    return await import(new URL("./constants.ts?arm64", import.meta.url).href);
  } finally {
    Object.defineProperty(Deno, "build", { ...configurable, value: build });
  }
}
const configurable = { configurable: true, enumerable: true, writable: true };

Deno.test({
  name: "every constant has the value of this machine's headers",
  ignore: !has("gcc"),
  fn: async () => compare({ ...constants }, await headerConstants([])),
});

Deno.test({
  name: "every constant has the value of arm64's headers on arm64",
  ignore: !has("gcc") || !isThere(ARM_HEADERS),
  fn: async () => compare(await armConstants(), await headerConstants(await armFlags())),
});

Deno.test("the open flags that are arm64's own are those of its asm/fcntl.h", async () => {
  const arm = await armConstants();
  assert.equal(arm.O_DIRECTORY, 0o40000);
  assert.equal(arm.O_NOFOLLOW, 0o100000);
  assert.equal(arm.O_CLOEXEC, 0o2000000);
});

/** For each layout: the C type, and where a field of ours has another name in C. */
const TYPES: Record<string, { type: string; kernel?: true; fields?: Record<string, string> }> = {
  open_how: { type: "struct open_how", kernel: true },
  clone_args: { type: "struct clone_args", kernel: true },
  mount_attr: { type: "struct mount_attr", kernel: true },
  rlimit64: { type: "struct rlimit64" },
  cap_user_header: { type: "struct __user_cap_header_struct", kernel: true },
  cap_user_data: {
    type: "struct { struct __user_cap_data_struct lo, hi; }",
    kernel: true,
    fields: {
      effective_lo: "lo.effective",
      permitted_lo: "lo.permitted",
      inheritable_lo: "lo.inheritable",
      effective_hi: "hi.effective",
      permitted_hi: "hi.permitted",
      inheritable_hi: "hi.inheritable",
    },
  },
  sched_attr: { type: "struct sched_attr", kernel: true },
  sock_fprog: { type: "struct sock_fprog", kernel: true },
  flock: { type: "struct flock", kernel: true },
  pollfd: { type: "struct pollfd" },
  iovec: { type: "struct iovec" },
  msghdr: { type: "struct msghdr" },
  cmsghdr: {
    // CMSG_DATA comes right after the header, and the whole takes CMSG_SPACE(sizeof(int)).
    type: "union { struct { struct cmsghdr head; int fd; } at; char space[CMSG_SPACE(4)]; }",
    fields: {
      cmsg_len: "at.head.cmsg_len",
      cmsg_level: "at.head.cmsg_level",
      cmsg_type: "at.head.cmsg_type",
      fd: "at.fd",
    },
  },
  siginfo: { type: "siginfo_t" },
  timespec: { type: "struct timespec" },
  winsize: { type: "struct winsize" },
  statx: { type: "struct statx" },
};
/** Layouts that say only how a longer struct begins; their users give it all its room. */
const BEGINNINGS: Record<string, number> = { siginfo: 128, statx: 256 };
const FILLING = /^(padding|spare\d)$/;

const LAYOUTS = Object.values(structs).filter((value) => value instanceof Layout);

function layoutLines(layout: Layout<Record<string, "u8">>): string[] {
  const known = TYPES[layout.name];
  assert(known !== undefined, `no C type is known for ${layout.name}`);
  const lines = [`{ typedef ${known.type} t;`, `printf("${layout.name} size %zu\\n", sizeof(t));`];
  for (const field of Object.keys(layout.fields)) {
    if (FILLING.test(field)) continue;
    const member = known.fields?.[field] ?? field;
    lines.push(
      `printf("${layout.name}.${field} %zu %zu\\n", offsetof(t, ${member}), sizeof(((t *)0)->${member}));`,
    );
  }
  return [...lines, "}"];
}

function layoutText(layout: Layout<Record<string, "u8">>): string[] {
  const lines = [`${layout.name} size ${BEGINNINGS[layout.name] ?? layout.size}`];
  for (const [field, type] of Object.entries(layout.fields)) {
    if (FILLING.test(field)) continue;
    lines.push(`${layout.name}.${field} ${layout.offset(field)} ${Number(type.slice(1)) / 8}`);
  }
  return lines;
}

Deno.test({
  name: "every struct has the fields of the headers, where the compiler puts them",
  ignore: !has("gcc"),
  fn: async () => {
    assert(LAYOUTS.length >= 14);
    const layouts = LAYOUTS as unknown as Layout<Record<string, "u8">>[];
    const [kernel, libc] = [true, undefined].map((kernel) =>
      layouts.filter(({ name }) => TYPES[name]?.kernel === kernel)
    ) as [typeof layouts, typeof layouts];
    const texts = await Promise.all([
      runC(program(KERNEL, kernel.flatMap(layoutLines))),
      runC(program(LIBC, libc.flatMap(layoutLines))),
    ]);
    assert.deepEqual(
      texts.join("").trim().split("\n"),
      [...kernel, ...libc].flatMap(layoutText),
    );
  },
});
