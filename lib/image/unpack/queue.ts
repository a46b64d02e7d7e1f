import { CallBatch, type SyscallName, trySyscall } from "../../../ffi/mod.ts";

/** Steps and data of one batch: some 2 ms of the kernel's work. */
const STEPS = 4096;
const DATA = 1 << 18;
const SUBMIT_STEPS = 2048;
const SUBMIT_BYTES = 1 << 19;
/** As many pieces of memory may wait in a batch to be given back, and in all batches. */
const SUBMIT_DONE = 4;
const MOST_DONE = 4 * SUBMIT_DONE;
/** struct timespec: 50 microseconds. */
const MOMENT = new Uint8Array(new BigInt64Array([0n, 50_000n]).buffer);

/** A system call that failed, of which group of calls it was, and the group's subject. */
export interface Failure<T> {
  readonly name: SyscallName | "compute";
  /** The kernel's error, or, of a check, how much less than expected there was. */
  readonly errno: number;
  /** How many steps behind the group's first one. */
  readonly subject: T;
}

/** What to do after a failure: go on with the next call, or with the next group. */
export type Decision = "next" | "leave";

interface Group<T> {
  readonly start: number;
  readonly subject: T;
}

interface Batch<T> {
  readonly calls: CallBatch;
  groups: Group<T>[];
  /** What nobody needs when they are made. */
  readonly done: (() => void)[];
  /** All its calls are made, and what failed is dealt with. */
  settled: boolean;
}

/**
 * System calls in order: filled here, made by another thread, batch by batch, while JavaScript goes on.
 * `decide` hears of each that failed; what it throws ends all.
 */
export class CallQueue<T> {
  readonly #decide: (failure: Failure<T>) => Decision;
  #current: Batch<T> | undefined;
  /** The first one is with the other thread. */
  readonly #waiting: Batch<T>[] = [];
  readonly #free: CallBatch[] = [];
  #running: Batch<T> | undefined;
  #finished: Promise<void> = Promise.resolve();
  #error: { readonly error: unknown } | undefined;

  constructor(decide: (failure: Failure<T>) => Decision) {
    this.#decide = decide;
  }

  /**
   * The batch to add a group of calls to, with room for so many steps and bytes of data.
   *
   * @param subject what the calls are about, for a failure.
   */
  group(subject: T, steps: number, bytes: number): CallBatch {
    let batch = this.#current;
    if (batch !== undefined && !batch.calls.hasRoom(steps, bytes)) {
      this.submit();
      batch = undefined;
    }
    batch ??= this.#current = {
      calls: this.#take(bytes),
      groups: [],
      done: [],
      settled: false,
    };
    batch.groups.push({ start: batch.calls.length, subject });
    return batch.calls;
  }

  #take(bytes: number): CallBatch {
    const free = this.#free.pop();
    if (free === undefined || !free.hasRoom(1, bytes)) return new CallBatch(STEPS, DATA + bytes);
    return free;
  }

  /** Hands over what is there when it is enough to be worth it. */
  submitWhenFull(): void {
    if (this.#current === undefined) return;
    const { calls, done } = this.#current;
    const isFull = calls.length > SUBMIT_STEPS || calls.heldBytes > SUBMIT_BYTES;
    if (isFull || done.length >= SUBMIT_DONE) this.submit();
  }

  /** Hands over what is there. */
  submit(): void {
    if (this.#current !== undefined) {
      this.#waiting.push(this.#current);
      this.#current = undefined;
    }
    if (this.#running === undefined) this.#start();
  }

  #start(): void {
    const batch = this.#waiting.shift();
    if (batch === undefined) return;
    let walked: Promise<void>;
    try {
      walked = batch.calls.runAsync();
    } catch (error) {
      this.#error ??= { error };
      return;
    }
    this.#running = batch;
    this.#finished = walked.then(() => {
      if (!batch.settled && this.#error === undefined) this.#settleOne(batch);
    }).catch((error) => {
      this.#error ??= { error };
    }).then(() => {
      this.#recycle(batch);
      this.#running = undefined;
      if (this.#error === undefined) this.#start();
    });
  }

  /** Calls a function when all calls that were added so far are made, or given up. */
  whenDone(act: () => void): void {
    const last = this.#current ?? this.#waiting.at(-1) ?? this.#running;
    if (last === undefined) act();
    else last.done.push(act);
  }

  #recycle(batch: Batch<T>): void {
    batch.calls.reset();
    for (const act of batch.done) act();
    if (this.#free.length < 4) this.#free.push(batch.calls);
  }

  /** Deals with what failed in a batch whose calls are made. */
  #settleOne(batch: Batch<T>): void {
    batch.settled = true;
    for (;;) {
      const { failure } = batch.calls;
      if (failure === undefined) return;
      const { step, name, result } = failure;
      const index = groupOf(batch.groups, step);
      const decision = this.#decide({
        name,
        errno: -result,
        subject: batch.groups[index]!.subject,
      });
      const after = decision === "next"
        ? step + 1
        : batch.groups[index + 1]?.start ?? batch.calls.length;
      batch.calls.run(after);
    }
  }

  /** Waits until no more than so many batches are on their way, and not too much memory with them. @throws what ended all. */
  async drain(most: number): Promise<void> {
    while (
      this.#running !== undefined &&
      (this.#waiting.length + 1 > most || this.#promised() > MOST_DONE)
    ) await this.#finished;
    this.#check();
  }

  /** How many functions wait for calls to be made. */
  #promised(): number {
    return this.#waiting.reduce((sum, { done }) => sum + done.length, this.#running!.done.length);
  }

  #check(): void {
    if (this.#error !== undefined) throw this.#error.error;
  }

  /** Makes all calls now, before it returns: for who must see what they did. @throws what ended all. */
  settle(): void {
    this.#check();
    if (this.#current !== undefined) {
      this.#waiting.push(this.#current);
      this.#current = undefined;
    }
    try {
      const running = this.#running;
      if (running !== undefined && !running.settled) {
        while (!running.calls.done) trySyscall("nanosleep", MOMENT, null);
        this.#settleOne(running);
      }
      for (let batch = this.#waiting.shift(); batch; batch = this.#waiting.shift()) {
        batch.calls.run();
        this.#settleOne(batch);
        this.#recycle(batch);
      }
    } catch (error) {
      this.#error ??= { error };
      throw error;
    }
  }

  /** Gives up what is not begun, and waits for what is. */
  async stop(): Promise<void> {
    this.#error ??= { error: new Error("the queue was stopped") };
    this.#waiting.length = 0;
    await this.#finished;
  }
}

/** The last group that begins at or before a step. */
function groupOf(groups: readonly { readonly start: number }[], step: number): number {
  let low = 0;
  let high = groups.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (groups[middle]!.start <= step) low = middle;
    else high = middle - 1;
  }
  return low;
}
