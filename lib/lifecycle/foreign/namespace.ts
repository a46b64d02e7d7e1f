import { close, O_RDONLY, open, syscall } from "../../../ffi/mod.ts";
import { compileNetworkHolder } from "../program/mod.ts";
import { launchHolder } from "../start.ts";
import { prepareRoot } from "../state.ts";

/** A network namespace that nobody is in yet; disposing of it lets it go. */
export interface Namespace extends Disposable {
  /** A descriptor of it. */
  readonly fd: number;
  /** The path of the descriptor: for whoever may look at this process's. */
  readonly path: string;
  /** A socket for rtnetlink(7) in it. */
  readonly routes: number;
}

/** Makes a network namespace with its loopback up. @throws {CrateError} */
export function makeNamespace(root: string): Namespace {
  prepareRoot(root);
  using holder = launchHolder(compileNetworkHolder(), root);
  const pidfd = syscall("pidfd_open", holder.pid, 0);
  let fd: number | undefined;
  try {
    fd = open(`/proc/${holder.pid}/ns/net`, O_RDONLY);
    const routes = syscall("pidfd_getfd", pidfd, holder.told, 0);
    const both = [fd, routes];
    return {
      fd,
      path: `/proc/${Deno.pid}/fd/${fd}`,
      routes,
      [Symbol.dispose]: () => both.forEach(close),
    };
  } catch (error) {
    if (fd !== undefined) close(fd);
    throw error;
  } finally {
    close(pidfd);
  }
}
