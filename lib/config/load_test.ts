import assert from "node:assert/strict";
import { CrateError, type ErrorCode } from "../errors.ts";
import type { Effective } from "./keys.ts";
import { loadConfig, type Sources } from "./load.ts";

/** Runs with files of these texts in a new directory, whose name stands for `@` in the result. */
async function inDirectory<T>(
  files: Readonly<Record<string, string>>,
  run: (directory: string) => Promise<T> | T,
): Promise<T> {
  const directory = Deno.makeTempDirSync();
  try {
    for (const [name, text] of Object.entries(files)) {
      const parent = name.includes("/") ? name.slice(0, name.lastIndexOf("/")) : "";
      Deno.mkdirSync(`${directory}/${parent}`, { recursive: true });
      Deno.writeTextFileSync(`${directory}/${name}`, text);
    }
    return await run(directory);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

/** The configuration of one file. */
function fromFile(text: string): Promise<Effective> {
  return inDirectory(
    { "c.toml": text },
    (directory) => loadConfig({ env: {}, systemFile: `${directory}/c.toml` }),
  );
}

/** Loads, and expects that it fails with this code and sentence. */
async function refuses(
  load: () => Effective | Promise<Effective>,
  message: string | RegExp,
  code: ErrorCode = "INVALID",
): Promise<void> {
  await assert.rejects(async () => await load(), (error: unknown) => {
    assert(error instanceof CrateError, String(error));
    assert.equal(error.code, code);
    if (typeof message === "string") assert.equal(error.message, message);
    else assert.match(error.message, message);
    return true;
  });
}

async function refusesFile(text: string, message: string): Promise<void> {
  await inDirectory({ "c.toml": text }, async (directory) => {
    const systemFile = `${directory}/c.toml`;
    await refuses(
      () => loadConfig({ env: {}, systemFile }),
      message.replaceAll("@", systemFile),
    );
  });
}

const nothing: Sources = { env: {}, systemFile: "/nonexistent/config.toml" };

Deno.test("without a file the defaults are there at once, not behind a promise", () => {
  const config = loadConfig(nothing);
  assert(!(config instanceof Promise));
  assert.deepEqual(config.root, { value: "/run/crate", origin: "default" });
  assert.deepEqual(config["security.enable_seccomp"], { value: true, origin: "default" });
  assert.deepEqual(config["cgroup.memory_limit"], { value: undefined, origin: "default" });
});

Deno.test("a default file that exists() denies is not even tried", () => {
  const asked: string[] = [];
  const config = loadConfig({
    env: { HOME: "/home/me" },
    // Opening a directory fails, if it is tried.
    systemFile: "/",
    exists: (path) => asked.push(path) === 0,
  });
  assert(!(config instanceof Promise));
  assert.deepEqual(asked, ["/", "/home/me/.config/crate/config.toml"]);
});

Deno.test("the user's file wins over the system's, --config over both, key by key", async () => {
  await inDirectory({
    "system.toml":
      'root = "/system"\nimage_root = "/system"\nlog.level = "info"\nlog.file = "/l"\n',
    "user/crate/config.toml": '\nimage_root = "/user"\nlog.level = "error"\n',
    "given.toml": '[log]\nlevel = "debug"\n',
  }, async (directory) => {
    const config = await loadConfig({
      env: { XDG_CONFIG_HOME: `${directory}/user` },
      systemFile: `${directory}/system.toml`,
      file: `${directory}/given.toml`,
    });
    assert.deepEqual(config["log.file"], { value: "/l", origin: `${directory}/system.toml:4` });
    assert.deepEqual(config.root, { value: "/system", origin: `${directory}/system.toml:1` });
    assert.deepEqual(config.image_root, {
      value: "/user",
      origin: `${directory}/user/crate/config.toml:2`,
    });
    assert.deepEqual(config["log.level"], { value: "debug", origin: `${directory}/given.toml:2` });
  });
});

Deno.test("the environment wins over files, and the command line over the environment", async () => {
  await inDirectory(
    { "c.toml": 'root = "/a"\nimage_root = "/a"\nlog.file = "/a"' },
    async (dir) => {
      const config = await loadConfig({
        env: { CRATE_ROOT: "/b", CRATE_IMAGE_ROOT: "/b", CRATE_LOG_FILE: "", PATH: "/bin" },
        overrides: [
          { key: "root", value: "/c", origin: "--root" },
          { key: "log.level", value: undefined, origin: "--debug" },
        ],
        systemFile: `${dir}/c.toml`,
      });
      assert.deepEqual(config.root, { value: "/c", origin: "--root" });
      assert.deepEqual(config.image_root, { value: "/b", origin: "CRATE_IMAGE_ROOT" });
      assert.equal(config["log.file"].origin, `${dir}/c.toml:3`, "an empty variable is not set");
      assert.equal(config["log.level"].origin, "default");
    },
  );
});

Deno.test("the user's file is ~/.config's unless XDG_CONFIG_HOME is an absolute path", async () => {
  await inDirectory({ ".config/crate/config.toml": 'root = "/home"' }, async (HOME) => {
    for (const env of [{ HOME }, { HOME, XDG_CONFIG_HOME: "" }, { HOME, XDG_CONFIG_HOME: "x" }]) {
      const config = await loadConfig({ ...nothing, env });
      assert.equal(config.root.value, "/home");
    }
    const { root } = await loadConfig({
      ...nothing,
      env: { HOME, XDG_CONFIG_HOME: "/nonexistent" },
    });
    assert.equal(root.value, "/run/crate");
  });
});

Deno.test("every key can be set, in a file and by its variable", async () => {
  const config = await fromFile(`
    root = "/r"
    image_root = "/i"
    [log]
    level = "error"
    file = "/l"
    format = "json"
    [cgroup]
    parent = "/a/b"
    memory_limit = "1.5 GiB"
    memory_high = 4096
    cpu_quota = 150000
    cpu_period = 50000
    pids_max = 100
    [security]
    drop_capabilities = ["CAP_NET_RAW", "mknod"]
    enable_seccomp = false
    read_only_rootfs = true
    userns = "auto"
    [network]
    bridge_name = "crate0"
    subnet = "10.88.0.0/16"
    gateway = "10.88.0.1"
    enabled = false
    [registries]
    insecure = ["a.example", "[::1]:5000"]
    [registries.mirrors]
    "docker.io" = ["one.example:5000", "https://two.example/hub"]
  `);
  const variables = await loadConfig({
    ...nothing,
    env: {
      CRATE_ROOT: "/r",
      CRATE_IMAGE_ROOT: "/i",
      CRATE_LOG_LEVEL: "error",
      CRATE_LOG_FILE: "/l",
      CRATE_LOG_FORMAT: "json",
      CRATE_CGROUP_PARENT: "/a/b",
      CRATE_CGROUP_MEMORY_LIMIT: "1.5g",
      CRATE_CGROUP_MEMORY_HIGH: "4096",
      CRATE_CGROUP_CPU_QUOTA: "150000",
      CRATE_CGROUP_CPU_PERIOD: "50000",
      CRATE_CGROUP_PIDS_MAX: "100",
      CRATE_SECURITY_DROP_CAPABILITIES: "CAP_NET_RAW, mknod",
      CRATE_SECURITY_ENABLE_SECCOMP: "false",
      CRATE_SECURITY_READ_ONLY_ROOTFS: "true",
      CRATE_SECURITY_USERNS: "auto",
      CRATE_NETWORK_BRIDGE_NAME: "crate0",
      CRATE_NETWORK_SUBNET: "10.88.0.0/16",
      CRATE_NETWORK_GATEWAY: "10.88.0.1",
      CRATE_NETWORK_ENABLED: "false",
      CRATE_REGISTRIES_INSECURE: "a.example,[::1]:5000",
      CRATE_REGISTRIES_MIRRORS: "docker.io=one.example:5000,docker.io=https://two.example/hub",
    },
  });
  const values = (effective: Effective) =>
    Object.entries(effective).map(([key, { value }]) => [key, value]);
  assert.deepEqual(values(config), [
    ["root", "/r"],
    ["image_root", "/i"],
    ["log.level", "error"],
    ["log.file", "/l"],
    ["log.format", "json"],
    ["cgroup.parent", "/a/b"],
    ["cgroup.memory_limit", 1.5 * 2 ** 30],
    ["cgroup.memory_high", 4096],
    ["cgroup.cpu_quota", 150000],
    ["cgroup.cpu_period", 50000],
    ["cgroup.pids_max", 100],
    ["security.drop_capabilities", ["CAP_NET_RAW", "mknod"]],
    ["security.enable_seccomp", false],
    ["security.read_only_rootfs", true],
    ["security.userns", "auto"],
    ["network.bridge_name", "crate0"],
    ["network.subnet", "10.88.0.0/16"],
    ["network.gateway", "10.88.0.1"],
    ["network.enabled", false],
    ["registries.insecure", ["a.example", "[::1]:5000"]],
    ["registries.mirrors", { "docker.io": ["one.example:5000", "https://two.example/hub"] }],
  ]);
  assert.deepEqual(values(variables), values(config));
  for (const [key, { origin }] of Object.entries(variables)) {
    assert.equal(origin, `CRATE_${key.replace(".", "_").toUpperCase()}`);
  }
});

Deno.test("a limit of 0 takes away the limit of an earlier layer", async () => {
  const config = await inDirectory(
    { "c.toml": "cgroup = { pids_max = 5, memory_limit = 9 }" },
    (d) =>
      loadConfig({
        env: { CRATE_CGROUP_PIDS_MAX: "0", CRATE_CGROUP_MEMORY_LIMIT: "0" },
        systemFile: `${d}/c.toml`,
      }),
  );
  assert.deepEqual(config["cgroup.pids_max"], {
    value: undefined,
    origin: "CRATE_CGROUP_PIDS_MAX",
  });
  assert.equal(config["cgroup.memory_limit"].value, undefined);
});

Deno.test("a path on the command line may be relative to the working directory", async () => {
  const { root } = await loadConfig({
    ...nothing,
    overrides: [{ key: "root", value: "./state", origin: "--root" }],
  });
  assert.equal(root.value, `${Deno.cwd()}/state`);
});

Deno.test("an unknown key is an error with its file and line, and the key that was meant", async () => {
  await refusesFile(
    '# crate\n\n[cgroup]\nmemry_limit = "1g"\n',
    '@:4: unknown key "cgroup.memry_limit" (did you mean "cgroup.memory_limit"?)',
  );
  await refusesFile(
    "pids_max = 1",
    '@:1: unknown key "pids_max" (did you mean "cgroup.pids_max"?)',
  );
  await refusesFile("\n[cgroups]", '@:2: unknown key "cgroups" (did you mean "cgroup"?)');
  await refusesFile("x = 1", '@:1: unknown key "x" (see crate config for all that there are)');
  await refusesFile(
    '"log.level" = "info"',
    '@:1: unknown key "\\"log.level\\"" (did you mean "log.level"?)',
  );
});

Deno.test("a value of the wrong type or form is an error with its file and line", async () => {
  const bytes = 'a number of bytes, such as 536870912 or "512m" (0: not set)';
  const cases: [text: string, message: string][] = [
    ["root = 5", "root must be an absolute path, got 5"],
    ['root = "tmp"', 'root must be an absolute path, got "tmp"'],
    ["root = 1979-05-27", "root must be an absolute path, got a date"],
    ['log.level = "loud"', 'log.level must be error, warn, info or debug, got "loud"'],
    ["log.level.x = 1", "log.level must be error, warn, info or debug, got a table"],
    ["log = 5", "log must be a table, as in [log]"],
    ["[[log]]", "log must be a table, as in [log]"],
    ['cgroup.memory_limit = "512q"', `cgroup.memory_limit must be ${bytes}, got "512q"`],
    ['cgroup.memory_limit = "512mi"', `cgroup.memory_limit must be ${bytes}, got "512mi"`],
    ["cgroup.memory_limit = -1", `cgroup.memory_limit must be ${bytes}, got -1`],
    ["cgroup.memory_high = 1.5", `cgroup.memory_high must be ${bytes}, got 1.5`],
    ["cgroup.memory_high = true", `cgroup.memory_high must be ${bytes}, got true`],
    ['cgroup.memory_high = "9999999p"', `cgroup.memory_high must be ${bytes}, got "9999999p"`],
    ...['"crate"', '"/"', '"/a/../b"', '"/a//b"', '"/a/"'].map((path): [string, string] => [
      `cgroup.parent = ${path}`,
      `cgroup.parent must be a path in the cgroup tree, such as "/crate", got ${path}`,
    ]),
    [
      "cgroup.pids_max = 1.5",
      "cgroup.pids_max must be a whole number of processes, at least 1 (0: not set), got 1.5",
    ],
    [
      "cgroup.cpu_period = 999",
      "cgroup.cpu_period must be a whole number of microseconds, 1000 to 1000000 (0: not set), got 999",
    ],
    [
      "cgroup.cpu_period = 1000001",
      "cgroup.cpu_period must be a whole number of microseconds, 1000 to 1000000 (0: not set), got 1000001",
    ],
    [
      'security.enable_seccomp = "no"',
      'security.enable_seccomp must be true or false, got "no"',
    ],
    [
      'security.drop_capabilities = "ALL"',
      'security.drop_capabilities must be a list of capabilities, such as ["CAP_NET_RAW"], got "ALL"',
    ],
    [
      'registries.insecure = ["http://a"]',
      'registries.insecure must be a list of registries, such as ["registry.example:5000"], got a list',
    ],
    [
      'registries.mirrors."docker.io" = "a"',
      "registries.mirrors must be lists of mirrors by registries, such as " +
      '{ "docker.io" = ["mirror.example"] }, got a table',
    ],
    [
      "security.drop_capabilities = [1]",
      'security.drop_capabilities must be a list of capabilities, such as ["CAP_NET_RAW"], got a list',
    ],
    ...['"sixteen-letters-"', '"a/b"', '".."', '""'].map((name): [string, string] => [
      `network.bridge_name = ${name}`,
      `network.bridge_name must be a network interface's name, of 1 to 15 characters without / or : or spaces, got ${name}`,
    ]),
    ...['"10.0.0.0"', '"10.0.0.0/33"', '"10.0.0/8"', '"10.0.0.256/8"'].map(
      (subnet): [string, string] => [
        `network.subnet = ${subnet}`,
        `network.subnet must be an IPv4 subnet, such as "10.88.0.0/16", got ${subnet}`,
      ],
    ),
    [
      'network.gateway = "10.0.0.01"',
      'network.gateway must be an IPv4 address, such as "10.88.0.1", got "10.0.0.01"',
    ],
    [
      "network.enabled = 1",
      "network.enabled must be true or false, got 1",
    ],
    ["a = [1", "not valid TOML: expected comma or end of structure"],
  ];
  for (const [text, message] of cases) await refusesFile(`\n${text}`, `@:2: ${message}`);
});

Deno.test("a wrong variable or option is an error that names it", async () => {
  await refuses(
    () => loadConfig({ ...nothing, env: { CRATE_LOG_LEVEL: "loud" } }),
    'CRATE_LOG_LEVEL must be error, warn, info or debug, got "loud"',
  );
  await refuses(
    () => loadConfig({ ...nothing, env: { CRATE_CGROUP_PIDS_MAX: "many" } }),
    /^CRATE_CGROUP_PIDS_MAX must be a whole number of processes, .*, got "many"$/,
  );
  await refuses(
    () => loadConfig({ ...nothing, env: { CRATE_LOGLEVEL: "info" } }),
    'unknown environment variable "CRATE_LOGLEVEL" (did you mean "CRATE_LOG_LEVEL"?)',
  );
  await refuses(() =>
    loadConfig({
      ...nothing,
      overrides: [{ key: "log.format", value: "xml", origin: "--log-format" }],
    }), '--log-format must be text or json, got "xml"');
});

Deno.test("a file that --config names must be there and be readable", async () => {
  await refuses(
    () => loadConfig({ ...nothing, file: "/nonexistent/c.toml" }),
    "the configuration file /nonexistent/c.toml does not exist",
    "NOT_FOUND",
  );
  await refuses(
    () => loadConfig({ ...nothing, file: "/" }),
    /^the configuration file \/ cannot be read: Is a directory/,
    "FAILED",
  );
});
