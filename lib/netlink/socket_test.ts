import assert from "node:assert/strict";
import { CrateError } from "../errors.ts";
import * as c from "./constants.ts";
import { acknowledge, ScriptedKernel } from "./_scripted.ts";
import { LOST } from "./datagrams.ts";
import { NetlinkError } from "./errors.ts";
import { encodeMessages, type Message, type Request } from "./message.ts";
import { NetlinkSocket } from "./socket.ts";

const OBJECT = 16;
const request = (label: string, size = 4): Request => ({
  label,
  type: OBJECT,
  flags: 0,
  body: new Uint8Array(size),
});

function objects(sequence: number, values: number[], flags = 0): Uint8Array<ArrayBuffer> {
  return encodeMessages(values.map((value) => ({
    type: OBJECT,
    flags: flags | c.NLM_F_MULTI,
    sequence,
    body: new Uint8Array([value, 0, 0, 0]),
  })));
}

function done(sequence: number, errno = 0, flags = 0): Uint8Array<ArrayBuffer> {
  const body = new Uint8Array(4);
  new DataView(body.buffer).setInt32(0, -errno, true);
  return encodeMessages([{ type: c.NLMSG_DONE, flags, sequence, body }]);
}

const value = ({ body }: Message) => body[0];

function refused(body: () => void, message: string): void {
  assert.throws(body, (error) => {
    assert.ok(error instanceof NetlinkError || error instanceof CrateError, String(error));
    assert.equal(error.message, message);
    return true;
  });
}

Deno.test("all requests go out in one call, each asking for an acknowledgement", () => {
  const kernel = new ScriptedKernel((messages) => messages.map((each) => acknowledge(each)));
  new NetlinkSocket(kernel).execute(["a", "b", "c"].map((label) => request(label)));
  assert.equal(kernel.sent.length, 1);
  assert.deepEqual(
    kernel.sent[0]!.map(({ flags, sequence }) => [flags, sequence]),
    [1, 2, 3].map((sequence) => [c.NLM_F_REQUEST | c.NLM_F_ACK, sequence]),
  );
  assert.equal(kernel.left, 0);
});

Deno.test("many requests, or long ones, go out in several calls", () => {
  const kernel = new ScriptedKernel((messages) => messages.map((each) => acknowledge(each)));
  const socket = new NetlinkSocket(kernel);
  socket.execute(Array.from({ length: 130 }, (_, i) => request(`${i}`)));
  assert.deepEqual(kernel.sent.map(({ length }) => length), [64, 64, 2]);
  socket.execute([request("long", 40_000), request("long", 40_000)]);
  assert.equal(kernel.sent.length, 5);
});

Deno.test("the first failure is told, and the answers after it are read", () => {
  const kernel = new ScriptedKernel((messages) =>
    messages.map((each, index) => acknowledge(each, [0, 17, 22][index]))
  );
  const socket = new NetlinkSocket(kernel);
  refused(() => socket.execute([request("a"), request("b"), request("c")]), "b: EEXIST");
  assert.equal(kernel.left, 0);
});

Deno.test("answers to what was asked before, and messages nobody asked for, are skipped", () => {
  const kernel = new ScriptedKernel(([message]) => [
    acknowledge({ ...message!, sequence: message!.sequence + 7 }, 5),
    acknowledge({ ...message!, sequence: 0 }, 5),
    objects(message!.sequence, [1]),
    acknowledge(message!),
  ]);
  new NetlinkSocket(kernel).execute([request("a")]);
  assert.equal(kernel.left, 0);
});

Deno.test("a lost acknowledgement is an error, and the others are cleared away", () => {
  const kernel = new ScriptedKernel(([a, b]) => [acknowledge(a!), LOST, acknowledge(b!)]);
  const socket = new NetlinkSocket(kernel);
  refused(
    () => socket.execute([request("a"), request("b")]),
    "b: ENOBUFS (the kernel's answer is lost)",
  );
  assert.equal(kernel.left, 0);
});

Deno.test("a kernel that does not answer is an error, not a wait for ever", () => {
  const socket = new NetlinkSocket(new ScriptedKernel(() => []));
  const message = "a: the kernel does not answer";
  refused(() => socket.execute([request("a")]), message);
  refused(() => socket.dump(request("a"), value), message);
  refused(() => socket.get(request("a"), value), message);
});

