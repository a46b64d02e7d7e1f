// For kernel_test.ts: a process that puts a filter on itself, and says what became of some calls.
import { arch, PR_SET_NO_NEW_PRIVS, syscall, trySyscall } from "../../../ffi/mod.ts";
import { DEFAULT_CAPABILITIES } from "../capabilities.ts";
import { compileSeccomp } from "./compile.ts";
import { defaultSeccompProfile } from "./default_profile.ts";

const SECCOMP_SET_MODE_FILTER = 1;

const profile = Deno.args[0] === undefined
  ? defaultSeccompProfile({ capabilities: DEFAULT_CAPABILITIES, arch })
  : JSON.parse(Deno.args[0]);
const { filter, flags } = compileSeccomp(profile, arch);
const at = Deno.UnsafePointer.value(Deno.UnsafePointer.of(filter));
const program = new Uint8Array(16);
new DataView(program.buffer).setUint16(0, filter.length / 8, true);
new DataView(program.buffer).setBigUint64(8, at, true);

syscall("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
const before = performance.now();
syscall("seccomp", SECCOMP_SET_MODE_FILTER, flags, program);
const milliseconds = performance.now() - before;

const AF_UNIX = 1;
const AF_VSOCK = 40;
const SOCK_STREAM = 1;
const CLONE_NEWUTS = 0x04000000;
const results = {
  getpid: trySyscall("getpid") === Deno.pid ? 0 : -1,
  unixSocket: Math.min(0, trySyscall("socket", AF_UNIX, SOCK_STREAM, 0)),
  vsockSocket: trySyscall("socket", AF_VSOCK, SOCK_STREAM, 0),
  personality: Math.min(0, trySyscall("personality", 0xffffffff)),
  noRandomize: trySyscall("personality", 0x40000),
  mount: trySyscall("mount", "none", "/nowhere", "tmpfs", 0, null),
  umount2: trySyscall("umount2", "/nowhere", 0),
  unshare: trySyscall("unshare", CLONE_NEWUTS),
  setns: trySyscall("setns", -1, 0),
  bpf: trySyscall("bpf", -1, null, 0),
  keyctl: trySyscall("keyctl", -1, null, 0, 0, 0),
  fsopen: trySyscall("fsopen", "nothing", 0),
  open_tree: trySyscall("open_tree", -1, "nothing", 0),
  pivot_root: trySyscall("pivot_root", "/nowhere", "/nowhere"),
  sethostname: trySyscall("sethostname", "", -1),
  clone3: trySyscall("clone3", null, 0),
  chroot: trySyscall("chroot", "/nowhere"),
};
console.log(JSON.stringify({ results, milliseconds, instructions: filter.length / 8 }));
