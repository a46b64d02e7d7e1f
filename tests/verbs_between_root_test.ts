// Not in the virtual machine: its engines call the same verbs by the launcher
import assert from "node:assert/strict";
import { exists, identify, LOADER_FAILED } from "../ffi/mod.ts";
import { create, launchBundle, makeBundle } from "./support/bundle.ts";
import { reapOrphans, Running, test, until } from "./support/mod.ts";
import { ASKED, at, CRATE_IS_ASKED, DONE, ended, itself, SCRIPT, walker } from "./support/verbs.ts";

// What may come in between, when a created container's verbs are walked by the launcher.

test("an older container's verbs do nothing to one that has its name now", async (box) => {
  const walk = walker(box);
  const script = "exec sleep 100";
  const first = makeBundle(box, "n", script);
  await create(box, "n", first);
  const copy = box.path("copy");
  Deno.linkSync(`${box.root}/n/verbs`, copy);
  await box.ok(["delete", "--force", "n"]);
  // Groups of other names: the older one's are not there.
  const linux = { cgroupsPath: `${box.cgroupParent}/other` };
  await create(box, "n", makeBundle(box, "n", script, { linux }));
  for (const verb of ["delete", "start"]) {
    const words = ["-c", '"$1" 3<"$2"', "sh", `${box.path("loaders")}/${verb}`, copy];
    assert.equal((await new Running(["/bin/sh", ...words]).ended).code, LOADER_FAILED, verb);
  }
  assert.equal((await box.state("n")).status, "created");
  assert.deepEqual(await walk(at(box, "start", "n")), DONE);
  // A delete that was killed in its middle has left a directory, and its groups' names are used again.
  Deno.mkdirSync(`${box.root}/.retired-n-01234567`);
  const record = JSON.parse(Deno.readTextFileSync(`${box.root}/n/container.json`));
  Deno.writeTextFileSync(`${box.root}/.retired-n-01234567/container.json`, JSON.stringify(record));
  await box.ok(["list"]);
  assert(!exists(`${box.root}/.retired-n-01234567`));
  assert.equal((await box.state("n")).status, "running");
  await box.ok(["delete", "--force", "n"]);
});

test("who kills the launcher kills what it has started", async (box) => {
  walker(box);
  await create(box, "h", makeBundle(box, "h", "exec sleep 100"));
  const { pid } = await box.state("h");
  Deno.kill(Number(pid), "SIGSTOP");
  const script = `. ${SCRIPT}; verbs ${box.path("loaders")} none "$@"; exit ${CRATE_IS_ASKED}`;
  const words = ["/bin/sh", "-c", script, "sh", ...at(box, "start", "h")];
  const launcher = new Running(words, { env: { XDG_CONFIG_HOME: box.path("none") } });
  const loader = await until("the loader", () => childOf(launcher.pid));
  await until("it waits", () => /^State:\s+S/m.test(statusOf(loader)));
  Deno.kill(launcher.pid, "SIGKILL");
  await launcher.ended;
  await until("its end", () => {
    reapOrphans();
    return identify(loader) === undefined;
  });
  Deno.kill(Number(pid), "SIGCONT");
  // Nobody has its lock.
  await box.ok(["delete", "--force", "h"]);
});

const statusOf = (pid: number) => Deno.readTextFileSync(`/proc/${pid}/status`);

function childOf(pid: number): number | undefined {
  const children = Deno.readTextFileSync(`/proc/${pid}/task/${pid}/children`).trim();
  return children === "" ? undefined : Number(children);
}

