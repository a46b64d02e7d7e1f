import { NLM_F_CAPPED, NLMSG_ERROR } from "./constants.ts";
import { type Datagrams, EMPTY, type LOST } from "./datagrams.ts";
import { decodeMessages, encodeMessages, type Message } from "./message.ts";

type Answer = Uint8Array<ArrayBuffer> | typeof LOST | typeof EMPTY;

/** A kernel that answers as it is told to. */
export class ScriptedKernel implements Datagrams {
  readonly sent: Message[][] = [];
  readonly #answers: Answer[] = [];
  readonly answer: (messages: Message[], call: number) => Answer[];

  constructor(answer: (messages: Message[], call: number) => Answer[]) {
    this.answer = answer;
  }

  send(bytes: Uint8Array<ArrayBuffer>): void {
    const messages = decodeMessages(bytes);
    this.#answers.push(...this.answer(messages, this.sent.length));
    this.sent.push(messages);
  }

  receive(): Answer {
    return this.#answers.shift() ?? EMPTY;
  }

  get left(): number {
    return this.#answers.length;
  }

  [Symbol.dispose](): void {}
}

/** An answer to a message: that it went well, or an error. */
export function acknowledge({ sequence }: Message, errno = 0): Uint8Array<ArrayBuffer> {
  const body = new Uint8Array(20);
  new DataView(body.buffer).setInt32(0, -errno, true);
  return encodeMessages([{ type: NLMSG_ERROR, flags: NLM_F_CAPPED, sequence, body }]);
}
