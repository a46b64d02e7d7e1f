import assert from "node:assert/strict";
import { exists } from "../ffi/mod.ts";
import { CGROUP_FILES, IMAGE, onTerminal, plain, PodmanEngine, same } from "./support/engines.ts";
import { controllerVersion, inTurn, isTurn, test } from "./support/mod.ts";

// podman calls crate where it calls runc, and sees no difference.

test("podman run with crate does what it does with runc", async (box) => {
  await using podman = await PodmanEngine.start(box);
  const both = { crate: podman.engine("crate"), runc: podman.engine("runc") };
  const run = (options: string[], script: string) =>
    same(both, "run", "--rm", "--net", "none", ...options, IMAGE, "/bin/sh", "-c", script);
  assert.equal(await run([], "echo hi"), "hi\n");
  const limits = await run(
    ["-m", "64m", "--pids-limit", "20", "--cpus", "0.5"],
    `cat ${CGROUP_FILES.join(" ")} 2>/dev/null; true`,
  );
  assert.match(limits, /^67108864\n20\n50000( 100000)?\n$/);
  // What groups have no part in is done in turn where everything takes ten times as long.
  if (isTurn(0)) {
    await run([], "echo out; echo err >&2; exit 7");
    await run([], "kill -9 $$");
    await run(
      ["-e", "A=b", "-w", "/tmp", "-u", "5:6", "-h", "box"],
      "echo $A; pwd; id -u; id -g; hostname",
    );
    await run(["--init"], "cat /proc/1/comm; test $$ -gt 1");
    await run(["--read-only"], "echo x > /file");
    await run(["--tmpfs", "/tmp:size=1m,mode=700"], "stat -c %a /tmp; mount | grep -c ' /tmp '");
    await run(["--cap-drop", "all", "--cap-add", "chown"], "grep Cap /proc/self/status");
    await run(["--security-opt", "no-new-privileges"], "grep NoNewPrivs /proc/self/status");
    await run(["--ulimit", "nofile=77:88"], "ulimit -n; ulimit -Hn");
  }
  if (!isTurn(1)) return;
  await run(
    ["--privileged"],
    "grep CapEff /proc/self/status; ls -d /dev/kmsg; mount | grep -c '^sysfs.*rw'",
  );
  await run(
    ["--pid", "host", "--ipc", "host", "--uts", "host"],
    "hostname; readlink /proc/self/ns/ipc",
  );
  await run(
    ["--uidmap", "0:100000:5000"],
    "cat /proc/self/uid_map; id -u; echo x > /dev/null && echo ok",
  );
  await run(
    ["--sysctl", "net.ipv4.ip_unprivileged_port_start=7"],
    "cat /proc/sys/net/ipv4/ip_unprivileged_port_start",
  );
  await run(["--device", "/dev/kmsg"], "ls -l /dev/kmsg | cut -c1-10");
  Deno.writeTextFileSync(box.path("file"), "of the host\n");
  const volume = await run(["-v", `${box.path("file")}:/data:ro`], "cat /data; echo x > /data");
  assert.equal(volume, "of the host\n");
  await run(["-v", "named:/data"], "echo kept > /data/file; ls /data");
  // What is not there, and what is no program.
  for (const program of ["nope", "/nope", "/etc/passwd", "/bin"]) {
    await same(both, "run", "--rm", "--net", "none", IMAGE, program);
  }
});

test("podman's containers in the background, exec and the rest do with crate what they do with runc", async (box) => {
  await using podman = await PodmanEngine.start(box);
  const seen: string[][] = [];
  for (const runtime of ["crate", "runc"] as const) {
    const engine = podman.engine(runtime);
    const said: string[] = [];
    const say = async (...words: string[]) => {
      const { code, stdout } = await engine(words);
      said.push(`${words.join(" ")}: ${code} ${plain(stdout)}`);
    };
    // Where everything takes ten times as long, what groups have no part in is done in turn.
    const sayToo: typeof say = async (...words) => {
      if (isTurn(2)) await say(...words);
    };
    // Nothing comes and goes in it: `podman top` fails when a process ends while it reads.
    const script = "trap 'echo term; exit 5' TERM; echo started; sleep 1000 & wait";
    await say("run", "-d", "--name", "web", "--net", "none", IMAGE, "/bin/sh", "-c", script);
    await sayToo("ps", "--format", "{{.Names}} {{.Status}}".replace("{{.Status}}", "{{.State}}"));
    await say("exec", "web", "/bin/sh", "-c", "echo inside; exit 9");
    await sayToo(
      "exec",
      "-u",
      "5",
      "-w",
      "/tmp",
      "-e",
      "A=b",
      "web",
      "/bin/sh",
      "-c",
      "id -u; pwd; echo $A",
    );
    await sayToo("exec", "web", "nope");
    await sayToo("exec", "web", "/etc/passwd");
    await sayToo("exec", "-d", "web", "/bin/touch", "/tmp/made");
    const top = await engine(["top", "web", "args"]);
    assert.deepEqual(
      [top.code, top.stderr, top.stdout.includes("sleep 1000")],
      [0, "", true],
    );
    await say("stats", "--no-stream", "--format", "{{.Name}}", "web");
    await say("pause", "web");
    await say("ps", "-a", "--format", "{{.Names}} {{.State}}");
    await sayToo("exec", "web", "/bin/true");
    await say("unpause", "web");
    await sayToo("exec", "web", "/bin/ls", "/tmp/made");
    await sayToo("cp", "web:/etc/passwd", box.path("copied"));
    await sayToo("healthcheck", "run", "web");
    await say("stop", "-t", "5", "web");
    await sayToo("inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", "web");
    await sayToo("start", "web");
    await sayToo("restart", "-t", "5", "web");
    await say("kill", "-s", "KILL", "web");
    await sayToo("wait", "web");
    await sayToo("ps", "-a", "--format", "{{.Names}} {{.State}}");
    await sayToo("logs", "web");
    await say("rm", "web");
    await sayToo("ps", "-aq");
    seen.push(said);
  }
  assert.deepEqual(seen[0], seen[1]);
  assert(seen[0]!.includes("exec web /bin/sh -c echo inside; exit 9: 9 inside\n"));
});

