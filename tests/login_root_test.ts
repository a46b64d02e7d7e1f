// Not in the virtual machine: registries know nothing of cgroups
// crate login and logout, against Debian's docker-registry.
import assert from "node:assert/strict";
import { BUSYBOX, makeImage } from "./support/image.ts";
import { PASSWORD, Registry, USER } from "./support/registry.ts";
import { Terminal, test } from "./support/mod.ts";

test("a registry that wants a password gets it from login, and not after logout", async (box) => {
  const from = await makeImage(box.path("image"), [BUSYBOX], { cmd: ["/bin/echo", "in"] });
  await using registry = await Registry.start({ basicAuth: true });
  await registry.push(from, "test/image:1", true);
  const image = `${registry.host}/test/image:1`;
  const options = { env: { REGISTRY_AUTH_FILE: box.path("auth.json") } };
  const refused = await box.crate(["pull", image], options);
  assert.equal(refused.code, 125);
  assert.match(refused.stderr, new RegExp(`^crate: [^\n]*crate login ${registry.host}[^\n]*\n$`));
  const words = ["login", "-u", USER, "--password-stdin", registry.host];
  const wrong = await box.crate(words, { ...options, input: "wrong\n" });
  assert.equal(wrong.code, 125);
  assert.match(wrong.stderr, /^crate: [^\n]+\n$/);
  const right = await box.crate(words, { ...options, input: `${PASSWORD}\n` });
  assert.deepEqual([right.code, right.stderr], [0, ""]);
  assert.equal(Deno.statSync(box.path("auth.json")).mode! & 0o777, 0o600);
  await box.ok(["pull", "-q", image], options);
  assert.equal(await box.ok(["run", "--rm", image]), "in");
  await box.ok(["logout", registry.host], options);
  await box.ok(["rmi", image]);
  assert.equal((await box.crate(["pull", image], options)).code, 125);
});

test("on a terminal the password is asked for, and not shown", async (box) => {
  await using registry = await Registry.start({ basicAuth: true });
  const env = { REGISTRY_AUTH_FILE: box.path("auth.json") };
  using terminal = new Terminal();
  const before = terminal.settings();
  const running = terminal.start(box, ["login", registry.host], env);
  await terminal.shows(`User name for ${registry.host}: `);
  terminal.type(`${USER}\n`);
  await terminal.shows(`Password for ${USER}: `);
  assert.notEqual(terminal.settings(), before);
  // A character of two bytes and one more, taken back; a whole line, taken back.
  terminal.type("wrong\x15\u00e9x\x7f\x7f");
  terminal.type(`${PASSWORD}\r`);
  assert.equal((await terminal.ended(running)).code, 0, terminal.screen);
  assert.match(terminal.screen, /Password for tester: \r\nLogged in to /);
  assert.equal(terminal.settings(), before);
  assert.match(Deno.readTextFileSync(env.REGISTRY_AUTH_FILE), new RegExp(registry.host));
});

test("Ctrl-C and a signal at the password leave the terminal as it was", async (box) => {
  for (const [end, code] of [["\x03", 125], ["SIGTERM", 143]] as const) {
    using terminal = new Terminal();
    const before = terminal.settings();
    const running = terminal.start(box, ["login", "-u", "me", "127.0.0.1:1"]);
    await terminal.shows("Password for me: ");
    // Whoever types as soon as the question is there is not seen.
    assert.notEqual(terminal.settings(), before);
    if (end === "SIGTERM") running.signal(end);
    else terminal.type(end);
    assert.equal((await terminal.ended(running)).code, code, terminal.screen);
    assert.equal(terminal.settings(), before);
    assert.match(terminal.screen, /crate: [^\n]+\r\n$/);
  }
});

test("without a terminal login says what it needs", async (box) => {
  for (const words of [["login"], ["login", "-u", "me"], ["login", "--password-stdin"]]) {
    const { code, stderr } = await box.crate(words, { input: "secret" });
    assert.equal(code, 2);
    assert.match(stderr, /^crate: [^\n]*--username[^\n]*\n$/);
  }
});
