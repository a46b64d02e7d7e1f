// Not in the virtual machine: images know nothing of cgroups, and a registry in an emulated machine is slow
// Images pushed to Debian's docker-registry, and read there by skopeo.
import assert from "node:assert/strict";
import { BUSYBOX, makeImage } from "./support/image.ts";
import { execute, PASSWORD, Registry, USER } from "./support/registry.ts";
import { test } from "./support/mod.ts";

const DIGEST = /^sha256:[0-9a-f]{64}$/;

interface Manifest {
  readonly Digest: string;
  readonly Layers: readonly string[];
}

async function inspect(registry: Registry, name: string, auth = false): Promise<Manifest> {
  const words = ["inspect", ...registry.skopeoWords("", auth), `docker://${registry.host}/${name}`];
  return JSON.parse(await execute(["skopeo", ...words]));
}

test("what was pulled is pushed under other names, and what is there is not sent again", async (box) => {
  const from = await makeImage(box.path("image"), [BUSYBOX, { "etc/motd": "two\n" }], {
    cmd: ["id"],
  });
  await using registry = await Registry.start();
  await registry.push(from, "test/image:1");
  const { host } = registry;
  const digest = await box.ok(["pull", "-q", `${host}/test/image:1`]);
  assert.match(digest, DIGEST);

  const mounted = await box.crate(["push", `${host}/test/image:1`, `${host}/other/image:2`]);
  assert.equal(mounted.code, 0, mounted.stderr);
  assert.match(mounted.stdout, new RegExp(`^2: digest: ${digest} size: \\d+\n$`));
  assert.match(mounted.stderr, /^([0-9a-f]{12}: Already exists\n){3}$/, "mounted, not sent");
  assert.equal((await inspect(registry, "other/image:2")).Digest, digest);

  await using second = await Registry.start();
  const name = `${second.host}/new/image:latest`;
  await box.ok(["tag", `${host}/test/image:1`, name]);
  const sent = await box.crate(["push", name]);
  assert.match(sent.stdout, new RegExp(`^latest: digest: ${digest} size: \\d+\n$`));
  assert.equal(sent.stderr.match(/: Uploading\n/g)?.length, 3, sent.stderr);
  const again = await box.crate(["push", "-q", name]);
  assert.deepEqual([again.stdout, again.stderr], [`${digest}\n`, ""]);
  assert.equal((await inspect(second, "new/image")).Layers.length, 2);

  // And back, into an empty store.
  await box.ok(["rmi", "-f", digest]);
  assert.equal(await box.ok(["pull", "-q", name]), digest);
  assert.match(await box.ok(["run", "--rm", name]), /^uid=0/);
});

test("of an image for several machines what is in the store is pushed", async (box) => {
  const layout = `${box.path("image")}/layout`;
  const from = await makeImage(box.path("image"), [BUSYBOX]);
  await execute([
    "umoci",
    "config",
    "--image",
    `${layout}:image`,
    "--tag",
    "arm",
    "--architecture",
    "arm64",
  ]);
  await using registry = await Registry.start();
  const { host } = registry;
  await registry.push(from, "test/one:amd64");
  await registry.push(`oci:${layout}:arm`, "test/one:arm64");
  const raw = async (tag: string) => {
    const place = `docker://${host}/test/one:${tag}`;
    const words = ["inspect", "--raw", ...registry.skopeoWords(""), place];
    const text = await execute(["skopeo", ...words]);
    const { Digest: digest } = await inspect(registry, `test/one:${tag}`);
    return { mediaType: JSON.parse(text).mediaType, digest, size: text.length };
  };
  const manifests = await Promise.all(
    ["amd64", "arm64"].map(async (architecture) => ({
      ...await raw(architecture),
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      platform: { os: "linux", architecture },
    })),
  );
  const mediaType = "application/vnd.oci.image.index.v1+json";
  const answer = await fetch(`http://${host}/v2/test/one/manifests/both`, {
    method: "PUT",
    headers: { "content-type": mediaType },
    body: JSON.stringify({ schemaVersion: 2, mediaType, manifests }),
  });
  assert.equal(answer.status, 201, await answer.text());

  const image = `${host}/test/one:both`;
  await box.ok(["pull", "-q", "--platform", "linux/arm64", image]);
  const one = await box.crate(["push", image, `${host}/copy/one:1`]);
  assert.match(one.stderr, /only linux\/arm64 is in the store: that is what is pushed\n/);
  assert.match(one.stdout, new RegExp(`digest: ${manifests[1]!.digest} `));
  const index = await box.ok(["pull", "-q", "--platform", "linux/amd64", image]);
  const all = await box.crate(["push", image, `${host}/copy/one:2`]);
  assert.match(all.stdout, new RegExp(`digest: ${index} `), all.stderr);
  const arm = ["push", "-q", "--platform", "linux/arm64", image, `${host}/copy/one:3`];
  assert.equal(await box.ok(arm), manifests[1]!.digest);
  const amd = ["push", "-q", "--platform", "linux/amd64", image, `${host}/copy/one:4`];
  assert.equal(await box.ok(amd), manifests[0]!.digest);
});

