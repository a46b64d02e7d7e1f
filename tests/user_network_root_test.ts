// Not in the virtual machine: cgroups have no part in networks
import assert from "node:assert/strict";
import { exists } from "../ffi/mod.ts";
import { HOST, Host, OUTSIDE, Place, startOutside } from "./support/network.ts";
import { Running, type Sandbox, test, until } from "./support/mod.ts";

// --network pasta and slirp4netns, as the root of a user namespace that an ordinary user has made, on a machine of
// the test's own.

const ID = 4711;
const REPLY = "127.0.0.1";

/** A user with subordinate ids, whom only a mount namespace of the test's own knows. */
class User {
  readonly #box: Sandbox;
  readonly home: string;
  /** `PATH`. */
  path = Deno.env.get("PATH")!;

  constructor(box: Sandbox, nameserver: string) {
    this.#box = box;
    Deno.chmodSync(box.directory, 0o755);
    this.home = box.mkdir("home");
    Deno.chownSync(this.home, ID, ID);
    box.file("passwd", `root:x:0:0::/root:/bin/sh\nsomebody:x:${ID}:${ID}::${this.home}:/bin/sh\n`);
    box.file("subid", "somebody:300000:65536\n");
    box.file("resolv.conf", `nameserver ${nameserver}\n`);
    // crate makes mount points in it.
    for (const path of [box.rootfs, `${box.rootfs}/etc`]) {
      Deno.mkdirSync(path, { recursive: true });
      Deno.chownSync(path, ID, ID);
    }
  }

