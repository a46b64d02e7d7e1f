import assert from "node:assert/strict";
import { CrateError } from "../../errors.ts";
import { at, manifest, MANIFEST_TYPE, quick, serve } from "./_misbehaving.ts";
import { findCredentials } from "./credentials.ts";
import { login, logout } from "./login.ts";
import { registrySource } from "./source.ts";

const encode = (name: string, password: string) => btoa(`${name}:${password}`);

/** A home with files, and programs on PATH. */
async function withHome(
  files: Readonly<Record<string, unknown>>,
  use: (home: string, env: (name: string) => string | undefined) => Promise<void>,
  helpers: Readonly<Record<string, string>> = {},
): Promise<void> {
  const home = Deno.makeTempDirSync({ prefix: "crate-home-" });
  const path = Deno.env.get("PATH")!;
  try {
    for (const [name, content] of Object.entries(files)) {
      const file = `${home}/${name}`;
      Deno.mkdirSync(file.slice(0, file.lastIndexOf("/")), { recursive: true });
      Deno.writeTextFileSync(file, typeof content === "string" ? content : JSON.stringify(content));
    }
    Deno.mkdirSync(`${home}/bin`);
    for (const [name, script] of Object.entries(helpers)) {
      const file = `${home}/bin/docker-credential-${name}`;
      Deno.writeTextFileSync(file, `#!/bin/sh\nhome=${home}\n${script}\n`, { mode: 0o755 });
    }
    Deno.env.set("PATH", `${home}/bin:${path}`);
    const env: Record<string, string> = { HOME: home, XDG_RUNTIME_DIR: `${home}/run` };
    await use(home, (name) => env[name]);
  } finally {
    Deno.env.set("PATH", path);
    Deno.removeSync(home, { recursive: true });
  }
}

const DOCKER = ".docker/config.json";

Deno.test("podman's files come before Docker's, and the longest key of one counts", () =>
  withHome({
    "run/containers/auth.json": { auths: { "a.example": { auth: encode("one", "1") } } },
    ".config/containers/auth.json": {
      auths: {
        "a.example": { auth: encode("two", "2") },
        "b.example/team": { auth: encode("team", "t") },
        "b.example": { username: "plain", password: "p" },
      },
    },
    [DOCKER]: {
      auths: {
        "https://index.docker.io/v1/": { auth: encode("hub", "h") },
        "https://c.example/v2/": { auth: encode("old", "o") },
        "d.example": { auth: encode("zeros", "z\0\0") },
        "e.example": { identitytoken: "token", auth: encode("x", "") },
      },
    },
  }, async (_home, env) => {
    const find = (domain: string, path = "x") => findCredentials(domain, path, { env });
    assert.deepEqual(await find("a.example"), { username: "one", password: "1" });
    assert.deepEqual(await find("b.example", "team/x"), { username: "team", password: "t" });
    assert.deepEqual(await find("b.example", "teams/x"), { username: "plain", password: "p" });
    for (const domain of ["docker.io", "registry-1.docker.io", "index.docker.io"]) {
      assert.deepEqual(await find(domain), { username: "hub", password: "h" }, domain);
    }
    assert.deepEqual(await find("c.example"), { username: "old", password: "o" });
    assert.deepEqual(await find("d.example"), { username: "zeros", password: "z" });
    assert.deepEqual(await find("e.example"), { identityToken: "token" });
    assert.equal(await find("f.example"), undefined);
  }));

Deno.test("a registry's own helper comes before the one for all, and that before what stands in the file", () => {
  const get = (name: string) =>
    `read key; echo "${name} $1 $key" >> $home/asked; echo '{"Username":"${name}","Secret":"s"}'`;
  return withHome({
    [DOCKER]: {
      auths: {
        "a.example": { auth: encode("file", "f") },
        "c.example": { auth: encode("file", "f") },
      },
      credHelpers: { "a.example": "own" },
      credsStore: "all",
    },
  }, async (home, env) => {
    const find = (domain: string) => findCredentials(domain, "x", { env });
    assert.deepEqual(await find("a.example"), { username: "own", password: "s" });
    assert.deepEqual(await find("b.example"), { username: "all", password: "s" });
    assert.deepEqual(await find("docker.io"), { username: "all", password: "s" });
    assert.deepEqual(await find("c.example"), { username: "all", password: "s" });
    assert.equal(
      Deno.readTextFileSync(`${home}/asked`),
      "own get a.example\nall get b.example\nall get https://index.docker.io/v1/\nall get c.example\n",
    );
  }, { own: get("own"), all: get("all") });
});

Deno.test("a helper that has nothing leaves it to the file; a token of one is a token", () =>
  withHome({
    [DOCKER]: {
      auths: { "a.example": { auth: encode("file", "f") } },
      credHelpers: { "a.example": "none", "b.example": "token" },
    },
  }, async (_home, env) => {
    const find = (domain: string) => findCredentials(domain, "x", { env });
    assert.deepEqual(await find("a.example"), { username: "file", password: "f" });
    assert.deepEqual(await find("b.example"), { identityToken: "t" });
  }, {
    none: "echo credentials not found in native keychain; exit 1",
    token: `echo '{"Username":"<token>","Secret":"t"}'`,
  }));

