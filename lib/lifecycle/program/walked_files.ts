import {
  AT_FDCWD,
  AT_REMOVEDIR,
  encodeText,
  type Label,
  LOCK_NB,
  LOCK_SH,
  NEXT,
  O_CLOEXEC,
  O_RDWR,
  STATX_BASIC_STATS,
  statx_layout,
  valueOf,
} from "../../../ffi/mod.ts";
import type { ReadyFiles } from "../../image/mod.ts";
import { checkFiles } from "./check_host.ts";
import type { Scope } from "./scope.ts";
import { NEW } from "./walked_container.ts";
import type { Words } from "./words.ts";

// A container's place in the store of images, as a program makes it: as `claimImage`. Its record is there before it, and
// names it: nobody takes it for a dead one's.

const STATX_SIZE = 256;

/**
 * Makes what a container of an image writes to, and notes what it needs.
 *
 * @param before where what fails goes on.
 * @returns where the steps begin that undo it, and go on at what comes before.
 */
export function makeFiles(s: Scope, files: ReadyFiles, own: Words, before: Label): Label {
  const { p } = s;
  const { directory, root, containers, pin } = files;
  const [lock, file] = [s.descriptor("store's lock"), s.descriptor("store's file")];
  const [unlock, remove] = [s.label("unlock the store"), s.label("without its place")];
  p.call("openat", [AT_FDCWD, p.string(files.lock), O_RDWR | O_CLOEXEC, 0], {
    result: lock,
    negative: before,
  });
  p.call("flock", [valueOf(lock), LOCK_SH | LOCK_NB], { negative: unlock });
  checkFiles(s, files.guards, unlock);
  const status = p.variable("status of all", STATX_SIZE);
  const few = s.label("not many");
  p.call("statx", [AT_FDCWD, p.string(containers.path), 0, STATX_BASIC_STATS, status], {
    negative: unlock,
  });
  p.compute(valueOf(status, statx_layout.offset("stx_nlink")), containers.links, -1, {
    negative: few,
  });
  p.jump(unlock);
  p.place(few);
  const [upper, work] = [own.string(`${directory}/upper`), own.string(`${directory}/work`)];
  const [all, owner] = [own.string(directory), own.string(`${directory}/owner`)];
  const write = (path: typeof all, text: string) => {
    p.call("openat", [AT_FDCWD, path, NEW, 0o600], { result: file, negative: remove });
    own.write(valueOf(file), [encodeText(text)], remove);
    p.call("close", [valueOf(file)], { negative: NEXT });
  };
  p.call("mkdirat", [AT_FDCWD, all, 0o700], { negative: unlock });
  write(owner, files.owner);
  p.call("mkdirat", [AT_FDCWD, upper, 0o700], { negative: remove });
  p.call("fchownat", [AT_FDCWD, upper, root.uid, root.gid, 0], { negative: remove });
  p.call("fchmodat", [AT_FDCWD, upper, root.mode], { negative: remove });
  p.call("mkdirat", [AT_FDCWD, work, 0o700], { negative: remove });
  const [temporary, note] = [own.string(pin.temporary), own.string(pin.path)];
  write(temporary, pin.text);
  p.call("renameat2", [AT_FDCWD, temporary, AT_FDCWD, note, 0], { negative: remove });
  p.call("close", [valueOf(lock)], { negative: NEXT });
  p.set(lock, -1);
  s.aside(() => {
    p.place(remove);
    for (const path of [temporary, note, owner]) {
      p.call("unlinkat", [AT_FDCWD, path, 0], { negative: NEXT });
    }
    for (const path of [upper, work, all]) {
      p.call("unlinkat", [AT_FDCWD, path, AT_REMOVEDIR], { negative: NEXT });
    }
    p.place(unlock);
    p.call("close", [valueOf(lock)], { negative: NEXT });
    p.jump(before);
  });
  return remove;
}
