import { EOPNOTSUPP, EPERM, SyscallError } from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import { NetlinkError } from "../netlink/mod.ts";

/**
 * What the kernel says of networks, as a sentence for whoever asked for a container.
 *
 * @throws {CrateError} `PERMISSION`, `UNSUPPORTED` or `FAILED` in the place of a NetlinkError or SyscallError.
 */
export async function inWords<T>(body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (cause) {
    if (!(cause instanceof NetlinkError || cause instanceof SyscallError)) throw cause;
    const { errno, message } = cause;
    if (errno === EPERM) {
      throw new CrateError(
        "PERMISSION",
        `network: ${message}: crate may not change the network here (--network none or host needs no rights)`,
        { cause },
      );
    }
    if (errno === EOPNOTSUPP) {
      throw new CrateError(
        "UNSUPPORTED",
        `network: ${message}: this kernel lacks bridges, veth or nftables (modules bridge, veth, nf_tables, nft_nat); ` +
          "--network none or host needs none of them",
        { cause },
      );
    }
    throw new CrateError("FAILED", `network: ${message}`, { cause });
  }
}
