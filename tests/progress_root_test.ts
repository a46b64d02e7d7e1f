// Not in the virtual machine: images know nothing of cgroups, and a registry in an emulated machine is slow
// What a pull shows as it goes on, and how it ends when somebody interrupts it.
import assert from "node:assert/strict";
import { makeImage } from "./support/image.ts";
import { execute, Registry } from "./support/registry.ts";
import { delay, Terminal, test, until } from "./support/mod.ts";

const MIB = 1 << 20;

/** A server in between that lets a registry's blobs through in small pieces, as a slow network would. */
function slow(host: string, pause: number): { host: string; stop: () => Promise<void> } {
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {}, onError: () => new Response() },
    async ({ url: asked, headers, method }) => {
      const url = new URL(asked);
      const own = new Headers(headers);
      own.delete("host");
      const answer = await fetch(`http://${host}${url.pathname}${url.search}`, {
        headers: own,
        method,
      });
      if (!url.pathname.includes("/blobs/") || answer.body === null) return answer;
      const pieces = answer.body.pipeThrough(
        new TransformStream({
          async transform(bytes, controller) {
            await delay(pause);
            controller.enqueue(bytes);
          },
        }),
      );
      return new Response(pieces, { status: answer.status, headers: answer.headers });
    },
  );
  return { host: `127.0.0.1:${server.addr.port}`, stop: () => server.shutdown() };
}

/** An image with a layer that cannot be made smaller. */
async function largeImage(directory: string, registry: Registry): Promise<void> {
  const noise = new Uint8Array(3 * MIB);
  for (let at = 0; at < noise.length; at += 65536) {
    crypto.getRandomValues(noise.subarray(at, at + 65536));
  }
  const text = noise.toBase64();
  await registry.push(await makeImage(directory, [{ "one": text }, { "two": "short" }]), "large:1");
}

test("on a terminal each layer has a line with its bytes and rate, drawn over again", async (box) => {
  await using registry = await Registry.start();
  await largeImage(box.path("image"), registry);
  const server = slow(registry.host, 15);
  try {
    using terminal = new Terminal(24, 80);
    const running = terminal.start(box, ["pull", `${server.host}/large:1`]);
    assert.equal((await terminal.ended(running)).code, 0, terminal.screen);
    // Without the character that begins what moves the cursor.
    const screen = terminal.screen.replaceAll("\x1b", "");
    assert.match(screen, /\[2K[0-9a-f]{12}: Downloading +[\d.]+MB of [\d.]+MB, [\d.]+[kM]B\/s\r\n/);
    assert.match(screen, /\[2A\[2K[0-9a-f]{12}: /, "two lines are drawn over");
    const last = screen.slice(screen.lastIndexOf("[2A"));
    assert.equal(last.match(/[0-9a-f]{12}: Done/g)?.length, 2, JSON.stringify(last));
    assert.match(last, /large:1: pulled, sha256:[0-9a-f]{64}\r\n$/);
  } finally {
    await server.stop();
  }
});

test("Ctrl-C ends a pull cleanly, and the next one goes on where it was", async (box) => {
  await using registry = await Registry.start();
  await largeImage(box.path("image"), registry);
  const server = slow(registry.host, 15);
  const image = (host: string) => `${host}/large:1`;
  try {
    using terminal = new Terminal(24, 80);
    const running = terminal.start(box, ["pull", image(server.host)]);
    await until("some of it", () => {
      terminal.read();
      return Promise.resolve(/MB of/.test(terminal.screen));
    });
    terminal.type("\x03");
    assert.equal((await terminal.ended(running)).code, 130, terminal.screen);
    assert.match(
      terminal.screen,
      /crate: interrupted: what has come of the image is kept for the next pull\r\n$/,
    );
    assert.equal(await box.ok(["images", "-q"]), "");
    const [part] = [...Deno.readDirSync(`${box.imageRoot}/crate/partial`)].map(({ name }) =>
      Deno.statSync(`${box.imageRoot}/crate/partial/${name}`).size
    ).sort((a, b) => b - a);
    assert.ok(part! > 0);
    await box.ok(["pull", "-q", image(server.host)]);
  } finally {
    await server.stop();
  }
});

test("a large layer takes no more memory than a small one and some", async (box) => {
  // Four megabytes of noise again and again: further apart than gzip looks back.
  const noise = new Uint8Array(4 * MIB);
  for (let at = 0; at < noise.length; at += 65536) {
    crypto.getRandomValues(noise.subarray(at, at + 65536));
  }
  box.mkdir("root");
  {
    using file = Deno.openSync(box.path("root/large"), { write: true, create: true });
    for (let i = 0; i < 50; i++) file.writeSync(noise);
  }
  const layout = box.path("layout");
  await execute(["umoci", "init", "--layout", layout]);
  await execute(["umoci", "new", "--image", `${layout}:1`]);
  await execute(["umoci", "insert", "--image", `${layout}:1`, box.path("root"), "/"]);
  await using registry = await Registry.start();
  await registry.push(`oci:${layout}:1`, "large:1");
  const running = box.start(["pull", "-q", `${registry.host}/large:1`]);
  let most = 0;
  let ended = false;
  running.ended.then(() => ended = true);
  while (!ended) {
    try {
      const status = Deno.readTextFileSync(`/proc/${running.pid}/status`);
      most = Math.max(most, Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0));
    } catch {
      // It has ended just now.
    }
    await delay(5);
  }
  assert.equal((await running.ended).code, 0);
  assert.ok(most > 40_000 && most < 150_000, `${most} KiB`);
});
