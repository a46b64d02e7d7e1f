import assert from "node:assert/strict";

Deno.test("calls that cannot be made on another thread are an error, not a wait without end", async () => {
  const here = new URL("./", import.meta.url).href;
  const script = `
    import { openLibc } from "${here}../../../ffi/mod.ts";
    import { CallQueue } from "${here}queue.ts";
    openLibc();
    Deno.permissions.revokeSync({ name: "ffi" });
    const queue = new CallQueue(() => "next");
    const add = () => queue.group("a", 1, 8).call("getpid", 0);
    add();
    queue.submit();
    add();
    try {
      queue.settle();
    } catch (error) {
      console.log(error.name);
    }
    await queue.drain(0).catch((error) => console.log(error.name));
    await queue.stop();
  `;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-ffi", "--allow-read", "--no-prompt", "--no-check", "-"],
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
    signal: AbortSignal.timeout(20_000),
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(script));
  await writer.close();
  const { stdout } = await child.output();
  assert.equal(new TextDecoder().decode(stdout), "NotCapable\nNotCapable\n");
});
