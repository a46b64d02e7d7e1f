import { AT_SYMLINK_NOFOLLOW } from "../../../ffi/mod.ts";
import { addPendingLink } from "./copy_up.ts";
import { DATA, STEPS } from "./entry_calls.ts";
import { namesIn } from "./remove.ts";
import type { LayerWriter, PendingLink } from "./writer.ts";

/** What can only be done when all entries are there. Throws what any call has met. */
export async function finishLayer(
  writer: LayerWriter,
  pending: readonly PendingLink[],
): Promise<void> {
  writer.queue.submit();
  await writer.queue.drain(0);
  const { root } = writer.directories;
  for (const link of pending) addPendingLink(writer, link);
  if (root.isOpaque) hideAll(writer);
  let count = 0;
  for (const { path, mtime } of writer.directories.all()) {
    if (mtime === undefined) continue;
    const calls = writer.queue.group({ path, kind: "directory" }, STEPS, DATA);
    const times = calls.times(mtime.seconds, mtime.nanoseconds);
    const at = writer.directories.open(calls, root);
    const where = calls.string(path === "" ? "." : path);
    calls.call("utimensat", 1, at, where, times, AT_SYMLINK_NOFOLLOW);
    writer.queue.submitWhenFull();
    if (++count % 4096 === 0) await writer.queue.drain(1);
  }
  writer.queue.submit();
  await writer.queue.drain(0);
}

/** overlayfs heeds no mark on a root: each name in the roots below is hidden by itself. */
function hideAll(writer: LayerWriter): void {
  const { root } = writer.directories;
  for (const fd of writer.lowers.roots) {
    for (const name of namesIn(fd)) {
      const directory = root.children.get(name);
      if (directory !== undefined) writer.markOpaque(directory);
      else writer.makeWhiteout(root, name, name);
    }
  }
  writer.queue.settle();
}
