import { close } from "../../ffi/mod.ts";
import { openDirectory } from "./start.ts";

/** With a v2 group's descriptor, when there is such a group. */
export function withGroup<T>(
  { joinDirectory }: { readonly joinDirectory?: string },
  use: (fds: readonly number[]) => T,
): T {
  if (joinDirectory === undefined) return use([]);
  const fd = openDirectory(joinDirectory);
  try {
    return use([fd]);
  } finally {
    close(fd);
  }
}
