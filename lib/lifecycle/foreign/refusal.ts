import { CrateError } from "../../errors.ts";

/** The refusal of what a network does not do. */
export function cannot(network: string, option: string, why: string): CrateError {
  return new CrateError("INVALID", `--${option}: the network ${network} ${why}`);
}
