/**
 * crate: containers from a Deno script, without a daemon. Run directly, this module is the command.
 *
 * @example
 * ```ts ignore
 * import { Container } from "jsr:@crate/cli";
 *
 * const { code, stdout } = await new Container("/bin/echo", { args: ["hello"] }).output();
 * console.log(code, new TextDecoder().decode(stdout));
 * ```
 *
 * @module
 */
export {
  Container,
  type ContainerOptions,
  type ContainerOutput,
  ContainerProcess,
  type ContainerState,
  type ContainerStatus,
  type ContainerStdio,
  deleteContainer,
  listContainers,
  stopContainer,
} from "./lib/lifecycle/mod.ts";
export type { Spec } from "./lib/spec/mod.ts";
export { CrateError, type ErrorCode } from "./lib/errors.ts";
export { SyscallError } from "./ffi/mod.ts";

if (import.meta.main) {
  const { main } = await import("./lib/cli/main.ts");
  Deno.exit(await main(Deno.args));
}
