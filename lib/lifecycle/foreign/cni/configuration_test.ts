import assert from "node:assert/strict";
import fc from "fast-check";
import { CrateError } from "../../../errors.ts";
import { findConfiguration, parseConfiguration } from "./configuration.ts";
import { cniNetwork } from "./places.ts";

const FILE = "/etc/cni/net.d/1.conf";
const plain = { cniVersion: "1.0.0", name: "web", type: "bridge" };

function refusal(value: unknown, file = FILE): string {
  try {
    parseConfiguration(typeof value === "string" ? value : JSON.stringify(value), file);
  } catch (error) {
    assert(error instanceof CrateError);
    assert(!error.message.includes("\n"));
    return error.message;
  }
  throw new Error("it was taken");
}

Deno.test("a single plugin is a list of one", () => {
  assert.deepEqual(parseConfiguration(JSON.stringify(plain), FILE), {
    name: "web",
    cniVersion: "1.0.0",
    plugins: [plain],
    file: FILE,
  });
});

Deno.test("a malformed configuration is refused with its file and field", () => {
  assert.match(refusal("{"), /^\/etc\/cni\/net\.d\/1\.conf is no JSON: /);
  assert.match(refusal([]), /1\.conf: it must be a JSON object/);
  assert.match(
    refusal({ ...plain, name: "../x" }),
    /"name" must be a network's name, got "\.\.\/x"/,
  );
  assert.match(refusal({ ...plain, name: 3 }), /"name" must be a network's name, got 3/);
  assert.match(
    refusal({ ...plain, cniVersion: "0.2.0" }),
    /"cniVersion" is "0\.2\.0", crate knows/,
  );
  assert.match(refusal({ ...plain, cniVersion: undefined }), /"cniVersion" is not there/);
  assert.match(refusal(plain, "/n/1.conflist"), /1\.conflist: "plugins" must be there/);
  assert.match(refusal({ ...plain, plugins: [] }), /"plugins" must be an array of 1 to 64/);
  assert.match(refusal({ ...plain, plugins: [1] }), /plugins\[0\] must be a JSON object/);
  for (const type of ["a/b", "..", "", undefined, "a\0b"]) {
    assert.match(refusal({ ...plain, plugins: [{ type }] }), /"plugins\[0\]\.type" must be/);
  }
  assert.match(
    refusal({ ...plain, type: undefined }),
    /"type" must be a plugin's name, got undefined/,
  );
  assert.match(refusal({ ...plain, capabilities: [] }), /"capabilities" must be a JSON object/);
});

Deno.test("whatever a file holds, it is a configuration or refused", () => {
  const values = fc.oneof(
    fc.jsonValue(),
    fc.record({
      name: fc.jsonValue(),
      cniVersion: fc.constantFrom("1.0.0", "0.4.0", "9"),
      plugins: fc.jsonValue(),
      type: fc.jsonValue(),
    }, { requiredKeys: [] }),
  );
  fc.assert(fc.property(values, (value) => {
    try {
      const { plugins } = parseConfiguration(JSON.stringify(value), FILE);
      assert(plugins.every(({ type }) => !type.includes("/")));
    } catch (error) {
      assert(error instanceof CrateError, String(error));
    }
  }));
});

Deno.test("the first file that has a network's name counts, and a broken one only when none has it", () => {
  const directory = Deno.makeTempDirSync();
  const write = (name: string, value: object | string) =>
    Deno.writeTextFileSync(
      `${directory}/${name}`,
      typeof value === "string" ? value : JSON.stringify(value),
    );
  const typeOf = (name: string) => findConfiguration(directory, name).plugins[0]!.type;
  try {
    write("00-broken.conf", "{");
    write("10-a.json", { ...plain, type: "macvlan" });
    write("20-b.conflist", { ...plain, plugins: [{ type: "ptp" }] });
    write("05.txt", { ...plain, type: "no" });
    assert.equal(typeOf("web"), "macvlan");
    Deno.removeSync(`${directory}/10-a.json`);
    assert.equal(typeOf("web"), "ptp");
    assert.throws(() => typeOf("other"), /00-broken\.conf is no JSON/);
    Deno.removeSync(`${directory}/00-broken.conf`);
    assert.throws(() => typeOf("other"), /no file in .* has a network of this name, but web/);
    // The network's own file is at fault, and no other is taken for it.
    write("15-own.conf", { ...plain, cniVersion: "2.0.0" });
    assert.throws(() => typeOf("web"), /15-own\.conf: "cniVersion" is "2\.0\.0"/);
    assert.throws(() => findConfiguration(`${directory}/nope`, "web"), /is not there, where CNI/);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});

Deno.test("cnitool's variables say where networks and plugins are", () => {
  assert.deepEqual(cniNetwork("web", {}), {
    kind: "cni",
    name: "web",
    configurations: "/etc/cni/net.d",
    plugins: ["/opt/cni/bin", "/usr/lib/cni", "/usr/libexec/cni", "/usr/local/lib/cni"],
    path: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  });
  const own = { PATH: "/bin", NETCONFPATH: "/n", CNI_PATH: "/a::/b", CNI_ARGS: "A=1;B=" };
  assert.deepEqual(cniNetwork("web", own), {
    kind: "cni",
    name: "web",
    configurations: "/n",
    plugins: ["/a", "/b"],
    path: "/bin",
    args: "A=1;B=",
  });
  assert.throws(
    () => cniNetwork("web", { CNI_PATH: "a" }),
    /CNI_PATH: "a" is not an absolute path/,
  );
  assert.throws(() => cniNetwork("web", { NETCONFPATH: "n" }), /NETCONFPATH: "n" is not/);
  assert.throws(() => cniNetwork("web", { CNI_ARGS: "A" }), /CNI_ARGS: it is KEY=VALUE/);
  assert.throws(() => cniNetwork("", {}), /a CNI network's name has letters/);
});
