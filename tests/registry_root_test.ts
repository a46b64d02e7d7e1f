// Not in the virtual machine: registries know nothing of cgroups
// Registries behind TLS, behind proxies, and such as would lead elsewhere.
import assert from "node:assert/strict";
import { parseReference, registrySource } from "../lib/image/mod.ts";
import { BUSYBOX, makeImage } from "./support/image.ts";
import { Registry } from "./support/registry.ts";
import { type Sandbox, test } from "./support/mod.ts";

async function withRegistry(
  box: Sandbox,
  tls: boolean,
  use: (registry: Registry) => Promise<void>,
): Promise<void> {
  const from = await makeImage(box.path("image"), [BUSYBOX], { cmd: ["/bin/echo", "came"] });
  await using registry = await Registry.start({ tls });
  await registry.push(from, "test/image:1");
  await use(registry);
}

test("a registry with a certificate of a private authority needs that authority's", (box) =>
  withRegistry(box, true, async (registry) => {
    const image = `${registry.host}/test/image:1`;
    const refused = await box.crate(["pull", image]);
    assert.equal(refused.code, 125);
    assert.match(refused.stderr, /^crate: [^\n]*certificate[^\n]*\n$/);
    // As in /etc/docker/certs.d: a directory for the registry, with and without its port.
    const [name] = registry.host.split(":");
    for (const directory of [registry.host, name!]) {
      const certificates = box.mkdir(`certs-${directory.length}`);
      Deno.mkdirSync(`${certificates}/${directory}`);
      Deno.copyFileSync(registry.ca, `${certificates}/${directory}/ca.crt`);
      using source = registrySource(parseReference(image), {
        certificateDirectories: [certificates],
        attempts: 1,
      });
      assert.ok((await source.root()).bytes.length > 0);
    }
    // Deno's own variable, for whoever has one bundle for all.
    const env = { DENO_CERT: registry.ca };
    await box.ok(["pull", "-q", image], { env });
    assert.equal(await box.ok(["run", "--rm", image]), "came");
    const wrong = box.mkdir("certs-wrong");
    Deno.mkdirSync(`${wrong}/${registry.host}`);
    Deno.writeTextFileSync(`${wrong}/${registry.host}/ca.crt`, "no certificate");
    using source = registrySource(parseReference(image), {
      certificateDirectories: [wrong],
      attempts: 1,
    });
    await assert.rejects(source.root(), /^CrateError: [^\n]*ca\.crt[^\n]*$/);
  }));

test("what is not on this machine is asked through the proxy of the environment", (box) =>
  withRegistry(box, false, async (registry) => {
    const asked: string[] = [];
    const server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {}, onError: () => new Response() },
      (request) => {
        // To a proxy the whole address is said. RFC 9112, 3.2.2
        const url = new URL(request.url);
        asked.push(url.host);
        const headers = new Headers(request.headers);
        headers.delete("host");
        return fetch(`http://${registry.host}${url.pathname}${url.search}`, {
          method: request.method,
          headers,
          redirect: "manual",
        });
      },
    );
    try {
      const env = { HTTP_PROXY: `http://127.0.0.1:${server.addr.port}` };
      const far = "registry.invalid:5000/test/image:1";
      const insecure = ["--insecure-registry", "registry.invalid:5000"];
      const through = await box.crate(["pull", "-q", ...insecure, far], { env });
      assert.equal(through.code, 0, through.stderr);
      assert.ok(asked.length > 2 && asked.every((host) => host === "registry.invalid:5000"));
      // This machine itself is never asked through one.
      asked.length = 0;
      await box.ok(["pull", "-q", `${registry.host}/test/image:1`], { env });
      assert.deepEqual(asked, []);
      const none = { ...env, NO_PROXY: "registry.invalid" };
      assert.equal((await box.crate(["rmi", far])).code, 0);
      const straight = await box.crate(["pull", "-q", ...insecure, far], { env: none });
      assert.equal(straight.code, 125);
      assert.deepEqual(asked, []);
    } finally {
      await server.shutdown();
    }
  }));

test("from TLS nothing leads back to plain HTTP, for a blob or for a password", (box) =>
  withRegistry(box, true, async (registry) => {
    const directory = registry.ca.replace(/certs\/ca\.crt$/, "keys");
    const tls = {
      cert: Deno.readTextFileSync(`${directory}/server.crt`),
      key: Deno.readTextFileSync(`${directory}/server.key`),
    };
    const seen: string[] = [];
    const plain = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
      seen.push(request.url);
      return new Response("{}");
    });
    const answers: Record<string, () => Response> = {
      redirect: () => Response.redirect(`http://127.0.0.1:${plain.addr.port}/blob`, 307),
      realm: () =>
        new Response(null, {
          status: 401,
          headers: { "www-authenticate": `Bearer realm="http://auth.invalid/token"` },
        }),
    };
    let answer = "redirect";
    const server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {}, ...tls },
      ({ url }) => url.endsWith("/v2/") ? new Response() : answers[answer]!(),
    );
    try {
      const host = `127.0.0.1:${server.addr.port}`;
      const certificates = box.mkdir("certs");
      Deno.mkdirSync(`${certificates}/${host}`);
      Deno.copyFileSync(registry.ca, `${certificates}/${host}/ca.crt`);
      const reasons = {
        redirect: /redirects from https to plain http at 127\.0\.0\.1/,
        realm: /names a token server on plain http: auth\.invalid is not an insecure registry/,
      };
      for (const [name, reason] of Object.entries(reasons)) {
        answer = name;
        using source = registrySource(parseReference(`${host}/a/b:1`), {
          certificateDirectories: [certificates],
          credentials: { username: "a", password: "secret" },
          attempts: 1,
        });
        await assert.rejects(source.root(), reason);
      }
      assert.deepEqual(seen, []);
    } finally {
      await server.shutdown();
      await plain.shutdown();
    }
  }));
