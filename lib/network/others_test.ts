import assert from "node:assert/strict";
import type { NetworkPlaces } from "./definitions.ts";
import { OTHERS, tellPrograms } from "./others.ts";
import { makeSlots, othersFile, placeHead, sameFile, SLOT } from "./slots.ts";
import type { Attachment, NetworkState } from "./types.ts";

function test(name: string, body: (places: NetworkPlaces) => void): void {
  Deno.test(name, () => {
    const store = Deno.makeTempDirSync();
    try {
      body({ store, state: `${store}/state`, table: "none" });
    } finally {
      Deno.removeSync(store, { recursive: true });
    }
  });
}

const attachment = (id: string, network: string): Attachment => ({
  id,
  key: `${id}-1`,
  holder: { pid: 1, startTime: 1 },
  endpoints: [{
    network,
    interface: "eth0",
    mac: "02:c7:0a:4d:00:02",
    ip: "10.77.0.2",
    aliases: ["also"],
  }],
  ports: [],
  hosts: `10.77.0.2\t${id}\n`,
});

const pools = { net: [{ ip: "10.77.0.9", mac: "02:c7:0a:4d:00:09" }] };
const stateOf = (
  attachments: readonly Attachment[],
  more: Partial<NetworkState> = {},
): NetworkState => ({
  version: 1,
  last: {},
  attachments: Object.fromEntries(attachments.map((each) => [each.id, each])),
  pools,
  ...more,
});
const inode = (file: string) => Deno.statSync(file).ino ?? 0;

test("programs are told of all who live on their network, and of nobody else", (places) => {
  makeSlots(places, "net");
  const all = [attachment("web", "net"), attachment("dead", "net"), attachment("far", "other")];
  tellPrograms(places, stateOf(all), ({ id }) => id !== "dead");
  const bytes = Deno.readFileSync(othersFile(places, "net"));
  const hosts = "10.77.0.2\tweb\n10.77.0.2\talso\n";
  const path = `${places.state}/containers/web-1/hosts`;
  assert.deepEqual(bytes, placeHead({ base: hosts.length, path, lines: "10.77.0.2\tweb also\n" }));
  assert.equal(bytes.length, SLOT.attachment);
});

test("what they depend on is another file when it changes, and then alone", (places) => {
  makeSlots(places, "net");
  const file = sameFile(places, "net");
  const tell = (state: NetworkState) => tellPrograms(places, state, () => true);
  tell(stateOf([]));
  const first = inode(file);
  tell(stateOf([attachment("web", "net")], { last: { "net 4": "10.77.0.7" } }));
  assert.equal(inode(file), first);
  const firewall = { generation: 7, namespace: "net:[1]", networks: ["net"] };
  tell(stateOf([], { firewall }));
  assert.notEqual(inode(file), first);
  const second = inode(file);
  tell(stateOf([], { firewall, pools: { net: [], other: pools.net } }));
  assert.notEqual(inode(file), second);
  tell(stateOf([], { pools: {} }));
  assert.throws(() => inode(file), Deno.errors.NotFound);
});

test("where too many are on a network, or one with too long a name, programs are told nothing", (places) => {
  makeSlots(places, "net");
  const file = sameFile(places, "net");
  const many = (count: number) =>
    stateOf(Array.from({ length: count }, (_, i) => attachment(`c${i}`, "net")));
  tellPrograms(places, many(OTHERS), () => true);
  assert(inode(file) > 0);
  tellPrograms(places, many(OTHERS + 1), () => true);
  assert.throws(() => inode(file), Deno.errors.NotFound);
  tellPrograms(places, many(OTHERS + 1), ({ id }) => id !== "c1");
  assert(inode(file) > 0);
  tellPrograms(places, stateOf([attachment("x".repeat(1000), "net")]), () => true);
  assert.throws(() => inode(file), Deno.errors.NotFound);
});
