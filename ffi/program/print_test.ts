import assert from "node:assert/strict";
import fc from "fast-check";
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  CLONE_NEWNS,
  CLONE_NEWPID,
  FSCONFIG_CMD_CREATE,
  FSCONFIG_SET_STRING,
  FSOPEN_CLOEXEC,
  MNT_DETACH,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NOSUID,
  MOVE_MOUNT_F_EMPTY_PATH,
  MS_REC,
  MS_SLAVE,
  O_CLOEXEC,
  O_CREAT,
  O_PATH,
  O_WRONLY,
  PR_SET_NO_NEW_PRIVS,
  RESOLVE_IN_ROOT,
  SIGKILL,
} from "../constants.ts";
import { open_how } from "../structs.ts";
import { NEXT, placeIn, ProgramBuilder, valueOf } from "./builder.ts";
import { printProgram } from "./print.ts";

/** What is printed of the steps that a test writes. */
function printed(write: (p: ProgramBuilder) => void): string[] {
  const p = new ProgramBuilder();
  write(p);
  const text = printProgram(p.build());
  assert(text.endsWith("\n"));
  return text.slice(0, -1).split("\n");
}

Deno.test("calls are printed with their arguments by name", () => {
  const lines = printed((p) => {
    const fd = p.variable("fd", 4);
    const how = p.struct(open_how, { flags: O_PATH | O_CLOEXEC, resolve: RESOLVE_IN_ROOT });
    const create = O_WRONLY | O_CREAT | O_CLOEXEC;
    p.call("mount", [0, p.string("/"), 0, MS_SLAVE | MS_REC, 0]);
    p.call("openat2", [valueOf(fd), p.string('a "quoted" word'), how, 24], { result: fd });
    p.call("openat", [AT_FDCWD, p.string("/x"), create, 0o640], { label: "open the log" });
    p.call("fsopen", [p.string("proc"), FSOPEN_CLOEXEC], { label: "mount proc on /proc" });
    p.call("fsconfig", [valueOf(fd), FSCONFIG_SET_STRING, p.string("k"), p.string("v"), 0]);
    p.call("fsconfig", [valueOf(fd), FSCONFIG_CMD_CREATE, 0, 0, 0]);
    p.call("fsmount", [valueOf(fd), 1, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV]);
    p.call("move_mount", [
      valueOf(fd),
      p.string(""),
      AT_FDCWD,
      p.string("/m"),
      MOVE_MOUNT_F_EMPTY_PATH,
    ]);
    p.call("umount2", [p.string("."), MNT_DETACH]);
    p.call("prctl", [PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0], { label: "no_new_privs" });
    p.call("unshare", [CLONE_NEWNS | CLONE_NEWPID | 0x1]);
    p.call("pidfd_send_signal", [valueOf(fd), SIGKILL, 0, 0]);
    p.call("fchownat", [valueOf(fd), p.string(""), 5, 5, AT_EMPTY_PATH]);
    p.call("close_range", [3, 0xffffffff, 4]);
  });
  assert.deepEqual(lines, [
    '   0  mount(NULL, "/", NULL, MS_REC|MS_SLAVE, NULL)',
    '   1  fd = openat2(fd, "a \\"quoted\\" word", {flags: 0x280000, resolve: 0x10}, 24)',
    '   2  openat(AT_FDCWD, "/x", O_CLOEXEC|O_WRONLY|O_CREAT, 0640)  # open the log',
    '   3  fsopen("proc", 0x1)  # mount proc on /proc',
    '   4  fsconfig(fd, FSCONFIG_SET_STRING, "k", "v", 0)',
    "   5  fsconfig(fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0)",
    "   6  fsmount(fd, 0x1, MOUNT_ATTR_NOSUID|MOUNT_ATTR_NODEV)",
    '   7  move_mount(fd, "", AT_FDCWD, "/m", MOVE_MOUNT_F_EMPTY_PATH)',
    '   8  umount2(".", MNT_DETACH)',
    "   9  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)  # no_new_privs",
    "  10  unshare(CLONE_NEWNS|CLONE_NEWPID|1)",
    "  11  pidfd_send_signal(fd, SIGKILL, NULL, 0)",
    '  12  fchownat(fd, "", 5, 5, AT_EMPTY_PATH)',
    "  13  close_range(3, 4294967295, 0x4)",
  ]);
});

Deno.test("branches are printed with the names of where they lead, which stand on lines of their own", () => {
  const lines = printed((p) => {
    const count = p.variable("count", 4);
    const buffer = p.variable("buffer", 4096);
    const loop = p.label("loop");
    const end = p.label("end");
    p.set(count, 3);
    p.place(loop);
    p.call("read", [0, buffer, 4096], { negative: loop, zero: end, result: placeIn(buffer, 8) });
    p.call("write", [1, buffer, valueOf(buffer, 8)], { negative: NEXT });
    p.compute(valueOf(count), 1, -1, { result: count, positive: loop });
    p.compute(valueOf(count), 0, 0xff, { label: "low bits" });
    p.jumpIfEqual(valueOf(count), -2, loop);
    p.place(end);
    p.call("exit_group", [0]);
  });
  assert.deepEqual(
    lines,
    [
      "   0  count = 3",
      "loop:",
      "   1  buffer+8 = read(0, &buffer, 4096)  # [negative: loop, zero: end]",
      "   2  write(1, &buffer, buffer+8)  # [errors ignored]",
      "   3  count = count - 1  # [positive: loop]",
      "   4  (count) & 255  # low bits",
      "   5  count - -2  # compute [zero: loop]",
      "end:",
      "   6  exit_group(0)",
    ].map((line) => line.replace("# compute [", "# [")),
  );
});

/** Any character but NUL: controls, halves of pairs, those outside of the basic plane. */
const character = fc.oneof(fc.integer({ min: 1, max: 0xff }), fc.integer({ min: 1, max: 0x10ffff }))
  .map((code) => String.fromCodePoint(code));

Deno.test("each step is one line, whatever its words are", () => {
  const word = fc.string({ unit: character });
  fc.assert(fc.property(word, word, (text, label) => {
    const lines = printed((p) => {
      const fd = p.variable(`fd of ${text}`, 4);
      p.call("openat", [AT_FDCWD, p.string(text), 0, 0], { label, result: fd });
      p.call("close", [valueOf(fd)], { label });
    });
    assert.equal(lines.length, 2);
    // Nothing that moves a terminal's cursor or colours it.
    for (const line of lines) assert.doesNotMatch(line, /\p{Cc}/u);
  }));
});
