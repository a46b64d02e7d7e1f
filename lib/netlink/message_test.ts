import assert from "node:assert/strict";
import fc from "fast-check";
import { Writer } from "./attributes.ts";
import { NLM_F_ACK_TLVS, NLM_F_CAPPED, NLMSG_ERROR } from "./constants.ts";
import { NetlinkError } from "./errors.ts";
import {
  decodeDone,
  decodeError,
  decodeMessages,
  encodeMessages,
  type Message,
  splitBody,
} from "./message.ts";
import { refusedOnly } from "./testing.ts";

const u16 = fc.nat(0xffff);
const u32 = fc.nat(0xffffffff);
const body = fc.uint8Array({ maxLength: 200 });
const outgoing = fc.record({ type: u16, flags: u16, sequence: u32, body });

const plain = ({ type, flags, sequence, body }: Omit<Message, "port">) => ({
  type,
  flags,
  sequence,
  body: [...body],
});

Deno.test("messages come back as they were written", () => {
  fc.assert(fc.property(fc.array(outgoing, { maxLength: 20 }), (messages) => {
    const bytes = encodeMessages(messages);
    assert.deepEqual(
      decodeMessages(bytes).map(plain),
      messages.map((each) => ({
        ...each,
        body: [...each.body],
      })),
    );
  }));
});

Deno.test("messages that are cut, or have bytes changed, are read or refused in a sentence", () => {
  const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 5 });
  const all = fc.array(outgoing, { minLength: 1, maxLength: 5 });
  fc.assert(fc.property(all, changes, fc.nat(), (messages, changes, cut) => {
    let bytes = encodeMessages(messages);
    for (const [at, value] of changes) bytes[at % bytes.length] = value;
    bytes = bytes.slice(0, cut % (bytes.length + 1));
    refusedOnly(() => {
      for (const message of decodeMessages(bytes)) {
        refusedOnly(() => decodeError(message));
        refusedOnly(() => decodeDone(message));
        refusedOnly(() => splitBody(message, 16));
      }
    });
  }));
});

Deno.test("a message's length must hold its header and lie in the bytes", () => {
  const bytes = encodeMessages([{ type: 1, flags: 0, sequence: 0, body: new Uint8Array(4) }]);
  for (const length of [0, 15, 21, 0xffffffff]) {
    new DataView(bytes.buffer).setUint32(0, length, true);
    assert.throws(
      () => decodeMessages(bytes),
      new RegExp(`a message of ${length} bytes, where 20`),
    );
  }
});

/** An error as the kernel sends it. */
function error(errno: number, flags: number, request: Uint8Array, text?: string): Message {
  const w = new Writer();
  if (text !== undefined) w.text(1, text).u32(2, 28);
  const attributes = w.finish();
  const body = new Uint8Array(4 + request.length + attributes.length);
  const view = new DataView(body.buffer);
  view.setInt32(0, -errno, true);
  body.set(request, 4);
  body.set(attributes, 4 + request.length);
  return { type: NLMSG_ERROR, flags, sequence: 1, port: 0, body };
}

Deno.test("an error has the kernel's sentence, whether the request stands in it or not", () => {
  const request = encodeMessages([{ type: 16, flags: 0, sequence: 1, body: new Uint8Array(8) }]);
  const expected = { errno: 22, text: "Nexthop has invalid gateway", offset: 28 };
  const whole = error(22, NLM_F_ACK_TLVS, request, expected.text);
  const capped = error(22, NLM_F_ACK_TLVS | NLM_F_CAPPED, request.slice(0, 16), expected.text);
  assert.deepEqual(decodeError(whole), expected);
  assert.deepEqual(decodeError(capped), expected);
  assert.deepEqual(decodeError(error(0, NLM_F_CAPPED, request.slice(0, 16))), { errno: 0 });
});

Deno.test("an error that is none, or whose request reaches out of it, is refused", () => {
  const request = new Uint8Array(16).fill(255);
  assert.throws(() => decodeError(error(22, 0, request)), /about a request of 4294967295 bytes/);
  assert.throws(() => decodeError(error(-1, NLM_F_CAPPED, request)), /the error 1$/);
  assert.throws(() => decodeError(error(5000, NLM_F_CAPPED, request)), /the error -5000$/);
});

Deno.test("a NetlinkError says what was asked for, why not, and what the kernel adds", () => {
  const { message } = new NetlinkError("add the route to default", 22, {
    text: "Nexthop has invalid gateway",
  });
  assert.equal(message, "add the route to default: EINVAL (Nexthop has invalid gateway)");
  const bare = new NetlinkError("add the link veth0", 17);
  assert.equal(bare.message, "add the link veth0: EEXIST");
  assert.deepEqual([bare.errno, bare.code, bare.label], [17, "EEXIST", "add the link veth0"]);
});
