import assert from "node:assert/strict";
import {
  assertEnded,
  EVERYWHERE_THE_SAME,
  type Sandbox,
  Terminal,
  test,
  until,
} from "./support/mod.ts";

// crate exec: another process in a container that runs.

async function running(box: Sandbox, options: readonly string[] = []): Promise<string> {
  return await box.detached("exec sleep 100", ["--name", "c", ...options]);
}

/** The lines of a process's status that say what it may do. */
function privileges(status: string): string[] {
  return status.split("\n").filter((line) => /^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp)/.test(line))
    .map((line) => line.replace(/\s+/g, " ").trim());
}

test("exec runs a command in the container, and its exit code is the command's", async (box) => {
  const id = await running(box);
  assertEnded(await box.crate(["exec", id, "echo", "hello"]), { stdout: "hello\n" });
  assert.equal(await box.ok(["exec", id, "hostname"]), id);
  for (const code of [0, 3, 255]) {
    assertEnded(await box.crate(["exec", id, "sh", "-c", `exit ${code}`]), { code });
  }
  assert.equal((await box.crate(["exec", id, "sh", "-c", "kill -TERM $$"])).code, 143);
  await box.ok(["delete", "--force", id]);
}, EVERYWHERE_THE_SAME);

test("exec of a command that is not there, or cannot be executed: 127 and 126", async (box) => {
  const id = await running(box);
  const missing = await box.crate(["exec", id, "/none"]);
  assert.deepEqual([missing.code, missing.stdout], [127, ""]);
  assert.match(missing.stderr, /^crate: \/none: no such file or directory in the container .*\n$/);
  const refused = await box.crate(["exec", id, "/etc/passwd"]);
  assertEnded(refused, {
    code: 126,
    stderr: "crate: /etc/passwd: permission denied: it is not an executable file\n",
  });
  await box.ok(["delete", "--force", id]);
}, EVERYWHERE_THE_SAME);

test("exec in a container that does not run, or does not exist, is an error", async (box) => {
  const id = await box.detached("exit 0", ["--name", "over"]);
  await until("its end", async () => (await box.state(id)).status === "stopped");
  const over = await box.crate(["exec", id, "true"]);
  assertEnded(over, {
    code: 125,
    stderr: 'crate: container not running: "over" is stopped\n',
  });
  const none = await box.crate(["exec", "no-such", "true"]);
  assert.equal(none.code, 125);
  assert.match(none.stderr, /^crate: container "no-such" does not exist: .*\n$/);
  assert.equal((await box.crate(["exec", id])).code, 2);
  await box.ok(["delete", id]);
}, EVERYWHERE_THE_SAME);

test("exec passes standard input on, and keeps output and errors apart", async (box) => {
  const id = await running(box);
  const script = "wc -c; echo err >&2";
  const input = "x".repeat(100_000);
  const result = await box.crate(["exec", id, "sh", "-c", script], { input });
  assertEnded(result, { stdout: "100000\n", stderr: "err\n" });
  const closed = await box.crate(["exec", "-i=false", id, "wc", "-c"], { input });
  assertEnded(closed, { stdout: "0\n" });
  await box.ok(["delete", "--force", id]);
}, EVERYWHERE_THE_SAME);

test("exec is in all of the container's namespaces and groups", async (box) => {
  const id = await running(box);
  const pid = await box.running(id);
  const types = ["cgroup", "ipc", "mnt", "net", "pid", "uts"];
  const list = types.map((type) => `/proc/self/ns/${type}`).join(" ");
  const inside = await box.ok(["exec", id, "sh", "-c", `for n in ${list}; do readlink $n; done`]);
  assert.equal(
    inside,
    types.map((type) => Deno.readLinkSync(`/proc/${pid}/ns/${type}`)).join("\n"),
  );

  const sleeper = box.start(["exec", id, "sh", "-c", "echo up; exec sleep 100"]);
  await sleeper.printed("up");
  const groups = Deno.readTextFileSync(`/proc/${pid}/cgroup`);
  const ps = await box.ok(["exec", id, "sh", "-c", "ps -o pid,args | grep '[s]leep 100'"]);
  assert.equal(ps.split("\n").length, 2, ps);
  const other = await until("the host's pid of it", () => {
    const found = [...Deno.readDirSync("/proc")].filter(({ name }) => {
      try {
        return /^\d+$/.test(name) && Number(name) !== pid &&
          Deno.readTextFileSync(`/proc/${name}/cgroup`) === groups;
      } catch {
        return false;
      }
    });
    return found[0]?.name;
  });
  assert.equal(Deno.readTextFileSync(`/proc/${other}/comm`), "sleep\n");
  await box.ok(["delete", "--force", id]);
  assert.equal((await sleeper.ended).code, 137, "with the container its other processes end");
});

