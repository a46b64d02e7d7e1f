import assert from "node:assert/strict";
import { CGROUP_FILES, DockerEngine, IMAGE, onTerminal, plain, same } from "./support/engines.ts";
import { inTurn, isTurn, test, until } from "./support/mod.ts";

// Docker calls crate where it calls runc, and sees no difference.

test("docker run with crate does what it does with runc", async (box) => {
  await using docker = await DockerEngine.start(box);
  const both = { crate: docker.runner("crate"), runc: docker.runner("runc") };
  const run = (options: string[], script: string) =>
    same(both, "--rm", ...options, IMAGE, "/bin/sh", "-c", script);
  assert.equal(await run([], "echo hi"), "hi\n");
  const limits = await run(
    ["-m", "64m", "--pids-limit", "20", "--cpus", "0.5"],
    `cat ${CGROUP_FILES.join(" ")} 2>/dev/null; true`,
  );
  assert.match(limits, /^67108864\n20\n50000( 100000)?\n$/);
  // What groups have no part in is done in turn where everything takes ten times as long.
  if (!isTurn(4)) return;
  await run([], "echo out; echo err >&2; exit 7");
  await run(["-e", "A=b", "-w", "/tmp", "-u", "5:6", "-h", "box"], "echo $A; pwd; id -u; hostname");
  await run(["--init"], "cat /proc/1/comm; test $$ -gt 1");
  await run(["--read-only", "--tmpfs", "/tmp"], "echo x > /tmp/file && echo y > /file");
  await run(["--cap-drop", "all", "--cap-add", "chown"], "grep Cap /proc/self/status");
  await run(["--privileged"], "grep CapEff /proc/self/status");
  await run(["--ulimit", "nofile=77:88"], "ulimit -n; ulimit -Hn");
  Deno.writeTextFileSync(box.path("file"), "of the host\n");
  await run(["-v", `${box.path("file")}:/data:ro`], "cat /data; echo x > /data");
  await run(["-v", "named:/data"], "echo kept > /data/file; ls /data");
  for (const program of ["nope", "/nope", "/etc/passwd", "/bin"]) {
    await same(both, "--rm", IMAGE, program);
  }
  const words = ["run", "--rm", "-it", IMAGE, "/bin/sh", "-c", "test -t 0 && echo a terminal"];
  for (const runtime of ["crate", "runc"]) {
    const line = docker.commandLine([
      ...words.slice(0, 3),
      "--runtime",
      runtime,
      ...words.slice(3),
    ]);
    assert.match(await onTerminal(line, {}), /a terminal\r\n$/);
  }
});

