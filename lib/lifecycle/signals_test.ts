import assert from "node:assert/strict";
import { CrateError } from "../errors.ts";
import { parseSignal, signalName } from "./signals.ts";

/** The numbers that have names: 32 and 33 are libc's own, signal(7). */
const NUMBERS = Array.from({ length: 64 }, (_, i) => i + 1).filter((n) => n !== 32 && n !== 33);

Deno.test("signals have the numbers that the shell knows them by", async () => {
  const script = NUMBERS.map((number) => `kill -l ${number}`).join("; ");
  const { stdout } = await new Deno.Command("/bin/bash", { args: ["-c", script] }).output();
  const names = new TextDecoder().decode(stdout).trim().split("\n");
  assert.equal(names.length, NUMBERS.length);
  for (const [i, number] of NUMBERS.entries()) {
    assert.equal(parseSignal(names[i]!), number);
    assert.equal(parseSignal(`SIG${names[i]}`), number);
  }
});

Deno.test("a signal is known by name, with and without SIG, in any case, and by number", () => {
  for (const word of ["TERM", "SIGTERM", "term", "SigTerm", "15"]) {
    assert.equal(parseSignal(word), 15);
  }
  assert.equal(parseSignal("RTMIN+3"), 37);
  assert.equal(parseSignal("SIGRTMAX-1"), 63);
  assert.equal(parseSignal("CLD"), 17);
  assert.equal(parseSignal("IOT"), 6);
});

Deno.test("a name is read back as the number it was made from", () => {
  for (const number of NUMBERS) assert.equal(parseSignal(signalName(number)), number);
  assert.equal(signalName(9), "SIGKILL");
  assert.equal(signalName(34), "SIGRTMIN+0");
});

Deno.test("what is no signal is refused, and quoted", () => {
  const words = [
    "",
    "0",
    "65",
    "-1",
    "9x",
    "SIG",
    "SIGSIGTERM",
    "RTMIN-1",
    "RTMAX+1",
    "RTMIN+31",
    "1e1",
  ];
  for (const word of [...words, "constructor", " TERM", "1000"]) {
    assert.throws(() => parseSignal(word), (error) => {
      assert(error instanceof CrateError);
      assert.equal(error.code, "INVALID");
      assert(error.message.startsWith(JSON.stringify(word)));
      return true;
    }, word);
  }
});