test("exec has the container's privileges: ids, capabilities, no_new_privs, seccomp", async (box) => {
  for (const options of [[], ["--cap-drop", "ALL", "--cap-add", "CHOWN"], ["-u", "www"]]) {
    const id = await running(box, options);
    const pid = await box.running(id);
    const own = privileges(Deno.readTextFileSync(`/proc/${pid}/status`));
    const other = privileges(await box.ok(["exec", id, "cat", "/proc/self/status"]));
    assert.deepEqual(other, own);
    assert.ok(own.includes("NoNewPrivs: 1") && own.includes("Seccomp: 2"), own.join());
    const denied = ["exec", id, "sh", "-c", "unshare -m true"];
    const said = (await box.crate(denied)).stderr;
    assert.match(said, /Operation not permitted/);
    // Where its start has not left the filter, it is compiled again.
    Deno.removeSync(`${box.root}/${id}/filter`);
    assert.deepEqual(privileges(await box.ok(["exec", id, "cat", "/proc/self/status"])), own);
    assert.equal((await box.crate(denied)).stderr, said);
    await box.ok(["delete", "--force", id]);
  }
});

test("exec --privileged has all capabilities, no filter, no no_new_privs", async (box) => {
  const id = await running(box);
  const status = privileges(
    await box.ok(["exec", "--privileged", id, "cat", "/proc/self/status"]),
  );
  const host = privileges(Deno.readTextFileSync("/proc/self/status"));
  const bounding = host.find((line) => line.startsWith("CapBnd"))!.slice(8);
  for (const line of [`CapBnd: ${bounding}`, `CapEff: ${bounding}`, `CapPrm: ${bounding}`]) {
    assert.ok(status.includes(line), `${line} in ${status}`);
  }
  assert.ok(status.includes("NoNewPrivs: 0") && status.includes("Seccomp: 0"), status.join());
  await box.ok(["delete", "--force", id]);
});

test("exec has the container's environment, and -e over it", async (box) => {
  const id = await running(box, ["-e", "A=container", "-e", "B=container"]);
  const file = box.file("vars", "B=file\nC=file\nFROM_CRATE\n");
  const words = ["exec", "--env-file", file, "-e", "C=word", id, "env"];
  const env = (await box.ok(words, { env: { FROM_CRATE: "passed on" } })).split("\n");
  for (const variable of ["A=container", "B=file", "C=word", "FROM_CRATE=passed on"]) {
    assert.ok(env.includes(variable), `${variable} in ${env}`);
  }
  assert.equal(env.filter((variable) => variable.startsWith("B=")).length, 1);
  await box.ok(["delete", "--force", id]);
}, EVERYWHERE_THE_SAME);

test("exec starts in the container's working directory, or in -w", async (box) => {
  const id = await running(box, ["-w", "/tmp"]);
  assert.equal(await box.ok(["exec", id, "pwd"]), "/tmp");
  assert.equal(await box.ok(["exec", "-w", "/etc", id, "pwd"]), "/etc");
  for (
    const [directory, code] of [["/none", 125], ["relative", 125], ["/etc/passwd", 125]] as const
  ) {
    const result = await box.crate(["exec", "-w", directory, id, "pwd"]);
    assert.equal(result.code, code);
    assert.match(result.stderr, new RegExp(`^crate: .*${directory}.*\n$`));
  }
  await box.ok(["delete", "--force", id]);
}, EVERYWHERE_THE_SAME);

test("exec -u is looked up in the container's files, with the user's groups", async (box) => {
  const id = await running(box);
  assert.equal(
    await box.ok(["exec", "-u", "www", id, "id"]),
    "uid=33(www) gid=34(web) groups=34(web),50(extra),51(more)",
  );
  assert.equal(await box.ok(["exec", "-u", "5:6", id, "id"]), "uid=5 gid=6 groups=6");
  const { code, stderr } = await box.crate(["exec", "-u", "nobody-here", id, "id"]);
  assert.equal(code, 125);
  assert.match(stderr, /^crate: user "nobody-here" is not in .*\n$/);
  await box.ok(["delete", "--force", id]);
}, EVERYWHERE_THE_SAME);

