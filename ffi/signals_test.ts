import assert from "node:assert/strict";

Deno.test("a signal to a process whose threads block it waits for what the process becomes", async () => {
  const mod = new URL("./mod.ts", import.meta.url).href;
  // Becomes a program that unblocks nothing, and reads the signal that came before it began.
  const script = `
    import { addressOf, become, blockSignals, ProgramBuilder } from ${JSON.stringify(mod)};
    blockSignals();
    console.log("blocked");
    Deno.stdin.readSync(new Uint8Array(1));
    const p = new ProgramBuilder();
    const broken = p.label("broken");
    p.handler(broken);
    const all = p.bytes(new Uint8Array(8).fill(0xff), "all");
    const signals = p.variable("signals", 4);
    const info = p.variable("info", 128);
    p.call("signalfd4", [-1, all, 8, 0], { result: signals });
    p.call("read", [{ value: { cell: signals, offset: 0 } }, info, 128]);
    p.call("write", [1, addressOf(info), 4]);
    p.call("exit_group", [0]);
    p.place(broken);
    p.call("exit_group", [1]);
    become(p.build(), { name: "heir", descriptors: [0, 1, 2] });`;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", "--ext=ts", script],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  const first = await reader.read();
  assert.equal(new TextDecoder().decode(first.value), "blocked\n");
  child.kill("SIGTERM");
  const writer = child.stdin.getWriter();
  await writer.write(new Uint8Array(1));
  const { value } = await reader.read();
  assert.deepEqual([...value!], [15, 0, 0, 0]);
  await writer.close();
  assert.equal((await child.status).code, 0);
  await reader.cancel();
});