Deno.test("a list comes in several datagrams, with what belongs to others between", () => {
  const kernel = new ScriptedKernel(([{ sequence } = { sequence: 0 }]) => [
    objects(sequence - 1, [9]),
    objects(sequence, [1, 2]),
    done(sequence - 1),
    objects(sequence, [3]),
    done(sequence),
  ]);
  assert.deepEqual(new NetlinkSocket(kernel).dump(request("list"), value), [1, 2, 3]);
  assert.equal(kernel.sent[0]![0]!.flags, c.NLM_F_REQUEST | c.NLM_F_DUMP);
});

Deno.test("a list that changed while it was made, or lost a part, is asked for again", () => {
  for (const flags of ["in the objects", "at the end", "lost", "EINTR"]) {
    const kernel = new ScriptedKernel(([{ sequence } = { sequence: 0 }], call) => {
      if (call === 2) return [objects(sequence, [1, 2]), done(sequence)];
      if (flags === "lost") return [objects(sequence, [1]), LOST, done(sequence)];
      if (flags === "EINTR") return [objects(sequence, [1]), done(sequence, 4)];
      const interrupted = c.NLM_F_DUMP_INTR;
      return flags === "at the end"
        ? [objects(sequence, [1]), done(sequence, 0, interrupted)]
        : [objects(sequence, [1], interrupted), done(sequence)];
    });
    assert.deepEqual(new NetlinkSocket(kernel).dump(request("list"), value), [1, 2], flags);
    assert.deepEqual([kernel.sent.length, kernel.left], [3, 0], flags);
  }
});

Deno.test("a list that never stays the same is given up", () => {
  const kernel = new ScriptedKernel(([message]) => [
    done(message!.sequence, 0, c.NLM_F_DUMP_INTR),
  ]);
  refused(
    () => new NetlinkSocket(kernel).dump(request("list"), value),
    "list: EINTR (it changes faster than it can be read)",
  );
  assert.equal(kernel.sent.length, 20);
});

Deno.test("a list that is refused, at once or at its end, is an error", () => {
  for (const end of [acknowledge, (each: Message, errno: number) => done(each.sequence, errno)]) {
    const kernel = new ScriptedKernel(([message]) => [end(message!, 1)]);
    refused(() => new NetlinkSocket(kernel).dump(request("list"), value), "list: EPERM");
  }
});

Deno.test("an object that cannot be read is an error, after the list has been read to its end", () => {
  const kernel = new ScriptedKernel(([{ sequence } = { sequence: 0 }]) => [
    objects(sequence, [1, 2]),
    objects(sequence, [3]),
    done(sequence),
  ]);
  const decode = () => {
    throw new CrateError("FAILED", "malformed");
  };
  refused(() => new NetlinkSocket(kernel).dump(request("list"), decode), "malformed");
  assert.equal(kernel.left, 0);
});

Deno.test("one object is got, or is not there, or is refused", () => {
  const got = (errno?: number) =>
    new NetlinkSocket(
      new ScriptedKernel(([message]) => [
        objects(message!.sequence - 1, [9]),
        errno === undefined ? objects(message!.sequence, [5]) : acknowledge(message!, errno),
      ]),
    ).get(request("get"), value);
  assert.equal(got(), 5);
  assert.equal(got(2), undefined);
  assert.equal(got(19), undefined);
  refused(() => got(1), "get: EPERM");
});

Deno.test("one object whose answer did not fit is asked for again", () => {
  const kernel = new ScriptedKernel(([message], call) => [
    call === 0 ? LOST : objects(message!.sequence, [5]),
  ]);
  assert.equal(new NetlinkSocket(kernel).get(request("get"), value), 5);
});

Deno.test("numbers of messages begin again before they would not fit their field", () => {
  const socket = new NetlinkSocket(new ScriptedKernel(() => []));
  assert.equal(socket.reserve(0xfffffff0), 1);
  assert.equal(socket.reserve(15), 0xfffffff1);
  assert.equal(socket.reserve(1), 1);
});
