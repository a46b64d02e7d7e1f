import * as arm from "./syscalls_arm.ts";
import * as x86 from "./syscalls_x86.ts";

/** The machines crate runs on, as `Deno.build.arch` names them. */
export type Machine = "x86_64" | "aarch64";

/** One of a machine's system call ABIs. */
export interface Abi {
  /** The name in an OCI profile's `architectures`. */
  readonly name: string;
  /** What the kernel puts in `seccomp_data.arch`: an `AUDIT_ARCH_*`, linux/audit.h. */
  readonly audit: number;
  /** What the ABI adds to its numbers in `seccomp_data.nr`: `__X32_SYSCALL_BIT`, asm/unistd.h. */
  readonly bit: number;
  /** Whether arguments are compared in all their 64 bits, or as a 32-bit program means them. */
  readonly wide: boolean;
  /** Where its numbers stand in the table's entries. */
  readonly shift: number;
  /** Whether socketcall(2) and ipc(2) lead to other calls. */
  readonly multiplexes?: boolean;
  /** How many private calls there are, from 0x0f0001: arch/arm/include/uapi/asm/unistd.h. */
  readonly privates?: number;
}

/** A machine's ABIs, its own first. x32 follows x86-64, whose `AUDIT_ARCH` it shares. */
export const ABIS: Readonly<Record<Machine, readonly Abi[]>> = {
  x86_64: [
    { name: "SCMP_ARCH_X86_64", audit: 0xc000003e, bit: 0, wide: true, shift: 0 },
    { name: "SCMP_ARCH_X32", audit: 0xc000003e, bit: 0x40000000, wide: false, shift: 20 },
    {
      name: "SCMP_ARCH_X86",
      audit: 0x40000003,
      bit: 0,
      wide: false,
      shift: 10,
      multiplexes: true,
    },
  ],
  aarch64: [
    { name: "SCMP_ARCH_AARCH64", audit: 0xc00000b7, bit: 0, wide: true, shift: 0 },
    { name: "SCMP_ARCH_ARM", audit: 0x40000028, bit: 0, wide: false, shift: 10, privates: 6 },
  ],
};

/** A table entry's ten bits for an ABI that has no such call. */
export const NO_CALL = 1023;

/** No ABI has a higher number, arm's private ones aside. */
export const LAST_CALL = 599;

/** The first entry that is not a number but stands for a private call. */
export const PRIVATE = 1000;

/** The number that a table's entry stands for, without its ABI's bit. */
export function callNumber(entry: number): number {
  return entry < PRIVATE ? entry : 0x0f0000 + entry - PRIVATE;
}

const tables: Partial<Record<Machine, ReadonlyMap<string, number>>> = {};

/** The entries of a machine's system call names; read once, when first asked for. */
export function callTable(machine: Machine): ReadonlyMap<string, number> {
  const known = tables[machine];
  if (known !== undefined) return known;
  const { NAMES, NUMBERS } = machine === "x86_64" ? x86 : arm;
  const table = new Map<string, number>();
  let i = 0;
  for (const name of NAMES.split(" ")) table.set(name, NUMBERS[i++]!);
  return tables[machine] = table;
}

/** i386's multiplexers: the call, the mask of its first argument's selecting bits, what they select. */
export const MULTIPLEXERS: readonly {
  readonly call: number;
  readonly mask: number;
  readonly selectors: Readonly<Record<string, number>>;
}[] = [
  {
    call: 102, // socketcall, linux/net.h
    mask: 0xffffffff,
    selectors: {
      socket: 1,
      bind: 2,
      connect: 3,
      listen: 4,
      accept: 5,
      getsockname: 6,
      getpeername: 7,
      socketpair: 8,
      send: 9,
      recv: 10,
      sendto: 11,
      recvfrom: 12,
      shutdown: 13,
      setsockopt: 14,
      getsockopt: 15,
      sendmsg: 16,
      recvmsg: 17,
      accept4: 18,
      recvmmsg: 19,
      sendmmsg: 20,
    },
  },
  {
    call: 117, // ipc, linux/ipc.h: the upper half of the first argument is a version
    mask: 0xffff,
    selectors: {
      semop: 1,
      semget: 2,
      semctl: 3,
      semtimedop: 4,
      msgsnd: 11,
      msgrcv: 12,
      msgget: 13,
      msgctl: 14,
      shmat: 21,
      shmdt: 22,
      shmget: 23,
      shmctl: 24,
    },
  },
];
