import {
  AT_FDCWD,
  type Cell,
  O_CLOEXEC,
  O_RDONLY,
  SIGKILL,
  timespec,
  valueOf,
} from "../../../ffi/mod.ts";
import type { Scope } from "./scope.ts";

/** How often the group is read again, for those that were forked meanwhile or are dying. */
const ROUNDS = 1000;
const NEWLINE = 10;
const ZERO = 48;

/**
 * Kills every process of a control group: those of a container without a pid namespace do not end with
 * its first one. cgroups(7)
 *
 * The file has a pid in decimal on each line. A program knows no multiplication; ten times a number is
 * a few differences.
 *
 * @param file the group's `cgroup.procs`.
 */
export function killGroup(s: Scope, file: string): void {
  const { p } = s;
  const rounds = p.variable("rounds", 4);
  const fd = s.descriptor("cgroup.procs");
  const byte = p.variable("digit", 4);
  const pid = p.variable("pid", 4);
  const found = p.variable("found", 4);
  const minus = p.variable("minus", 4);
  const twice = p.variable("2 pid", 4);
  const eightfold = p.variable("8 pid", 4);
  const round = s.label("kill the group");
  const read = s.label("read a digit");
  const line = s.label("a pid");
  const over = s.label("read");
  const done = s.label("killed");
  /** `to = from + from` */
  const double = (to: Cell, from: Cell) => {
    p.subtract(minus, 0, valueOf(from));
    p.subtract(to, valueOf(from), valueOf(minus));
  };

  p.set(rounds, ROUNDS);
  p.place(round);
  p.set(pid, 0);
  p.set(found, 0);
  p.call("openat", [AT_FDCWD, p.string(file), O_RDONLY | O_CLOEXEC, 0], {
    result: fd,
    negative: done,
  });
  p.place(read);
  p.set(byte, 0);
  p.call("read", [valueOf(fd), byte, 1], { zero: over, negative: over });
  p.jumpIfEqual(valueOf(byte), NEWLINE, line);
  double(twice, pid);
  double(eightfold, twice);
  double(eightfold, eightfold);
  // pid = 8 pid + 2 pid + digit
  p.subtract(minus, 0, valueOf(twice));
  p.subtract(pid, valueOf(eightfold), valueOf(minus));
  p.subtract(minus, ZERO, valueOf(byte));
  p.subtract(pid, valueOf(pid), valueOf(minus));
  p.jump(read);

  p.place(line);
  // A process of an outer pid namespace has no number here, and kill(2) takes 0 for our own group.
  p.jumpIfEqual(valueOf(pid), 0, read);
  p.set(found, 1);
  const next = s.label("next");
  p.call("kill", [valueOf(pid), SIGKILL], { negative: next });
  p.place(next);
  p.set(pid, 0);
  p.jump(read);

  p.place(over);
  p.call("close", [valueOf(fd)]);
  p.compute(valueOf(found), 0, -1, { zero: done });
  const wait = p.bytes(timespec.pack({ tv_nsec: 1_000_000 }), "1 ms");
  const woken = s.label("woken");
  p.call("nanosleep", [wait, 0], { negative: woken });
  p.place(woken);
  p.compute(valueOf(rounds), 1, -1, { result: rounds, positive: round, negative: done });
  p.place(done);
}
