import { ConnectionError } from "./errors.ts";
import type { Settings } from "./options.ts";
import type { Transport } from "./transport.ts";

const FIRST_DELAY = 500;
const LONGEST_DELAY = 20_000;
/** The longest that a server may ask for, in milliseconds: who wants more gets no second request. */
const LONGEST_RETRY_AFTER = 120_000;
const AGAIN = new Set([429, 500, 502, 503, 504]);

/** Whether a status says that the same request may go well later. */
export function isTransient(status: number): boolean {
  return AGAIN.has(status);
}

/**
 * How long to wait before the next attempt: twice as long each time, half of it by chance so that many who failed at once do not
 * come back at once.
 *
 * @param attempt of those that failed, from 1.
 */
export function backoff(attempt: number, random: () => number): number {
  const most = Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** (attempt - 1));
  return most / 2 + random() * most / 2;
}

/**
 * The milliseconds of a `Retry-After`: seconds, or a date.
 *
 * @returns undefined when there is none that can be read.
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3
 */
export function retryAfter(headers: Headers, now: number): number | undefined {
  const text = headers.get("retry-after")?.trim();
  if (!text) return undefined;
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

/** Sends again what failed for a reason that passes: a lost connection, too many requests, a server's trouble. */
export function retrying(send: Transport, settings: Settings): Transport {
  return async (request) => {
    // A stream is gone once it was sent.
    const attempts = typeof request.body === "function" ? 1 : settings.attempts;
    for (let attempt = 1;; attempt++) {
      let delay = backoff(attempt, settings.random);
      try {
        const answer = await send(request);
        if (attempt >= attempts || !isTransient(answer.status)) return answer;
        const asked = retryAfter(answer.headers, settings.now());
        if (asked !== undefined && asked > LONGEST_RETRY_AFTER) return answer;
        answer.cancel();
        delay = asked ?? delay;
      } catch (error) {
        if (!(error instanceof ConnectionError) || attempt >= error.attempts(attempts)) throw error;
      }
      await settings.sleep(delay, request.signal ?? settings.signal);
    }
  };
}
