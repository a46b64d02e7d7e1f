import assert from "node:assert/strict";
import { CGROUP_FILES, DockerEngine, IMAGE, onTerminal, same } from "./support/engines.ts";
import { EMULATED, test } from "./support/mod.ts";

// Docker calls crate where it calls runc, and sees no difference.

test("docker run with crate does what it does with runc", async (box) => {
  await using docker = await DockerEngine.start(box);
  const both = { crate: docker.runner("crate"), runc: docker.runner("runc") };
  const run = (options: string[], script: string) =>
    same(both, "--rm", ...options, IMAGE, "/bin/sh", "-c", script);
  assert.equal(await run([], "echo hi"), "hi\n");
  await run([], "echo out; echo err >&2; exit 7");
  await run(["-e", "A=b", "-w", "/tmp", "-u", "5:6", "-h", "box"], "echo $A; pwd; id -u; hostname");
  const limits = await run(
    ["-m", "64m", "--pids-limit", "20", "--cpus", "0.5"],
    `cat ${CGROUP_FILES.join(" ")} 2>/dev/null; true`,
  );
  assert.match(limits, /^67108864\n20\n50000( 100000)?\n$/);
  // One of each kind will do where everything takes ten times as long.
  if (EMULATED) return;
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
