import assert from "node:assert/strict";
import { encodeText } from "../../ffi/mod.ts";
import { isSameBut, type Kind, kindOf, type Request } from "./kind.ts";

/** A request as an engine makes it. */
function request(
  id: string,
  config: object,
  words = ["create", "--bundle", `/run/${id}`, id],
): Request {
  const said = words.map((word) => `${word}\0`).join("");
  return { bytes: encodeText(said + JSON.stringify(config)), words: encodeText(said).length };
}

const [A, B] = ["aaaa1111bbbb2222", "cccc3333dddd4444"];

/** A config in which everything free has the id. */
const config = (id: string) => ({
  ociVersion: "1.2.0",
  process: {
    args: ["/bin/sh", "-c", `echo ${id}`],
    env: ["PATH=/bin", `HOSTNAME=${id.slice(0, 12)}`],
    user: { uid: 0 },
  },
  root: { path: `/layers/${id}/merged` },
  hostname: id.slice(0, 12),
  mounts: [{ destination: "/etc/hosts", source: `/run/${id}/hosts`, options: ["bind", "ro"] }],
  annotations: { created: "2026-11-30T01:02:03.5Z", id },
  linux: {
    cgroupsPath: `/pod/libpod-${id}.scope`,
    namespaces: [{ type: "network", path: `/run/netns/${id}` }],
    resources: { memory: { limit: 1000 } },
  },
});

const textsOf = (kind: Kind | undefined) => kind?.holes.map(({ text }) => text).sort();

Deno.test("requests of one kind differ in words, whose places are known", () => {
  const kind = kindOf(request(A, config(A)), request(B, config(B)));
  assert.deepEqual(textsOf(kind), [B, B.slice(0, 12), `${B}.scope`].sort());
  for (const [i, { text, places }] of kind!.holes.entries()) {
    const whole = new TextDecoder().decode(request(B, config(B)).bytes);
    const other = new TextDecoder().decode(request(A, config(A)).bytes);
    for (const at of places) {
      assert.equal(whole.slice(at, at + text.length), text);
      assert.equal(other.slice(at, at + text.length), kind!.was[i]);
    }
  }
  // A part of another one is that part in the next request, too.
  const outer = kind!.holes.findIndex(({ text }) => text === `${B}.scope`);
  const inner = kind!.holes.find(({ text }) => text === B);
  assert.deepEqual(inner?.within, { hole: outer, after: 0 });
});

Deno.test("a request is of its own kind, without a word that differs", () => {
  assert.deepEqual(kindOf(request(A, config(A)), request(A, config(A))), { holes: [], was: [] });
});

Deno.test("a time is one word", () => {
  const at = (created: string) => request(A, { annotations: { created } });
  const kind = kindOf(at("2026-11-30T01:02:03.5Z"), at("2026-11-30T01:02:59.7Z"));
  assert.deepEqual(textsOf(kind), ["30T01:02:59.7Z"]);
});

Deno.test("what means something makes another kind", () => {
  const changes: Record<string, (spec: ReturnType<typeof config>) => object> = {
    "a number": (spec) => ({ ...spec, linux: { resources: { memory: { limit: 2000 } } } }),
    "the first argument": (spec) => ({
      ...spec,
      process: { ...spec.process, args: ["/bin/ls", ...spec.process.args.slice(1)] },
    }),
    "a variable's name": (spec) => ({
      ...spec,
      process: { ...spec.process, env: ["PATH=/bin", `HOSTNAMF=${B.slice(0, 12)}`] },
    }),
    "an option": (spec) => ({ ...spec, mounts: [{ ...spec.mounts[0], options: ["bind", "rw"] }] }),
    "a destination": (spec) => ({
      ...spec,
      mounts: [{ ...spec.mounts[0], destination: "/etc/hostz" }],
    }),
    "the user": (spec) => ({ ...spec, process: { ...spec.process, user: { uid: 1 } } }),
    "a key": ({ annotations: { created, id }, ...spec }) => ({
      ...spec,
      annotations: { created, ie: id },
    }),
    "an order": ({ ociVersion, process, ...spec }) => ({ process, ociVersion, ...spec }),
    "an escape": (spec) => ({ ...spec, hostname: `${B.slice(0, 10)}"` }),
    "a longer word": (spec) => ({ ...spec, hostname: B.slice(0, 13) }),
  };
  for (const [name, change] of Object.entries(changes)) {
    assert.equal(kindOf(request(A, config(A)), request(B, change(config(B)))), undefined, name);
  }
  const heeded = (value: string) => request(A, { annotations: { "run.oci.handler": value } });
  assert.equal(kindOf(heeded("krun"), heeded("wasm")), undefined);
  assert.equal(
    kindOf(request(A, config(A)), request(B, config(B), ["create", A, B, B])),
    undefined,
  );
});

Deno.test("a word that stands for two, or two for one, makes another kind", () => {
  const of = (...args: string[]) => request(A, { process: { args: ["/bin/sh", ...args] } });
  assert.equal(kindOf(of("a1", "a2"), of("b1", "b1")), undefined);
  assert.equal(kindOf(of("a1", "a1"), of("b1", "b2")), undefined);
  assert.notEqual(kindOf(of("a1", "a1"), of("b1", "b1")), undefined);
});

Deno.test("what stands behind a backslash is no word", () => {
  const of = (text: string) => {
    const words = encodeText("create\0");
    const config = encodeText(`{"annotations":{"x":"${text}"}}`);
    return { bytes: new Uint8Array([...words, ...config]), words: words.length };
  };
  assert.equal(kindOf(of("\\nabcd"), of("\\nabce")), undefined);
  assert.deepEqual(textsOf(kindOf(of("\\n-abcd"), of("\\n-abce"))), ["abce"]);
});

Deno.test("products are the same but for their words, and nowhere else", () => {
  const kind: Kind = {
    holes: [{ text: "b2", places: [0] }, { text: "b2c3", places: [9] }],
    was: ["a1", "a1x4"],
  };
  assert(isSameBut("/a1/a1x4/end", "/b2/b2c3/end", kind));
  for (const other of ["/a1/b2c3/end", "/b2/b2c3/eND", "/b2/b2c3/enb2", "/b2/b2/end", "b2"]) {
    assert(!isSameBut("/a1/a1x4/end", other, kind), other);
  }
  assert(isSameBut("same", "same", { holes: [], was: [] }));
  assert(!isSameBut("same", "sane", { holes: [], was: [] }));
});
