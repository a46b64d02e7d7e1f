// Not in the virtual machine: pipes are the same on every kernel
import assert from "node:assert/strict";
import { assertEnded, type Sandbox, test } from "./support/mod.ts";

// What becomes of a command that cannot print: nobody reads it any more, or there is no room.

/** A container that runs and has written a line. */
async function quiet(box: Sandbox): Promise<string> {
  const id = await box.detached("echo one; exec sleep 1000", ["--name", "quiet"]);
  await box.logged(id, "one\n");
  return id;
}

/** Commands of which each prints something, in its own way. */
const printing = (id: string) => [
  ["version"],
  ["help", "run"],
  ["list"],
  ["list", "-q"],
  ["list", "--format", "json"],
  ["state", id],
  ["logs", id],
  ["logs", "-t", id],
  ["inspect", id],
  ["config"],
  ["export", id],
  ["start", id],
  ["run", "--explain", "-r", "/", "true"],
];

test("a command that cannot print says so, whichever it is", async (box) => {
  const id = await quiet(box);
  for (const words of printing(id)) {
    const result = await box.host('"$@" >/dev/full', words);
    const stderr = "crate: write standard output: ENOSPC\n";
    assertEnded(result, { code: 125, stderr });
  }
  const both = await box.host('"$@" >/dev/full 2>&1', ["list"]);
  assertEnded(both, { code: 125 });
  const unheard = await box.host('"$@" 2>/dev/full', ["state", "none"]);
  assertEnded(unheard, { code: 125 });
  await box.ok(["delete", "--force", id]);
});

test("a command that nobody reads any more ends as if by SIGPIPE, and says nothing", async (box) => {
  const id = await quiet(box);
  const pipe = box.path("pipe");
  // The reader has gone before the command begins.
  const script = `mkfifo ${pipe}; : <${pipe} & exec 3>${pipe}; wait; rm ${pipe}; "$@" >&3`;
  for (const words of printing(id)) {
    assertEnded(await box.host(script, words), { code: 141 });
  }
  await box.ok(["delete", "--force", id]);
});

test("a long output ends with its reader", async (box) => {
  const id = await box.detached("seq 300000");
  await box.ok(["wait", id]);
  const script = '"$@" | head -n 1; exit "${PIPESTATUS[0]}"';
  assertEnded(await box.host(script, ["logs", id]), { code: 141, stdout: "1\n" });
  const archive = await box.host('"$@" | head -c 1 | wc -c; exit "${PIPESTATUS[0]}"', [
    "export",
    id,
  ]);
  assertEnded(archive, { code: 141, stdout: "1\n" });
  await box.ok(["delete", id]);
});

test("a command that waits to print more ends when its reader goes away", async (box) => {
  const patient = 'timeout 20 "$@" | head -n 1; exit "${PIPESTATUS[0]}"';
  const unread = 'timeout 20 "$@" | true; exit "${PIPESTATUS[0]}"';
  // Nothing runs, and nothing is printed.
  assertEnded(await box.host(unread, ["stats", "--format", "json"]), { code: 141 });
  const id = await quiet(box);
  assertEnded(await box.host(patient, ["logs", "-f", id]), { code: 141, stdout: "one\n" });
  assertEnded(await box.host(unread, ["logs", "-f", "--tail", "0", id]), { code: 141 });
  const events = await box.host(patient, ["events", "--interval", "100s", id]);
  assert.deepEqual([events.code, events.stderr], [141, ""]);
  assert.equal(JSON.parse(events.stdout).id, id);
  // Where the output goes to a file, nobody has gone away.
  const file = box.path("out");
  const kept = await box.host(`timeout 1 "$@" >${file}`, ["logs", "-f", id]);
  assertEnded(kept, { code: 124 });
  assert.equal(Deno.readTextFileSync(file), "one\n");
  await box.ok(["delete", "--force", id]);
});
