import {
  AT_FDCWD,
  close,
  O_RDONLY,
  open,
  STATX_BASIC_STATS,
  statx_layout,
  syscall,
  SyscallError,
} from "../../../ffi/mod.ts";
import { CrateError } from "../../errors.ts";
import type { Spec } from "../../spec/mod.ts";
import { namespace } from "../program/mod.ts";
import type { Inherited } from "./descriptors.ts";

// Namespaces that the config joins by a path are not the container's own: criu keeps its hands off those it knows by
// a name, and at the restore is given others. The names are runc's.

const EXTERNAL = [
  { type: "network", file: "net", name: "extRootNetNS" },
  { type: "pid", file: "pid", name: "extRootPidNS" },
] as const;

/** For the dump: `external` of criu's options. @throws {SyscallError} */
export function namespacesToDump(spec: Spec, pid: number): string[] {
  return EXTERNAL.filter(({ type }) => namespace(spec, type)?.path).map(({ file, name }) => {
    const buffer = new Uint8Array(256);
    syscall("statx", AT_FDCWD, `/proc/${pid}/ns/${file}`, 0, STATX_BASIC_STATS, buffer);
    return `${file}[${statx_layout.get(buffer, "stx_ino")}]:${name}`;
  });
}

/** Namespaces for criu to restore into; disposing of them closes them. */
export interface OpenNamespaces extends Disposable {
  readonly descriptors: readonly number[];
  readonly inherited: readonly Inherited[];
}

/**
 * For the restore: opens them.
 *
 * @param first what the first of them is in criu.
 * @throws {CrateError} `NOT_FOUND` for a path where none is.
 */
export function openNamespaces(spec: Spec, first: number): OpenNamespaces {
  const descriptors: number[] = [];
  const inherited: Inherited[] = [];
  const dispose = () => descriptors.forEach((fd) => close(fd));
  for (const { type, name } of EXTERNAL) {
    const path = namespace(spec, type)?.path;
    if (!path) continue;
    try {
      inherited.push({ key: name, fd: first + descriptors.length });
      descriptors.push(open(path, O_RDONLY));
    } catch (cause) {
      dispose();
      if (!(cause instanceof SyscallError)) throw cause;
      const sentence = `linux.namespaces: ${path} cannot be opened: ${cause.code}`;
      throw new CrateError("NOT_FOUND", sentence, { cause });
    }
  }
  return { descriptors, inherited, [Symbol.dispose]: dispose };
}
