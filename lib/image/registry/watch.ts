import { after } from "../../timers.ts";

/** Waits for a server, and says when it has been silent for too long. Time in which nobody asks does not count. */
export class Watch {
  #since: number | undefined;
  #prevent: (() => void) | undefined;
  /** Whether it was silent for too long. */
  stalled = false;

  /** @param ms the longest silence. */
  constructor(readonly ms: number, readonly onStall: () => void) {}

  /** Something is asked for. */
  begin(): void {
    this.#since = performance.now();
    // One timer for many reads: it looks at the time when it goes off, and is set again.
    if (this.#prevent === undefined) this.#arm(this.ms);
  }

  /** It came. */
  end(): void {
    this.#since = undefined;
  }

  /** It is over. */
  close(): void {
    this.#since = undefined;
    this.#prevent?.();
    this.#prevent = undefined;
  }

  #arm(ms: number): void {
    this.#prevent = after(ms, () => {
      this.#prevent = undefined;
      if (this.#since === undefined) return;
      const left = this.ms - (performance.now() - this.#since);
      if (left > 0) return this.#arm(left);
      this.stalled = true;
      this.onStall();
    });
  }
}