test("a push that cannot be says why in one sentence", async (box) => {
  const from = await makeImage(box.path("image"), [BUSYBOX]);
  await using registry = await Registry.start();
  await registry.push(from, "test/image:1");
  const image = `${registry.host}/test/image:1`;
  const digest = await box.ok(["pull", "-q", image]);
  await using locked = await Registry.start({ basicAuth: true });
  const target = `${locked.host}/a/b:1`;
  const cases: [words: string[], reason: RegExp][] = [
    [["push", "nothing"], /nothing.* is not in the store/],
    [["push", digest], /is an image's id: say what it is called in the registry/],
    [["push", image, "UPPER"], /UPPER/],
    [["push", image, "127.0.0.1:1/a:b"], /127\.0\.0\.1:1/],
    [["push", image, target], new RegExp(`crate login ${locked.host}`)],
    [["push", "--platform", "linux/s390x", image], /linux\/s390x/],
  ];
  const options = { env: { REGISTRY_AUTH_FILE: box.path("auth.json") } };
  for (const [words, reason] of cases) {
    const { code, stdout, stderr } = await box.crate(words, options);
    assert.equal(code, 125, words.join(" "));
    assert.equal(stdout, "");
    assert.match(stderr, /^([0-9a-f]{12}: [A-Z][a-z ]+\n)*crate: [^\n]+\n$/, words.join(" "));
    assert.match(stderr, reason);
  }
  const login = ["login", "-u", USER, "--password-stdin", locked.host];
  assert.equal((await box.crate(login, { ...options, input: PASSWORD })).code, 0);
  assert.equal(await box.ok(["push", "-q", image, target], options), digest);
  assert.equal((await inspect(locked, "a/b:1", true)).Digest, digest);
});

test("a mirror and registries without TLS are what the configuration says", async (box) => {
  const from = await makeImage(box.path("image"), [BUSYBOX], { cmd: ["/bin/echo", "mirrored"] });
  await using registry = await Registry.start();
  await registry.push(from, "hub/test/image:1");
  const config = box.path("config.toml");
  const text =
    `[registries.mirrors]\n"registry.invalid" = ["127.0.0.1:1", "${registry.host}/hub"]\n`;
  Deno.writeTextFileSync(config, text);
  const words = ["--config", config, "run", "--rm", "registry.invalid/test/image:1"];
  const { code: success, stdout } = await box.crate(words);
  assert.deepEqual([success, stdout], [0, "mirrored\n"]);
  Deno.writeTextFileSync(config, `[registries.mirrors]\n"registry.invalid" = "${registry.host}"\n`);
  const { code, stderr } = await box.crate(["--config", config, "images"]);
  assert.equal(code, 125);
  assert.match(
    stderr,
    /config\.toml:1: registries\.mirrors must be lists of mirrors by registries/,
  );
});