test(
  "docker's containers in the background, exec and the rest do with crate what they do with runc",
  async (box) => {
    await using docker = await DockerEngine.start(box);
    const seen: string[][] = [];
    for (const runtime of ["crate", "runc"] as const) {
      const said: string[] = [];
      const say = async (...words: string[]) => {
        const { code, stdout } = await docker.docker(words);
        const what = words.filter((word) => word !== runtime).join(" ");
        // Docker prints a runtime's own words about what it cannot execute.
        const text = plain(stdout).replace(
          /(exec failed: ).*(not found|permission denied).*/,
          "$1$2",
        );
        said.push(`${what}: ${code} ${text}`);
      };
      const script = "trap 'echo term; exit 5' TERM; echo started; while sleep 0.1; do :; done";
      await say("run", "-d", "--runtime", runtime, "--name", "web", IMAGE, "/bin/sh", "-c", script);
      await say("ps", "--format", "{{.Names}} {{.State}}");
      await say("exec", "web", "/bin/sh", "-c", "echo inside; exit 9");
      await say(
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
      await say("exec", "web", "nope");
      await say("exec", "web", "/etc/passwd");
      await say("exec", "-d", "web", "/bin/touch", "/tmp/made");
      await say("stats", "--no-stream", "--format", "{{.Name}}", "web");
      await say("pause", "web");
      await say("ps", "-a", "--format", "{{.Names}} {{.State}}");
      await say("unpause", "web");
      await say("exec", "web", "/bin/ls", "/tmp/made");
      await say("update", "-m", "100m", "--memory-swap", "200m", "--cpus", "0.5", "web");
      await say("exec", "web", "/bin/sh", "-c", `cat ${CGROUP_FILES.join(" ")} 2>/dev/null; true`);
      await say("cp", "web:/etc/passwd", box.path("copied"));
      await say("stop", "-t", "5", "web");
      await say("inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", "web");
      await say("start", "web");
      await say("restart", "-t", "5", "web");
      await say("kill", "-s", "KILL", "web");
      await say("wait", "web");
      await say("ps", "-a", "--format", "{{.Names}} {{.State}}");
      await say("logs", "web");
      await say("rm", "web");
      await say("ps", "-aq");
      seen.push(said);
    }
    assert.deepEqual(seen[0], seen[1]);
  },
  inTurn(5),
);

test("docker's networks and builds go by crate as the default runtime", async (box) => {
  await using docker = await DockerEngine.start(box, ["--default-runtime", "crate"]);
  const ok = async (...words: string[]) => {
    const { code, stdout, stderr } = await docker.docker(words);
    assert.equal(code, 0, `${words.join(" ")}: ${stderr}`);
    return stdout.trim();
  };
  await ok("network", "create", "net");
  await ok(
    "run",
    "-d",
    "--name",
    "server",
    "--network",
    "net",
    IMAGE,
    "/bin/sh",
    "-c",
    "while echo answer | nc -l -p 80; do :; done",
  );
  const asked = ["run", "--rm", "--network", "net", IMAGE, "/bin/sh", "-c"];
  await until("an answer", async () => {
    const { stdout } = await docker.docker([...asked, "nc -w 2 server 80 </dev/null"]);
    return stdout === "answer\n";
  });
  await ok("rm", "-f", "server");
  await ok("network", "rm", "net");
  const context = box.mkdir("context");
  Deno.writeTextFileSync(
    `${context}/Dockerfile`,
    `FROM ${IMAGE}\nRUN echo built > /built && id -u >> /built\nCMD ["/bin/cat", "/built"]\n`,
  );
  await ok("build", "-q", "-t", "built", context);
  assert.equal(await ok("run", "--rm", "built"), "built\n0");
}, inTurn(5));

test(
  "a Swarm service has its replicas by crate, scaled up and down, one killed and replaced",
  async (box) => {
    await using docker = await DockerEngine.start(box, ["--default-runtime", "crate"]);
    const ok = async (...words: string[]) => {
      const { code, stdout, stderr } = await docker.docker(words);
      assert.equal(code, 0, `${words.join(" ")}: ${stderr}`);
      return stdout.trim();
    };
    await ok("swarm", "init", "--advertise-addr", "127.0.0.1");
    const service = [
      "--replicas",
      "3",
      "--network",
      "host",
      "--restart-delay",
      "100ms",
      // sleep(1) as a process 1 is not ended by SIGTERM.
      "--stop-grace-period",
      "1s",
      "--detach",
    ];
    await ok(
      "service",
      "create",
      "--name",
      "web",
      "--no-resolve-image",
      ...service,
      IMAGE,
      "/bin/sleep",
      "1000",
    );
    const running = async () =>
      (await ok("ps", "-q", "--no-trunc", "--filter", "name=web", "--filter", "status=running"))
        .split("\n").filter((id) => id !== "");
    await until("three replicas", async () => (await running()).length === 3);
    await ok("service", "scale", "--detach", "web=10");
    await until("ten replicas", async () => (await running()).length === 10);
    const [victim] = await running();
    assert.equal(await ok("inspect", "--format", "{{.HostConfig.Runtime}}", victim!), "crate");
    await ok("kill", victim!);
    await until("one in its place", async () => {
      const ids = await running();
      return ids.length === 10 && !ids.includes(victim!);
    });
    await ok("service", "scale", "--detach", "web=3");
    await until("three replicas again", async () => (await running()).length === 3);
    await ok("service", "rm", "web");
    await until("no replica", async () => (await running()).length === 0);
    await ok("swarm", "leave", "--force");
  },
  inTurn(6),
);
