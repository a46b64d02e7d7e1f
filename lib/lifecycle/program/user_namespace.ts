import {
  CLONE_NEWNS,
  CLONE_NEWUSER,
  encodeText,
  MS_REC,
  MS_SLAVE,
  PR_SET_NAME,
  type Program,
  SIG_SETMASK,
} from "../../../ffi/mod.ts";
import { SETUP_FAILED } from "./protocol.ts";
import { awaitByte, release } from "./release.ts";
import { Scope } from "./scope.ts";

/** The descriptor of the namespace to enter. */
export const USER_NAMESPACE = 3;

/**
 * The program of a process that does nothing but be in a user namespace of its own, which is there as long as it
 * is: all of a user's containers belong to one.
 */
export function compileUserNamespace(): Program {
  const s = new Scope();
  const { p } = s;
  release(s, { name: "crate-userns", namespaces: CLONE_NEWUSER }, () => {
    p.call("prctl", [PR_SET_NAME, p.string("crate-userns"), 0, 0, 0]);
    awaitByte(s, "wait for the maps of the user namespace");
    p.call("setsid", [], { label: "leave the session" });
    p.call("chdir", [p.string("/")], { label: "keep no directory busy" });
    const none = p.bytes(new Uint8Array(8), "{}");
    p.call("rt_sigprocmask", [SIG_SETMASK, none, 0, 8], { label: "unblock signals" });
    p.call("close_range", [0, 0xffffffff, 0], { label: "close all descriptors" });
    const loop = p.label("stay");
    p.place(loop);
    p.call("ppoll", [0, 0, 0, 0, 8], { negative: loop, zero: loop, positive: loop });
  });
  s.writeAsides();
  return p.build();
}

/** What is executed in a user namespace. */
export interface Entered {
  readonly file: string;
  readonly argv: readonly string[];
  readonly env: readonly string[];
}

/** The program that enters the namespace of descriptor 3, where mounts are its own, and executes a file in it. */
export function compileEnter({ file, argv, env }: Entered): Program {
  const s = new Scope();
  const { p } = s;
  const failed = p.label("failed");
  p.handler(failed);
  s.aside(() => {
    p.place(failed);
    const sentence = "crate: cannot enter the user namespace (kernel.unprivileged_userns_clone, " +
      "or a security module, may forbid it)\n";
    const next = p.label("exit");
    const text = p.bytes(encodeText(sentence), "sentence");
    p.call("write", [2, text, sentence.length], { negative: next });
    p.place(next);
    p.call("exit_group", [SETUP_FAILED]);
  });
  p.call("setns", [USER_NAMESPACE, CLONE_NEWUSER], { label: "enter the user namespace" });
  p.call("unshare", [CLONE_NEWNS], { label: "make a mount namespace" });
  p.call("mount", [0, p.string("/"), 0, MS_SLAVE | MS_REC, 0], {
    label: "tell the host no mounts",
  });
  p.call("close", [USER_NAMESPACE]);
  p.call("execve", [
    p.string(file),
    p.pointers(argv.map((word) => p.string(word)), JSON.stringify(argv)),
    p.pointers(env.map((word) => p.string(word)), `(${env.length} variables)`),
  ], { label: `execute ${file}` });
  s.writeAsides();
  return p.build();
}
