import { addressOfBytes, arch, callNow, loadCode } from "./libc.ts";
import type { Arch } from "./syscalls.ts";

/** A function in machine code, `int (*)(void *, const void *)`, for some processors. */
export interface MachineCode {
  /** Where a C caller enters. */
  readonly entry: number;
  /** Where one enters who asks whether this processor can: 1 or 0 in the first eight bytes of what is given. */
  readonly probe: number;
  readonly hex: string;
}

/** The same function for several architectures; where there is none, its caller knows another way. */
export type MachineCodes = { readonly [arch in Arch]?: MachineCode };

const entries = new Map<MachineCodes, number | undefined>();

/**
 * Puts machine code into the process, once.
 *
 * @returns its address; undefined where there is none for this machine's processor.
 * @throws {SyscallError}
 */
export function loadMachineCode(codes: MachineCodes): number | undefined {
  if (!entries.has(codes)) entries.set(codes, load(codes[arch]));
  return entries.get(codes);
}

function load(code: MachineCode | undefined): number | undefined {
  if (code === undefined) return undefined;
  const page = loadCode(Uint8Array.fromHex(code.hex));
  // Never so little that V8 keeps it where its collector moves things.
  const answer = new Uint8Array(4096);
  callNow(page + code.probe, addressOfBytes(answer));
  return answer[0] === 1 ? page + code.entry : undefined;
}
