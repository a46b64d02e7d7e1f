import assert from "node:assert/strict";
import { formatConfig } from "./format.ts";
import { loadConfig } from "./load.ts";

const config = loadConfig({
  env: {
    CRATE_LOG_FILE: '/tmp/"a"\x7f\n',
    CRATE_SECURITY_DROP_CAPABILITIES: "MKNOD,NET_RAW",
    CRATE_REGISTRIES_MIRRORS: "docker.io=one.example, docker.io=two.example/hub",
  },
  overrides: [{ key: "cgroup.memory_limit", value: "1k", origin: "--memory" }],
  systemFile: "/nonexistent/config.toml",
});

Deno.test("as TOML every value has its origin beside it", async () => {
  assert.equal(
    formatConfig(await config, "toml"),
    `root = "/run/crate" # default
image_root = "/var/lib/crate" # default

[log]
level = "warn" # default
file = "/tmp/\\"a\\"\\u007f\\n" # CRATE_LOG_FILE
format = "text" # default

[cgroup]
parent = "/crate" # default
memory_limit = 1024 # --memory
# memory_high is not set # default
# cpu_quota is not set # default
# cpu_period is not set # default
# pids_max is not set # default

[security]
drop_capabilities = ["MKNOD", "NET_RAW"] # CRATE_SECURITY_DROP_CAPABILITIES
enable_seccomp = true # default
read_only_rootfs = false # default
userns = "host" # default

[network]
# bridge_name is not set # default
# subnet is not set # default
# gateway is not set # default
enabled = true # default

[registries]
insecure = [] # default
mirrors = { "docker.io" = ["one.example", "two.example/hub"] } # CRATE_REGISTRIES_MIRRORS
`,
  );
});

Deno.test("the TOML is a configuration file that gives the same configuration", async () => {
  const file = Deno.makeTempFileSync();
  try {
    Deno.writeTextFileSync(file, formatConfig(await config, "toml"));
    const again = await loadConfig({ env: {}, systemFile: file });
    for (const [key, { value }] of Object.entries(await config)) {
      assert.deepEqual(Object.entries(again).find(([name]) => name === key)?.[1].value, value, key);
    }
  } finally {
    Deno.removeSync(file);
  }
});

Deno.test("an origin with a line break in it does not break out of its comment", async () => {
  const text = formatConfig({
    ...await config,
    root: { value: "/x", origin: "a\nroot = '/y':1" },
  }, "toml");
  assert.match(text, /^root = "\/x" # a\?root = '\/y':1\n/);
});

Deno.test("as JSON every key has value and origin, null where nothing is set", async () => {
  const document = JSON.parse(formatConfig(await config, "json"));
  assert.deepEqual(document.root, { value: "/run/crate", origin: "default" });
  assert.deepEqual(document.cgroup.memory_limit, { value: 1024, origin: "--memory" });
  assert.deepEqual(document.cgroup.pids_max, { value: null, origin: "default" });
});