Deno.test("a helper that fails is one sentence without its secrets, and in nobody's way who may come in", async () => {
  const failing: Record<string, string> = {
    wrong: "echo secret; exit 3",
    text: "echo secret",
    empty: `echo '{"Secret":"secret"}'`,
    endless: "yes secret",
  };
  const helpers = Object.fromEntries(Object.keys(failing).map((name) => [`${name}.example`, name]));
  await withHome({
    [DOCKER]: { credHelpers: { ...helpers, "gone.example": "gone", "path.example": "../x" } },
  }, async (_home, env) => {
    for (const name of [...Object.keys(failing), "gone"]) {
      await assert.rejects(findCredentials(`${name}.example`, "x", { env }), (error) => {
        assert.ok(error instanceof CrateError, name);
        assert.match(error.message, /docker-credential-/);
        assert.doesNotMatch(error.message, /secret|\n/);
        return true;
      });
    }
    await assert.rejects(findCredentials("path.example", "x", { env }), /is not a program's name/);
  }, failing);
  // Who has only the name of a helper pulls what is there for everybody.
  await using server = serve((request, url) => {
    if (url.pathname === "/v2/") return;
    if (url.pathname === "/token") return Response.json({ token: "anybody" });
    if (request.headers.get("authorization") === "Bearer anybody") {
      return new Response(manifest(), { headers: { "content-type": MANIFEST_TYPE } });
    }
    const challenge = `Bearer realm="http://${url.host}/token"`;
    return new Response(null, { status: 401, headers: { "www-authenticate": challenge } });
  });
  await withHome({ [DOCKER]: { credsStore: "desktop" } }, async (home) => {
    const warned: string[] = [];
    const warn = (sentence: string) => warned.push(sentence);
    const options = quick({ authFile: `${home}/${DOCKER}`, warn });
    using source = registrySource(at(server.host), options);
    assert.equal((await source.root()).bytes.length, manifest().length);
    assert.equal(warned.length, 1);
    assert.match(warned[0]!, /^the credential helper docker-credential-desktop is not on PATH: /);
    assert.match(warned[0]!, new RegExp(`; ${server.host} is asked as nobody in particular$`));
  });
});

Deno.test("a file that is none says which it is, and nothing of what is in it", async () => {
  const wrong: [unknown, RegExp][] = [
    ["{secret", /config\.json, which has credentials for registries, is not JSON$/],
    ["[]", /is not a JSON object$/],
    [{ auths: { "a.example": { auth: "secret!" } } }, /an entry for a\.example that is not base64/],
    [{ auths: { "a.example": { auth: btoa("nocolon") } } }, /that is not base64 of NAME:PASSWORD/],
  ];
  for (const [content, reason] of wrong) {
    await withHome({ [DOCKER]: content }, async (_home, env) => {
      await assert.rejects(findCredentials("a.example", "x", { env }), (error) => {
        assert.ok(error instanceof CrateError);
        assert.match(error.message, reason);
        assert.doesNotMatch(error.message, /secret|\n/);
        return true;
      });
    });
  }
  await withHome({ [DOCKER]: "" }, async (_home, env) => {
    assert.equal(await findCredentials("a.example", "x", { env }), undefined);
  });
});

Deno.test("login keeps credentials by the helper that is named, or in the file; logout takes them there", async () => {
  await using server = serve((request, url) => {
    if (request.headers.get("authorization") !== null) return new Response();
    if (url.pathname !== "/v2/") return;
    return new Response(null, { status: 401, headers: { "www-authenticate": "Basic realm=r" } });
  });
  const { host } = server;
  const credentials = { username: "ann", password: "secret" };
  await withHome({
    [DOCKER]: {
      credHelpers: { [host]: "keep" },
      other: 1,
      auths: { "z.example": { auth: encode("z", "z") } },
    },
  }, async (home) => {
    const file = `${home}/${DOCKER}`;
    const options = quick({ authFile: file });
    const read = () => JSON.parse(Deno.readTextFileSync(file));
    assert.equal(await login(host, credentials, options), "docker-credential-keep");
    assert.deepEqual(JSON.parse(Deno.readTextFileSync(`${home}/kept`)), {
      ServerURL: host,
      Username: "ann",
      Secret: "secret",
    });
    assert.deepEqual(read().auths[host], {});
    assert.equal(read().other, 1);
    assert.equal(await logout(host, options), true);
    assert.throws(() => Deno.statSync(`${home}/kept`), Deno.errors.NotFound);
    assert.deepEqual(Object.keys(read().auths), ["z.example"]);
    assert.equal(await logout(host, options), false);
    // Without a helper: in the file, readable by nobody else, and a link to it stays one.
    Deno.writeTextFileSync(`${home}/real.json`, "{}");
    Deno.symlinkSync("real.json", `${home}/link.json`);
    const linked = quick({ authFile: `${home}/link.json` });
    assert.equal(await login(host, credentials, linked), `${home}/link.json`);
    assert.ok(Deno.lstatSync(`${home}/link.json`).isSymlink);
    assert.equal(Deno.statSync(`${home}/real.json`).mode! & 0o777, 0o600);
    const { auths } = JSON.parse(Deno.readTextFileSync(`${home}/real.json`));
    assert.deepEqual(auths[host], { auth: encode("ann", "secret") });
  }, {
    keep:
      "case $1 in store) cat > $home/kept;; erase) test -e $home/kept || { echo not found; exit 1; }; rm $home/kept;; esac",
  });
});
