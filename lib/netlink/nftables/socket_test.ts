import assert from "node:assert/strict";
import { acknowledge, ScriptedKernel } from "../_scripted.ts";
import { LOST } from "../datagrams.ts";
import { NetlinkError } from "../errors.ts";
import { NetlinkSocket } from "../socket.ts";
import { encodeMessages, type Request } from "../message.ts";
import { addChain, addElements, addSet, addTable, NftablesSocket } from "./mod.ts";

const T = { family: "inet", table: "t" } as const;
const REQUESTS = [addTable(T), addChain({ ...T, chain: "a" }), addChain({ ...T, chain: "b" })];

function transact(kernel: ScriptedKernel): void {
  new NftablesSocket(new NetlinkSocket(kernel)).transaction(REQUESTS);
}

function refused(kernel: ScriptedKernel, message: string): void {
  assert.throws(() => transact(kernel), (error) => {
    assert.ok(error instanceof NetlinkError, String(error));
    assert.equal(error.message, message);
    return true;
  });
  assert.equal(kernel.left, 0);
}

Deno.test("a transaction is one datagram, and silence means that it is done", () => {
  const kernel = new ScriptedKernel(() => []);
  transact(kernel);
  assert.deepEqual(kernel.sent.map(({ length }) => length), [REQUESTS.length + 2]);
  new NftablesSocket(new NetlinkSocket(kernel)).transaction([]);
  assert.equal(kernel.sent.length, 1);
});

Deno.test("of several failures the first request's is told, in whatever order they come", () => {
  const kernel = new ScriptedKernel(([, table, a, b]) => [
    acknowledge(b!, 2),
    acknowledge(a!, 17),
    acknowledge(table!),
  ]);
  refused(kernel, "add the chain inet t a: EEXIST");
});

Deno.test("a failure of the whole transaction is told as such", () => {
  const kernel = new ScriptedKernel(([begin]) => [acknowledge(begin!, 1)]);
  refused(kernel, "change the tables of nftables: EPERM");
});

Deno.test("a transaction that met somebody else's is tried again, for a while", () => {
  for (const errno of [11, 85]) {
    const kernel = new ScriptedKernel(([begin], call) =>
      call < 3 ? [acknowledge(begin!, errno)] : []
    );
    transact(kernel);
    assert.equal(kernel.sent.length, 4);
    const sequences = kernel.sent.map(([begin]) => begin!.sequence);
    assert.deepEqual(sequences, [1, 6, 11, 16]);
  }
  const kernel = new ScriptedKernel(([begin]) => [acknowledge(begin!, 11)]);
  refused(kernel, "change the tables of nftables: EAGAIN");
  assert.equal(kernel.sent.length, 20);
});

Deno.test("what a transaction before it left behind is skipped", () => {
  const kernel = new ScriptedKernel(([begin]) => [
    acknowledge({ ...begin!, sequence: begin!.sequence - 1 }, 5),
    acknowledge({ ...begin!, sequence: begin!.sequence + 9 }, 5),
  ]);
  transact(kernel);
});

Deno.test("a transaction whose answers are lost is an error, and never taken for done", () => {
  refused(
    new ScriptedKernel(([begin]) => [acknowledge({ ...begin!, sequence: 0 }, 5), LOST]),
    "change the tables of nftables: ENOBUFS (the kernel's answer is lost)",
  );
});

Deno.test("elements that are told twice are asked for again: others may be missing", () => {
  const set = { ...T, set: "s", keyType: "inet_service" } as const;
  const [once] = addElements(set, [{ key: 1 }, { key: 2 }]) as [Request];
  const [twice] = addElements(set, [{ key: 1 }, { key: 1 }]) as [Request];
  const answer = (request: Request, sequence: number) =>
    encodeMessages([
      { ...request, flags: 2, sequence },
      { type: 3, flags: 2, sequence, body: new Uint8Array(4) },
    ]);
  // First it is asked what the set is.
  const kernel = new ScriptedKernel(([message], call) => [
    answer(call === 0 ? addSet(set) : call < 4 ? twice : once, message!.sequence),
  ]);
  const elements = new NftablesSocket(new NetlinkSocket(kernel)).elements(set);
  assert.deepEqual(elements?.map(({ key }) => key[0]![1]), [1, 2]);
  assert.equal(kernel.sent.length, 5);
  const never = new ScriptedKernel(([message], call) => [
    answer(call === 0 ? addSet(set) : twice, message!.sequence),
  ]);
  assert.throws(
    () => new NftablesSocket(new NetlinkSocket(never)).elements(set),
    /list the elements of inet t s: EINTR/,
  );
});