  /** Starts a script of the user's, in a user namespace of his; crate is `crate`. */
  start(script: string): Running {
    const { words, env } = this.#box.commandLine([]);
    const crate = words.slice(this.#box.prefix.length)
      .map((word) => word.replace(this.#box.root, `${this.home}/state`));
    const outer = `mount --make-rprivate / && cd "$0" || exit 1
mount --bind passwd /etc/passwd && mount --bind resolv.conf /etc/resolv.conf || exit 1
for file in /etc/subuid /etc/subgid; do mount --bind subid $file || exit 1; done
mount -t tmpfs none /dev/net && mknod -m 666 /dev/net/tun c 10 200 && chmod 666 /dev/net/tun || exit 1
exec setpriv --reuid ${ID} --regid ${ID} --clear-groups --inh-caps=-all env -i HOME="$0/home" PATH="$PATH" \
  unshare -U --map-root-user --map-auto -m bash -c "$1"`;
    const settings = { ...env, CRATE_IMAGE_ROOT: `${this.home}/images`, PATH: this.path };
    const exported = Object.entries(settings).map(([name, value]) => `export ${name}='${value}'`);
    const inner = `${exported.join("\n")}
unset CRATE_NETWORK_ENABLED
crate() { ${crate.map((word) => `'${word}'`).join(" ")} "$@"; }
${script}`;
    const outerWords = ["unshare", "-m", "bash", "-c", outer, this.#box.directory, inner];
    return new Running([...this.#box.prefix, ...outerWords], { input: { open: true } });
  }

  /** Runs a script to its end. */
  async run(script: string): Promise<{ code: number; stdout: string; stderr: string }> {
    return await this.start(script).ended;
  }
}

/** The processes of a program that a test has started, found by its directory. */
function processes(box: Sandbox, program: string): number[] {
  return [...Deno.readDirSync("/proc")].map(({ name }) => Number(name)).filter((pid) => {
    try {
      const words = Deno.readTextFileSync(`/proc/${pid}/cmdline`);
      return words.startsWith(`${program}\0`) && words.includes(box.directory);
    } catch {
      return false;
    }
  });
}

interface Given {
  readonly box: Sandbox;
  readonly host: Host;
  readonly outside: Host;
  readonly user: User;
}

function userTest(
  name: string,
  programs: readonly string[],
  body: (given: Given) => Promise<void>,
): void {
  const missing = programs.find((program) => !exists(`/usr/bin/${program}`));
  const skip = missing !== undefined && `it needs ${missing} (scripts/setup_packages.sh)`;
  test(name, async (box) => {
    await using host = await Host.start();
    await using outside = await startOutside(host);
    box.on(host.pid);
    await body({ box, host, outside, user: new User(box, "127.0.0.1") });
  }, { skip });
}

const EXPECTED = {
  pasta: { ip: HOST.ip, gateway: OUTSIDE.ip, dns: "169.254.1.1" },
  slirp4netns: { ip: "10.0.2.100", gateway: "10.0.2.2", dns: "10.0.2.3" },
};

for (const program of ["pasta", "slirp4netns"] as const) {
  userTest(
    `a user's container has a way out, ports and names by ${program}, which ends with it`,
    [program, "newuidmap"],
    async ({ box, host, outside, user }) => {
      await using _ = await outside.serve("outside", "tcp:7", "udp:8");
      await using _dns = await host.serve("resolver", "udp:53", "tcp:9");
      const { ip, gateway, dns } = EXPECTED[program];
      const script = `
crate run -d --name web -r ${box.rootfs} --network ${program} -p 8080:80 -p 127.0.0.1:8081:80 \
  -p 8082:82/udp nc -ll -p 80 -e hostname || exit 1
crate state web | jq -r '"pid " + (.pid | tostring)'
crate inspect web | jq -c '.[0].NetworkSettings | [.IPAddress, .Networks.${program}.Gateway, .Ports["80/tcp"][].HostPort]'
crate port web 80
crate exec web cat /etc/hosts /etc/resolv.conf
echo asked; read -r _
crate stop -t 0 web; crate start web && crate state web | jq -r '"again " + (.pid | tostring)'; echo started; read -r _
crate delete --force web
ls -A "$HOME/state/.networks"
echo done`;
      const running = user.start(script);
      await running.printed("asked");
      const { stdout } = running;
      const pid = Number(/^pid (\d+)$/m.exec(stdout)![1]);
      assert.match(stdout, new RegExp(`^\\["${ip}","${gateway}","8080","8081"\\]$`, "m"));
      assert.match(stdout, /^0\.0\.0\.0:8080\n127\.0\.0\.1:8081$/m);
      assert.match(stdout, new RegExp(`^${ip}\tweb$`, "m"));
      assert.match(stdout, new RegExp(`^nameserver ${dns}$`, "m"));
      const place = new Place(pid);
      assert.equal((await place.links()).map(({ ifname }) => ifname).join(), "eth0");
      // The way out, under the user's own address.
      assert.equal(await place.ask(OUTSIDE.ip, 7), `outside saw ${HOST.ip}`);
      assert.equal(await place.ask(OUTSIDE.ip, 8, { protocol: "udp" }), `outside saw ${HOST.ip}`);
      // The host's resolver, which is on the host's loopback.
      assert.equal(await place.ask(dns, 53, { protocol: "udp" }), `resolver saw ${REPLY}`);
      // Nothing else of the host's loopback.
      await place.assertSilent(gateway, 9);
      await until("it answers", async () => await outside.ask(HOST.ip, 8080) === "web");
      await until("it answers", async () => await host.ask("127.0.0.1", 8081) === "web");
      await outside.assertSilent(HOST.ip, 8081);
      {
        await using _ = await place.serve("inside", "udp:82");
        assert.match((await outside.ask(HOST.ip, 8082, { protocol: "udp" }))!, /^inside saw /);
      }
      assert.equal(processes(box, program).length, 1);
      const [first] = processes(box, program);

      await running.write("\n");
      await running.printed("started");
      assert.notEqual(processes(box, program)[0], first);
      assert.equal(processes(box, program).length, 1);
      await until("it answers", async () => await outside.ask(HOST.ip, 8080) === "web");
      // Its monitor is killed: the program ends all the same.
      const again = Number(/^again (\d+)$/m.exec(running.stdout)![1]);
      const monitor = /^PPid:\s*(\d+)$/m.exec(Deno.readTextFileSync(`/proc/${again}/status`))![1]!;
      Deno.kill(Number(monitor), "SIGKILL");
      await until(`${program} ends`, () => processes(box, program).length === 0);
      await running.write("\n");
      const { code, stderr } = await running.ended;
      assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
      assert.match(running.stdout, /started\nweb\ndone\n$/);
    },
  );
}

userTest(
  "a user's container has pasta when nothing is said, and else what there is",
  ["pasta"],
  async ({ box, user }) => {
    const addresses = `crate run --rm -r ${box.rootfs} ip -4 -o addr show eth0`;
    const first = await user.run(addresses);
    assert.deepEqual([first.code, first.stderr], [0, ""]);
    assert.match(first.stdout, / 192\.0\.2\.1\/24 /);
    // Without pasta.
    const programs = box.mkdir("bin");
    Deno.chmodSync(programs, 0o755);
    const link = (name: string) => {
      const found = Deno.env.get("PATH")!.split(":").map((each) => `${each}/${name}`).find(exists);
      Deno.symlinkSync(found!, `${programs}/${name}`);
    };
    const launcher =
      "unshare newuidmap newgidmap setpriv env bash sh deno find flock sed grep readlink dirname mkdir";
    for (
      const name of [
        ...launcher.split(" "),
        "cat",
        "uname",
        "mount",
        "mknod",
        "chmod",
        "id",
        "jq",
        "ls",
        "stat",
        "date",
      ]
    ) link(name);
    const whole = user.path;
    user.path = programs;
    const refused = await user.run(`crate run --rm -r ${box.rootfs} --network pasta true`);
    assert.equal(
      refused.stderr,
      "crate: --network pasta: the program pasta is not in PATH (Debian's package: passt)\n",
    );
    const none = await user.run(`crate run --rm -r ${box.rootfs} ip -4 -o addr`);
    assert.match(none.stderr, /^crate: warn: .*Debian's package: passt.* slirp4netns .*\n$/);
    assert.match(none.stdout, /^1: lo .*127\.0\.0\.1\/8.*\n$/);
    user.path = whole;
    for (const network of ["crate0", "cni:web"]) {
      const { code, stderr } = await user.run(
        `crate run -r ${box.rootfs} --network ${network} true`,
      );
      assert.equal(code, 125);
      assert.match(stderr, new RegExp(`^crate: --network ${network} needs root: .*\n$`));
    }
    for (
      const [words, why] of [
        ["--network pasta --ip 10.0.0.1", /--ip: the network pasta has addresses of its own/],
        ["--network pasta -p 1080:80/sctp", /--publish: the network pasta carries tcp and udp/],
        ["--network pasta -p 80:80", /port 80\/tcp of this host may not be taken by this user/],
        ["--network pasta --add-host a:host-gateway", /none of its networks has this host in it/],
        ["--network pasta --network none", /goes with no other --network/],
      ] as const
    ) {
      const { code, stderr } = await user.run(
        `crate run -r ${box.rootfs} ${words} true; code=$?; ls -A $HOME/state/.networks >&2; exit $code`,
      );
      assert.equal(code, 125, words);
      assert.match(stderr, why);
      assert.equal(stderr.split("\n").length, 2, stderr);
    }
    assert.deepEqual(processes(box, "pasta"), []);
  },
);

userTest(
  "a pasta that fails says why, and one whose crate is killed ends",
  [],
  async ({ box, user }) => {
    const programs = box.mkdir("programs");
    Deno.chmodSync(programs, 0o755);
    user.path = `${programs}:${user.path}`;
    box.file("programs/pasta", "#!/bin/sh\necho all is well\necho no way >&2\nexit 1\n", 0o755);
    const failed = await user.run(
      `crate run -r ${box.rootfs} -p 8080:80 true; ls -A "$HOME/state/.networks"`,
    );
    assert.deepEqual([failed.stdout, failed.stderr], [
      "",
      "crate: --network pasta: pasta failed: no way (--network none needs no program)\n",
    ]);
    box.file("programs/pasta", '#!/bin/sh\necho $$ > "$0.pid"; exec sleep 1000\n', 0o755);
    Deno.writeTextFileSync(box.path("programs/pasta.pid"), "");
    Deno.chmodSync(box.path("programs/pasta.pid"), 0o666);
    const killed = await user.run(`crate run -r ${box.rootfs} -p 8080:80 true 2>/dev/null &
until [ -s ${programs}/pasta.pid ]; do sleep 0.05; done
kill -9 $(pgrep -f -- "--root $HOME/state run")
wait
ls -A "$HOME/state/.networks" | wc -l; grep -c "$HOME/state/.networks" /proc/self/mountinfo
crate list -q
ls -A "$HOME/state/.networks" | wc -l; grep -c "$HOME/state/.networks" /proc/self/mountinfo`);
    assert.deepEqual([killed.stdout, killed.stderr], ["1\n1\n0\n0\n", ""]);
    const pid = Deno.readTextFileSync(box.path("programs/pasta.pid")).trim();
    await until("pasta ends", () => !exists(`/proc/${pid}/root`));
  },
);

test("root is told that pasta is for others", async (box) => {
  for (const network of ["pasta", "slirp4netns"]) {
    const { code, stderr } = await box.crate([
      "run",
      "-r",
      box.rootfs,
      "--network",
      network,
      "true",
    ]);
    assert.equal(code, 125);
    assert.match(stderr, /is for a user without root: root has crate0/);
  }
});
