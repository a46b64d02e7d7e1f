import assert from "node:assert/strict";
import { at, blob, describe, manifest, MANIFEST_TYPE, quick, read, serve } from "./_misbehaving.ts";
import { registrySource } from "./source.ts";

const ok = () => new Response(manifest(), { headers: { "content-type": MANIFEST_TYPE } });
const credentials = { username: "ann", password: "s3cret:é" };
const basic = `Basic ${btoa(String.fromCharCode(...new TextEncoder().encode("ann:s3cret:é")))}`;

Deno.test("a token is fetched for the scope, used again, and fetched anew when it is refused", async () => {
  const asked: string[] = [];
  let valid = "one";
  await using tokens = serve((request, url) => {
    if (url.pathname !== "/token") return;
    asked.push(`${url.searchParams} ${request.headers.get("authorization")}`);
    return Response.json({ access_token: valid });
  });
  await using server = serve((request, url) => {
    if (url.pathname === "/v2/") return;
    if (request.headers.get("authorization") === `Bearer ${valid}`) return ok();
    const challenge = `Bearer realm="http://${tokens.host}/token",service="here, really"`;
    return new Response(null, { status: 401, headers: { "www-authenticate": challenge } });
  });
  using source = registrySource(at(server.host), quick({ credentials }));
  await source.root();
  await source.root();
  const line = "service=here%2C+really&scope=repository%3Atest%2Fimage%3Apull&account=ann " + basic;
  assert.deepEqual(asked, [line]);
  valid = "two";
  await source.root();
  assert.equal(asked.length, 2);
});

Deno.test("an identity token is exchanged, and not sent to the registry", async () => {
  const forms: string[] = [];
  const seen: (string | null)[] = [];
  await using server = serve(async (request, url) => {
    if (url.pathname === "/token") {
      forms.push(`${request.method} ${await request.text()}`);
      return Response.json({ token: "t" });
    }
    if (url.pathname === "/v2/") return new Response();
    seen.push(request.headers.get("authorization"));
    if (seen.at(-1) === "Bearer t") return ok();
    const challenge = `Bearer realm="http://${url.host}/token",service=s`;
    return new Response(null, { status: 401, headers: { "www-authenticate": challenge } });
  });
  using source = registrySource(at(server.host), quick({ credentials: { identityToken: "idt" } }));
  await source.root();
  assert.deepEqual(seen, [null, "Bearer t"]);
  assert.match(
    forms[0]!,
    /^POST grant_type=refresh_token&client_id=crate&refresh_token=idt&service=s&/,
  );
});

Deno.test("a name and password go to a registry that asks for them, and wrong ones are an error", async () => {
  await using server = serve((request, url) => {
    if (url.pathname === "/v2/") return;
    if (request.headers.get("authorization") === basic) return ok();
    return new Response(null, { status: 401, headers: { "www-authenticate": 'Basic realm="r"' } });
  });
  using right = registrySource(at(server.host), quick({ credentials }));
  await right.root();
  using wrong = registrySource(
    at(server.host),
    quick({ credentials: { username: "ann", password: "guess" } }),
  );
  await assert.rejects(
    wrong.root(),
    (error: Error) => /crate login/.test(error.message) && !/guess/.test(error.message),
  );
});

Deno.test("credentials do not follow a redirect to another host, and circles end", async () => {
  const bytes = blob(100);
  let seen: Headers | undefined;
  await using cdn = serve((request, url) => {
    if (url.pathname === "/circle") return Response.redirect(`http://${cdn.host}/circle`, 307);
    seen = request.headers;
    return new Response(bytes);
  });
  let to = "data";
  await using server = serve((request, url) => {
    if (url.pathname === "/v2/") return;
    if (request.headers.get("authorization") !== basic) {
      return new Response(null, { status: 401, headers: { "www-authenticate": "Basic" } });
    }
    return Response.redirect(`http://${cdn.host}/${to}`, 307);
  });
  using source = registrySource(at(server.host), quick({ credentials }));
  assert.deepEqual(await read(await source.blob(describe(bytes))), bytes);
  assert.equal(seen!.get("authorization"), null);
  to = "circle";
  await assert.rejects(source.blob(describe(bytes)), { message: /redirects more than 8 times/ });
});