test("a state is written whole, or its failure told, and to nothing but the output", async (box) => {
  const walk = walker(box);
  const annotations = { long: "x".repeat(8000) };
  const bundle = makeBundle(box, "s", "exec sleep 100", {
    spec: { annotations },
    linux: { cgroupsPath: undefined },
  });
  const out = box.path("out");
  const words = ["--cgroup-manager", "disabled", "create", "--bundle", bundle, "s"];
  const created = await box.host(`"$@" </dev/null >${out} 2>&1`, words);
  assert.equal(created.code, 0, Deno.readTextFileSync(out));
  const whole = await walk(at(box, "state", "s"));
  assert.deepEqual(whole, await itself(box, ["state", "s"]));
  const through = async (script: string) => {
    const walking = `. ${SCRIPT}; verbs ${box.path("loaders")} none "$@"; exit ${CRATE_IS_ASKED}`;
    const all = ["python3", "-c", script, "/bin/sh", "-c", walking, "sh", ...at(box, "state", "s")];
    return await new Running(all, { env: { XDG_CONFIG_HOME: box.path("none") } }).ended;
  };
  const pipe = `import fcntl,os,subprocess,sys,time
r,w=os.pipe()
fcntl.fcntl(w, 1031, 4096)
`;
  const slowly = `${pipe}child=subprocess.Popen(sys.argv[1:], stdout=w)
os.close(w)
text=b""
while part:=os.read(r, 1000): text+=part
sys.stdout.write(text.decode())
sys.exit(child.wait())`;
  assert.deepEqual(await through(slowly), whole);
  const full = `${pipe}os.set_blocking(w, False)
sys.exit(subprocess.call(sys.argv[1:], stdout=w))`;
  assert.deepEqual(await through(full), {
    code: 125,
    stdout: "",
    stderr: "crate: standard output does not take all of the state\n",
  });
  const closed = `import os,subprocess,sys
sys.exit(subprocess.call(sys.argv[1:], preexec_fn=lambda: (os.close(0), os.close(1))))`;
  assert.equal((await through(closed)).code, CRATE_IS_ASKED);
  assert.equal((await box.state("s")).status, "created", "the byte that starts it was not sent");
  await box.ok(["delete", "--force", "s"]);
});

test("what the caller has exported goes on as it is", async (box) => {
  walker(box);
  const names = ["loaders", "state", "own", "verb", "id", "size"];
  const script = `. ${SCRIPT}; verbs ${box.path("loaders")} none "$@"; env`;
  const words = ["/bin/sh", "-c", script, "sh", ...at(box, "state", "none")];
  const env = Object.fromEntries(names.map((name) => [name, `its ${name}`]));
  const { stdout } = await new Running(words, { env }).ended;
  for (const name of names) assert(stdout.split("\n").includes(`${name}=its ${name}`), name);
});

test("another process with the pid of a container's first is not it", async (box) => {
  const walk = walker(box);
  await launchBundle(box, "p", "true");
  await ended(box, "p");
  const { pid } = JSON.parse(Deno.readTextFileSync(`${box.root}/p/process.json`)).init;
  await until("its end is seen", () => {
    reapOrphans();
    return identify(pid) === undefined;
  });
  // The kernel gives the pid after this one.
  const other = new Running([
    "python3",
    "-c",
    `import os,sys
open("/proc/sys/kernel/ns_last_pid", "w").write(str(int(sys.argv[1]) - 1))
if os.fork() == 0:
    print(os.getpid(), flush=True)
    sys.stdin.read()
else: os.wait()`,
    `${pid}`,
  ], { input: { open: true } });
  await until("the pid", () => other.stdout.endsWith("\n") || other.stderr !== "");
  assert.deepEqual([other.stdout, other.stderr], [`${pid}\n`, ""]);
  const { stdout } = await walk(at(box, "state", "p"));
  assert.equal(JSON.parse(stdout).status, "stopped");
  assert.deepEqual(await walk(at(box, "kill", "p")), ASKED);
  assert(identify(pid) !== undefined);
  assert.deepEqual(await walk(at(box, "delete", "p")), DONE);
  assert(identify(pid) !== undefined);
  await other.closeInput();
  assert.equal((await other.ended).code, 0);
});
