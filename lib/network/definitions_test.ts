import assert from "node:assert/strict";
import { CrateError } from "../errors.ts";
import {
  listDefinitions,
  networkPlaces,
  readDefinition,
  removeDefinition,
  writeDefinition,
} from "./definitions.ts";
import type { NetworkDefinition } from "./types.ts";

function test(name: string, body: (store: string) => void): void {
  Deno.test(name, () => {
    const store = Deno.makeTempDirSync();
    try {
      body(store);
    } finally {
      Deno.removeSync(store, { recursive: true });
    }
  });
}

const definition = (name: string): NetworkDefinition => ({
  version: 1,
  name,
  driver: "bridge",
  created: "2026-01-01T00:00:00Z",
  interface: `br-${name}`,
  subnets: [{ subnet: "10.1.0.0/24", gateway: "10.1.0.1" }],
  internal: false,
  labels: { a: "1" },
});

test("a network is what was written of it, until it is removed", (store) => {
  const places = networkPlaces(store);
  assert.deepEqual(listDefinitions(places), []);
  assert.equal(readDefinition(places, "db"), undefined);
  for (const name of ["web", "db", "a.json"]) writeDefinition(places, definition(name));
  assert.deepEqual(readDefinition(places, "db"), definition("db"));
  assert.deepEqual(listDefinitions(places).map(({ name }) => name), ["a.json", "db", "web"]);
  writeDefinition(places, { ...definition("db"), internal: true });
  assert.equal(readDefinition(places, "db")?.internal, true);
  removeDefinition(places, "db");
  removeDefinition(places, "db");
  assert.deepEqual(listDefinitions(places).map(({ name }) => name), ["a.json", "web"]);
});

test("what a crate that was killed has left does not matter", (store) => {
  const places = networkPlaces(store);
  writeDefinition(places, definition("web"));
  Deno.writeTextFileSync(`${store}/networks/.new`, '{"version":1,"na');
  Deno.writeTextFileSync(`${store}/networks/README`, "mine");
  assert.equal(listDefinitions(places).length, 1);
  writeDefinition(places, definition("db"));
  assert.deepEqual(
    [...Deno.readDirSync(`${store}/networks`)].map(({ name }) => name).sort(),
    ["README", "db.json", "web.json"],
  );
});

test("a broken file is named, and one of a later version too", (store) => {
  const places = networkPlaces(store);
  writeDefinition(places, definition("web"));
  const file = `${store}/networks/web.json`;
  for (const text of ["", "{", "null", "[]", '{"version":1,"name":"other","subnets":[]}']) {
    Deno.writeTextFileSync(file, text);
    assert.throws(() => readDefinition(places, "web"), (error: unknown) => {
      assert(error instanceof CrateError);
      assert.equal(error.message, `${file} is not whole: remove it`);
      return true;
    }, text);
  }
  Deno.writeTextFileSync(file, '{"version":2,"name":"web","subnets":[]}');
  assert.throws(() => readDefinition(places, "web"), /has version 2, this crate knows 1$/);
});

test("each store has a table and a state of its own", (store) => {
  assert.equal(networkPlaces("/var/lib/crate").table, "crate");
  const { table, state } = networkPlaces(store);
  assert.match(table, /^crate_[0-9a-f]{8}$/);
  assert.equal(state, `/run/crate/.networks/${encodeURIComponent(store)}`);
  assert.notEqual(networkPlaces(`${store}2`).table, table);
});