test(
  "a user other than root has no capabilities in exec, and root has the container's",
  async (box) => {
    const id = await running(box, ["-u", "www"]);
    const of = async (user: string) =>
      privileges(await box.ok(["exec", "-u", user, id, "cat", "/proc/self/status"]));
    const root = await of("0");
    const bounding = root.find((line) => line.startsWith("CapBnd"))!.slice(8);
    assert.equal(bounding, "00000000a80425fb");
    assert.ok(
      root.includes(`CapEff: ${bounding}`) && root.includes(`CapPrm: ${bounding}`),
      root.join(),
    );
    const www = await of("www");
    assert.ok(www.includes("CapEff: 0000000000000000"), www.join());
    await box.ok(["delete", "--force", id]);
  },
  EVERYWHERE_THE_SAME,
);

test("exec -it has a terminal of the container's, with the window's size", async (box) => {
  const id = await running(box);
  using terminal = new Terminal(30, 90);
  const before = terminal.settings();
  const script = "tty; echo $TERM; stty size; read line; echo read $line; exit 6";
  const exec = terminal.start(box, ["exec", "-it", id, "sh", "-c", script]);
  await terminal.shows("30 90");
  terminal.type("typed\n");
  assert.equal((await terminal.ended(exec)).code, 6);
  assert.equal(terminal.screen, "/dev/pts/0\r\nxterm\r\n30 90\r\ntyped\r\nread typed\r\n");
  assert.equal(terminal.settings(), before);
  await box.ok(["delete", "--force", id]);
}, EVERYWHERE_THE_SAME);

test("exec -d returns at once, and the process goes on in the container", async (box) => {
  const id = await running(box);
  const script = "sleep 0.2; echo done >/tmp/done";
  assertEnded(await box.crate(["exec", "-d", id, "sh", "-c", script]), {});
  await until("it is done", () => {
    try {
      return Deno.readTextFileSync(`${box.rootfs}/tmp/done`) === "done\n";
    } catch {
      return false;
    }
  });
  await box.ok(["exec", "-d", "-t", id, "sh", "-c", "tty >/tmp/tty"]);
  await until("it has a terminal", () => {
    try {
      return Deno.readTextFileSync(`${box.rootfs}/tmp/tty`) === "/dev/pts/0\n";
    } catch {
      return false;
    }
  });
  assert.equal((await box.crate(["exec", "-d", id, "/none"])).code, 127);
  await box.ok(["delete", "--force", id]);
});

test("signals to an exec arrive at its command, and the container goes on", async (box) => {
  const id = await running(box);
  const script = "trap 'echo got TERM; exit 8' TERM; echo up; while :; do sleep 0.02; done";
  const exec = box.start(["exec", id, "sh", "-c", script]);
  await exec.printed("up");
  await exec.forwarding();
  exec.signal("SIGTERM");
  assertEnded(await exec.ended, { code: 8, stdout: "up\ngot TERM\n" });
  assert.equal((await box.state(id)).status, "running");
  await box.ok(["delete", "--force", id]);
}, EVERYWHERE_THE_SAME);

test("an exec that is killed takes its command with it, and the container goes on", async (box) => {
  const id = await running(box);
  const exec = box.start(["exec", id, "sh", "-c", "echo up; exec sleep 200"]);
  await exec.printed("up");
  await exec.forwarding();
  exec.signal("SIGKILL");
  assert.equal((await exec.ended).code, 137);
  await until(
    "its command is gone",
    async () => !(await box.ok(["exec", id, "ps", "-o", "args"])).includes("sleep 200"),
  );
  assert.equal((await box.state(id)).status, "running");
  await box.ok(["delete", "--force", id]);
});

test("exec in a container that shares the host's namespaces joins those it has", async (box) => {
  const shared = ["--pid", "host", "--ipc", "host", "--uts", "host", "--network", "host"];
  const id = await running(box, [...shared, "--cgroupns", "host"]);
  const types = ["ipc", "net", "pid", "uts", "cgroup"];
  const list = types.map((type) => `/proc/self/ns/${type}`).join(" ");
  const inside = await box.ok(["exec", id, "sh", "-c", `for n in ${list}; do readlink $n; done`]);
  assert.equal(inside, types.map((type) => Deno.readLinkSync(`/proc/self/ns/${type}`)).join("\n"));
  assert.equal(await box.ok(["exec", id, "ls", "/"]), "bin\ndev\netc\nproc\nroot\nsys\ntmp");
  await box.ok(["delete", "--force", id]);
});
