import assert from "node:assert/strict";
import { LIBC_PATHS } from "../../ffi/mod.ts";
import { CrateError } from "../errors.ts";
import {
  COMMAND_NAMES,
  permissionFlags,
  type PermissionSet,
  permissionSets,
  permissionsOf,
} from "./permissions.ts";
import { commandLine } from "./words/mod.ts";

const root = new URL("../..", import.meta.url).pathname;

/** What each of Deno's functions that the program calls needs; nothing for most. */
const NEEDS: Record<string, keyof PermissionSet | undefined> = {
  args: undefined,
  build: undefined,
  cwd: undefined,
  dlopen: "ffi",
  addSignalListener: undefined,
  Command: "run",
  consoleSize: undefined,
  createHttpClient: "net",
  env: "env",
  errors: undefined,
  exit: undefined,
  mkdirSync: "write",
  open: "read",
  pid: undefined,
  readTextFileSync: "read",
  realPathSync: "read",
  removeSignalListener: undefined,
  removeSync: "write",
  SeekMode: undefined,
  stderr: undefined,
  stdin: undefined,
  stdout: undefined,
  uid: "sys",
  writeTextFileSync: "write",
};

function sources(folder: string): string[] {
  return [...Deno.readDirSync(root + folder)].flatMap(({ name, isDirectory }) => {
    const path = `${folder}/${name}`;
    if (isDirectory) return sources(path);
    const isForTests = /^_|_test\.ts$|^testing\.ts$/.test(name);
    return name.endsWith(".ts") && !isForTests && name !== "permissions.ts" ? [path] : [];
  });
}

/** The kinds of permission that the code of a folder asks for, as it is written. */
function kindsIn(folder: string): string[] {
  const kinds = new Set<string>();
  for (const path of sources(folder)) {
    const code = Deno.readTextFileSync(root + path).replace(/^\s*(\/?\*|\/\/).*$/gm, "");
    if (/^(?!.*\bimport type\b).*from "(\.\.\/)+ffi\//m.test(code)) kinds.add("ffi");
    for (const [, name] of code.matchAll(/\bDeno\.([A-Za-z]\w*)(?=[.(\s,;)])/g)) {
      if (
        /^(FsFile|ForeignLibraryInterface|HttpClient|CreateHttpClientOptions|Proxy|TlsCertifiedKeyPem|ChildProcess)$/
          .test(name!)
      ) continue; // types
      assert.ok(Object.hasOwn(NEEDS, name!), `${path}: which permission does Deno.${name} need?`);
      const kind = NEEDS[name!];
      if (kind !== undefined) kinds.add(kind);
    }
  }
  return [...kinds].sort();
}

Deno.test("each room says itself which kinds of permission its code asks for", async () => {
  const rooms = [...Deno.readDirSync(`${root}lib`)].filter(({ isDirectory }) => isDirectory);
  assert.ok(rooms.length > 0);
  for (const { name } of rooms) {
    if (name === "cli") continue;
    const module: { permissions: PermissionSet | ((files: string[]) => PermissionSet) } =
      await import(`${root}lib/${name}/permissions.ts`);
    const { permissions } = module;
    const stated = typeof permissions === "function" ? permissions(["/file"]) : permissions;
    assert.deepEqual(Object.keys(stated).sort(), kindsIn(`lib/${name}`), name);
  }
  const places = {
    root: "/r",
    configFiles: [],
    log: "/log",
    envFiles: ["/env"],
    seccompProfile: "/profile",
    cidfile: "/id",
    pidFile: "/pid",
  };
  const all = COMMAND_NAMES.map((name) => Object.keys(permissionsOf(name, places))).flat();
  // Registries are reached by the room of images.
  assert.deepEqual([...new Set(all)].sort(), [...kindsIn("lib/cli"), "net"].sort());
});

Deno.test("every command has its permissions", () => {
  const names = commandLine.commands.map(({ name }) => name);
  // What is in these alone has both words as its name.
  const groups = commandLine.groups.filter(({ name, commands }) =>
    commands.every(([each, command]) => command.name === `${name} ${each}`)
  );
  names.push(...groups.map(({ name }) => name));
  assert.deepEqual([...COMMAND_NAMES].sort(), names.sort());
});

Deno.test("no command runs a program, has more of libc than libc, or without need reaches a host", () => {
  const online = ["pull", "push", "login", "logout"];
  for (const name of COMMAND_NAMES) {
    const { ffi = [], ...others } = permissionsOf(name);
    assert.deepEqual(ffi, name === "version" ? [] : LIBC_PATHS);
    const kinds = Object.keys(others);
    const allowed = ["read", "write", "env", "sys", ...online.includes(name) ? ["net"] : []];
    assert.ok(kinds.every((kind) => allowed.includes(kind)), name);
  }
});

Deno.test("deno.json has the permission sets that the rooms ask for", () => {
  const { permissions } = JSON.parse(Deno.readTextFileSync(`${root}deno.json`));
  const expected = permissionSets();
  assert.deepEqual(
    permissions,
    expected,
    `"permissions" must be ${JSON.stringify(expected, undefined, 2)}`,
  );
});

Deno.test("files that the user names are in the set, and nothing else is added", () => {
  const bare = { root: "/r", configFiles: ["/c"] };
  const named = { ...bare, cidfile: "/id", pidFile: "/p", envFiles: ["/e"], seccompProfile: "/s" };
  const { read, write, ...rest } = permissionsOf("run", { ...named, log: "/log" });
  assert.deepEqual([read, write], [["/c", "/e", "/s"], ["/log", "/id", "/p"]]);
  const { read: readBare, write: writeBare, ...restBare } = permissionsOf("run", bare);
  assert.deepEqual([readBare, writeBare], [["/c"], undefined]);
  assert.deepEqual(rest, restBare);
  assert.deepEqual(permissionsOf("logs", bare).read, ["/c", "/r"]);
  assert.deepEqual(permissionsOf("version", { ...named, log: "/log" }), {});
});

Deno.test("a path that a flag cannot name is refused", () => {
  assert.deepEqual(permissionFlags({ read: ["/a", "/b"], env: true }), [
    "--no-prompt",
    "--allow-read=/a,/b",
    "--allow-env",
  ]);
  assert.throws(
    () => permissionFlags({ read: ["/a", "/b,c"] }),
    (error) => error instanceof CrateError && error.message.startsWith("/b,c: "),
  );
});

Deno.test("no start of crate loads the permissions", async () => {
  const args = ["info", "--json", "--config", `${root}deno.json`, `${root}mod.ts`, `${root}cli.ts`];
  for (const entry of args.splice(-2)) {
    const { stdout } = await new Deno.Command(Deno.execPath(), { args: [...args, entry] }).output();
    const { modules }: { modules: { specifier: string }[] } = JSON.parse(
      new TextDecoder().decode(stdout),
    );
    const loaded = modules.map(({ specifier }) => specifier);
    assert.ok(loaded.some((url) => url.endsWith("/lib/cli/main.ts")));
    assert.deepEqual(loaded.filter((url) => url.endsWith("/permissions.ts")), []);
  }
});
