import { F_GETFD, trySyscall } from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";

/** The first descriptor that an engine hands on. */
const FIRST_PRESERVED = 3;
const FD_CLOEXEC = 1;

/**
 * The descriptors that the caller hands on. Its own come without the flag that this process's have: one of
 * those must not get into a container by a wrong count.
 *
 * @throws {CrateError} `INVALID` for one that is not open.
 */
export function handedOn(count: number): number[] {
  return Array.from({ length: count }, (_, i) => {
    const fd = FIRST_PRESERVED + i;
    const flags = trySyscall("fcntl", fd, F_GETFD, 0);
    if (flags >= 0 && (flags & FD_CLOEXEC) === 0) return fd;
    throw new CrateError("INVALID", `--preserve-fds ${count}: descriptor ${fd} is not open`);
  });
}
