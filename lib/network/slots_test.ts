import assert from "node:assert/strict";
import { identify } from "../../ffi/mod.ts";
import type { NetworkPlaces } from "./definitions.ts";
import { clearSlots, makeSlots, readSlots, removeSlots, SLOT, SLOTS } from "./slots.ts";
import { readNetworkState, withNetworks, writeNetworkState } from "./state.ts";
import type { Attachment } from "./types.ts";

function test(name: string, body: (places: NetworkPlaces) => void | Promise<void>): void {
  Deno.test(name, async () => {
    const store = Deno.makeTempDirSync();
    try {
      await body({ store, state: `${store}/state`, table: "none" });
    } finally {
      Deno.removeSync(store, { recursive: true });
    }
  });
}

const attachment = (id: string, key: string, holder = identify(Deno.pid)!): Attachment => ({
  id,
  key,
  holder,
  endpoints: [{ network: "net", interface: "eth0", mac: "02:c7:0a:4d:00:02", aliases: [] }],
  ports: [],
  hosts: "",
});

/** Writes a place as a program does. */
function write(file: string, text: string): void {
  const bytes = new TextEncoder().encode(text);
  const whole = new Uint8Array(SLOT.attachment + bytes.length);
  whole.set(bytes, SLOT.attachment);
  Deno.writeFileSync(file, whole);
}

test("places are made, read, emptied and removed", (places) => {
  assert.deepEqual(readSlots(places), []);
  const files = makeSlots(places, "net");
  assert.equal(files.length, SLOTS);
  assert.deepEqual(makeSlots(places, "net"), files);
  assert.deepEqual(readSlots(places), []);
  const one = attachment("one", "one-1");
  write(files[0]!, JSON.stringify(one));
  // Whoever wrote these was killed in the middle of it.
  write(files[1]!, JSON.stringify(one).slice(0, -5));
  Deno.writeTextFileSync(files[2]!, "{");
  assert.deepEqual(readSlots(places), [one]);
  clearSlots(places);
  assert.deepEqual(readSlots(places), []);
  assert.deepEqual(files.map((file) => Deno.statSync(file).size), files.map(() => 0));
  removeSlots(places, "net");
  assert.deepEqual([...Deno.readDirSync(places.state)], []);
});

test("the state has who is in a place, until it is written", async (places) => {
  await withNetworks(places, () => {
    const dead = { pid: Deno.pid, startTime: 1 };
    const [one, two, web] = [
      attachment("one", "one-1"),
      attachment("two", "two-1"),
      attachment("web", "web-1", dead),
    ];
    writeNetworkState(places, { version: 1, last: {}, attachments: { one, web } });
    const files = makeSlots(places, "net");
    // Renamed meanwhile; another one; one by a name that a dead one had, and that a living one has.
    write(files[0]!, JSON.stringify({ ...one, id: "before" }));
    write(files[1]!, JSON.stringify(two));
    const web2 = attachment("web", "web-2");
    write(files[2]!, JSON.stringify(web2));
    write(files[3]!, JSON.stringify(attachment("one", "one-2", dead)));
    const state = readNetworkState(places);
    assert.deepEqual(state.attachments, { one, two, web: web2 });
    writeNetworkState(places, state);
    assert.deepEqual(readSlots(places), []);
    assert.deepEqual(readNetworkState(places), state);
  });
});