test("podman pods, builds, health checks and terminals go by crate", async (box) => {
  await using podman = await PodmanEngine.start(box);
  const both = { crate: podman.engine("crate"), runc: podman.engine("runc") };
  const seen: string[][] = [];
  const context = box.mkdir("context");
  Deno.writeTextFileSync(
    `${context}/Containerfile`,
    `FROM ${IMAGE}\nRUN echo built > /built && id -u >> /built\nCMD ["/bin/cat", "/built"]\n`,
  );
  for (const runtime of ["crate", "runc"] as const) {
    const engine = both[runtime];
    const said: string[] = [];
    const say = async (...words: string[]) => {
      const { code, stdout, stderr } = await engine(words);
      said.push(`${words.join(" ")}: ${code} ${plain(stdout)}`);
      assert(code === 0 || words[0] === "healthcheck", stderr);
    };
    // podman 4.3 denies its pods every device where it makes their groups itself in cgroup v2.
    const hasPods = controllerVersion("devices") === 1;
    const infra = ["--infra-image", IMAGE, "--infra-command", "/bin/sleep 100"];
    if (hasPods) {
      await say(
        "pod",
        "create",
        "--name",
        "pod",
        "--net",
        "none",
        "--hostname",
        "shared",
        ...infra,
      );
      await say("run", "-d", "--pod", "pod", "--name", "first", IMAGE, "/bin/sleep", "100");
      await say(
        "run",
        "--rm",
        "--pod",
        "pod",
        IMAGE,
        "/bin/sh",
        "-c",
        "hostname; ls /proc | grep -c '^1$'",
      );
      await say("pod", "stop", "-t", "0", "pod");
      await say("pod", "rm", "-f", "-t", "0", "pod");
    }
    const options = ["--isolation", "oci", "--network", "none", "-q"];
    await say("build", ...options, "-t", "localhost/built:1", context);
    await say("run", "--rm", "--net", "none", "localhost/built:1");
    await say("rmi", "-f", "localhost/built:1");
    const check = ["--health-cmd", "test -e /tmp/healthy", "--health-interval", "disable"];
    await say("run", "-d", "--name", "h", "--net", "none", ...check, IMAGE, "/bin/sleep", "100");
    await say("healthcheck", "run", "h");
    await say("exec", "h", "/bin/touch", "/tmp/healthy");
    // From the third time on the launcher walks it.
    for (let i = 0; i < 4; i++) await say("healthcheck", "run", "h");
    await say("exec", "h", "/bin/rm", "/tmp/healthy");
    await say("healthcheck", "run", "h");
    const { stdout: id } = await podman.engine(runtime)(["inspect", "--format", "{{.Id}}", "h"]);
    assert.equal(exists(`/run/crate/${id.trim()}/engine-exec`), runtime === "crate");
    await say("rm", "-f", "-t", "0", "h");
    seen.push(said);
  }
  assert.deepEqual(seen[0], seen[1]);
  const words = [
    "run",
    "--rm",
    "-it",
    "--net",
    "none",
    IMAGE,
    "/bin/sh",
    "-c",
    "tty; test -t 0 && echo a terminal",
  ];
  for (const runtime of ["crate", "runc"] as const) {
    const { words: line, env } = podman.commandLine(runtime, words);
    assert.equal(await onTerminal(line, env), "/dev/pts/0\r\na terminal\r\n");
  }
  for (const runtime of ["crate", "runc"] as const) {
    const engine = both[runtime];
    const started = ["run", "-d", "--name", "tty", "--net", "none", IMAGE, "/bin/sleep", "100"];
    assert.equal((await engine(started)).code, 0);
    const words = ["exec", "-it", "tty", "/bin/sh", "-c", "test -t 0 && echo a terminal"];
    const { words: line, env } = podman.commandLine(runtime, words);
    assert.equal(await onTerminal(line, env), "a terminal\r\n");
    assert.equal((await engine(["rm", "-f", "-t", "0", "tty"])).code, 0);
  }
}, inTurn(3));
