// A systemd that answers as a test wants, in a thread of its own: the client waits in the test's.
import {
  decodeMessage,
  encodeMessage,
  type Message,
  messageSize,
  PREFIX_SIZE,
} from "./dbus/message.ts";
import type { Value } from "./dbus/value.ts";

/** How it behaves. */
export interface Behaviour {
  readonly path: string;
  /** What it answers to AUTH; absent: as systemd. */
  readonly greeting?: string;
  /** What a job ends as; `"never"`, or `"early"` for a signal before the answer. */
  readonly job?: string;
  /** What StartTransientUnit is answered with, the first time and the second. */
  readonly start?: readonly (string | undefined)[];
  /** What StopUnit is answered with. */
  readonly stop?: string;
  /** The connection ends after so many messages, in the middle of the next answer. */
  readonly closeAfter?: number;
  /** Nothing is answered after so many messages. */
  readonly silentAfter?: number;
  /** Bytes that are no message come as an answer. */
  readonly garbage?: boolean;
}

const MANAGER = "org.freedesktop.systemd1.Manager";
const scope = self as unknown as {
  postMessage(message: unknown): void;
  onmessage: (event: MessageEvent<Behaviour>) => void;
};

scope.onmessage = async ({ data }) => {
  const listener = Deno.listen({ transport: "unix", path: data.path });
  scope.postMessage("ready");
  for await (const connection of listener) {
    await converse(connection, data).catch(() => {});
    try {
      connection.close();
    } catch {
      // It is closed already.
    }
  }
};

async function converse(connection: Deno.UnixConn, behaviour: Behaviour): Promise<void> {
  let received = new Uint8Array(0);
  const more = async () => {
    const bytes = new Uint8Array(4096);
    const count = await connection.read(bytes);
    if (count === null) throw new Error("gone");
    const all = new Uint8Array(received.length + count);
    all.set(received);
    all.set(bytes.subarray(0, count), received.length);
    received = all;
  };
  const send = async (bytes: Uint8Array) => {
    for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
  };
  while (!new TextDecoder().decode(received).endsWith("BEGIN\r\n")) await more();
  received = new Uint8Array(0);
  await send(new TextEncoder().encode(behaviour.greeting ?? "DATA\r\nOK 0123\r\n"));
  let serial = 0;
  const starts = [...behaviour.start ?? []];
  for (let count = 1;; count++) {
    while (received.length < PREFIX_SIZE || received.length < messageSize(received)) await more();
    const size = messageSize(received);
    const call = decodeMessage(received.slice(0, size));
    received = received.slice(size);
    scope.postMessage({ member: call.member, body: call.body });
    if (count > (behaviour.silentAfter ?? Infinity)) continue;
    const answer = (signature: string, body: Value[]) =>
      encodeMessage({ type: "return", serial: ++serial, replyTo: call.serial, signature, body });
    const failure = (error: string) =>
      encodeMessage({
        type: "error",
        serial: ++serial,
        replyTo: call.serial,
        error: `org.freedesktop.${error}`,
        signature: "s",
        body: [`the mock says ${error}`],
      });
    const signal = (job: string, result: string) =>
      encodeMessage({
        type: "signal",
        serial: ++serial,
        path: "/org/freedesktop/systemd1",
        interface: MANAGER,
        member: "JobRemoved",
        signature: "uoss",
        body: [1, job, "a.scope", result],
      });
    const bytes = reply(call, behaviour, starts, { answer, failure, signal });
    if (count > (behaviour.closeAfter ?? Infinity)) {
      await send(bytes.subarray(0, 20));
      return;
    }
    await send(behaviour.garbage ? new Uint8Array(64) : bytes);
  }
}

interface Answers {
  answer(signature: string, body: Value[]): Uint8Array;
  failure(error: string): Uint8Array;
  signal(job: string, result: string): Uint8Array;
}

function reply(
  { member }: Message,
  { job = "done", stop }: Behaviour,
  starts: (string | undefined)[],
  { answer, failure, signal }: Answers,
): Uint8Array {
  const path = "/org/freedesktop/systemd1/job/7";
  const started = () => {
    const answered = answer("o", [path]);
    if (job === "never") return answered;
    // Somebody else's job ends, too.
    const others = signal("/org/freedesktop/systemd1/job/6", "failed");
    if (job === "early") return join(others, signal(path, "done"), answered);
    return join(answered, others, signal(path, member === "StopUnit" ? "done" : job));
  };
  switch (member) {
    case "Get":
      return answer("v", [{ signature: "s", value: "252.4-1" }]);
    case "StartTransientUnit": {
      const error = starts.shift();
      return error === undefined ? started() : failure(error);
    }
    case "StopUnit":
      return stop === undefined ? started() : failure(stop);
    case "Hello":
      return answer("s", [":1.1"]);
    case "ResetFailedUnit":
      return failure("systemd1.NoSuchUnit");
    default:
      return answer("", []);
  }
}

function join(...parts: Uint8Array[]): Uint8Array {
  return new Uint8Array(parts.flatMap((part) => [...part]));
}
