// Not in the virtual machine: cgroups have no part in it
import assert from "node:assert/strict";
import { test } from "./support/mod.ts";

// What a container's process starts with: environment, limits, umask, descriptors.

test("the environment is PATH, HOSTNAME and HOME, and nothing of crate's own", async (box) => {
  const words = ["run", "--rm", "-h", "box", "-r", box.rootfs, "env"];
  const env = (await box.ok(words, { env: { SECRET: "of the host" } })).split("\n").sort();
  assert.deepEqual(env, [
    "HOME=/root",
    "HOSTNAME=box",
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  ]);
});

test("-e sets a variable, replaces a default, and inherits one without a value", async (box) => {
  const options = ["-e", "A=1", "-e", "PATH=/bin", "-e", "GIVEN", "-e", "ABSENT", "-e", "E="];
  const words = ["run", "--rm", "-r", box.rootfs, ...options, "-e", "A=2 = two", "env"];
  const env = (await box.ok(words, { env: { GIVEN: "by crate's own" } })).split("\n");
  for (const variable of ["A=2 = two", "PATH=/bin", "GIVEN=by crate's own", "E="]) {
    assert.ok(env.includes(variable), `${variable} in ${env}`);
  }
  assert.equal(env.filter((variable) => /^(A|PATH)=/.test(variable)).length, 2);
  assert.ok(!env.some((variable) => variable.startsWith("ABSENT")));
});

test("--env-file reads variables, a line each, and -e goes over them", async (box) => {
  const file = box.file("env", '# a comment\n\nA=from the file\nB="with quotes"\nGIVEN\nC=c\n');
  const words = ["run", "--rm", "-r", box.rootfs, "--env-file", file, "-e", "C=word", "env"];
  const env = (await box.ok(words, { env: { GIVEN: "inherited" } })).split("\n");
  for (const variable of ["A=from the file", 'B="with quotes"', "GIVEN=inherited", "C=word"]) {
    assert.ok(env.includes(variable), `${variable} in ${env}`);
  }
  for (
    const [file, sentence] of [
      [box.path("none"), /^crate: --env-file .*none.*\n$/],
      [box.file("bad", "A=1\n=no name\n"), /^crate: .*bad:2: .*\n$/],
    ] as const
  ) {
    const { code, stderr } = await box.crate(["run", "--rm", "--env-file", file, "/bin/true"]);
    assert.equal(code, 125);
    assert.match(stderr, sentence);
  }
});

test("--ulimit sets soft and hard limits; the others are crate's own", async (box) => {
  const script = "grep -E 'open files|core|processes' /proc/self/limits | tr -s ' '";
  const options = ["--ulimit", "nofile=123:456", "--ulimit", "core=0"];
  const lines = (await box.sh(script, options)).split("\n");
  const own = Deno.readTextFileSync("/proc/self/limits").split("\n");
  assert.deepEqual(lines.map((line) => line.trim()), [
    "Max core file size 0 0 bytes",
    own.find((line) => line.startsWith("Max processes"))!.replace(/\s+/g, " ").trim(),
    "Max open files 123 456 files",
  ]);
});

test("a limit that is enforced is felt", async (box) => {
  const script = "head -c 100000 /dev/zero >/tmp/x 2>/dev/null; echo $(wc -c </tmp/x)";
  assert.equal(await box.sh(script, ["--ulimit", "fsize=4096"]), "4096");
});

const hasSysResource = (() => {
  const status = Deno.readTextFileSync("/proc/self/status");
  return (BigInt(`0x${/^CapEff:\s*(\w+)$/m.exec(status)![1]}`) >> 24n) & 1n;
})();

test("a limit over what crate itself may set is an error that names it", async (box) => {
  const words = ["run", "--rm", "-r", box.rootfs, "--ulimit", "nofile=900000000", "true"];
  const { code, stderr } = await box.crate(words);
  assert.equal(code, 125);
  assert.match(stderr, /^crate: .*RLIMIT_NOFILE.*\n$/);
}, { skip: hasSysResource ? "this process may set any limit (CAP_SYS_RESOURCE)" : false });

test("a limit of the wrong shape is refused", async (box) => {
  for (
    const word of ["nofile", "nofile=", "files=3", "nofile=9:3", "nofile=many", "nofile=1:2:3"]
  ) {
    const { code, stderr } = await box.crate(["run", "--rm", "--ulimit", word, "/bin/true"]);
    assert.equal(code, 125, word);
    assert.match(stderr, /^crate: --ulimit ".*" .*\n$/);
  }
});

test("--oom-score-adj sets the score, and without it it is crate's own", async (box) => {
  const script = "cat /proc/self/oom_score_adj";
  assert.equal(await box.sh(script, ["--oom-score-adj", "777"]), "777");
  const own = Deno.readTextFileSync("/proc/self/oom_score_adj").trim();
  assert.equal(await box.sh(script), own);
  for (const word of ["1001", "-1001", "high"]) {
    const words = ["run", "--rm", `--oom-score-adj=${word}`, "/bin/true"];
    const { code, stderr } = await box.crate(words);
    assert.equal(code, 125);
    assert.match(stderr, /^crate: --oom-score-adj .*\n$/);
  }
});

test("the umask is 0022, whatever crate's own is", async (box) => {
  const script = "umask; touch /tmp/x && stat -c %a /tmp/x";
  const words = ["run", "--rm", "-r", box.rootfs, "sh", "-c", script];
  for (const mask of ["000", "077"]) {
    const { stdout } = await box.host(`umask ${mask}; "$@"`, words);
    assert.equal(stdout, "0022\n644\n");
  }
});

test("only the three standard descriptors are open in a container", async (box) => {
  for (const options of [[], ["--memory", "64m"], ["--init"]]) {
    const words = ["run", "--rm", ...options, "-r", box.rootfs, "ls", "/proc/self/fd"];
    assert.equal(await box.ok(words), "0\n1\n2\n3", "3 is the directory that is listed");
    const id = await box.ok(["run", "-d", ...options, "-r", box.rootfs, "sleep", "100"]);
    const pid = await box.running(id);
    const open = [...Deno.readDirSync(`/proc/${pid}/fd`)].map(({ name }) => name).sort();
    if (options[0] !== "--init") assert.deepEqual(open, ["0", "1", "2"]);
    else assert.equal(open.length, 1, "crate's init has its signals and nothing else");
    await box.ok(["delete", "--force", id]);
  }
});

test("what crate was handed beyond its three descriptors does not reach a container", async (box) => {
  const secret = box.file("secret", "of the host");
  const words = [
    "run",
    "--rm",
    "-r",
    box.rootfs,
    "sh",
    "-c",
    "ls /proc/self/fd; cat <&7 2>/dev/null",
  ];
  const { stdout } = await box.host(`"$@" 7<${secret} 8</etc`, words);
  assert.equal(stdout, "0\n1\n2\n3\n");
});

test("a container's process leads a session of its own, and has crate's name nowhere", async (box) => {
  const script =
    "cut -d' ' -f 1,5,6 /proc/1/stat; tr '\\0' ' ' </proc/1/cmdline; cat /proc/1/comm; true";
  const words = ["run", "--rm", "-r", box.rootfs, "/bin/sh", "-c", script];
  assert.equal(await box.ok(words), `1 1 1\n/bin/sh -c ${script} sh`);
});

test("a container's scheduling is as crate's own", async (box) => {
  const words = ["run", "--rm", "-r", box.rootfs, "sh", "-c", "awk '{print $19}' /proc/self/stat"];
  assert.equal((await box.host('nice -n 7 "$@"', words)).stdout, "7\n");
});
